"""The table of bars: what each stack showed, the ratio to the best peer of the same run, and whether the bar is met.

    report.py FILE...        the table of kept results; several that were taken one after the other count as one run
"""

import dataclasses
import json
import sys

from measure import summary

MIB = 1048576.0
S, MS, PERCENT, MEMORY, PACKETS, FALLS = (1, "s"), (0.001, "ms"), (0.01, "%"), (MIB, "MiB"), (1, "packets"), (1, "falls")
PEERS = ("frr", "bird")
PER_ROUTE6 = 0.5e-6  # s, what the kernel takes for each IPv6 route of a group that changes


@dataclasses.dataclass(frozen=True)
class Bar:
    what: str
    bench: str
    figure: str
    unit: tuple  # divisor, text
    peers: tuple = PEERS  # those that the ratio is to; "bench/stack" for a figure of another bench
    ratio: float = None  # the bar: to the best of them
    most: float = None  # or absolute
    grows: str = ""  # or 1.5 times its own figure of that name, and PER_ROUTE6 for each of `routes6`
    routes6: int = 0
    of: str = "median"  # "max": the worst of all repetitions


BARS = [
    Bar("cold start, wall", "cold", "wall", S, ratio=0.6),
    Bar("cold start, CPU", "cold", "cpu", S, ("bird",), ratio=1.0),
    Bar("memory per leaf, USS", "cold", "uss", MEMORY, ("bird",), ratio=2.0),
    Bar("memory per leaf, PSS", "cold", "pss", MEMORY),
    Bar("idle CPU per switch", "cold", "idle_cpu", PERCENT),
    Bar("gap, 10 prefixes", "gap", "gap_10", MS),
    Bar("gap, 10,000 prefixes", "gap", "gap_10000", MS, most=0.020),
    Bar("gap, 50,000 prefixes", "gap", "gap_50000", MS, grows="gap_10000", routes6=25000),
    Bar("back to full ECMP", "gap", "back_10", S, most=0.2),
    Bar("back to full ECMP, 10,000", "gap", "back_10000", S, most=0.2),
    Bar("carrier up to Established", "link_up", "established", MS, (), most=0.05),
    Bar("  worst of all", "link_up", "established", MS, (), most=0.05, of="max"),
    Bar("1,000,000 to a sink, wall", "one_million", "wall", S, ratio=0.7),
    Bar("1,000,000 to a sink, peak RSS", "one_million", "peak_rss", MEMORY, ("bird",), ratio=1.0),
    Bar("1,000,000 withdrawn", "one_million", "withdraw", S, ratio=0.7),
    Bar("10 feeders x 100,000, wall", "ten_feeders", "wall", S),
    Bar("100,000 to 64 sinks", "many_sinks", "wall", S, ("frr",), ratio=0.5),
    Bar("64 peers x 20,000, until idle", "many_peers", "until_idle", S, ("bird",), ratio=0.7),
    Bar("64 peers x 20,000, peak RSS", "many_peers", "peak_rss", MEMORY, ("bird",)),
    Bar("64 peers drop, until idle", "many_peers", "drop_idle", S, ("bird",), ratio=0.3),
    Bar("kernel FIB, 1,000,000 routes", "kernel_fib", "fill", S, ("bare",), ratio=1.3),
    Bar("  the same, peak RSS", "kernel_fib", "peak_rss", MEMORY, ("one_million/bird",), ratio=1.5),
    Bar("silent failure, 100 ms x 3, repair", "silent", "repair_10", MS, most=0.001),
    Bar("  worst of all", "silent", "repair_10", MS, most=0.005, of="max"),
    Bar("  remote leaf", "silent", "remote_10", MS),
    Bar("  gap, worst of all", "silent", "gap_10", MS, of="max"),
    Bar("silent failure, 10 ms x 3, repair", "silent_fast", "repair_10", MS, most=0.001),
    Bar("  worst of all", "silent_fast", "repair_10", MS, most=0.005, of="max"),
    Bar("  remote leaf", "silent_fast", "remote_10", MS),
    Bar("  gap, worst of all", "silent_fast", "gap_10", MS, of="max"),
    Bar("silent failure, 10,000 prefixes, repair", "silent_load", "repair_10000", MS, most=0.005),
    Bar("  remote leaf", "silent_load", "remote_10000", MS),
    Bar("  gap, worst of all", "silent_load", "gap_10000", MS, of="max"),
    Bar("silent failure, 50,000 prefixes, repair", "silent_load", "repair_50000", MS, grows="repair_10000", routes6=25000),
    Bar("  remote leaf", "silent_load", "remote_50000", MS),
    Bar("  gap, worst of all", "silent_load", "gap_50000", MS, of="max"),
    Bar("carrier loss, remote gap", "silent", "carrier", MS, most=0.0015),
    Bar("  worst of all", "silent", "carrier", MS, most=0.005, of="max"),
    Bar("idle CPU per switch with BFD, 100 ms x 3", "idle_bfd", "idle_cpu", PERCENT, ("bird",), ratio=1.0),
    Bar("kill -9, packets lost, worst of all", "restart", "lost_kill", PACKETS, most=0, of="max"),
    Bar("SIGTERM and start, worst of all", "restart", "lost_term", PACKETS, most=0, of="max"),
    Bar("upgrade, worst of all", "restart", "lost_upgrade", PACKETS, most=0, of="max"),
    Bar("128 BFD sessions while a table loads, worst", "bfd_load", "false_downs", FALLS, most=0, of="max"),
    Bar("BFD killed, first packet again, worst", "bfd_restart", "first_kill", MS, most=0.05, of="max"),
    Bar("  a session's longest silence", "bfd_restart", "silence_kill", MS, of="max"),
    Bar("  128 sessions, worst", "bfd_restart", "fell_kill", FALLS, most=0, of="max"),
    Bar("BFD handed over, first packet, worst", "bfd_restart", "first_handover", MS, most=0.05, of="max"),
    Bar("  a session's longest silence", "bfd_restart", "silence_handover", MS, of="max"),
    Bar("  128 sessions, worst", "bfd_restart", "fell_handover", FALLS, most=0, of="max"),
]


def gather(results):
    """{(bench, stack, figure): summary of all values, be they one a run or a list}"""
    values = {}
    for run in results["runs"]:
        figures = {b.figure for b in BARS if b.bench == run["bench"]}
        for figure in figures | {k for k in run if isinstance(run[k], float)}:
            got = run.get(figure)
            values.setdefault((run["bench"], run["stack"], figure), []).extend(got if isinstance(got, list) else [got])
    return {k: summary(v) for k, v in values.items()}


def cell(s, unit, of="median"):
    if not s:
        return "-"
    divisor, text = unit
    low, mid, high = (s[k] / divisor for k in ("min", "median", "max"))
    shown = mid if of == "median" else high
    digits = 0 if unit in (PACKETS, FALLS) or shown >= 100 else 1 if shown >= 10 else 3
    spread = "" if s["n"] == 1 else f" of {s['n']}" if of == "max" else f" ({low:.{digits}f}-{high:.{digits}f})"
    missing = f" -{s['missing']}" if s["missing"] else ""
    return f"{shown:.{digits}f} {text}{spread}{missing}"


def best_peer(m, bar):
    found = []
    for p in bar.peers:
        b, _, stack = p.rpartition("/")
        s = m.get((b or bar.bench, stack, bar.figure))
        if s:
            found.append(s[bar.of])
    return min(found) if found else None


def amount(value, unit):
    return f"<= {value / unit[0]:g} {unit[1]}"


def verdict(m, bar, own, best):
    """(bar as text, "met" / "NOT MET" / "-")"""
    if bar.grows:
        base = m.get((bar.bench, "fabricd", bar.grows))
        limit = 1.5 * base["median"] + bar.routes6 * PER_ROUTE6 if base else None
        extra = bar.routes6 * PER_ROUTE6 * 1000
        text = f"<= {limit * 1000:.1f} ms" if limit else f"<= 1.5 x own at 10,000 + {extra:g} ms"
    elif bar.most is not None:
        limit, text = bar.most, amount(bar.most, bar.unit)
    elif bar.ratio is not None:
        limit, text = best * bar.ratio if best is not None else None, f"<= {bar.ratio:g} x"
    else:
        return "", "-"
    if own is None or limit is None:
        return text, "-"
    return text, "met" if own <= limit else "NOT MET"


def rows(results):
    m = gather(results)
    benches = {r["bench"] for r in results["runs"]}
    for bar in BARS:
        if bar.bench not in benches:
            continue
        own = m.get((bar.bench, "fabricd", bar.figure))
        best = best_peer(m, bar)
        text, met = verdict(m, bar, own and own[bar.of], best)
        relation = f"{own[bar.of] / best:.2f}" if own and best else "-"
        other = m.get((bar.bench, "bare", bar.figure))
        cells = [cell(m.get((bar.bench, s, bar.figure)), bar.unit, bar.of) for s in ("fabricd", *PEERS)]
        yield [bar.what, *cells, cell(other, bar.unit) if other else "", relation, text, met]


def notes(run):
    """What went wrong in one run."""
    out = [f"{k}: {run[k]}" for k in sorted(run) if k == "error" or k.startswith("short_")]
    detail = run.get("detail", {})
    for k, d in detail.items() if isinstance(detail, dict) else enumerate(detail):
        if "error" in d:
            which = f"{k} prefixes" if isinstance(detail, dict) else f"repetition {k + 1}"
            out.append(f"{which}: {d['error']}")
        elif d.get("lost") and "way" in d:
            out.append(f"{d['way']} of {d['node']}: {d['lost']} packets lost, a flow for {d['worst_s'] * 1000:.0f} ms")
    return out


def show(results):
    """Prints the table and what went wrong."""
    head = ["figure", "fabricd", "FRR", "BIRD", "bare", "ratio", "bar", ""]
    table = [head, *rows(results)]
    widths = [max(len(r[i]) for r in table) for i in range(len(head))]
    machine = results["machine"]
    print(f"{machine['cpus']} x {machine['cpu']}, kernel {machine['kernel']}, {results['time']}; "
          "median (least-most) -runs without a figure")  # fmt: skip
    if results.get("quick"):
        print("quick: small fabrics and a tenth of the prefixes that the rows name; bars are for the full run")
    for r in table:
        print("  ".join(c.ljust(w) for c, w in zip(r, widths)).rstrip())
    for run in results["runs"]:
        for note in notes(run):
            print(f"note: {run['bench']} {run['stack']} run {run['round'] + 1}: {note[:400]}")


def join(files):
    """The results of all files as if of one run: rounds count on from file to file where a bench stands in several."""
    whole = None
    for path in files:
        with open(path) as f:
            part = json.load(f)
        if whole is None:
            whole = {**part, "runs": []}
        for key in ("machine", "quick", "size", "gap_size", "load_size", "restart_size"):
            if part.get(key) != whole.get(key):
                sys.exit(f"{path}: {key} is {part.get(key)}, and {whole.get(key)} in {files[0]}: these are no rounds of one run")
        done = {}
        for run in whole["runs"]:
            done[run["bench"]] = max(done.get(run["bench"], 0), run["round"] + 1)
        whole["runs"] += [{**run, "round": run["round"] + done.get(run["bench"], 0)} for run in part["runs"]]
    return whole


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__.split("\n\n", 1)[1].strip())
    show(join(sys.argv[1:]))
