#!/usr/bin/python3
"""Cold starts of ever larger fabrics of one shape, in the simulator: time, memory and messages against size. Then random
faults on each of up to 500 switches.

    scale.py --fabsim build/gcc/bin/fabsim [--pods 2,6,13,27,54] [--svg docs/simulator-scale.svg] [--out DIR]
             [--faults 30] [--seed 5]

The shape is that of tests/data/topology/dc1-500.yaml (13 pods of 4 spines and 32 leaves, 4 planes of 8 super spines)
with another number of pods. Work should grow with sessions x prefixes, and so should time and memory.
"""
import argparse
import os
import re
import subprocess
import sys
import time

TOPOLOGY = """schema: 1
fabric: scale{pods}
pods: {pods}
planes: 4
tiers:
  - {{name: super, count: 32, asn: 4200000000, loopback: 10.255.0.0/24}}
  - {{name: spine, per_pod: 4, asn: {{base: 4200000100, per: pod}}, loopback: {{pool: 10.254.0.0/16, pod_len: 24}},
     up: {{to: super, pattern: plane, local: "swp[33-40]", remote: "swp[1-64]"}}}}
  - {{name: leaf, per_pod: 32, asn: {{base: 4200100000, pod_step: 1000}}, loopback: {{pool: 10.250.0.0/16, pod_len: 24}},
     up: {{to: spine, local: "swp[49-52]", remote: "swp[1-32]"}},
     hosts: {{ports: "swp[1-48]", racks: {{pool: 10.32.0.0/11, pod_len: 20, len: 26}}}}}}
timers: {{hold: 9s}}
"""


CHAOS_MOST = 500  # switches: faults in 2,000 take a quarter of an hour


def write(args, pods):
    path = os.path.join(args.out, f"scale{pods}.yaml")
    with open(path, "w") as f:
        f.write(TOPOLOGY.format(pods=pods))
    return path


def chaos(args, pods):
    """CPU seconds of some faults within half an hour, under all checks. A violation ends the run."""
    before = os.times()
    run = subprocess.run([args.fabsim, "chaos", write(args, pods), "--seed", str(args.seed), "--events", str(args.faults),
                          "--hours", "0.5"], stdout=subprocess.PIPE, text=True, check=False)
    if run.returncode or "no violation" not in run.stdout:
        sys.exit(f"chaos with {pods} pods ended with {run.returncode}\n{run.stdout}")
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def measure(args, pods):
    path = write(args, pods)
    began = time.monotonic()
    child = subprocess.Popen([args.fabsim, "run", path], stdout=subprocess.PIPE, text=True)
    text = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{path}: fabsim ended with {os.waitstatus_to_exitcode(status)}\n{text}")
    nodes, links = map(int, re.search(r"(\d+) switches, (\d+) links", text).groups())
    virtual, size = re.search(r"converged after ([\d.]+) s virtual; \d+ events, (\d+) bytes", text).groups()
    messages = max(int(x) + int(y) for x, y in re.findall(r"(\d+) +(\d+)$", text, re.M))
    prefixes = nodes + 32 * pods
    return {"switches": nodes, "sessions": links, "prefixes": prefixes, "work": 2 * links * prefixes,
            "wall": time.monotonic() - began, "cpu": usage.ru_utime + usage.ru_stime, "mib": usage.ru_maxrss / 1024,
            "virtual": float(virtual), "mib_bgp": int(size) / 2**20, "kib_switch": usage.ru_maxrss / nodes,
            "messages": messages}


def svg(rows, path):
    sizes = {"work": "session ends x prefixes", "prefixes": "prefixes"}
    panels = [("CPU seconds", "cpu", "work"), ("memory, MiB", "mib", "work"), ("BGP, MiB", "mib_bgp", "work"),
              ("messages of the busiest switch, in and out", "messages", "prefixes")]
    wide, high, gap = 280, 200, 60
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{len(panels) * (wide + gap) + gap}" height="{high + 110}" '
           'font-family="sans-serif" font-size="11">', '<rect width="100%" height="100%" fill="white"/>']
    for i, (title, key, size) in enumerate(panels):
        x0, y0 = gap + i * (wide + gap), 40 + high
        top, top_x = max(r[key] for r in rows), max(r[size] for r in rows)
        out.append(f'<text x="{x0}" y="24" font-size="13">{title}</text>')
        out.append(f'<path d="M{x0} 40V{y0}H{x0 + wide}" fill="none" stroke="black"/>')
        points = [(x0 + wide * r[size] / top_x, y0 - high * r[key] / top, r) for r in rows]
        out.append(f'<path d="M{x0} {y0}L{x0 + wide} {y0 - high * rows[-1][key] / top:.1f}" stroke="#bbb" '
                   'stroke-dasharray="4 3"/>')
        out.append('<polyline fill="none" stroke="#1f6feb" stroke-width="2" points="%s"/>' %
                   " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points))
        for x, y, r in points:
            out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#1f6feb"/>')
            out.append(f'<text x="{x - 4:.1f}" y="{y - 7:.1f}" text-anchor="end">{r["switches"]}: {r[key]:.4g}</text>')
        most = f"{top_x / 1e6:.1f} million" if top_x >= 1e6 else f"{top_x:,}"
        out.append(f'<text x="{x0 + wide / 2}" y="{y0 + 20}" text-anchor="middle">{sizes[size]}, up to {most}</text>')
    out.append(f'<text x="{gap}" y="{high + 95}">Cold start in the simulator; each point: switches: figure. '
               'Dashed: linear growth to the largest.</text></svg>')
    with open(path, "w") as f:
        f.write("\n".join(out) + "\n")


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--fabsim", required=True)
    p.add_argument("--pods", default="2,6,13,27,54")
    p.add_argument("--svg", default="docs/simulator-scale.svg")
    p.add_argument("--out", default="build/scale")
    p.add_argument("--faults", type=int, default=30, help="on each fabric of up to 500 switches; 0: none")
    p.add_argument("--seed", type=int, default=5)
    args = p.parse_args()
    os.makedirs(args.out, exist_ok=True)
    rows = []
    print(f"{'switches':>8} {'links':>6} {'prefixes':>8} {'wall s':>8} {'cpu s':>8} {'MiB':>8} {'KiB/switch':>10} "
          f"{'BGP MiB':>8} {'messages':>8} {'virtual s':>10}")
    for pods in map(int, args.pods.split(",")):
        r = measure(args, pods)
        rows.append(r)
        print(f"{r['switches']:8} {r['sessions']:6} {r['prefixes']:8} {r['wall']:8.2f} {r['cpu']:8.2f} {r['mib']:8.0f} "
              f"{r['kib_switch']:10.0f} {r['mib_bgp']:8.1f} {r['messages']:8} {r['virtual']:10.6f}", flush=True)
    svg(rows, args.svg)
    for pods, r in zip(map(int, args.pods.split(",")), rows):
        if args.faults and r["switches"] <= CHAOS_MOST:
            print(f"{r['switches']} switches, {args.faults} faults in half an hour: {chaos(args, pods):.1f} s of CPU, "
                  "no violation", flush=True)
    a, b = rows[0], rows[-1]
    for key, name in (("cpu", "CPU"), ("mib", "memory")):
        print(f"{name}: x {b[key] / a[key]:.1f} from the smallest to the largest, sessions x prefixes: "
              f"x {b['work'] / a['work']:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
