#!/usr/bin/python3
"""fabricd, FRR and BIRD measured on the same wiring in the same run; see docs/benchmarks.md.

Rounds go over all stacks before the next begins, so that a change of the machine hits all of them. Every single run is
kept in <out>/<time>.json; the table at the end is made of medians.
"""

import argparse
import json
import os
import platform
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

import bfd_load  # noqa: E402
import bfd_restart  # noqa: E402
import fabric  # noqa: E402
import failures  # noqa: E402
import linkup  # noqa: E402
import report  # noqa: E402
import restarts  # noqa: E402
import tables  # noqa: E402
from support import fabricd as fabricd_stack  # noqa: E402

BENCHES = ["cold", "gap", "one_million", "ten_feeders", "many_sinks", "many_peers", "kernel_fib"]
# One run of these is several repetitions in one fabric: what is repeated, and how often in all rounds together.
REPEATED = {
    "link_up": {"up": 100},
    "silent": {"silent": 50, "carrier": 30},
    "silent_fast": {"silent": 50},
    "silent_load": {"silent": 20},
    "idle_bfd": {"idle": 20},
    "restart": {"restart": 20},
    "bfd_load": {"load": 10},
    "bfd_restart": {"restart": 20},
}
BENCHES += REPEATED
# Seconds on two cores, for the estimate alone: to raise and take down, and for each repetition; fabricd, FRR, BIRD.
COST = {
    "cold": [(15, 0), (22, 0), (17, 0)],
    "gap": [(60, 0), (150, 0), (90, 0)],
    "one_million": [(7, 0), (35, 0), (9, 0)],
    "ten_feeders": [(7, 0), (30, 0), (10, 0)],
    "many_sinks": [(7, 0), (12, 0), (13, 0)],
    "many_peers": [(8, 0), (30, 0), (18, 0)],
    "kernel_fib": [(12, 0), (45, 0), (25, 0)],
    "link_up": [(6, 1), (0, 0), (0, 0)],
    "silent": [(20, 4), (30, 12), (22, 7)],
    "silent_fast": [(8, 4), (15, 7), (10, 5)],
    "silent_load": [(25, 25), (60, 125), (30, 125)],
    "idle_bfd": [(20, 10), (30, 10), (22, 10)],
    "restart": [(4, 21), (6, 16), (5, 16)],
    "bfd_load": [(0, 15), (0, 38), (0, 31)],
    "bfd_restart": [(5, 1), (5, 3), (5, 3)],
}


def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--fabricd", default=fabricd_stack.BUILD, help="folder of the built fabricd")
    p.add_argument("--tools", default=os.path.join(fabricd_stack.ROOT, "build/bench"), help="folder of the measuring programs")
    p.add_argument("--out", default=os.path.join(fabricd_stack.ROOT, "build/bench"), help="folder of the raw results")
    p.add_argument("--stacks", default="fabricd,frr,bird")
    p.add_argument("--only", default=",".join(BENCHES), help="comma list of: " + ", ".join(BENCHES))
    p.add_argument("--runs", type=int, default=10, help="rounds over all stacks")
    p.add_argument("--reps", type=int, help="repetitions of each failure in all rounds together, in place of the numbers "
                   "that the bars ask for: " + ", ".join(f"{k} {n}" for r in REPEATED.values() for k, n in r.items()))  # fmt: skip
    p.add_argument("--size", default="16x4", help="leaves x spines of the cold start")
    p.add_argument("--gap-size", default="4x2", help="leaves x spines of the gap and return figures")
    p.add_argument("--gap-prefixes", default="10,10000,50000")
    p.add_argument("--load-size", default="16x4", help="leaves x spines of silent failures with many prefixes")
    p.add_argument("--load-prefixes", default="10000,50000")
    p.add_argument("--restart-size", default="4x2", help="leaves x spines of the restarts")
    p.add_argument("--restart-seconds", type=float, default=6, help="seconds of traffic around a restart")
    p.add_argument("--estimate", action="store_true", help="say how long it will take, and end")
    p.add_argument("--idle", type=float, default=10, help="seconds over which idle CPU is taken")
    p.add_argument("--patience", type=int, default=120, help="seconds before a run is given up")
    p.add_argument("--quick", action="store_true", help="one run, 4x2, a tenth of the prefixes: is it all still working?")
    o = p.parse_args()
    if o.quick:
        o.runs, o.size, o.gap_size, o.gap_prefixes, o.idle = 1, "4x2", "4x2", "10,1000", 2
        o.reps, o.load_size, o.load_prefixes, o.restart_seconds = 1, "4x2", "1000", 4
    o.stacks = o.stacks.split(",")
    o.only = o.only.split(",")
    o.load_prefixes = list(map(int, o.load_prefixes.split(",")))
    unknown = [b for b in o.only if b not in BENCHES] + [s for s in o.stacks if s not in tables.STACKS]
    if unknown:
        p.error(f"unknown: {', '.join(unknown)}")
    if o.runs < 1 or (o.reps is not None and o.reps < 1):
        p.error("--runs and --reps: at least 1")
    o.tools, o.fabricd = os.path.abspath(o.tools), os.path.abspath(o.fabricd)
    return o


def in_round(o, bench, number):
    """{what: repetitions in this round}: they are spread over the rounds."""
    whole = {what: o.reps or n for what, n in REPEATED[bench].items()}
    return {what: n * (number + 1) // o.runs - n * number // o.runs for what, n in whole.items()}


def estimate(o):
    """Seconds."""
    seconds = 0
    for bench in o.only:
        repeated = sum(o.reps or n for n in REPEATED.get(bench, {}).values())
        for stack in o.stacks:
            once, each = COST[bench][["fabricd", "frr", "bird"].index(stack)]
            rounds = min(o.runs, repeated) if repeated else o.runs
            seconds += rounds * once + repeated * each
    return seconds / (4 if o.quick else 1)


def main():
    o = arguments()
    fabricd_stack.BUILD = o.fabricd
    span = estimate(o)
    print(f"about {span / 60:.0f} min on two cores" if span > 90 else f"about {span:.0f} s on two cores", file=sys.stderr)
    if o.estimate:
        return
    if "fabricd" in o.stacks and not fabricd_stack.built():
        sys.exit(f"{o.fabricd}/fabricd is not built; run make, or leave it out with --stacks frr,bird")
    if os.geteuid():
        sys.exit("the benchmarks need root: FRR and real-time priority do not work in a user namespace")
    results = {
        "machine": {"cpus": os.cpu_count(), "kernel": platform.release(), "cpu": cpu_model()},
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "argv": sys.argv[1:],
        "quick": o.quick,
        "size": o.size,
        "gap_size": o.gap_size,
        "load_size": o.load_size,
        "restart_size": o.restart_size,
        "runs": [],
    }
    os.makedirs(o.out, exist_ok=True)
    path = os.path.join(o.out, time.strftime("%Y%m%d-%H%M%S", time.gmtime()) + ".json")
    try:
        for number in range(o.runs):
            for bench in o.only:
                one_round(o, results, number, bench, path)
    finally:
        report.show(results)
        print(f"raw: {path}")


def in_turn(stacks, number):
    """Each round begins with another stack: the first one of a round pays for memory that the machine has given back meanwhile."""
    first = number % len(stacks)
    return stacks[first:] + stacks[:first]


def one_round(o, results, number, bench, path):
    reps = in_round(o, bench, number) if bench in REPEATED else None
    if reps and not any(reps.values()):
        return
    for stack in in_turn(o.stacks, number):
        begin = time.monotonic()
        if bench == "cold":
            figures = fabric.cold(o, stack)
        elif bench == "gap":
            figures = fabric.gaps(o, stack)
        elif bench == "link_up":
            if stack != "fabricd":  # a figure of fabricd's two ends alone
                continue
            figures = linkup.run(o, reps["up"])
        elif bench == "restart":
            done = sum(in_round(o, bench, n)["restart"] for n in range(number))
            figures = restarts.run(o, stack, reps["restart"], done)
        elif bench == "bfd_load":
            for _ in range(reps["load"] - 1):
                keep(results, path, {"bench": bench, "stack": stack, "round": number, **bfd_load.run(o, stack)}, begin)
            figures = bfd_load.run(o, stack)
        elif bench == "bfd_restart":
            figures = bfd_restart.run(o, stack, reps["restart"])
        elif bench in REPEATED:
            figures = failures.run(o, stack, bench, reps)
        else:
            figures = tables.run(o, stack, bench)
        keep(results, path, {"bench": bench, "stack": stack, "round": number, **figures}, begin)
    if bench == "kernel_fib":
        begin = time.monotonic()
        figures = tables.bare_fib(o)
        keep(results, path, {"bench": bench, "stack": "bare", "round": number, **figures}, begin)


def keep(results, path, run, begin):
    run["took"] = time.monotonic() - begin
    results["runs"].append(run)
    with open(path, "w") as f:
        json.dump(results, f, indent=1)
    hidden = ("round", "bench", "stack", "detail", "took")
    short = {k: rounded(v) for k, v in run.items() if k not in hidden}
    print(f"[{run['round'] + 1}] {run['bench']} {run['stack']} ({run['took']:.0f} s): {short}", file=sys.stderr, flush=True)


def rounded(v):
    if isinstance(v, list):
        return [rounded(x) for x in v]
    return round(v, 4) if isinstance(v, float) else v


def cpu_model():
    with open("/proc/cpuinfo") as f:
        return next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), "")


if __name__ == "__main__":
    main()
