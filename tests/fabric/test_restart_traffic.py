"""A fabricd that is killed, stopped, or started again under traffic: the kernel forwards on, the neighbours keep what they
were told, and no packet is lost."""

import json
import os
import random
import signal
import subprocess
import time

import pytest

from fabric.traffic import Traffic
from support import schema

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


def restart_of(lab, node, port):
    return lab.rows(node, "bgp", "neighbor", port, want=ENDED)[0]["graceful_restart"]


def test_P01_what_is_shown(away):
    """Both sides' capabilities, what is kept while a neighbour is away, and why that ended."""
    lab, it = away("leaf3", "3x2")
    gr = restart_of(lab, "spine1", "eth3")
    both = ["ipv4", "ipv6"]
    for side in ("ours", "theirs"):
        assert gr[side]["restart_s"] == 30 and gr[side]["notification"] and gr[side]["families"] == both
    assert gr["stale_paths"] == gr["helped"] == 0 and "ended" not in gr
    paths = lab.rows("spine1", "bgp")[2]["accepted"]
    it.kill()
    lab.until("kept", lambda: restart_of(lab, "spine1", "eth3")["stale_paths"] == paths, 10)
    gr = restart_of(lab, "spine1", "eth3")
    assert gr["waits_for"] == "session" and 20 < gr["left_s"] <= 30 and gr["helped"] == 1
    row = lab.rows("spine1", "bgp", want=1)[2]
    assert row["state"] != "Established" and row["stale"] == paths and "restarts; what it told is kept" in row["reason"]
    assert len(lab.rows("spine1", "bgp", "received", "eth3")) == paths
    assert "stale paths" in lab.run("--at", "spine1", "bgp", "neighbor", "eth3", want=ENDED).stdout
    it.start()
    lab.until("over", lambda: restart_of(lab, "spine1", "eth3").get("ended") == "end_of_rib", 30)
    gr = restart_of(lab, "spine1", "eth3")
    assert gr["completed"] == 1 and gr["stale_paths"] == 0 and gr["theirs"]["forwarding"] == both
    assert gr["theirs"]["restarted"]
    assert events(lab, "leaf3", "RESTARTED") and events(lab, "leaf3", "RESTART_HEARD")
    assert not events(lab, "leaf3", "RESTART_LATE")


def test_P01_link_cut_during_restart(away):
    """What is kept of a neighbour goes with its link, at once; what others offer carries the packets on."""
    lab, it = away("leaf3", "3x2")
    it.kill()
    lab.until("kept", lambda: restart_of(lab, "spine1", "eth3")["stale_paths"], 10)
    lab.run("lab", "cut", "leaf3:eth1")
    lab.until("dropped", lambda: restart_of(lab, "spine1", "eth3").get("ended") == "link_down", 5)
    assert restart_of(lab, "spine2", "eth3")["stale_paths"]
    lab.until("only by spine2", lambda: ["eth2"] in [
        r["ports"] for r in lab.rows("leaf1", "routes") if r["prefix"] == "10.1.3.0/24"], 5)
    traffic = Traffic(lab, "h1", "h3", "10.1.3.2", per_s=1000)
    it.start()
    lab.until("back", lambda: restart_of(lab, "spine2", "eth3").get("ended") == "end_of_rib", 30)
    sent, lost, span = traffic.stop()
    assert not lost, f"{sum(map(len, lost.values()))} of {sent} lost, {span}"
    assert not events(lab, "leaf3", "RESTART_LATE")  # a dark port is not waited for


def test_P01_both_ends_restart(away):
    """Both are away, then both wait for others, but not for each other: each says that it has restarted."""
    lab, leaf = away("leaf3", "3x2")
    spine = Away(lab, "spine1")
    traffic = Traffic(lab, "h1", "h3", "10.1.3.2")
    try:
        leaf.kill()
        spine.kill()
        leaf.start()
        spine.start()
        lab.until("settled", lambda: leaf.settled() and spine.settled(), 60)
    finally:
        sent, lost, span = traffic.stop()
        late = events(lab, "leaf3", "RESTART_LATE") + events(lab, "spine1", "RESTART_LATE")
        spine.end()
    assert not lost, f"{sum(map(len, lost.values()))} of {sent} lost in {len(lost)} flows, {span}"
    assert not late


def test_P01_whole_fabric_restarts(away):
    """Every fabricd dies in the same moment, and nobody is left to keep anything but the kernels."""
    lab, leaf = away("leaf3", "3x2")
    all_of_it = [leaf] + [Away(lab, n) for n in ("spine1", "spine2", "leaf1", "leaf2")]
    traffic = Traffic(lab, "h1", "h3", "fd00:1:0:3::2")
    try:
        for a in all_of_it:
            a.kill()
        for a in all_of_it:
            a.start()
        lab.until("settled", lambda: all(a.settled() for a in all_of_it), 60)
    finally:
        sent, lost, span = traffic.stop()
        for a in all_of_it[1:]:
            a.end()
    assert not lost, f"{sum(map(len, lost.values()))} of {sent} lost in {len(lost)} flows, {span}"


def bfdd_pids(lab, node):
    """bfdd of a node, found by the socket that it listens on: its keeper, and the worker that the keeper started."""
    path = os.path.join(lab.run_dir(node), "bfdd.sock")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline") as f:
                words = f.read().split("\0")
            with open(f"/proc/{pid}/task/{pid}/children") as f:
                children = f.read().split()
        except OSError:
            continue
        if words[0].rsplit("/", 1)[-1] == "bfdd" and path in words and children:
            return [int(pid), *map(int, children)]
    return None


def bfd_up(lab, node):
    return all(r["state"] == "Up" for r in lab.rows(node, "bfd", want=ENDED))


def test_P01_bfd_goes_on(away):
    """bfdd outlives fabricd: no BFD session goes down while it is away, and strict sessions come back at once."""
    lab, it = away("leaf3", "3x2", "--bfd")
    lab.until("BFD", lambda: all(bfd_up(lab, n) for n in ("leaf3", "spine1", "spine2")), 20)
    traffic = Traffic(lab, "h1", "h3", "10.1.3.2")
    try:
        for how in (signal.SIGKILL, signal.SIGTERM):
            it.kill(how)
            lab.until("kept", lambda: restart_of(lab, "spine1", "eth3")["stale_paths"], 10)
            it.start()
            lab.until("settled", it.settled, 60)
            lab.until("told", lambda: restart_of(lab, "spine1", "eth3").get("ended") == "end_of_rib", 30)
    finally:
        sent, lost, span = traffic.stop()
    assert not lost, f"{sum(map(len, lost.values()))} of {sent} lost in {len(lost)} flows, {span}"
    assert not events(lab, "spine1", "BFD_DOWN") and not events(lab, "spine2", "BFD_DOWN")


def test_P01_bfd_down_during_restart(away):
    """Its forwarding plane dies while it restarts: BFD with the C bit says so, and nothing is kept any longer."""
    lab, it = away("leaf3", "3x2", "--bfd")
    lab.until("BFD", lambda: all(bfd_up(lab, n) for n in ("leaf3", "spine1", "spine2")), 20)
    pids = bfdd_pids(lab, "leaf3")
    it.kill()
    lab.until("kept", lambda: restart_of(lab, "spine1", "eth3")["stale_paths"], 10)
    for pid in pids:  # the keeper first: it would replace its worker
        os.kill(pid, signal.SIGSTOP)
    try:
        for spine in ("spine1", "spine2"):
            lab.until("dropped", lambda s=spine: restart_of(lab, s, "eth3").get("ended") == "bfd_down", 5)
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)
    it.start()
    lab.until("settled", it.settled, 60)


@pytest.mark.parametrize("seconds", [4.5, 10])
def test_P02_stopped_process(away, seconds):
    """fabricd is stopped for half a hold time, and for longer: BFD says that it forwards, so its paths are kept."""
    lab, it = away("leaf3", "3x2", "--bfd")
    lab.until("BFD", lambda: all(bfd_up(lab, n) for n in ("leaf3", "spine1", "spine2")), 20)
    pid = it.pid()
    traffic = Traffic(lab, "h1", "h3", "10.1.3.2", per_s=1000)
    try:
        os.kill(pid, signal.SIGSTOP)
        end = time.monotonic() + seconds
        if seconds > 9:
            lab.until("kept", lambda: restart_of(lab, "spine1", "eth3")["stale_paths"], 12)
        while time.monotonic() < end:  # the fault itself lasts so long
            time.sleep(0.05)
        os.kill(pid, signal.SIGCONT)
        lab.until("settled", it.settled, 30)
        lab.until("none is stale", lambda: not restart_of(lab, "spine1", "eth3")["stale_paths"], 60)
    finally:
        os.kill(pid, signal.SIGCONT)
        sent, lost, span = traffic.stop()
    assert not lost, f"{sum(map(len, lost.values()))} of {sent} lost in {len(lost)} flows, {span}"
    assert bool(events(lab, "spine1", "RESTART_HELP")) == (seconds > 9)
    assert not events(lab, "spine1", "RESTART_LOST")


def test_P03_bfdd_goes_while_sessions_wait_for_it(away):
    """BFD is down at both ends, and their sessions wait for it (strict); when nobody is left to bring it up, they begin."""
    lab, _ = away("leaf3", "3x2", "--bfd")
    lab.until("BFD", lambda: all(bfd_up(lab, n) for n in ("leaf3", "spine1", "spine2")), 20)
    pids = [bfdd_pids(lab, n) for n in ("leaf3", "spine1", "spine2")]
    state = lambda: [r["state"] == "Established" for r in lab.rows("leaf3", "bgp", want=ENDED)]  # noqa: E731
    for pid in pids[0]:
        os.kill(pid, signal.SIGSTOP)
    lab.until("both are down", lambda: not any(state()), 10)
    lab.until("said", lambda: "waits for BFD" in lab.run("--at", "spine1", "bgp", want=ENDED).stdout, 10)
    for keeper, _ in pids:  # its worker goes with it
        os.kill(keeper, signal.SIGKILL)
    lab.until("both are up", lambda: all(state()), 15)


def holder(lab, node):
    """The process that holds the lock; None: nobody does."""
    try:
        with open(os.path.join(lab.run_dir(node), "lock")) as f:
            pid = int(f.read())
        os.kill(pid, 0)
        return pid
    except (ProcessLookupError, FileNotFoundError, ValueError):
        return None


def test_P13_crash_loop(away):
    """SIGSEGV again and again under a supervisor that starts it after 0.2 s, as systemd does: it is back within a second, then
    after 1, 2, 4 s more; the fifth time within ten minutes it stays down with an alarm. No packet is lost."""
    lab, it = away("leaf3", "3x2")
    run = lab.run_dir("leaf3")
    topology = os.path.join(os.path.dirname(os.path.dirname(run)), "topology.yaml")
    argv = [f"{lab.bin}/fabctl", "--lab", lab.name, "lab", "exec", "leaf3", f"{lab.bin}/fabricd", "--topology", topology,
            "--node", "leaf3", "--run-dir", run, "--back-off"]
    it.kill(signal.SIGTERM)
    started, took, gone = 0, [], None
    traffic = Traffic(lab, "h1", "h3", "10.1.3.2", per_s=1000)
    try:
        while True:
            p = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            it.again = p
            if gone:
                lab.until("up or down", lambda: p.poll() is not None or lab.run(
                    "--at", "leaf3", "bgp", "-j", want=ENDED).returncode != 4, 15)
                if p.poll() is not None:
                    break
                took.append(time.monotonic() - gone)
                assert "crashed" in events(lab, "leaf3", "CRASHED")[0]["text"]
            lab.until("settled", it.settled, 30)
            for spine in ("spine1", "spine2"):  # a second crash before that is one too many (RFC 4724 4.2)
                lab.until("told", lambda s=spine: not (r := restart_of(lab, s, "eth3"))["stale_paths"]
                          and r["completed"] == r["helped"] == started + 1, 30)
            started += 1
            assert started < 7, took
            os.kill(holder(lab, "leaf3"), signal.SIGSEGV)
            gone = time.monotonic()
            p.wait(10)
            p.stderr.close()
            time.sleep(0.2)  # the supervisor's part (RestartSec): nothing is waited for
        said = p.stderr.read()
    finally:
        sent, lost, span = traffic.stop()
    assert p.returncode == 3 and "ALARM" in said and "systemctl start fabricd" in said
    assert started == 5
    for took_s, least in zip(took, (0, 1, 2, 4)):
        assert 0.2 + least <= took_s <= 1.2 + least, took
    assert not lost, f"{sum(map(len, lost.values()))} of {sent} lost in {len(lost)} flows, {span}"
    # somebody looks into it and starts it again: at once
    it.again = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lab.until("settled", it.settled, 5)


def test_P01_status_names_the_phase(away):
    """A neighbour that does not answer: status says that routes are not selected yet, who is missing, and until when."""
    lab, it = away("leaf3", "3x2")
    spine = next(n for n in lab.nodes() if n["node"] == "spine1")["pid"]
    it.kill()
    os.kill(spine, signal.SIGSTOP)
    try:
        it.start()

        def status():
            r = lab.run("--at", "leaf3", "status", "-j", want=ENDED)
            return json.loads(r.stdout)["summary"].get("restart") if r.returncode != 4 else None

        seen = lab.until("deferring", lambda: (s := status()) and s["waits_for"] and s, 10)
        assert seen["phase"] == "deferring" and seen["found_routes"] > 5 and 15 < seen["left_s"] <= 22.5
        assert {"port": "eth1", "peer": "spine1", "missing": "no session"} in seen["waits_for"]
        schema.check(json.loads(lab.run("--at", "leaf3", "status", "-j", want=ENDED).stdout))
        text = lab.run("--at", "leaf3", "status", want=ENDED).stdout
        assert "restart: deferring" in text and "waits for eth1 (spine1): no session" in text, text
    finally:
        os.kill(spine, signal.SIGCONT)
    lab.until("over", lambda: it.settled() and status() is None, 60)
