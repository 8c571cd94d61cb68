"""`fabctl upgrade`: another process takes a switch over, and neither neighbours nor packets notice."""

import json
import os

import pytest


@pytest.fixture
def lab(new_lab):
    return new_lab("4x2", "--bfd")


def sessions(lab, node):
    """What must not change: state, flaps, and the moment at which the session came up."""
    return {r["port"]: (r["state"], r["flaps"]) for r in lab.rows(node, "bgp")}


def since(lab, node):
    return {r["port"]: r["since_s"] for r in lab.rows(node, "bgp")}


def upgrade(lab, node, *words, want=0):
    answer = lab.ask(node, "upgrade", *words, want=want)
    return answer["data"]


def pid(lab, node):
    return next(n["pid"] for n in lab.nodes() if n["node"] == node)


@pytest.mark.parametrize("node", ["spine1", "leaf1"])
def test_nobody_notices(lab, node):
    everybody = [n["node"] for n in lab.nodes("switch")]
    before = {n: sessions(lab, n) for n in everybody}
    ages = {n: since(lab, n) for n in everybody}
    kernel = [lab.exec(node, "ip", f"-{f}", "route", "show", "table", "all") for f in (4, 6)]
    was = pid(lab, node)
    rows = upgrade(lab, node)
    result = rows[-1]
    assert result["upgraded"] and result["sessions"] == len(before[node]) and result["routes"] > 10
    assert [r["step"] for r in rows][:4] == ["started", "hello", "frozen", "settled"]
    lab.until("the old one is gone", lambda: pid(lab, node) == result["pid"] != was)
    assert {n: sessions(lab, n) for n in everybody} == before
    for n in everybody:  # none came up anew, here or there
        assert all(age >= ages[n][port] for port, age in since(lab, n).items())
    assert [lab.exec(node, "ip", f"-{f}", "route", "show", "table", "all") for f in (4, 6)] == kernel
    lab.run("--at", node, "fib", "check")
    with open(os.path.join(lab.run_dir(node), "lock"), encoding="ascii") as f:
        assert int(f.read()) == result["pid"]
    assert json.loads(lab.run("--at", node, "status", "-j").stdout)["complete"]
