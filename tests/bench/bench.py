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

import fabric  # noqa: E402
import report  # noqa: E402
import tables  # noqa: E402
from support import fabricd as fabricd_stack  # noqa: E402

BENCHES = ["cold", "gap", "one_million", "ten_feeders", "many_sinks", "many_peers", "kernel_fib"]


def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--fabricd", default=fabricd_stack.BUILD, help="folder of the built fabricd")
    p.add_argument("--tools", default=os.path.join(fabricd_stack.ROOT, "build/bench"), help="folder of the measuring programs")
    p.add_argument("--out", default=os.path.join(fabricd_stack.ROOT, "build/bench"), help="folder of the raw results")
    p.add_argument("--stacks", default="fabricd,frr,bird")
    p.add_argument("--only", default=",".join(BENCHES), help="comma list of: " + ", ".join(BENCHES))
    p.add_argument("--runs", type=int, default=10)
    p.add_argument("--size", default="16x4", help="leaves x spines of the cold start")
    p.add_argument("--gap-size", default="4x2", help="leaves x spines of the gap and return figures")
    p.add_argument("--gap-prefixes", default="10,10000,50000")
    p.add_argument("--idle", type=float, default=10, help="seconds over which idle CPU is taken")
    p.add_argument("--patience", type=int, default=120, help="seconds before a run is given up")
    p.add_argument("--quick", action="store_true", help="one run, 4x2, a tenth of the prefixes: is it all still working?")
    o = p.parse_args()
    if o.quick:
        o.runs, o.size, o.gap_size, o.gap_prefixes, o.idle = 1, "4x2", "4x2", "10,1000", 2
    o.stacks = o.stacks.split(",")
    o.only = o.only.split(",")
    unknown = [b for b in o.only if b not in BENCHES] + [s for s in o.stacks if s not in tables.STACKS]
    if unknown:
        p.error(f"unknown: {', '.join(unknown)}")
    o.tools, o.fabricd = os.path.abspath(o.tools), os.path.abspath(o.fabricd)
    return o


def main():
    o = arguments()
    fabricd_stack.BUILD = o.fabricd
    if "fabricd" in o.stacks and not fabricd_stack.built():
        sys.exit(f"{o.fabricd}/fabricd is not built; run make, or leave it out with --stacks frr,bird")
    if os.geteuid():
        sys.exit("the benchmarks need root: FRR and real-time priority do not work in a user namespace")
    results = {
        "machine": {"cpus": os.cpu_count(), "kernel": platform.release(), "cpu": cpu_model()},
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "argv": sys.argv[1:],
        "size": o.size,
        "gap_size": o.gap_size,
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


def one_round(o, results, number, bench, path):
    for stack in o.stacks:
        begin = time.monotonic()
        if bench == "cold":
            figures = fabric.cold(o, stack)
        elif bench == "gap":
            figures = fabric.gaps(o, stack)
        else:
            figures = tables.run(o, stack, bench)
        keep(results, path, {"bench": bench, "stack": stack, "round": number, **figures}, time.monotonic() - begin)
    if bench == "kernel_fib":
        figures = tables.bare_fib(o)
        keep(results, path, {"bench": bench, "stack": "bare", "round": number, **figures}, 0)


def keep(results, path, run, took):
    results["runs"].append(run)
    with open(path, "w") as f:
        json.dump(results, f, indent=1)
    short = {k: round(v, 4) if isinstance(v, float) else v for k, v in run.items() if k not in ("round", "bench", "stack", "detail")}
    print(f"[{run['round'] + 1}] {run['bench']} {run['stack']} ({took:.0f} s): {short}", file=sys.stderr, flush=True)


def cpu_model():
    with open("/proc/cpuinfo") as f:
        return next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), "")


if __name__ == "__main__":
    main()
