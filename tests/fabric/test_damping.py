"""A link that flaps is kept out for a while, with its penalty and the time of its release shown."""

import time

import pytest

from fabric.traffic import Traffic

ENDED = (0, 1, 4)


@pytest.fixture
def lab(new_lab):
    return new_lab("3x2")


def port(lab, node, name):
    return next(r for r in lab.rows(node, "ports", want=ENDED) if r["port"] == name)


def flap(lab, times, apart):
    """Cuts and mends the cable leaf3:eth1 -- spine1:eth3; the fault itself has this rhythm."""
    begun = time.monotonic()
    for i in range(times):
        lab.run("lab", "cut", "leaf3:eth1")
        lab.run("lab", "heal", "leaf3:eth1")
        while time.monotonic() - begun < (i + 1) * apart:
            time.sleep(0.01)


def test_T04_flapping_link(lab):
    """Ten flaps in two seconds: the leaf keeps its port out, no route flaps with it, and it comes back by itself."""
    flap(lab, 10, 0.2)
    row = lab.until("damped", lambda: (r := port(lab, "leaf3", "eth1"))["damped"] and r, 5)
    assert row["flaps"] == 10 and 3 <= row["penalty"] <= 10 and 2 < row["release_s"] <= 15
    assert row["state"] == "up" and "penalty" in row["reason"]
    assert "damped" in lab.run("--at", "leaf3", "bgp", "neighbor", "eth1", want=1).stdout
    row = port(lab, "spine1", "eth3")  # counts as well, and leaves the decision to the leaf
    assert row["flaps"] == 10 and row["penalty"] >= 3 and not row["damped"]
    # The others never saw more than the first flaps.
    changes = [e for e in lab.rows("spine1", "log") if e["event"] == "BGP_DOWN" and e["port"] == "eth3"]
    assert 1 <= len(changes) <= 4
    traffic = Traffic(lab, "h1", "h3", "10.1.3.2", per_s=1000)
    try:
        lab.until("released", lambda: not port(lab, "leaf3", "eth1")["damped"], 20)
        lab.until("used", lambda: lab.run("--at", "leaf3", "status", want=ENDED).returncode == 0, 10)
    finally:
        sent, lost, span = traffic.stop()
    assert not lost, f"{sum(map(len, lost.values()))} of {sent} lost, {span}"
    types = [e["event"] for e in lab.rows("leaf3", "log") if e.get("port") == "eth1"]
    assert types.count("DAMPED") == types.count("DAMP_RELEASED") == 1


def test_T04_two_flaps_are_forgiven(lab):
    flap(lab, 2, 0.5)
    lab.until("back", lambda: lab.run("--at", "leaf3", "status", want=ENDED).returncode == 0, 5)
    row = port(lab, "leaf3", "eth1")
    assert row["flaps"] == 2 and not row["damped"] and "release_s" not in row


def test_T04_the_last_way_is_never_damped(lab):
    """The other uplink is dark: the flapping one is taken into use whenever it is there."""
    lab.run("lab", "cut", "leaf3:eth2")
    lab.until("dark", lambda: port(lab, "leaf3", "eth2")["state"] == "no-carrier", 5)
    flap(lab, 8, 0.2)
    lab.until("up", lambda: lab.rows("leaf3", "bgp", want=ENDED)[0]["state"] == "Established", 3)
    row = port(lab, "leaf3", "eth1")
    assert not row["damped"] and row["penalty"] >= 3
