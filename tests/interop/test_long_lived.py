"""Long-lived graceful restart (RFC 9494) of fabricd, FRR and BIRD: who is away for longer than a restart takes.

                       restart time (3 s)          long-lived stale time (8 s)                          then
    who is away alone  its routes stay as before   they stay, with LLGR_STALE (65535:6), as last resort  they go

Who helps: fabricd for FRR and for BIRD, both of them for fabricd. FRR marks and keeps only with the line of `router`.
"""

import signal

import pytest
from outside import LAN4, HOSTS, Node, Outside, OutsideBird, OutsideFrr, session
from support import kernel
from support.stacks import write
from support.wait import holds, until

RESTART, LONG = 3, 8  # s
ALONE, BOTH = "198.51.100.0/24", "203.0.113.0/24"  # announced by who dies, and by the other one as well
FRR = [f"bgp graceful-restart restart-time {RESTART}", "bgp graceful-restart", "bgp graceful-restart preserve-fw-state",
       f"bgp long-lived-graceful-restart stale-time {LONG}"]  # fmt: skip
BIRD = (f"graceful restart on; graceful restart time {RESTART}; long lived graceful restart on; "
        f"long lived stale time {LONG};")  # fmt: skip


class Frr(OutsideFrr):
    longer = False

    def prepare(self, lab, clos, node, hosts=()):
        super().prepare(lab, clos, node, hosts)
        if self.longer:
            with open(f"{self.dir(lab, node)}/bgpd.conf", "a") as f:
                f.write("route-map LONGER permit 10\n set as-path prepend 64701 64701\nexit\n")


class BirdLonger(OutsideBird):
    def write(self, lab, node, routes):
        super().write(lab, node, routes)
        path = f"{self.dir(lab, node)}/bird.conf"
        with open(path) as f:
            text = f.read()
        write(path, text.replace("export where source = RTS_STATIC",
                                 "export filter { if source != RTS_STATIC then reject; bgp_path.prepend(64702); accept; }"))  # fmt: skip


class World(Outside):
    """`who` announces both prefixes; the other one announces one of them, over a longer path."""

    def __init__(self, lab, who, bird=BIRD, frr=FRR):
        has = {h: [ALONE, BOTH] if h == who else [BOTH] for h in ("frr", "bird")}
        longer = [f"neighbor {LAN4.format(1)} route-map LONGER out"] if who != "frr" else []
        stacks = {"frr": Frr(*[f"network {p}" for p in has["frr"]], *longer, router=frr, gtsm=False),
                  "bird": (OutsideBird if who == "bird" else BirdLonger)({"4": has["bird"]}, more=bird)}  # fmt: skip
        stacks["frr"].longer = bool(longer)
        sessions = [session(h, h, rest=f"in: full, out: full, long_lived: {LONG}s") for h in has]
        super().__init__(lab, sessions, stacks, timers=f"hold: 9s, restart: {RESTART}s")
        self.wait_up("frr", "bird", "spine1")

    def kill(self, name):
        for p in self.processes[name]:
            p.stop(signal.SIGKILL)

    def via(self, prefix):
        return [v for v, _ in kernel.routes(self.lab, "leaf1").get(prefix, [])]

    def paths(self, prefix):
        """{peer: its row} of all paths of leaf1."""
        rows = self.fabricd.ctl(self.lab, self.leaf, "bgp", "why", prefix).get("data", [])
        return {r["peer"]: r for r in rows}

    def is_marked(self, prefix, peer):
        return "llgr-stale" in self.paths(prefix).get(peer, {}).get("communities", "")

    def told(self, host, prefix):
        """The communities that a host outside has with that prefix of leaf1; None: it has no such route."""
        if host == "bird":
            text = self.stacks["bird"].do(self.lab, Node("bird"), "show", "route", "all", prefix, "protocol", "b4", check=False)
            return None if prefix not in text else "llgr-stale" if "(65535,6)" in text else ""
        answer = self.stacks["frr"].show(self.lab, Node("frr"), f"show bgp ipv4 unicast {prefix} json")
        found = [p for p in answer.get("paths", []) if p["peer"]["peerId"] == LAN4.format(1) and p.get("valid")]
        return found[0].get("community", {}).get("string", "") if found else None

    def state_of(self, peer):
        return self.neighbor(peer)["graceful_restart"]


@pytest.mark.parametrize("who, other", [("frr", "bird"), ("bird", "frr")])
def test_neighbour_is_away_for_long(lab, who, other):
    """fabricd keeps its paths, as the last resort, for as long as both sides say, and tells those who understand."""
    world = World(lab, who)
    here, there = [LAN4.format(HOSTS[who])], [LAN4.format(HOSTS[other])]
    until(lambda: world.via(ALONE) == world.via(BOTH) == here, 30, "who is preferred is used")
    until(lambda: world.told(other, ALONE) == "", 30, "the other one is told")
    assert world.state_of(who)["theirs"]["long_lived_s"] == LONG
    world.kill(who)
    until(lambda: world.state_of(who).get("waits_for") == "session", 10, "its paths are kept")
    holds(lambda: world.via(ALONE) == world.via(BOTH) == here, RESTART - 1, "all as before in its restart time")
    until(lambda: world.state_of(who).get("long_lived"), RESTART + 2, "its restart time is over")
    until(lambda: world.is_marked(ALONE, who) and world.is_marked(BOTH, who), 5, "its paths are marked")
    until(lambda: world.via(BOTH) == there, 5, "who is there is preferred, however long its path is")
    assert world.via(ALONE) == here
    until(lambda: world.told(other, ALONE) == "llgr-stale", 5, "the other one is told so")
    holds(lambda: world.via(ALONE) == here and ALONE in kernel.routes(lab, "spine1"), LONG / 2, "the last resort stays")
    until(lambda: world.via(ALONE) == [] and ALONE not in kernel.routes(lab, "spine1"), LONG, "it goes when its time is over")
    until(lambda: world.told(other, ALONE) is None, 5, "for the other one, too")
    assert world.state_of(who)["ended"] == "long_lived_stale_time" and world.via(BOTH) == there


def test_neighbour_comes_back_late(lab):
    """Within the long-lived time, without its forwarding state: what was kept goes, what it tells then is as it was."""
    world = World(lab, "bird")
    here = [LAN4.format(HOSTS["bird"])]
    until(lambda: world.via(ALONE) == world.via(BOTH) == here, 30, "it is used")
    world.kill("bird")
    until(lambda: world.is_marked(ALONE, "bird"), RESTART + 10, "its paths are marked")
    world.start("bird")
    until(lambda: world.state_of("bird").get("ended") == "forwarding_not_preserved", 30, "no F bit: what was kept goes")
    until(lambda: world.via(BOTH) == world.via(ALONE) == here, 10, "it is preferred again")
    assert not world.is_marked(ALONE, "bird") and not world.is_marked(BOTH, "bird")
    assert world.told("frr", ALONE) == ""


def test_who_does_not_understand_is_not_told(lab):
    """RFC 9494 4.3: no stale path to a neighbour without the capability; it loses the route at the restart time."""
    world = World(lab, "bird", frr=["no bgp long-lived-graceful-restart stale-time", "bgp graceful-restart-disable"])
    until(lambda: world.told("frr", ALONE) == "", 30, "it is told")
    assert "long_lived_s" not in world.state_of("frr").get("theirs", {})
    world.kill("bird")
    until(lambda: world.is_marked(ALONE, "bird"), RESTART + 10, "its paths are marked")
    until(lambda: world.told("frr", ALONE) is None, 5, "and taken back from who does not know the mark")
    assert world.via(ALONE) == [LAN4.format(HOSTS["bird"])]


def test_fabricd_is_away_for_long(lab):
    """FRR and BIRD keep what fabricd told them, with the mark, for its restart time and the long-lived one."""
    world = World(lab, "frr")
    helpers, rack = ("frr", "bird"), "10.1.1.0/24"
    until(lambda: all(world.told(h, rack) == "" for h in helpers), 30, "both are told of the rack")
    world.kill("leaf1")
    holds(lambda: all(world.told(h, rack) == "" for h in helpers), RESTART - 1, "all as before in its restart time")
    until(lambda: all(world.told(h, rack) == "llgr-stale" for h in helpers), RESTART + 3, "both mark the route")
    holds(lambda: all(world.told(h, rack) == "llgr-stale" for h in helpers), LONG / 2, "both keep it")
    until(lambda: all(world.told(h, rack) is None for h in helpers), LONG + 3, "both forget it")
