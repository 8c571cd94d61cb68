"""fabricd with FRR and with BIRD as the other switch: sessions, both families both ways, ECMP, withdrawal, reset."""

import signal

import pytest
from fabrics import SOON, Mixed, prefixes
from support.bird import Bird
from support.fabricd import Fabricd
from support.frr import Frr
from support.wait import holds, until

PEERS = {
    "frr": lambda **kw: Frr(gtsm=False, **kw),
    "bird": lambda **kw: Bird(passive_range=True, gtsm=False, **kw),
}
peers = pytest.mark.parametrize("peer", PEERS)


def foreign_spine(lab, peer, leaves=2):
    return Mixed(lab, leaves, 1, ("spine",), {"spine1": PEERS[peer]()})


@peers
def test_unnumbered_session_and_routes_both_ways(lab, peer):
    """The foreign switch is the spine: it gets what fabricd leaves announce, and they get its loopbacks and each other."""
    fabric = foreign_spine(lab, peer)
    fabric.wait_up()
    leaf1, leaf2, spine = (fabric.clos[n] for n in ("leaf1", "leaf2", "spine1"))
    for prefix in prefixes(leaf1):
        fabric.wait_route("spine1", prefix, ["eth1"])
    for prefix in prefixes(leaf2) + prefixes(spine):
        fabric.wait_route("leaf1", prefix, ["eth1"])
    assert fabric.gateways_are_link_local("leaf1", leaf2.rack4)
    assert fabric.gateways_are_link_local("spine1", leaf1.rack4)
    fabric.ping(1, 2)


@peers
def test_foreign_leaf_under_fabricd_spines(lab, peer):
    """The other way round: fabricd spines, one foreign leaf, one fabricd leaf; ECMP over both spines at both leaves."""
    fabric = Mixed(lab, 2, 2, ("leaf",), {"leaf1": PEERS[peer](), "leaf2": PEERS[peer]()})
    fabric.wait_up()
    for prefix in prefixes(fabric.clos["leaf2"]):
        fabric.wait_route("leaf1", prefix, ["eth1", "eth2"])
        fabric.wait_route("spine1", prefix, ["eth2"])
    fabric.ping(1, 2)


def test_ecmp_through_mixed_spines(lab):
    """One FRR spine and one BIRD spine: fabricd leaves use both, for both families, and lose one without losing traffic."""
    fabric = Mixed(lab, 2, 2, ("spine",), {"spine1": PEERS["frr"](), "spine2": PEERS["bird"]()})
    fabric.wait_up()
    racks = [p for p in prefixes(fabric.clos["leaf2"])]
    for prefix in racks:
        fabric.wait_route("leaf1", prefix, ["eth1", "eth2"])
    fabric.ping(1, 2)
    fabric.stop("spine1")
    for prefix in racks:
        fabric.wait_route("leaf1", prefix, ["eth2"])
    fabric.ping(1, 2)
    fabric.start("spine1")
    fabric.wait_up("leaf1", "leaf2")
    for prefix in racks:
        fabric.wait_route("leaf1", prefix, ["eth1", "eth2"])


@peers
def test_withdrawal_by_the_foreign_switch(lab, peer):
    """A leaf that goes away is withdrawn by the foreign spine; fabricd drops its routes and only those."""
    fabric = foreign_spine(lab, peer, leaves=3)
    fabric.wait_up()
    gone, kept = prefixes(fabric.clos["leaf2"]), prefixes(fabric.clos["leaf3"])
    for prefix in gone + kept:
        fabric.wait_route("leaf1", prefix, ["eth1"])
    lab.cut("leaf2", "eth1")
    for prefix in gone:
        fabric.wait_route("leaf1", prefix, [])
    holds(lambda: all(fabric.ports_to("leaf1", p) == ["eth1"] for p in kept), 0.5, "routes of leaf3 stay")
    lab.heal("leaf2", "eth1")
    for prefix in gone:
        fabric.wait_route("leaf1", prefix, ["eth1"], 30)


@peers
def test_withdrawal_by_fabricd(lab, peer):
    """What a stopped fabricd leaf announced leaves the foreign spine when it is not back in its restart time (30 s), and
    comes back with it."""
    fabric = foreign_spine(lab, peer)
    fabric.wait_up()
    gone = prefixes(fabric.clos["leaf1"])
    for prefix in gone:
        fabric.wait_route("spine1", prefix, ["eth1"])
    fabric.stop("leaf1")
    for prefix in gone:
        assert fabric.ports_to("spine1", prefix) == ["eth1"]
    for prefix in gone:
        fabric.wait_route("spine1", prefix, [], 45)
    fabric.start("leaf1")
    for prefix in gone:
        fabric.wait_route("spine1", prefix, ["eth1"], 30)


@peers
def test_session_reset_by_the_foreign_switch(lab, peer):
    """`clear bgp` and its like: the session comes back by itself, with all routes, and nothing else flaps."""
    fabric = foreign_spine(lab, peer)
    fabric.wait_up()
    spine, stack = fabric.clos["spine1"], fabric.stack["spine1"]
    prefix = fabric.clos["leaf2"].rack4
    fabric.wait_route("leaf1", prefix, ["eth1"])
    before = flaps(fabric, "leaf1")
    if peer == "frr":
        stack.do(lab, spine, "clear bgp *")
    else:
        stack.do(lab, spine, "restart", "all")
    until(lambda: flaps(fabric, "leaf1") > before, SOON, "fabricd counts the reset", 0.05)
    fabric.wait_up("leaf1", "leaf2")
    fabric.wait_route("leaf1", prefix, ["eth1"])


def flaps(fabric, name):
    data = fabric.stack[name].ctl(fabric.lab, fabric.clos[name], "bgp").get("data", [])
    return sum(row.get("flaps", 0) for row in data)


@peers
def test_peer_demands_hop_limit_255(lab, peer):
    """fabricd sends 255 to everybody, so that a foreign switch may check it (RFC 5082)."""
    checks = {"frr": lambda: Frr(gtsm=True), "bird": lambda: Bird(passive_range=True, gtsm=True)}
    fabric = Mixed(lab, 2, 1, ("spine",), {"spine1": checks[peer]()})
    fabric.wait_up()
    fabric.wait_route("leaf1", fabric.clos["leaf2"].rack4, ["eth1"])
    fabric.wait_route("spine1", fabric.clos["leaf1"].rack6, ["eth1"])


def test_foreign_spine_and_foreign_leaf(lab):
    """Spines FRR, BIRD and fabricd, leaves fabricd, fabricd and FRR: every leaf uses every spine for every other leaf."""
    fabric = three_kinds(lab)
    leaves, ports = ("leaf1", "leaf2", "leaf3"), ["eth1", "eth2", "eth3"]
    for name in ("leaf1", "leaf2"):
        for other in leaves:
            for prefix in prefixes(fabric.clos[other]) if other != name else ():
                fabric.wait_route(name, prefix, ports)
    for other in ("leaf1", "leaf2"):
        for prefix in prefixes(fabric.clos[other]):
            fabric.wait_route("leaf3", prefix, ports)
    fabric.ping(1, 2)
    fabric.ping(1, 3)


@pytest.mark.parametrize("spine", ("spine1", "spine2", "spine3"))
def test_spine_killed_and_back(lab, spine):
    """kill -9 of a spine of each kind: the others carry on, and it is taken into use again when it returns."""
    fabric = three_kinds(lab)
    ports = ["eth1", "eth2", "eth3"]
    racks = [(a, p) for a in ("leaf1", "leaf2") for b in ("leaf1", "leaf2", "leaf3") if a != b
             for p in prefixes(fabric.clos[b])]  # fmt: skip
    for name, prefix in racks:
        fabric.wait_route(name, prefix, ports)
    before = {n: flaps(fabric, n) for n in ("leaf1", "leaf2")}
    fabric.stop(spine, signal.SIGKILL)
    left = [p for p in ports if p != f"eth{spine[-1]}"]
    for name, prefix in racks:
        fabric.wait_route(name, prefix, left, 45)  # a fabricd spine's paths are kept for its restart time
    fabric.ping(1, 2)
    fabric.ping(1, 3)
    fabric.start(spine)
    for name, prefix in racks:
        fabric.wait_route(name, prefix, ports)
    assert {n: flaps(fabric, n) - f for n, f in before.items()} == {"leaf1": 1, "leaf2": 1}  # that session alone


def test_foreign_leaf_killed_and_back(lab):
    """kill -9 of the foreign leaf: its prefixes go everywhere, and nobody else's; then it returns."""
    fabric = three_kinds(lab)
    ports = ["eth1", "eth2", "eth3"]
    gone, kept = prefixes(fabric.clos["leaf3"]), prefixes(fabric.clos["leaf2"])
    for prefix in gone + kept:
        fabric.wait_route("leaf1", prefix, ports)
    fabric.stop("leaf3", signal.SIGKILL)
    for prefix in gone:
        fabric.wait_route("leaf1", prefix, [])
    assert all(fabric.ports_to("leaf1", p) == ports for p in kept)
    fabric.start("leaf3")
    for prefix in gone:
        fabric.wait_route("leaf1", prefix, ports)
    fabric.ping(1, 3)


def three_kinds(lab):
    """Tiers with a foreign switch in them are `vendor: other` as a whole; the fabricds among them have files of their own.

    leaf3 without graceful restart, or FRR and BIRD spines keep the routes of a dead FRR leaf for two minutes.
    """
    fabric = Mixed(
        lab, 3, 3, ("spine", "leaf"),
        {"spine1": PEERS["frr"](), "spine2": PEERS["bird"](), "leaf3": PEERS["frr"](restart=False)},
    )  # fmt: skip
    fabric.wait_up()
    return fabric


@peers
def test_neighbour_without_bfd(lab, peer):
    """A fabricd with bfdd waits for BFD of fabricds only: who runs a foreign switch may not have turned it on."""
    watched = {f"leaf{n}": Fabricd(bfd=True) for n in (1, 2)}
    fabric = Mixed(lab, 2, 2, ("spine",), {"spine1": PEERS[peer](), "spine2": PEERS[peer](), **watched})
    fabric.wait_up()
    fabric.wait_route("leaf1", fabric.clos["leaf2"].rack4, ["eth1", "eth2"])
