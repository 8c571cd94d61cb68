"""Restarts of fabricd, FRR and BIRD beside each other: what is killed, what else fails meanwhile, and what must come of it.

    host1 -- leaf1 == spine1 (the helper) == leaf2 (who restarts) -- host2     one spine, so that all hangs on what it keeps

                              who restarts: fabricd        FRR (preserve-fw-state)      BIRD (-R, persist)
    killed and started        0 lost, by End-of-RIB at fabricd's helper; FRR's and BIRD's helpers the same. FRR 8.4 sends
                              End-of-RIB before its routes, and takes its own routes out of its kernel for a moment: there
                              no route of fabricd's kernels may change
    link cut meanwhile        what was kept goes at once (link_down)
    BFD down meanwhile        C bit set: goes at once        C bit clear (FRR, BIRD): is kept, 0 lost (RFC 5882 4.3)
    both ends restart         0 lost (FRR: as above; BIRD waits for nobody who restarts, and empties its kernel): each finds its routes in the kernel, and neither waits for the other
"""

import re
import signal

import pytest
from fabrics import Mixed
from support.bird import Bird
from support.fabricd import Fabricd
from support.frr import Frr
from support.wait import until

WHO = {
    "fabricd": lambda bfd=False: Fabricd(bfd=bfd),
    "frr": lambda bfd=False: Frr(gtsm=False, restart="full"),
    "bird": lambda bfd=False: Bird(gtsm=False, restart="full"),  # its dynamic sessions are not recovered
}
restarting = pytest.mark.parametrize("who", WHO)
SOON = 15


class Untouched:
    """What `ip monitor` says of the kernels of fabricd's switches; no route to host2 may be deleted there."""

    def __init__(self, fabric):
        self.processes = [fabric.lab.spawn(n, f"watch-{n}", ["ip", "monitor", "route"]) for n in ("leaf1", "spine1")]
        self.fabric = fabric
        until(self.mark, 10, "the monitors listen", 0.1)

    def mark(self):
        """True once a route of somebody else was seen to come and go, and with it all that was before."""
        for n in ("leaf1", "spine1"):
            for verb in ("add", "del"):
                self.fabric.lab.run(n, ["ip", "route", verb, "198.51.100.1/32", "dev", "lo"], check=False)
        return all("Deleted 198.51.100.1" in p.output() for p in self.processes)

    def deleted(self):
        return [line for p in self.processes for line in p.output().splitlines()
                if line.startswith("Deleted ") and re.match(r"Deleted (10\.1\.2\.0|fd00:1:0:2:)", line)]


class Pings:
    """A hundred a second in both families from host1 to host2, until stop()."""

    def __init__(self, fabric):
        self.processes = [fabric.lab.spawn("host1", f"ping{i}", ["ping", "-n", "-i", "0.01", "-W", "1", a])
                          for i, a in enumerate(("10.1.2.10", "fd00:1:0:2::10"))]
        for p in self.processes:
            until(lambda p=p: p.output().count("bytes from") > 3, 10, "packets pass")

    def stop(self):
        lost = 0
        for p in self.processes:
            p.popen.send_signal(signal.SIGINT)
            p.popen.wait(10)
            sent, came = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", p.output()).groups())
            lost += sent - came - (sent - came == 1)  # one may be under way
        return lost


def fabric_of(lab, leaf, spine="fabricd", bfd=None):
    foreign = [t for t, w in (("spine", spine), ("leaf", leaf)) if w != "fabricd"]
    fabric = Mixed(lab, 2, 1, foreign, {"leaf2": WHO[leaf](bool(bfd)), "spine1": WHO[spine](bool(bfd)),
                                        "leaf1": Fabricd(bfd=bool(bfd))}, bfd=bfd)  # fmt: skip
    fabric.wait_up()
    for family in ("10.1.2.0/24", "fd00:1:0:2::/64"):
        fabric.wait_route("leaf1", family, ["eth1"])
        fabric.wait_route("spine1", family, ["eth2"])
    fabric.ping(1, 2)
    fabric.ping(2, 1)
    return fabric


def kill(fabric, name):
    fabric.processes[name][-1].stop(signal.SIGKILL)


def again(fabric, name):
    node = fabric.clos[name]
    job = fabric.stack[name].again(fabric.lab, fabric.clos, node)
    fabric.processes[name][-1] = fabric.lab.spawn(job.node, job.name, job.argv)


def helper(fabric, name="spine1", port="eth2"):
    rows = fabric.stack[name].ctl(fabric.lab, fabric.clos[name], "bgp", "neighbor", port).get("data")
    return rows[0]["graceful_restart"] if rows else {}


def kept(fabric):
    until(lambda: helper(fabric).get("stale_paths"), 5, "the helper keeps paths")


def has_ended(fabric, how):
    until(lambda: helper(fabric).get("ended") == how, 60, lambda: f"ended by {how}: {helper(fabric)}")


@restarting
def test_P01_killed_under_a_fabricd_helper(lab, who):
    fabric = fabric_of(lab, who)
    theirs = helper(fabric)["theirs"]
    assert theirs["families"] == ["ipv4", "ipv6"] and theirs["restart_s"] > 0
    watch, pings = Untouched(fabric), Pings(fabric)
    kill(fabric, "leaf2")
    kept(fabric)
    again(fabric, "leaf2")
    fabric.wait_up("leaf2")
    has_ended(fabric, "end_of_rib")
    assert pings.stop() == 0 or who == "frr"
    assert watch.deleted() == []
    gr = helper(fabric)
    assert gr["theirs"]["restarted"] and gr["theirs"]["forwarding"] == ["ipv4", "ipv6"] and gr["completed"] == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
@pytest.mark.parametrize("spine", ["frr", "bird"])
def test_P01_fabricd_under_another_helper(lab, spine, how):
    """fabricd dies, or is stopped for a restart, without and with the N bit at the other end."""
    fabric = fabric_of(lab, "fabricd", spine)
    pings = Pings(fabric)
    fabric.processes["leaf2"][-1].stop(how)
    again(fabric, "leaf2")
    fabric.wait_up("leaf2")
    until(lambda: not restarting_now(fabric, "leaf2"), 60, "it has heard all")
    fabric.ping(1, 2)
    assert pings.stop() == 0


def restarting_now(fabric, name):
    rows = fabric.stack[name].ctl(fabric.lab, fabric.clos[name], "log").get("data", [])
    types = [r["event"] for r in rows]
    return "RESTARTED" not in types or not {"RESTART_HEARD", "RESTART_LATE"} & set(types)


@restarting
def test_P01_link_cut_during_its_restart(lab, who):
    fabric = fabric_of(lab, who)
    kill(fabric, "leaf2")
    kept(fabric)
    lab.ip("leaf2", "link set eth1 down")
    has_ended(fabric, "link_down")
    fabric.wait_route("spine1", "10.1.2.0/24", [], timeout=5)
    fabric.wait_route("leaf1", "10.1.2.0/24", [], timeout=5)


def mute(fabric, who):
    """BFD of leaf2 ends, its forwarding goes on: bfdd is stopped. BIRD's went with BIRD."""
    if who != "bird":
        fabric.processes["leaf2"][-2].popen.send_signal(signal.SIGSTOP)
    return lambda: who != "bird" and fabric.processes["leaf2"][-2].popen.send_signal(signal.SIGCONT)


def bfd_state(fabric):
    rows = fabric.stack["spine1"].ctl(fabric.lab, fabric.clos["spine1"], "bfd").get("data", [])
    return next((r["state"] for r in rows if r["port"] == "eth2"), None)


@restarting
def test_P01_bfd_down_during_its_restart(lab, who):
    """RFC 5882 4.3: where BFD does not share the fate of BGP (fabricd's bfdd, C bit) it ends the waiting, else not."""
    fabric = fabric_of(lab, who, bfd=100)
    until(lambda: bfd_state(fabric) == "Up", 20, "BFD is up")
    pings = Pings(fabric)
    kill(fabric, "leaf2")
    unmute = mute(fabric, who)
    try:
        until(lambda: bfd_state(fabric) == "Down", 10, "BFD is down")
        if who == "fabricd":
            has_ended(fabric, "bfd_down")
            fabric.wait_route("spine1", "10.1.2.0/24", [], timeout=5)
        else:
            gr = helper(fabric)
            assert gr["stale_paths"] and "ended" not in gr
    finally:
        unmute()
    again(fabric, "leaf2")
    fabric.wait_up("leaf2")
    if who != "fabricd":
        has_ended(fabric, "end_of_rib")
    lost = pings.stop()
    assert lost == 0 or who != "bird", lost
    assert lost > 0 or who != "fabricd"
    fabric.ping(1, 2)


@restarting
def test_P01_both_ends_restart(lab, who):
    fabric = fabric_of(lab, who)
    watch, pings = Untouched(fabric), Pings(fabric)
    kill(fabric, "leaf2")
    kill(fabric, "spine1")
    again(fabric, "spine1")
    again(fabric, "leaf2")
    fabric.wait_up()
    until(lambda: not restarting_now(fabric, "spine1"), 60, "the spine has heard all")
    fabric.wait_route("leaf1", "10.1.2.0/24", ["eth1"])
    fabric.ping(1, 2)
    lost = pings.stop()
    # Who says that it has restarted itself is not waited for (RFC 4724 4.1): how soon its routes follow is its own affair.
    assert (watch.deleted(), lost) == ([], 0) or who != "fabricd"
    rows = fabric.stack["spine1"].ctl(lab, fabric.clos["spine1"], "log")["data"]
    assert "RESTART_LATE" not in [r["event"] for r in rows]
