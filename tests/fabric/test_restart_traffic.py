"""A fabricd that is killed, stopped, or started again under traffic: the kernel forwards on, the neighbours keep what they
were told, and no packet is lost."""

import os
import random
import signal
import subprocess
import time

import pytest

from fabric.traffic import Traffic

ENDED = (0, 1, 4)


class Away:
    """The fabricd of one node: killed, and started again by the same command line."""

    def __init__(self, lab, node):
        self.lab, self.node, self.again = lab, node, None

    def pid(self):
        return self.again.pid if self.again else self.row()["pid"]

    def row(self):
        return next(n for n in self.lab.nodes() if n["node"] == self.node)

    def kill(self, how=signal.SIGKILL):
        if self.again:
            # fabctl runs it as its child: the one that holds the lock is meant
            with open(os.path.join(self.lab.run_dir(self.node), "lock")) as f:
                pid = int(f.read())
            os.kill(pid, how)
            self.again.wait(30)
            return
        os.kill(self.pid(), how)
        self.lab.until("it has ended", lambda: self.row()["state"] == "ended", 60)

    def start(self):
        run = self.lab.run_dir(self.node)
        topology = os.path.join(os.path.dirname(os.path.dirname(run)), "topology.yaml")
        self.again = subprocess.Popen([f"{self.lab.bin}/fabctl", "--lab", self.lab.name, "lab", "exec", self.node,
                                       f"{self.lab.bin}/fabricd", "--topology", topology, "--node", self.node, "--run-dir",
                                       run], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def settled(self):
        """All of its sessions are up, and it has told its neighbours everything."""
        r = self.lab.run("--at", self.node, "bgp", "-j", want=ENDED)
        if r.returncode == 4:
            return False
        rows = self.lab.rows(self.node, "bgp", want=ENDED)
        return rows and all(r["state"] == "Established" for r in rows) and self.lab.run(
            "--at", self.node, "status", want=ENDED).returncode == 0

    def end(self):
        if self.again and self.again.poll() is None:
            self.kill(signal.SIGTERM)


@pytest.fixture
def away(new_lab):
    """(laboratory, the Away of a node of it)."""
    made = []

    def make(node, *words):
        lab = new_lab(*words)
        made.append(Away(lab, node))
        return lab, made[-1]

    yield make
    for a in made:
        a.end()


def events(lab, node, kind):
    return [e for e in lab.rows(node, "log", want=(0, 1)) if e["event"] == kind]


def host(lab, leaf):
    return next(n["node"] for n in lab.nodes("host") if n["node"].endswith(leaf[-1]))


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("node", ["spine1", "leaf1", "leaf3"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_P01_restart_loses_nothing(away, node, how, family):
    lab, it = away(node, "3x2")
    neighbours = ["leaf1", "leaf2", "leaf3"] if node.startswith("spine") else ["spine1", "spine2"]
    traffic = Traffic(lab, "h1", "h3", "10.1.3.2" if family == 4 else "fd00:1:0:3::2")
    try:
        time.sleep(random.random() / 5)
        it.kill(how)
        for n in neighbours:  # its paths are kept, and said to be
            lab.until("kept", lambda n=n: events(lab, n, "RESTART_HELP"), 10)
        it.start()
        lab.until("settled", it.settled, 60)
        for n in neighbours:
            lab.until("told again", lambda n=n: events(lab, n, "RESTART_TOLD"), 30)
    finally:
        sent, lost, span = traffic.stop()
    assert sent > 2000
    assert not lost, f"{sum(map(len, lost.values()))} of {sent} lost in {len(lost)} flows, {span}"
    for n in neighbours:
        assert not events(lab, n, "RESTART_LOST")
    lab.run("--at", node, "fib", "check")
