#!/usr/bin/python3
"""Random faults on several fabrics, seed after seed, until so many have been survived, or one was not.

    soak.py --fabsim build/gcc/bin/fabsim [--faults 1000000] [--seed 1] [--jobs 2] [--out DIR]

Each run is one `fabsim chaos`; its output is kept when it found a violation, with the trace to replay.
"""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys

# file, faults of a run, hours of virtual time
FABRICS = [("4x2.yaml", 4000, 96), ("16x4.yaml", 1000, 24), ("3tier-small.yaml", 2000, 48), ("border.yaml", 1000, 24)]
HERE = os.path.dirname(os.path.abspath(__file__))
TOPOLOGIES = os.path.join(HERE, "..", "data", "topology")


def run(args, name, faults, hours, seed):
    trace = os.path.join(args.out, f"{name}-{seed}.trace")
    command = [args.fabsim, "chaos", os.path.join(TOPOLOGIES, name), "--seed", str(seed), "--events", str(faults),
               "--hours", str(hours), "--runs", str(args.runs), "--save", trace]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        with open(os.path.join(args.out, f"{name}-{seed}.txt"), "w") as f:
            f.write(" ".join(command) + "\n" + done.stdout + done.stderr)
    kinds = {k: int(n) for k, n in re.findall(r"^  (\S+) +(\d+) +[\d.]+ %$", done.stdout, re.M)}
    return done.returncode == 0, kinds, " ".join(command)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--fabsim", required=True)
    p.add_argument("--faults", type=int, default=1000000)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--jobs", type=int, default=os.cpu_count())
    p.add_argument("--runs", type=int, default=200, help="of shrinking")
    p.add_argument("--out", default="build/soak")
    args = p.parse_args()
    os.makedirs(args.out, exist_ok=True)
    total, bad, seed, kinds = 0, 0, args.seed, {}
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        while total < args.faults:
            futures = [pool.submit(run, args, name, faults, hours, seed) for name, faults, hours in FABRICS]
            for future in concurrent.futures.as_completed(futures):
                ok, counts, command = future.result()
                total += sum(counts.values())
                for k, n in counts.items():
                    kinds[k] = kinds.get(k, 0) + n
                if not ok:
                    bad += 1
                    print("VIOLATION:", command, flush=True)
            print(f"seed {seed}: {total} faults, {bad} runs with a violation", flush=True)
            seed += 1
    for k, n in kinds.items():
        print(f"  {k:8} {n:8} {100 * n / total:5.1f} %")
    print(f"{total} faults on {len(FABRICS)} fabrics, seeds {args.seed} to {seed - 1}: {bad} runs with a violation")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
