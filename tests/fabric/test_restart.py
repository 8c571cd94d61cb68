"""A fabricd that is killed and started again takes over what it left in the kernel, and flushes nothing that is right."""

import os
import signal
import subprocess

import pytest

PROTO = "211"


class Watched:
    """What `ip monitor` says in one node, from a marker on."""

    def __init__(self, lab, node, path):
        self.lab, self.node, self.path, self.marks = lab, node, path, 0
        self.out = open(path, "w")
        self.process = subprocess.Popen([f"{lab.bin}/fabctl", "--lab", lab.name, "lab", "exec", node, "ip", "monitor",
                                         "route", "nexthop"], stdout=self.out, stderr=subprocess.DEVNULL)
        lab.until("the monitor listens", self.mark, 60)

    def text(self):
        with open(self.path) as f:
            return f.read()

    def mark(self):
        """A route of somebody else comes and goes; True once that was seen, and with it all that was before."""
        self.marks += 1
        prefix = f"198.51.100.{self.marks}"
        for verb in ("add", "del"):
            self.lab.exec(self.node, "ip", "route", verb, f"{prefix}/32", "dev", "lo", "proto", "static")
        return f"Deleted {prefix} " in self.text()

    def deleted(self):
        """Routes of ours. Groups that no route uses any more may go: which those are depends on who was heard first."""
        self.lab.until("all was seen", self.mark, 60)
        return [line for line in self.text().splitlines() if line.startswith("Deleted ") and f"proto {PROTO}" in line
                and not line.startswith("Deleted id ")]

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        self.out.close()


@pytest.fixture
def lab(new_lab, tmp_path):
    lab = new_lab("3x2")
    lab.watched = Watched(lab, "leaf1", tmp_path / "monitor")
    lab.again = None
    yield lab
    lab.watched.close()
    if lab.again:
        lab.again.terminate()
        lab.again.wait(10)


def kernel(lab, family):
    """Routes of ours, with the ports that they lead to."""
    members = {}
    for line in lab.exec("leaf1", "ip", "nexthop").splitlines():
        words = line.split()
        members[words[1]] = words[words.index("dev") + 1] if "dev" in words else words[words.index("group") + 1]
    routes = {}
    for line in lab.exec("leaf1", "ip", f"-{family}", "route", "show", "proto", PROTO).splitlines():
        words = line.split()
        if "nhid" in words:
            ids = members[words[words.index("nhid") + 1]].split("/")
            ports = (members.get(i.split(",")[0], i) for i in ids)
            routes[words[0]] = sorted(p for p in ports if p != "fabric-drop")
        else:
            routes[" ".join(words[:2])] = []
    return routes


def kill(lab, how):
    pid = next(n["pid"] for n in lab.nodes() if n["node"] == "leaf1")
    os.kill(pid, how)
    lab.until("it has ended", lambda: next(n["state"] for n in lab.nodes() if n["node"] == "leaf1") == "ended", 60)


def start(lab):
    run = lab.run_dir("leaf1")
    topology = os.path.join(os.path.dirname(os.path.dirname(run)), "topology.yaml")
    lab.again = subprocess.Popen([f"{lab.bin}/fabctl", "--lab", lab.name, "lab", "exec", "leaf1", f"{lab.bin}/fabricd",
                                  "--topology", topology, "--node", "leaf1", "--run-dir", run],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def whole(lab, before):
    return lambda: [kernel(lab, f) for f in (4, 6)] == before and [
        r["state"] for r in lab.rows("leaf1", "bgp", want=(0, 1, 4))] == ["Established"] * 2


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_what_is_right_is_adopted(lab, how):
    before = [kernel(lab, f) for f in (4, 6)]
    assert before[0]["10.1.2.0/24"] == ["eth1", "eth2"] and len(before[0]) >= 6
    kill(lab, how)
    assert [kernel(lab, f) for f in (4, 6)] == before  # forwarding is left as it was
    start(lab)
    lab.until("as before", lambda: lab.run("--at", "leaf1", "status", want=(0, 1, 4)).returncode == 0, 60)
    lab.until("as before", whole(lab, before), 60)
    lab.run("--at", "leaf1", "fib", "check")
    assert lab.watched.deleted() == []


def test_only_what_is_wrong_is_changed(lab):
    """While it is away, somebody deletes a route of ours, and one that nobody announces any more stays behind."""
    before = [kernel(lab, f) for f in (4, 6)]
    kill(lab, signal.SIGKILL)
    nhid = lab.exec("leaf1", "ip", "route", "show", "10.1.2.0/24").split("nhid ")[1].split()[0]
    lab.exec("leaf1", "ip", "route", "add", "10.1.99.0/24", "nhid", nhid, "proto", PROTO, "metric", "20")
    lab.exec("leaf1", "ip", "route", "del", "10.1.3.0/24", "proto", PROTO)
    own = lab.watched.deleted()
    assert len(own) == 1 and own[0].startswith("Deleted 10.1.3.0/24 ")
    start(lab)
    lab.until("it answers", lambda: lab.run("--at", "leaf1", "status", want=(0, 1, 4)).returncode == 0, 60)
    lab.until("mended", whole(lab, before), 60)
    lab.run("--at", "leaf1", "fib", "check")
    # The stale one may go with its group, and then the kernel says nothing.
    gone = {line.split()[1] for line in lab.watched.deleted()[1:]}
    assert gone <= {"10.1.99.0/24"}, gone
