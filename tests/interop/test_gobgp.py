"""fabricd with GoBGP as the spine. GoBGP installs nothing in a kernel, so its RIB is looked at, and fabricd's kernel."""

from fabrics import UP, Mixed, prefixes
from support import kernel
from support.gobgp import Gobgp
from support.wait import until

IDLE_AFTER_RESET = 30  # s that GoBGP refuses connections after `reset`; the key for it in its file has no effect


def start(lab):
    fabric = Mixed(lab, 2, 1, ("spine",), {"spine1": Gobgp(gtsm=False)})
    fabric.wait_up()
    fabric.stack["spine1"].originate(lab, fabric.clos["spine1"])
    return fabric


def rib(fabric):
    spine, stack = fabric.clos["spine1"], fabric.stack["spine1"]
    return {**stack.rib(fabric.lab, spine, "ipv4"), **stack.rib(fabric.lab, spine, "ipv6")}


def test_session_and_routes_both_ways(lab):
    fabric = start(lab)
    for name in ("leaf1", "leaf2"):
        for prefix in prefixes(fabric.clos[name]):
            until(lambda: rib(fabric).get(prefix), 10, f"{prefix} in GoBGP's RIB", 0.1)
    spine, leaf2 = fabric.clos["spine1"], fabric.clos["leaf2"]
    for prefix in prefixes(spine) + prefixes(leaf2):
        fabric.wait_route("leaf1", prefix, ["eth1"])
    assert fabric.gateways_are_link_local("leaf1", leaf2.rack4)


def test_withdrawal_and_reset(lab):
    fabric = start(lab)
    spine, leaf2, stack = fabric.clos["spine1"], fabric.clos["leaf2"], fabric.stack["spine1"]
    loopback = f"{spine.loopback4}/32"
    fabric.wait_route("leaf1", loopback, ["eth1"])
    stack.do(lab, spine, "global", "rib", "del", "-a", "ipv4", loopback)
    fabric.wait_route("leaf1", loopback, [])
    fabric.wait_route("leaf1", leaf2.rack4, ["eth1"])
    port = spine.port("eth2")
    stack.do(lab, spine, "neighbor", f"{port.far_link_local}%{port.name}", "reset")
    until(lambda: leaf2.rack4 not in kernel.routes(lab, "leaf1", 4), 10, "leaf2's rack withdrawn by the reset", 0.005)
    fabric.wait_up("leaf1", "leaf2", timeout=IDLE_AFTER_RESET + UP)
    fabric.wait_route("leaf1", leaf2.rack4, ["eth1"])
