"""A link that carries small packets only, over real kernels: keepalives and BFD pass, a table does not."""

import pytest

ENDED = (0, 1, 4)
WIDEST = 400  # octets of a frame; an OPEN has less than 200, the table of a spine of 3x2 more than 1,000


@pytest.fixture
def lab(new_lab):
    return new_lab("3x2", "--bfd")


def stuck(lab, node, port):
    return [e for e in lab.rows(node, "log", want=ENDED) if e["event"] == "BGP_STUCK" and e["port"] == port]


def row(lab, node, port):
    return next(r for r in lab.rows(node, "bgp", want=ENDED) if r["port"] == port)


def problems(lab, node):
    return [(r["kind"], r["what"]) for r in lab.rows(node, "status", want=ENDED)]


def test_T05_mtu_black_hole(lab):
    """A bucket that is too small for large frames drops them in silence, at spine1; leaf3 takes the other spine."""
    lab.until("BFD", lambda: row(lab, "leaf3", "eth1").get("bfd") == "up", 20)
    others = [r["flaps"] for n in ("leaf1", "leaf2") for r in lab.rows(n, "bgp")]
    lab.exec("spine1", "tc", "qdisc", "add", "dev", "eth3", "root", "tbf", "rate", "1gbit", "burst", str(WIDEST), "limit", "1000000")
    lab.run("lab", "cut", "leaf3:eth1")
    lab.until("cut", lambda: row(lab, "leaf3", "eth1")["state"] != "Established", 5)
    lab.run("lab", "heal", "leaf3:eth1")
    lab.until("BFD passes", lambda: row(lab, "leaf3", "eth1").get("bfd") == "up", 20)
    lab.until("both ends say so", lambda: stuck(lab, "leaf3", "eth1") and stuck(lab, "spine1", "eth3"), 60)
    assert row(lab, "leaf3", "eth1")["bfd"] == "up"
    lab.until("leaf3's status", lambda: ("BGP stuck", "leaf3:eth1 -- spine1:eth3") in problems(lab, "leaf3"), 60)
    lab.until("spine1's status", lambda: ("BGP stuck", "spine1:eth3 -- leaf3:eth1") in problems(lab, "spine1"), 60)
    assert not [e for e in lab.rows("leaf3", "log", want=ENDED) if e["event"] == "BFD_DOWN" and e["id"] > stuck(lab, "leaf3", "eth1")[0]["id"]]
    assert row(lab, "leaf3", "eth2")["state"] == "Established"
    lab.exec("spine1", "tc", "qdisc", "del", "dev", "eth3", "root")
    lab.until("all is well again", lambda: not problems(lab, "leaf3") and not problems(lab, "spine1"), 120)
    assert others == [r["flaps"] for n in ("leaf1", "leaf2") for r in lab.rows(n, "bgp")]
