"""The routing process of a switch goes and comes back, under traffic and under changes: how many packets that costs.

    host1 -- leaf1 -- spines -- leaf2 -- prefixes        64 flows, 10,000 packets/s in all, over every path
                                  ^ feeder: 100 changes/s of other prefixes all the while

Three ways to go: `kill -9`, SIGTERM with a start right after (what a service manager's restart does), and fabricd's own
upgrade. The switch is leaf1, a spine, leaf2 in turn, at a random moment; between two repetitions everything is whole
again. All stacks restart gracefully (RFC 4724): FRR and BIRD are told to, fabricd always does. A packet lost is one of
64 sequence numbers per flow that did not arrive; a flow is never retried.
"""

import os
import random
import select
import signal

from fabric import Fabric, size
from measure import ToolError
from support import fabricd
from support.bird import Bird
from support.fabricd import Fabricd
from support.frr import Frr
from support.netns import Failed

STACKS = {"fabricd": lambda: Fabricd(bfd=True), "frr": lambda: Frr(restart="full"), "bird": lambda: Bird(restart="full")}
PROGRAM = {"fabricd": "fabricd", "frr": "bgpd", "bird": "bird"}
WAYS = {"fabricd": ["kill", "term", "upgrade"], "frr": ["kill", "term"], "bird": ["kill", "term"]}
VICTIMS = ["leaf1", "spine1", "leaf2"]
FLOWS, PER_SECOND, PREFIXES = 64, 10000, 1000
BFD = 100


def run(options, stack_name, reps, first):
    """Figures: lost_<way>, lists of packets. first: number of the first repetition, so that victims take turns over all
    rounds."""
    out, left = {"detail": []}, [(way, n) for n in range(reps) for way in WAYS[stack_name]]
    for _ in range(1 + len(left)):
        if not left or "error" in out:
            break
        try:
            bfd = BFD if stack_name == "fabricd" else None
            with Fabric(options, STACKS[stack_name](), *size(options.restart_size), behind=True, bfd=bfd) as f:
                f.start_with_local_prefixes()
                lack = f.settle(60)[1] or f.feed(PREFIXES)
                while left and not lack:
                    way, n = left.pop(0)
                    lack = one(options, f, way, VICTIMS[(first + n) % len(VICTIMS)], out)
                    if lack:
                        out[f"short_{way}"] = lack
                if lack and not out["detail"]:
                    out["error"] = lack
        except (Failed, ToolError) as e:
            out["error"] = str(e)
    return out


def process(f, node):
    """The pid of the program that is to go."""
    name = PROGRAM[f.stack.name]
    for pid in f.lab.run(node, ["ip", "netns", "pids", f.lab.ns(node)]).split():
        try:
            with open(f"/proc/{pid}/comm") as c:
                if c.read().strip() == name:
                    return int(pid)
        except FileNotFoundError:
            pass
    raise Failed(f"{node}: there is no {name}")


def go_and_come(f, node, way):
    """A sentence when it does not work."""
    pid = process(f, node)
    f.meant_to_end.add(pid)
    if way == "upgrade":
        argv = [f"{fabricd.BUILD}/fabctl", "--run-dir", f.stack.dir(f.lab, f.clos[node]), "upgrade", f"{fabricd.BUILD}/fabricd"]
        try:
            f.lab.run(node, argv)
        except Failed as e:
            return str(e)
        return None
    fd = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(fd, signal.SIGKILL if way == "kill" else signal.SIGTERM)
        if not select.select([fd], [], [], 10)[0]:
            return f"{node} does not end"
    finally:
        os.close(fd)
    job = f.stack.again(f.lab, f.clos, f.clos[node])
    f.pids[job.name] = f.lab.spawn(job.node, job.name, job.argv).pid
    return None


def one(options, f, way, node, out):
    """One repetition; a sentence when the fabric does not get whole again."""
    targets = f.targets(f.prefixes)
    spacing_us = FLOWS * 1000000 // PER_SECOND
    f.feeder.say("churn")
    probe = f.probe(options.restart_seconds, spacing_us, FLOWS // 2, None, [targets[0], targets[-1]])
    try:
        if not probe.expect("start", 20):
            return "probe"
        probe.expect("none", 0.5 + random.random())
        begin = probe.events and probe.events[0]["t"]
        lack = go_and_come(f, node, way)
        result = probe.expect("result", options.restart_seconds + 20)
    finally:
        probe.close()
        f.tools.remove(probe)
    f.feeder.say("calm")
    calm = f.feeder.expect("calm", 10)
    lost = sum(flow["lost"] for flow in result["flows"])
    worst = max(flow["run"] for flow in result["flows"]) * spacing_us / 1e6
    out.setdefault(f"lost_{way}", []).append(None if lack else lost)
    out["detail"].append({"way": way, "node": node, "lost": lost, "worst_s": worst, "begin": begin,
                          "changes": calm and calm["changes"], "flows": [x for x in result["flows"] if x["lost"]]})  # fmt: skip
    return lack or f.settle(60, 1)[1]
