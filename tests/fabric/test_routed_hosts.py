"""Hosts on routed ports (`bridge: none`): each port is a network of its own, out of the leaf's rack prefix."""

import os

import pytest

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "topology", "routed.yaml")


@pytest.fixture
def lab(new_lab):
    return new_lab(FILE)


def reaches(lab, a, b, v):
    return " 1 received" in lab.exec(a, "ping", f"-{v}", "-c", "1", "-W", "3", b, want=(0, 1))


def test_hosts_reach_each_other_and_no_bridge_is_made(lab):
    for v in "46":
        assert reaches(lab, "h1", "h4", v) and reaches(lab, "h3", "h2", v), v
    assert "rack0" not in lab.exec("leaf1", "ip", "-br", "link")
    own = lab.exec("leaf1", "ip", "-br", "addr", "show", "dev", "eth3")
    assert "10.1.1.33/27" in own and "fd00:1:0:1:2000::1/67" in own
    assert "10.1.1.34/27" in lab.exec("h1", "ip", "-br", "addr", "show", "dev", "eth0")


def test_the_rack_follows_the_carrier_of_its_ports(lab):
    def known():
        return "10.1.1.0/24" in [r["prefix"] for r in lab.rows("spine1", "routes", want=(0, 1))]

    assert known()
    lab.run("lab", "cut", "leaf1:eth3")
    lab.until("the rack without a host is withdrawn", lambda: not known())
    lab.run("lab", "heal")
    lab.until("it is announced again", known)
    for v in "46":
        lab.until(f"IPv{v} works again", lambda: reaches(lab, "h4", "h1", v))
