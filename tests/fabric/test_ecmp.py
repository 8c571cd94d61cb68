"""1,000 flows between hosts of two pods use all four paths alike: two spines of the pod, two super spines above each.

    super1 super2 super3 super4     planes: super1 and super3 above the first spine of each pod, super2 and super4
        p1-spine1    p1-spine2      above the second
        p1-leaf1     p1-leaf2       h1 behind p1-leaf1; pod 2 alike, h3 behind p2-leaf1

Each path has a super spine of its own, so what a super spine's port to pod 1 receives is what the path carries.
"""

import os

import pytest

SUPERS = ["super1", "super2", "super3", "super4"]
FLOWS, ROUNDS = 1000, 20
HERE = os.path.dirname(os.path.abspath(__file__))
FILE = os.path.join(HERE, "../data/topology/3tier-small.yaml")
SEED = "net.ipv4.fib_multipath_hash_seed"


@pytest.fixture(scope="module")
def three_tiers(module_lab):
    if not os.path.exists("/proc/sys/" + SEED.replace(".", "/")):
        pytest.skip("this kernel has no fib_multipath_hash_seed: all namespaces hash alike")
    lab = module_lab(FILE)
    lab.until("four paths", lambda: widths(lab) == [2, 2, 2], 60)
    return lab


def widths(lab):
    far = next(n for n in lab.nodes("host") if n["node"] == "h3")["addresses"][0].rsplit(".", 1)[0] + ".0/24"
    return [next((r["width"] for r in lab.rows(node, "routes") if r["prefix"] == far), 0)
            for node in ("p1-leaf1", "p1-spine1", "p1-spine2")]


def received(lab, node, port="eth1"):
    return int(lab.exec(node, "cat", "/proc/net/dev").split(f"{port}:")[1].split()[1])


def spread(lab, family):
    """Packets per path of 1,000 flows from h1 to h3."""
    address = next(n for n in lab.nodes("host") if n["node"] == "h3")["addresses"][family]
    before = [received(lab, s) for s in SUPERS]
    lab.exec("h1", "/usr/bin/python3", os.path.join(HERE, "flows.py"), address, str(FLOWS), str(ROUNDS))
    lab.until("the packets have passed", lambda: sum(
        received(lab, s) - b for s, b in zip(SUPERS, before)) >= FLOWS * ROUNDS, 60)
    return [received(lab, s) - b for s, b in zip(SUPERS, before)]


@pytest.mark.parametrize("family", [0, 1], ids=["IPv4", "IPv6"])
def test_every_equal_path_is_used(three_tiers, family):
    counts = spread(three_tiers, family)
    fair = FLOWS * ROUNDS / len(SUPERS)
    assert all(abs(c - fair) <= 0.2 * fair for c in counts), counts


def test_it_is_the_seeds_that_do_it(three_tiers):
    """Each switch has a seed of its own; with one seed for all, the spines repeat the choice of the leaf."""
    switches = [n["node"] for n in three_tiers.nodes("switch")]
    seeds = {n: three_tiers.exec(n, "sysctl", "-n", SEED).strip() for n in switches}
    assert len(set(seeds.values())) == len(switches) and "0" not in seeds.values()
    for n in switches:
        three_tiers.exec(n, "sysctl", "-q", "-w", f"{SEED}=1")
    try:
        counts = spread(three_tiers, 0)
        assert sum(c > FLOWS for c in counts) == 2, counts
    finally:
        for n in switches:
            three_tiers.exec(n, "sysctl", "-q", "-w", f"{SEED}={seeds[n]}")
