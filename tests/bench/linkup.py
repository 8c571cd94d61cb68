"""From carrier up to Established, between two fabricds: one cable, cut and plugged in again many times.

    leaf2:eth1 ==== a0 bridge b0 ==== spine1:eth2

Begins when the later of both ends has carrier, as the kernel reports it; ends when the later of both switches says that
its session is Established. The log has milliseconds, rounded down: one is added.
"""

import datetime
import json
import random
import time

from fabric import Fabric
from measure import ToolError, now
from support.clos import patch_cut, patch_heal
from support.netns import Failed

PATIENCE = 30  # s
PER_FABRIC = 8  # then fabricd's log holds back events of this kind
MS = 1000000


class Log:
    """Events of one fabricd, as they come."""

    def __init__(self, f, node):
        job = next(j for j in f.jobs if j.node == node and j.name.endswith("-fabricd"))
        self.path, self.at = f.lab.log_path(job.name), 0

    def more(self):
        try:
            with open(self.path, "rb") as log:
                log.seek(self.at)
                lines = log.read()
        except FileNotFoundError:  # it is about to start
            return []
        lines = lines[: lines.rfind(b"\n") + 1]
        self.at += len(lines)
        return [json.loads(line) for line in lines.splitlines() if line.startswith(b"{")]


def wall_to_mono():
    """ns to be added to the wall clock's."""
    return time.monotonic_ns() - time.time_ns()


def moment(event):
    """ns of CLOCK_MONOTONIC, at the end of the event's millisecond."""
    at = datetime.datetime.fromisoformat(event["time"].replace("Z", "+00:00"))
    return round(at.timestamp() * 1000) * MS + MS + wall_to_mono()


def wait(f, logs, what, port):
    """Times of that event at each of the logs' ports."""
    deadline, found = now() + PATIENCE * 1000 * MS, {}
    while len(found) < len(logs):
        for node, log in logs.items():
            for e in log.more():
                if e["event"] == what and e["port"] == port[node]:
                    found[node] = moment(e)
        if now() > deadline:
            raise ToolError(f"no {what} at {sorted(set(logs) - set(found))} in {PATIENCE} s")
        if len(found) < len(logs):
            f.launcher.expect("end", 0.005)
    return found


def run(options, reps):
    """{"established": [s], "detail": [...]}"""
    out = {"established": [], "detail": []}
    try:
        while reps > len(out["established"]) and "error" not in out:
            cable = ("leaf2", "eth1")
            with Fabric(options, "fabricd", 2, 1, patched=[cable], damping="{half_life: 1s, suppress: 1000}") as f:
                one_fabric(options, f, min(reps - len(out["established"]), PER_FABRIC), out)
    except (Failed, ToolError) as e:
        out["error"] = str(e)
    return out


def one_fabric(options, f, reps, out):
    port = {"leaf2": "eth1", "spine1": "eth2"}
    f.start()
    logs = {node: Log(f, node) for node in port}
    wait(f, logs, "BGP_UP", port)
    lack = f.settle(options.patience)[1]
    if lack:
        out["error"] = lack
        return
    for _ in range(reps):
        patch_cut(f.lab)
        wait(f, logs, "BGP_DOWN", port)
        f.launcher.expect("end", 0.2 + random.random() / 2)  # at any phase of any timer
        f.watch.ask("mark")
        patch_heal(f.lab)
        ends = wait(f, logs, "BGP_UP", port)
        up = {node: f.watch.ask("stat")["spaces"][f.lab.ns(node)]["up"] for node in port}
        out["established"].append((max(ends.values()) - max(up.values())) / 1e9)
        out["detail"].append({"up": up, "established": ends})
