#!/usr/bin/python3
"""Random faults on several fabrics, seed after seed, until so many have been survived.

    soak.py --fabsim build/gcc/bin/fabsim [--faults 1000000] [--seed 1] [--jobs 2] [--out DIR] [--again] [--sum]

Each run is one `fabsim chaos`; its output is kept when it found a violation, with the trace to replay. What every run
did is a line of DIR/runs.jsonl, so that an interrupted soak goes on where it was: a run that the same program has
done without a violation is not done again (--again: it is). The sum at the end is over all runs of this program;
--sum prints it and runs nothing. Exit 0: no violation, and every kind of fault was at least 5 % of what happened.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import subprocess
import sys
import time

# file, faults of a run, hours of virtual time, more options: calm days, and days with hardly any rest
FABRICS = [
    ("4x2.yaml", 4000, 96, []),
    ("4x2.yaml", 4000, 12, []),
    ("4x2.yaml", 300, 2, ["--bfd"]),
    ("parallel.yaml", 3000, 60, []),
    ("parallel.yaml", 3000, 9, []),
    ("3tier-small.yaml", 2000, 48, []),
    ("3tier-small.yaml", 2000, 6, []),
    ("3tier-small.yaml", 200, 1, ["--bfd"]),
    ("border.yaml", 1000, 12, ["--outside", "5"]),
    ("outside.yaml", 1500, 36, ["--outside", "20"]),
    ("middle.yaml", 1500, 36, ["--outside", "10"]),
    ("middle.yaml", 1500, 5, []),
    ("16x4.yaml", 1000, 24, []),
    ("16x4.yaml", 1000, 4, []),
]
LEAST = 5.0  # per cent of each kind
OVERLAP = 30.0  # per cent that overlap with another
HERE = os.path.dirname(os.path.abspath(__file__))
TOPOLOGIES = os.path.join(HERE, "..", "data", "topology")


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()[:16]


class Soak:
    def __init__(self, args):
        self.args = args
        self.program = digest(args.fabsim)
        self.file = os.path.join(args.out, "runs.jsonl")
        self.runs = {}
        if os.path.exists(self.file):
            with open(self.file) as f:
                for line in f:
                    self.keep(json.loads(line))

    def keep(self, r):
        if r["program"] == self.program:
            self.runs[(r["fabric"], r["seed"])] = r

    def total(self):
        return sum(sum(r["kinds"].values()) for r in self.runs.values())

    def is_done(self, fabric, seed):
        r = self.runs.get((self.name(fabric), seed))
        return r is not None and r["ok"] and not self.args.again

    @staticmethod
    def name(fabric):
        return " ".join([fabric[0], f"{fabric[1]}/{fabric[2]}h", *fabric[3]])

    def run(self, fabric, seed):
        file, faults, hours, more = fabric
        stem = os.path.join(self.args.out, re.sub(r"[^\w.]+", "-", f"{self.name(fabric)}-{seed}"))
        command = [self.args.fabsim, "chaos", os.path.join(TOPOLOGIES, file), "--seed", str(seed), "--events",
                   str(faults), "--hours", str(hours), "--runs", str(self.args.runs), "--save", stem + ".trace", *more]
        began = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            with open(stem + ".txt", "w") as f:
                f.write(" ".join(command) + "\n" + done.stdout + done.stderr)
        kinds = {k: int(n) for k, n in re.findall(r"^  (\S+) +(\d+) +[\d.]+ %$", done.stdout, re.M)}
        upgrades = re.search(r"upgrades: (\d+) in charge, of these (\d+) .*; (\d+) given up", done.stdout)
        other = re.search(r"had an effect, (\d+) had none; (\d+) ", done.stdout)
        return {"program": self.program, "fabric": self.name(fabric), "seed": seed, "ok": done.returncode == 0,
                "kinds": kinds, "idle": int(other[1]) if other else 0, "overlapping": int(other[2]) if other else 0,
                "upgrades": [int(n) for n in upgrades.groups()] if upgrades else [0, 0, 0],
                "seconds": round(time.monotonic() - began, 1), "command": " ".join(command)}

    def go(self):
        seed = self.args.seed
        with concurrent.futures.ThreadPoolExecutor(self.args.jobs) as pool, open(self.file, "a") as out:
            while self.total() < self.args.faults:
                futures = [pool.submit(self.run, f, seed) for f in FABRICS if not self.is_done(f, seed)]
                for future in concurrent.futures.as_completed(futures):
                    r = future.result()
                    self.keep(r)
                    print(json.dumps(r), file=out, flush=True)
                    if not r["ok"]:
                        print("VIOLATION:", r["command"], flush=True)
                if futures:
                    print(f"seed {seed}: {self.total()} faults, {self.bad()} runs with a violation", flush=True)
                seed += 1

    def bad(self):
        return sum(not r["ok"] for r in self.runs.values())

    def report(self):
        runs, total = self.runs.values(), self.total()
        kinds = {}
        for r in runs:
            for k, n in r["kinds"].items():
                kinds[k] = kinds.get(k, 0) + n
        print(f"\n{'fabric':36} {'runs':>5} {'faults':>9}")
        for name in sorted({r["fabric"] for r in runs}):
            mine = [r for r in runs if r["fabric"] == name]
            print(f"{name:36} {len(mine):5} {sum(sum(r['kinds'].values()) for r in mine):9}")
        print(f"\n{'kind':8} {'faults':>8}")
        for k, n in kinds.items():
            print(f"{k:8} {n:8} {100 * n / total:5.1f} %")
        overlap = 100 * sum(r["overlapping"] for r in runs) / total if total else 0
        print(f"\n{total} faults had an effect, {sum(r['idle'] for r in runs)} had none and are not counted; "
              f"{overlap:.0f} % overlapped with another; {self.bad()} of {len(runs)} runs with a violation")
        print("{} upgrades came to their end, of these {} while nothing else went on; {} were given up".format(
            *(sum(r["upgrades"][i] for r in runs) for i in range(3))))
        rare = [k for k, n in kinds.items() if 100 * n < LEAST * total]
        if rare:
            print(f"less than {LEAST:.0f} % each:", ", ".join(rare))
        if overlap < OVERLAP:
            print(f"less than {OVERLAP:.0f} % overlapped")
        return 1 if self.bad() or rare or overlap < OVERLAP or not total else 0


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--fabsim", required=True)
    p.add_argument("--faults", type=int, default=1000000)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--jobs", type=int, default=os.cpu_count())
    p.add_argument("--runs", type=int, default=200, help="of shrinking")
    p.add_argument("--out", default="build/soak")
    p.add_argument("--again", action="store_true", help="runs that were done without a violation, too")
    p.add_argument("--sum", action="store_true", help="print what has been done, and run nothing")
    args = p.parse_args()
    os.makedirs(args.out, exist_ok=True)
    soak = Soak(args)
    if not args.sum:
        soak.go()
    return soak.report()


if __name__ == "__main__":
    sys.exit(main())
