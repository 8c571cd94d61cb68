"""kill -9 of any process of any switch, at random points, while routes change: KILLS=1000 is the long form (make kills)."""

import functools
import os
import random
import shlex
import signal
import subprocess
import threading
import time

import pytest

from fabric.test_restart_traffic import ENDED, bfd_up, bfdd_pids, events, holder, restart_of
from fabric.traffic import Traffic

KILLS = int(os.environ.get("KILLS", "12"))
SEED = int(os.environ.get("SEED", "1"))
NODES = ["spine1", "spine2", "leaf1", "leaf3"]
PROTO = "211"
FILE = """schema: 1
fabric: kills
tiers:
  - {name: spine, count: 2, asn: 65000, loopback: [10.0.0.0/24, "fd00:0:0:0::/64"]}
  - {name: leaf, count: 3, asn: {base: 65000}, loopback: [10.0.1.0/24, "fd00:0:0:1::/64"],
     up: {to: spine, local: "eth[1-2]", remote: "eth[1-32]"},
     hosts: {ports: "eth[3-6]", rack_always: true, racks: [{pool: 10.1.0.0/16, len: 24}, {pool: "fd00:1::/48", len: 64}]}}
timers: {damping: {half_life: 100ms, suppress: 1000}}  # leaf2 is to flap for as long as it takes
"""


def neighbours(node):
    """Who keeps the paths of a switch, and on which port."""
    if node.startswith("leaf"):
        return [(f"spine{k}", f"eth{node[4:]}") for k in (1, 2)]
    return [(f"leaf{k}", f"eth{node[5:]}") for k in (1, 2, 3)]


class Victim:
    """The fabricd of one switch. Its end and its next start are the work of one shell in a session of its own: if this test
    is stopped for a while, nobody is away for longer for that."""

    def __init__(self, lab, node):
        run = lab.run_dir(node)
        topology = os.path.join(os.path.dirname(os.path.dirname(run)), "topology.yaml")
        self.lab, self.node, self.process = lab, node, None
        self.argv = [f"{lab.bin}/fabctl", "--lab", lab.name, "lab", "exec", node, f"{lab.bin}/fabricd", "--topology", topology,
                     "--node", node, "--run-dir", run]

    def kill(self, away_s):
        was = self.process
        # exit code 1: the kernel has not yet let go of what the old one held, its lock
        script = (f"kill -9 {holder(self.lab, self.node)}; sleep {away_s:.3f}; "
                  f"while {shlex.join(self.argv)}; [ $? = 1 ]; do sleep 0.01; done")
        self.process = subprocess.Popen(["/bin/sh", "-c", script], start_new_session=True, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        if was:
            was.wait(30)

    def end(self):
        if self.process and self.process.poll() is None:
            os.kill(holder(self.lab, self.node), signal.SIGTERM)
            self.process.wait(30)


class Churn(threading.Thread):
    """The uplinks of leaf2 go and come, one after the other: its prefixes change everywhere, and nobody else's."""

    def __init__(self, lab, seed):
        super().__init__(daemon=True)
        self.lab, self.random, self.flaps = lab, random.Random(seed), 0
        self.ends, self.may, self.idle = threading.Event(), threading.Event(), threading.Event()
        self.may.set()

    def run(self):
        while not self.ends.is_set():
            port = f"leaf2:eth{self.random.randint(1, 2)}"
            self.lab.run("lab", "cut", port)
            self.ends.wait(self.random.random() / 5)  # the fault itself lasts so long
            self.lab.run("lab", "heal", port)
            self.flaps += 1
            self.ends.wait(self.random.random() / 3)
            if not self.may.is_set():
                self.idle.set()
                self.may.wait()
                self.idle.clear()

    def pause(self):
        self.may.clear()
        assert self.idle.wait(30)

    def go_on(self):
        self.may.set()

    def stop(self):
        self.ends.set()
        self.may.set()
        self.join(30)


def kernel(lab, node):
    """Routes of ours in the kernel of a switch, without the ids of groups."""
    out = []
    for family in (4, 6):
        for line in lab.exec(node, "ip", f"-{family}", "route", "show", "proto", PROTO).splitlines():
            words = line.split()
            if "nhid" in words:
                at = words.index("nhid")
                del words[at:at + 2]
            out.append(" ".join(words))
    return sorted(out)


def settled(lab, node):
    """It answers, and all of its sessions are up but those to leaf2."""
    if lab.run("--at", node, "bgp", "-j", want=ENDED).returncode == 4:
        return False
    return all(r["state"] == "Established" for r in lab.rows(node, "bgp", want=ENDED) if r["peer"] != "leaf2")


@pytest.fixture
def lab(new_lab, tmp_path):
    (tmp_path / "kills.yaml").write_text(FILE)
    lab = new_lab(str(tmp_path / "kills.yaml"), "--bfd")
    lab.run = functools.partial(lab.run, timeout=3600)  # the long form may be stopped while others measure
    lab.until("BFD", lambda: all(bfd_up(lab, n) for n in NODES), 20)
    return lab


def test_P01_killed_at_random(lab):
    """No packet is lost, no BFD session goes down, and after each restart the forwarding plane is whole and right."""
    rnd = random.Random(SEED)
    victims = {n: Victim(lab, n) for n in NODES}
    before = {n: kernel(lab, n) for n in NODES}
    churn = Churn(lab, SEED)
    traffic = Traffic(lab, "h1", "h3", "10.1.3.2", per_s=500)
    slowest, kills = 0, {"fabricd": 0, "bfdd": 0}
    churn.start()
    try:
        for i in range(KILLS):
            node = rnd.choice(NODES)
            time.sleep(rnd.random() / 10)  # at any moment of the churn: nothing is waited for
            if rnd.random() < 0.25:
                os.kill(bfdd_pids(lab, node)[1], signal.SIGKILL)  # its keeper starts another
                kills["bfdd"] += 1
                continue
            kept = {n: restart_of(lab, n, port) for n, port in neighbours(node)}
            begun = time.monotonic()
            victims[node].kill(rnd.random() / 10)
            lab.until(f"kill {i}: {node} settled", lambda node=node: settled(lab, node), 60)
            for n, port in neighbours(node):
                if n == "leaf2":
                    continue  # its link may be cut at any time
                lab.until(f"kill {i}: {n} was told by {node}", lambda n=n, port=port: (
                    r := restart_of(lab, n, port))["completed"] > kept[n]["completed"] and not r["stale_paths"], 60)
            slowest = max(slowest, time.monotonic() - begun)
            kills["fabricd"] += 1
            if i % 50 == 0:
                print(f"{i}: {kills}, {slowest:.1f} s", flush=True)
            if i % 25 == 0 or i == KILLS - 1:
                churn.pause()
                for n in NODES:  # nothing half installed, nothing left over
                    lab.until(f"kill {i}: {n} as before", lambda n=n: kernel(lab, n) == before[n], 45)
                    lab.run("--at", n, "fib", "check")
                churn.go_on()
    finally:
        churn.stop()
        sent, lost, span = traffic.stop()
        late = [e for n in NODES if holder(lab, n) for e in events(lab, n, "RESTART_LATE")]
        downs = [(n, e) for n in NODES if holder(lab, n) for e in events(lab, n, "BFD_DOWN")
                 if not (n.startswith("spine") and e.get("port") == "eth2")]
        for v in victims.values():
            v.end()
    print(f"{kills}, {churn.flaps} flaps of leaf2's links meanwhile; {sent} packets, 0 lost; whole again after {slowest:.1f} s at most")
    assert not lost, f"{sum(map(len, lost.values()))} of {sent} lost in {len(lost)} flows, {span}"
    assert not late
    assert not downs
    assert kills["fabricd"] and churn.flaps
