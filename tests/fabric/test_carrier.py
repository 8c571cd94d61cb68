"""A cable is cut: what the spine's kernel does before its fabricd has heard of it, and what becomes of it then.

Each leaf hangs on each spine by one cable, so behind it the spine has groups of one next hop. They have a second member,
on the device fabric-drop, which no packet takes; it keeps group and routes when the first one goes.
"""

import json
import os
import signal
import subprocess

import pytest

DROP = "fabric-drop"
LEAF2 = {"4": ["10.1.2.0/24", "10.0.1.2"], "6": ["fd00:1:0:2::/64", "fd00:0:0:1::2"]}


@pytest.fixture
def lab(new_lab):
    return new_lab("2x2")


def groups(lab, node):
    """{group: its devices}"""
    objects = {n["id"]: n for n in json.loads(lab.exec(node, "ip", "-j", "nexthop", "show") or "[]")}
    return {i: sorted(objects[m["id"]]["dev"] for m in n["group"]) for i, n in objects.items() if "group" in n}


def behind(lab, node, wanted):
    """{prefix: devices} of those prefixes, as the kernel has them."""
    devices, out = groups(lab, node), {}
    for v, prefixes in wanted.items():
        for r in json.loads(lab.exec(node, "ip", f"-{v}", "-j", "route", "show", "proto", "211") or "[]"):
            if r["dst"] in prefixes and "nhid" in r:
                out[r["dst"]] = devices[r["nhid"]]
    return out


def all_of(devices):
    return {p: devices for prefixes in LEAF2.values() for p in prefixes}


def pid(lab, node):
    return next(n["pid"] for n in lab.nodes() if n["node"] == node)


def right(lab, node):
    return lab.run("--at", node, "fib", "check", want=(0, 1)).returncode == 0


def reach(lab):
    return all(" 0% packet loss" in lab.exec("h1", "ping", f"-{v}", "-c", "3", "-i", "0.01", "-W", "2", "h2", want=(0, 1))
               for v in "46")


def test_routes_outlive_the_cut_until_fabricd_has_heard_of_it(lab):
    assert behind(lab, "spine1", LEAF2) == all_of(["eth2", DROP])
    number = pid(lab, "spine1")
    os.kill(number, signal.SIGSTOP)
    try:
        lab.run("lab", "cut", "leaf2:eth1")
        lab.until("the kernel has noticed", lambda: [DROP] in groups(lab, "spine1").values())
        assert behind(lab, "spine1", LEAF2) == all_of([DROP])
    finally:
        os.kill(number, signal.SIGCONT)
    lab.until("the spine gives them up", lambda: behind(lab, "spine1", LEAF2) == {})
    lab.until("it is what it wants", lambda: right(lab, "spine1"))
    lab.until("the hosts go by the other spine", lambda: reach(lab))
    lab.run("lab", "heal")
    lab.until("all is back", lambda: behind(lab, "spine1", LEAF2) == all_of(["eth2", DROP]))
    lab.until("the leaf has both ways", lambda: behind(lab, "leaf1", LEAF2) == all_of(["eth1", "eth2"]))
    lab.until("it is what it wants", lambda: right(lab, "spine1") and right(lab, "leaf1"))


def test_a_group_that_a_cut_has_left_with_one_gets_its_second_member(lab):
    lab.run("lab", "cut", "leaf1:eth2")
    lab.until("one way is left", lambda: behind(lab, "leaf1", LEAF2) == all_of(["eth1", DROP]))
    assert right(lab, "leaf1") and reach(lab)
    lab.run("lab", "heal")
    lab.until("both are back", lambda: behind(lab, "leaf1", LEAF2) == all_of(["eth1", "eth2"]))


@pytest.mark.parametrize("how", ["ip link del fabric-drop", "ip link set fabric-drop down",
                                 "ip link set fabric-drop-end down", "ip nexthop del id 263913472"])
def test_what_others_take_away_is_there_again(lab, how):
    before = groups(lab, "spine1")
    assert ["eth2", DROP] in before.values()
    lab.exec("spine1", *how.split())
    lab.until("the groups have it again", lambda: groups(lab, "spine1") == before)
    lab.until("it is what it wants", lambda: right(lab, "spine1"))
    assert reach(lab)
    assert all(p["port"] not in (DROP, "fabric-drop-end") for p in lab.rows("spine1", "ports"))


def test_a_restart_takes_it_over_and_changes_nothing(lab, tmp_path):
    def state():
        return [lab.exec("spine1", "ip", *words.split()) for words in (
            "nexthop show", "route show proto 211", "-6 route show proto 211", "-o link show fabric-drop")]

    before, again = state(), None
    os.kill(pid(lab, "spine1"), signal.SIGKILL)
    lab.until("it has ended", lambda: next(n["state"] for n in lab.nodes() if n["node"] == "spine1") == "ended")
    run = lab.run_dir("spine1")
    argv = [f"{lab.bin}/fabctl", "--lab", lab.name, "lab", "exec", "spine1"]
    with open(tmp_path / "monitor", "w") as out:
        monitor = subprocess.Popen([*argv, "ip", "monitor", "nexthop", "link"], stdout=out, stderr=subprocess.DEVNULL)
    try:
        again = subprocess.Popen([*argv, f"{lab.bin}/fabricd", "--topology",
                                  os.path.join(os.path.dirname(os.path.dirname(run)), "topology.yaml"), "--node",
                                  "spine1", "--run-dir", run], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        lab.until("sessions are back", lambda: lab.run("--at", "spine1", "status", want=(0, 1, 4)).returncode == 0 and [
            r["state"] for r in lab.rows("spine1", "bgp", want=(0, 1, 4))] == ["Established"] * 2, 60)
        lab.until("it is what it wants", lambda: right(lab, "spine1"))
        assert state() == before
        lab.exec("spine1", "ip", "link", "set", "lo", "mtu", "65000")  # the last word of the monitor
        lab.until("all was heard", lambda: "mtu 65000" in (tmp_path / "monitor").read_text())
        assert "263913472" not in (tmp_path / "monitor").read_text()
        assert DROP not in (tmp_path / "monitor").read_text()
    finally:
        for process in filter(None, (again, monitor)):
            process.terminate()
            process.wait(10)
