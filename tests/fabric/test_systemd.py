"""The unit files under the real systemd: one leaf's fabricd and bfdd are services, and do what docs/restart.md and
docs/upgrade.md say of them.

The leaf's network namespace is that of a laboratory; what systemd sees is as on a real switch (support/systemd.py). What fabricd
itself does in a restart, and how many ways an upgrade can fail, is tested elsewhere; here it is who starts and ends whom.
"""

import json
import os
import signal
import subprocess

import pytest

from fabric.test_restart_traffic import bfdd_pids, events, restart_of
from fabric.traffic import Traffic
from support import schema, successor
from support.systemd import Cannot, Systemd

SPINES = ["spine1", "spine2"]
UNREACHABLE = 4  # exit code of fabctl
FILE = """schema: 1
fabric: services
tiers:
  - {name: spine, count: 2, asn: 65000, loopback: [10.0.0.0/24, "fd00:0:0:0::/64"]}
  - {name: leaf, count: 2, asn: {base: 65000}, loopback: [10.0.1.0/24, "fd00:0:0:1::/64"],
     up: {to: spine, local: "eth[1-2]", remote: "eth[1-32]"},
     hosts: {ports: "eth[3-6]", rack_always: true, racks: [{pool: 10.1.0.0/16, len: 24}, {pool: "fd00:1::/48", len: 64}]}}
timers: {bfd: 3x300ms}  # the whole service may be away for a moment, on a machine that others use too
"""


class Leaf:
    """leaf1, whose programs are services."""

    def __init__(self, lab, systemd):
        self.lab, self.systemd = lab, systemd
        self.ctl, self.show, self.until = systemd.ctl, systemd.show, lab.until

    def fabctl(self, *words, want=0):
        return self.systemd.run(f"{self.lab.bin}/fabctl", *words, want=want)

    def rows(self, *words):
        answer = json.loads(self.fabctl(*words, "-j", want=(0, 1)).stdout)
        schema.check(answer)
        return answer["data"]

    def answers(self):
        return self.fabctl("status", want=(0, 1, UNREACHABLE)).returncode != UNREACHABLE

    def settled(self):
        """All sessions are up, and BFD with them."""
        return self.fabctl("status", want=(0, 1, UNREACHABLE)).returncode == 0 and all(
            r["state"] == "Established" for r in self.rows("bgp")) and all(
            r["state"] == "Up" for n in SPINES for r in self.lab.rows(n, "bfd", want=(0, 1)))

    def told(self):
        """The spines wait for nothing more from it, and the racks of both leaves are known everywhere."""
        return all(not (r := restart_of(self.lab, n, "eth1"))["stale_paths"] and "waits_for" not in r for n in SPINES) and all(
            (p, ports) in [(r["prefix"], r["ports"]) for r in rows] for rows, prefixes, ports in [
                (self.rows("routes"), ["10.1.2.0/24", "fd00:1:0:2::/64"], ["eth1", "eth2"]),
                (self.lab.rows("leaf2", "routes"), ["10.1.1.0/24", "fd00:1:0:1::/64"], ["eth1", "eth2"]),
                *((self.lab.rows(n, "routes"), ["10.1.1.0/24", "fd00:1:0:1::/64"], ["eth1"]) for n in SPINES)]
            for p in prefixes)

    def whole(self):
        """What a second restart must wait for: until then it is one to its neighbours (RFC 4724 4.2), and they forget."""
        self.until("settled", self.settled, 60)
        self.until("told", self.told, 30)

    def pid(self, unit="fabricd"):
        return int(self.show(unit)["MainPID"])

    def kill(self, pid, how=signal.SIGKILL):
        self.systemd.run("kill", f"-{int(how)}", str(pid))

    def there(self, pid):
        return self.systemd.run("kill", "-0", str(pid), want=(0, 1)).returncode == 0

    def restarted(self, was, times, unit="fabricd"):
        """By systemd alone, that often since it was started; the new main process."""
        def look():
            s = self.show(unit)
            return s["ActiveState"] == "active" and s["NRestarts"] == str(times) and s["MainPID"] not in ("0", str(was))

        self.until(f"{unit} is started again", look, 20)
        return self.pid(unit)

    def upgrade(self, *words, want=0):
        rows = json.loads(self.fabctl("upgrade", *words, "-j", want=want).stdout)["data"]
        assert rows[-1]["upgraded"] == (want == 0), rows
        return rows[-1]

    def bfdd(self):
        """Its keeper and the process of the sessions."""
        keeper = self.pid("bfdd")
        children = self.systemd.run("cat", f"/proc/{keeper}/task/{keeper}/children", want=(0, 1)).stdout.split()
        return (keeper, int(children[0])) if len(children) == 1 else None

    def falls(self):
        """BFD sessions, and what was kept and then lost: the number of both, at all ends."""
        kinds = ("BFD_DOWN", "RESTART_LOST")
        return sum(len(events(self.lab, n, k)) for n in SPINES for k in kinds) + sum(
            e["event"] in kinds for e in self.rows("log"))


class Both:
    """Traffic from and to a host of leaf1; at its end none is lost."""

    def __init__(self, lab):
        self.lab, self.flows = lab, []

    def __enter__(self):
        self.flows = [Traffic(self.lab, "h1", "h2", "10.1.2.2", per_s=1000),
                      Traffic(self.lab, "h2", "h1", "fd00:1:0:1::2", per_s=1000)]

    def __exit__(self, kind, *_):
        ends = [t.stop() for t in self.flows]
        if kind is None:
            for sent, lost, span in ends:
                assert sent > 100
                assert not lost, f"{sum(map(len, lost.values()))} of {sent} lost in {len(lost)} flows, {span}"


@pytest.fixture(scope="module")
def switch(module_lab, tmp_path_factory):
    folder = tmp_path_factory.mktemp("systemd")
    (folder / "fabric.yaml").write_text(FILE)
    lab = module_lab(str(folder / "fabric.yaml"), "--bfd")
    keeper = bfdd_pids(lab, "leaf1")[0]
    os.kill(next(n["pid"] for n in lab.nodes() if n["node"] == "leaf1"), signal.SIGTERM)
    lab.until("fabricd ends", lambda: next(n["state"] for n in lab.nodes() if n["node"] == "leaf1") == "ended")
    os.kill(keeper, signal.SIGTERM)
    lab.until("bfdd ends", lambda: not os.path.exists(f"/proc/{keeper}"))
    try:
        systemd = Systemd([f"{lab.bin}/fabctl", "--lab", lab.name, "lab", "exec", "leaf1"], folder,
                          [f"{lab.bin}/fabricd", f"{lab.bin}/bfdd"],
                          {"fabricd": f"FABRICD_TOPOLOGY={folder}/fabric.yaml\nFABRICD_NODE=leaf1\n"})
    except Cannot as why:
        pytest.skip(f"no systemd here: {why}")
    yield Leaf(lab, systemd)
    systemd.end()


@pytest.fixture
def leaf(switch):
    """As after a boot: no crash is remembered, nobody has been started again."""
    switch.ctl("stop", "fabricd")
    switch.systemd.run("rm", "-f", "/run/fabricd/crashes")
    switch.ctl("reset-failed")
    switch.ctl("start", "fabricd", "bfdd")
    switch.whole()
    return switch


def test_the_units_are_understood(switch):
    """By systemd to the last word; and with the few rights that bfdd's gives it, it is as punctual as one with all of them."""
    units = [os.path.join(switch.systemd.folder, "units", f"{n}.service") for n in ("fabricd", "bfdd")]
    said = switch.systemd.run("systemd-analyze", "--user", "verify", *units)
    assert said.stdout + said.stderr == ""
    switch.ctl("start", "bfdd")
    switch.until("bfdd", switch.bfdd)
    other = subprocess.run(["chrt", "-p", str(bfdd_pids(switch.lab, "spine1")[1])], capture_output=True, text=True).stdout
    policy = [line.split(":")[1] for line in other.splitlines()]
    switch.until(f"policy and priority{policy}", lambda: [line.split(":")[1] for line in switch.systemd.run(
        "chrt", "-p", str(switch.bfdd()[1])).stdout.splitlines()] == policy != [])


def test_active_is_who_answers(switch):
    """`systemctl start` comes back when fabricd can be asked, and has started bfdd before it."""
    leaf = switch
    leaf.ctl("stop", "fabricd", "bfdd")
    assert not leaf.answers()
    leaf.ctl("start", "fabricd")
    leaf.fabctl("status", want=(0, 1))
    s = leaf.show("fabricd")
    assert (s["ActiveState"], s["SubState"], s["Type"], s["NRestarts"]) == ("active", "running", "notify", "0")
    assert leaf.systemd.run("cat", "/run/fabricd/lock").stdout.strip() == s["MainPID"]
    assert leaf.show("bfdd")["ActiveState"] == "active"
    leaf.whole()
    bfdd = leaf.bfdd()
    leaf.ctl("stop", "fabricd")
    assert leaf.show("fabricd")["ActiveState"] == "inactive" and not leaf.there(s["MainPID"])
    assert leaf.bfdd() == bfdd


def test_P01_restart_by_systemctl(leaf):
    was, bfdd, falls = leaf.pid(), leaf.bfdd(), leaf.falls()
    helped = restart_of(leaf.lab, "spine1", "eth1")["helped"]
    with Both(leaf.lab):
        leaf.ctl("restart", "fabricd")
        assert leaf.pid() != was
        leaf.whole()
    assert restart_of(leaf.lab, "spine1", "eth1")["helped"] == helped + 1
    assert (leaf.bfdd(), leaf.falls()) == (bfdd, falls)
    leaf.fabctl("fib", "check")


def test_P01_killed_under_systemd(leaf):
    bfdd, falls = leaf.bfdd(), leaf.falls()
    with Both(leaf.lab):
        was = leaf.pid()
        leaf.kill(was)
        leaf.restarted(was, 1)
        leaf.whole()
    assert "CRASHED" in [e["event"] for e in leaf.rows("log")]
    assert (leaf.bfdd(), leaf.falls()) == (bfdd, falls)
    leaf.fabctl("fib", "check")


def test_upgrade(leaf):
    """The new process is the main one: systemd starts another when it dies, even at once, and ends it when it is to stop."""
    falls = leaf.falls()
    with Both(leaf.lab):
        for times in (1, 2):
            was = leaf.pid()
            pid = leaf.upgrade()["pid"]
            s = leaf.show("fabricd")
            assert (s["MainPID"], s["ActiveState"], s["NRestarts"]) == (str(pid), "active", str(times - 1)) and pid != was
            if times == 2:
                leaf.until("the old one is gone", lambda was=was: not leaf.there(was))
            leaf.kill(pid)  # the first time while its parent is there
            leaf.restarted(pid, times)
            leaf.whole()
        pid = leaf.upgrade()["pid"]
        leaf.ctl("stop", "fabricd")
        s = leaf.show("fabricd")
        assert (s["ActiveState"], s["Result"]) == ("inactive", "success")
        leaf.until("it has ended", lambda: not leaf.there(pid))
        leaf.ctl("start", "fabricd")
        leaf.whole()
    assert leaf.falls() == falls


def test_P01_the_old_one_is_killed_when_the_new_one_is_in_charge(leaf, tmp_path):
    """kill -9 before it could say MAINPID=: the new one has said so itself."""
    falls = leaf.falls()
    binary = successor.write(tmp_path / "runs", "kills-runs", "/usr/sbin/fabricd")
    with Both(leaf.lab):
        was = leaf.pid()
        leaf.fabctl("upgrade", binary, want=UNREACHABLE)  # nobody is left to answer
        leaf.until("it is gone", lambda: not leaf.there(was))
        s = leaf.show("fabricd")
        assert (s["ActiveState"], s["NRestarts"]) == ("active", "0") and s["MainPID"] not in ("0", str(was))
        leaf.until("it is in charge", lambda: leaf.systemd.run("cat", "/run/fabricd/lock").stdout.strip() == s["MainPID"])
        leaf.kill(s["MainPID"])
        leaf.restarted(s["MainPID"], 1)
        leaf.whole()
    assert leaf.falls() == falls


def test_P01_the_old_one_is_killed_when_the_new_one_is_to_take_over(leaf, tmp_path):
    """Then nobody is in charge: the new one goes as well, and systemd starts another."""
    falls = leaf.falls()
    binary = successor.write(tmp_path / "commits", "kills-commits", "/usr/sbin/fabricd")
    with Both(leaf.lab):
        was = leaf.pid()
        leaf.fabctl("upgrade", binary, want=UNREACHABLE)
        leaf.restarted(was, 1)
        leaf.whole()
    assert leaf.falls() == falls


def test_a_successor_that_dies_when_it_has_spoken(leaf, tmp_path):
    """It says MAINPID=, but not RUNNING: the old one is in charge, and says so."""
    binary = successor.write(tmp_path / "claims", "claims", "/usr/sbin/fabricd")
    was = leaf.pid()
    with Both(leaf.lab):
        assert "did not take over" in leaf.upgrade(binary, want=1)["reason"]
        leaf.until("the old one is the main process", lambda: leaf.pid() == was)
        leaf.kill(was)
        leaf.restarted(was, 1)
        leaf.whole()


def test_P13_crash_loop_under_systemd(leaf):
    """Each time it is longer in coming; `systemctl stop` ends that as well. The fifth time it stays down, and says so."""
    routes = leaf.systemd.run("ip", "-4", "route", "show", "proto", "211").stdout
    assert "10.1.2.0/24" in routes
    for crash in range(1, 6):
        was = leaf.pid()
        leaf.kill(was)
        if 1 < crash < 5:
            says = f"crash {crash} in ten minutes: starts in {2 ** (crash - 2)} s"
            leaf.until(says, lambda says=says: leaf.show("fabricd")["StatusText"] == says, 5)
            s = leaf.show("fabricd")
            assert (s["ActiveState"], s["SubState"]) == ("activating", "start") and not leaf.answers()
        if crash == 3:
            leaf.ctl("stop", "fabricd")
            s = leaf.show("fabricd")
            assert (s["ActiveState"], s["Result"]) == ("inactive", "success")
            leaf.ctl("start", "fabricd")
        elif crash < 5:
            leaf.restarted(was, crash if crash < 3 else crash - 3)
    leaf.until("it stays down", lambda: leaf.show("fabricd")["ActiveState"] == "failed", 10)
    s = leaf.show("fabricd")
    assert (s["SubState"], s["Result"], s["ExecMainStatus"]) == ("failed", "exit-code", "3")
    assert s["StatusText"] == "crashed 5 times in ten minutes: stays down, forwarding as it was"
    assert "stays down" in leaf.ctl("status", "fabricd", want=3)
    assert leaf.systemd.run("ip", "-4", "route", "show", "proto", "211").stdout == routes
    leaf.ctl("start", "fabricd")
    leaf.whole()


def test_a_wrong_file(leaf):
    path = os.path.join(leaf.systemd.folder, "fabric.yaml")
    try:
        with open(path, "w", encoding="utf-8") as f:
            f.write(FILE.replace("count: 2", "count: two"))
        leaf.ctl("restart", "fabricd", want=1)
        s = leaf.show("fabricd")
        assert (s["ActiveState"], s["SubState"], s["ExecMainStatus"], s["NRestarts"]) == ("failed", "failed", "2", "0")
        assert f"its topology file cannot be used: {path}" in s["StatusText"]
    finally:
        with open(path, "w", encoding="utf-8") as f:
            f.write(FILE)
    leaf.ctl("start", "fabricd")
    assert leaf.show("fabricd")["StatusText"] == ""
    leaf.whole()


def test_reload_bfdd(leaf):
    """The program that is installed now has the sessions, and none falls."""
    falls, main = leaf.falls(), leaf.pid()
    for _ in range(3):
        keeper, worker = leaf.bfdd()
        leaf.systemd.install(f"{leaf.lab.bin}/bfdd")
        leaf.ctl("reload", "bfdd")
        leaf.until("another process", lambda k=keeper, w=worker: (b := leaf.bfdd()) and b[0] == k and b[1] != w)
        new = leaf.bfdd()[1]
        assert leaf.systemd.run("readlink", f"/proc/{new}/exe").stdout == "/usr/sbin/bfdd\n"
        leaf.until("settled", leaf.settled)
    assert (leaf.falls(), leaf.pid(), leaf.show("bfdd")["NRestarts"]) == (falls, main, "0")


def test_P03_bfdd_is_killed_under_systemd(leaf):
    """Its keeper, and so all of it: systemd starts both at once, as often as it takes, and the sessions go on."""
    falls, main = leaf.falls(), leaf.pid()
    for times in range(1, 8):
        was = leaf.bfdd()
        leaf.kill(was[0])
        leaf.restarted(was[0], times, "bfdd")
        leaf.until("both are there", leaf.bfdd)
        leaf.until("settled", leaf.settled)
    assert (leaf.falls(), leaf.pid()) == (falls, main)
