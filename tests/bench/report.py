"""The table of bars: medians of the stacks, the ratio to the best peer of the same run, and whether the bar is met."""

from measure import summary

MIB = 1048576.0

# what, bench, figure, unit (divisor, text), which peers count, bar as a ratio to the best of them, or absolute
BARS = [
    ("cold start, wall", "cold", "wall", (1, "s"), ("frr", "bird"), 0.6, None),
    ("cold start, CPU", "cold", "cpu", (1, "s"), ("bird",), 1.0, None),
    ("memory per leaf, USS", "cold", "uss", (MIB, "MiB"), ("bird",), 2.0, None),
    ("memory per leaf, PSS", "cold", "pss", (MIB, "MiB"), ("frr", "bird"), None, None),
    ("idle CPU per switch", "cold", "idle_cpu", (0.01, "%"), ("frr", "bird"), None, None),
    ("gap, 10 prefixes", "gap", "gap_10", (0.001, "ms"), ("frr", "bird"), None, None),
    ("gap, 10,000 prefixes", "gap", "gap_10000", (0.001, "ms"), ("frr", "bird"), None, 0.020),
    ("gap, 50,000 prefixes", "gap", "gap_50000", (0.001, "ms"), ("frr", "bird"), None, "gap_50000"),
    ("back to full ECMP", "gap", "back_10", (1, "s"), ("frr", "bird"), None, 0.2),
    ("back to full ECMP, 10,000", "gap", "back_10000", (1, "s"), ("frr", "bird"), None, 0.2),
    ("1,000,000 to a sink, wall", "one_million", "wall", (1, "s"), ("frr", "bird"), 0.7, None),
    ("1,000,000 to a sink, peak RSS", "one_million", "peak_rss", (MIB, "MiB"), ("bird",), 1.0, None),
    ("1,000,000 withdrawn", "one_million", "withdraw", (1, "s"), ("frr", "bird"), 0.7, None),
    ("10 feeders x 100,000, wall", "ten_feeders", "wall", (1, "s"), ("frr", "bird"), None, None),
    ("100,000 to 64 sinks", "many_sinks", "wall", (1, "s"), ("frr",), 0.5, None),
    ("64 peers x 20,000, until idle", "many_peers", "until_idle", (1, "s"), ("bird",), 0.7, None),
    ("64 peers x 20,000, peak RSS", "many_peers", "peak_rss", (MIB, "MiB"), ("bird",), None, None),
    ("64 peers drop, until idle", "many_peers", "drop_idle", (1, "s"), ("bird",), 0.3, None),
    ("kernel FIB, 1,000,000 routes", "kernel_fib", "fill", (1, "s"), ("bare",), 1.3, None),
    ("  the same, peak RSS", "kernel_fib", "peak_rss", (MIB, "MiB"), ("one_million/bird",), 1.5, None),
]


def medians(results):
    """{(bench, stack, figure): summary}"""
    values = {}
    for run in results["runs"]:
        figures = {f for _, b, f, *_ in BARS if b == run["bench"]}
        for figure in figures | {k for k in run if isinstance(run[k], float)}:
            values.setdefault((run["bench"], run["stack"], figure), []).append(run.get(figure))
    return {k: summary(v) for k, v in values.items()}


def cell(s, unit):
    if not s:
        return "-"
    divisor, text = unit
    low, mid, high = (s[k] / divisor for k in ("min", "median", "max"))
    digits = 0 if mid >= 100 else 1 if mid >= 10 else 3
    spread = "" if s["n"] == 1 else f" ({low:.{digits}f}-{high:.{digits}f})"
    missing = f" -{s['missing']}" if s["missing"] else ""
    return f"{mid:.{digits}f} {text}{spread}{missing}"


def best_peer(m, bench, figure, peers):
    found = []
    for p in peers:
        b, _, stack = p.rpartition("/")
        s = m.get((b or bench, stack, figure))
        if s:
            found.append(s["median"])
    return min(found) if found else None


def verdict(m, bench, figure, own, best, ratio, absolute):
    """(bar as text, "met" / "NOT MET" / "-")"""
    if absolute == "gap_50000":  # grows with nothing but the kernel's own work on IPv6 routes
        base = m.get((bench, "fabricd", "gap_10000"))
        limit = 1.5 * base["median"] + 25000 * 0.5e-6 if base else None
        text = f"<= {limit * 1000:.0f} ms" if limit else "<= 1.5 x own at 10,000 + 12.5 ms"
    elif absolute is not None:
        limit, text = absolute, f"<= {absolute:g} s"
    elif ratio is not None:
        limit, text = best * ratio if best else None, f"<= {ratio:g} x"
    else:
        return "", "-"
    if own is None or limit is None:
        return text, "-"
    return text, "met" if own <= limit else "NOT MET"


def rows(results):
    m = medians(results)
    benches = {r["bench"] for r in results["runs"]}
    for what, bench, figure, unit, peers, ratio, absolute in BARS:
        if bench not in benches:
            continue
        own = m.get((bench, "fabricd", figure))
        best = best_peer(m, bench, figure, peers)
        text, met = verdict(m, bench, figure, own and own["median"], best, ratio, absolute)
        relation = f"{own['median'] / best:.2f}" if own and best else "-"
        other = m.get((bench, "bare", figure))
        peers_cells = [cell(m.get((bench, s, figure)), unit) for s in ("frr", "bird")]
        yield [what, cell(own, unit), *peers_cells, cell(other, unit) if other else "", relation, text, met]


def show(results):
    """Prints the table and what went wrong."""
    head = ["figure", "fabricd", "FRR", "BIRD", "bare", "ratio", "bar", ""]
    table = [head, *rows(results)]
    widths = [max(len(r[i]) for r in table) for i in range(len(head))]
    machine = results["machine"]
    print(f"{machine['cpus']} x {machine['cpu']}, kernel {machine['kernel']}, {results['time']}; median (least-most) -runs without a figure")
    for r in table:
        print("  ".join(c.ljust(w) for c, w in zip(r, widths)).rstrip())
    for run in results["runs"]:
        notes = [f"{k}: {run[k]}" for k in sorted(run) if k == "error" or k.startswith("short_")]
        notes += [f"{k} prefixes: {d['error']}" for k, d in run.get("detail", {}).items() if "error" in d]
        for note in notes:
            print(f"note: {run['bench']} {run['stack']} run {run['round'] + 1}: {note[:400]}")
