"""`fabctl counters`: what is dropped at a port is counted there, by reason, and each form of the answer shows it.

    leaf1:eth1 -- spine1:eth1      what is broken leaves spine1 for leaf1
"""

import json
import os
import re

import pytest

FRAMES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "frames.py")


@pytest.fixture(scope="module")
def pair(module_lab):
    return module_lab("1x1")


def send(lab, kind, count=1):
    lab.exec("spine1", "/usr/bin/python3", FRAMES, "eth1", kind, str(count))


def counts(lab, *words):
    """{(part, port, counter): count} of what is shown."""
    rows = lab.rows("leaf1", "counters", *words)
    out = {(r["part"], r.get("port"), r["counter"]): r["count"] for r in rows}
    assert len(out) == len(rows)
    return out


@pytest.mark.parametrize("kind, counter", [("ra-hop-limit", "nd-hop-limit"), ("ra-code", "nd-code"), ("rs-option", "nd-option"),
                                           ("lldp-order", "lldp-order"), ("lldp-length", "lldp-length"),
                                           ("ra", "second-router")])
def test_R01_what_is_dropped_is_shown(pair, kind, counter):
    """By its own counter alone; the session with the neighbour goes on."""
    before, flaps = counts(pair, "link"), pair.rows("leaf1", "bgp")[0]["flaps"]
    key = ("link", "eth1", counter)
    send(pair, kind, 7)
    pair.until("all were dropped", lambda: counts(pair, "link").get(key, 0) >= before.get(key, 0) + 7)
    after = counts(pair, "link")
    assert after == {**before, key: before.get(key, 0) + 7}
    assert all(after.values())  # zeros are not shown
    session = pair.rows("leaf1", "bgp")[0]
    assert (session["state"], session["flaps"]) == ("Established", flaps)


CONNECT = '''
import socket, sys
s = socket.socket(socket.AF_INET6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
s.bind((sys.argv[1], 0))
s.settimeout(10)
try:
    s.connect((sys.argv[2], 179, 0, socket.if_nametoindex("eth1")))
    assert s.recv(1) == b""
except ConnectionError:
    pass
'''


def test_a_connection_from_a_stranger(pair):
    """On the link, with the right hop limit, but from an address that the file has no session with."""
    key, before = ("bgp", "eth1", "stranger"), counts(pair, "bgp")
    leaf = next(r["link_local"] for r in pair.rows("leaf1", "ports") if r["port"] == "eth1")
    pair.exec("spine1", "/usr/bin/python3", "-c", CONNECT, "fd00::1", leaf)
    pair.until("it is counted", lambda: counts(pair, "bgp").get(key) == before.get(key, 0) + 1)
    assert pair.rows("leaf1", "bgp")[0]["state"] == "Established"


def test_one_part_and_all_of_them(pair):
    """What is 0 or routine is shown when it is asked for; a part by its name, or by the beginning of that."""
    everything, shown = counts(pair, "--all"), counts(pair)
    assert {part for part, _, _ in everything} == {"link", "bgp", "platform", "query", "runtime"}
    assert set(shown) < set(everything)
    assert {port for part, port, _ in everything if part == "link"} == {"eth1", "rack0"}
    assert {port for part, port, _ in everything if part == "bgp"} == {"eth1"}
    assert all(port is None for part, port, _ in everything if part not in ("link", "bgp"))
    assert everything["link", "eth1", "ra-received"] > 0 and everything["platform", None, "requests"] > 0
    assert everything["runtime", None, "turns"] > 0 and everything["query", None, "questions"] > 0
    for words in (["link"], ["li"], ["--all", "link"], ["link", "--filter", "port=eth1"]):
        assert {part for part, _, _ in counts(pair, *words)} <= {"link"}, words
    assert set(counts(pair, "li", "--all")) == {k for k in everything if k[0] == "link"}


def test_all_forms(pair):
    send(pair, "ra-code")
    pair.until("it is counted", lambda: ("link", "eth1", "nd-code") in counts(pair))
    rows = pair.rows("leaf1", "counters", "link")
    table = pair.run("--at", "leaf1", "counters", "link").stdout.splitlines()
    assert table[0].startswith("counted for ") and table[1].split() == ["PART", "PORT", "WHAT", "COUNT"]
    for line, row in zip(table[2:], rows, strict=True):
        assert re.fullmatch(rf"{row['part']} +{row['port']} +{re.escape(row['what'])} +{row['count']}", line)
    wide = pair.run("--at", "leaf1", "counters", "link", "-o", "wide").stdout.splitlines()
    assert wide[1].split() == ["PART", "PORT", "WHAT", "COUNT", "COUNTER", "ROUTINE"] and "nd-code" in "".join(wide)
    csv = pair.run("--at", "leaf1", "counters", "link", "-o", "csv").stdout.splitlines()
    assert csv[0] == "part,port,what,count,counter,routine" and len(csv) == len(rows) + 1
    lines = pair.run("--at", "leaf1", "counters", "link", "-o", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == rows


def test_nothing_to_show(pair):
    r = pair.run("--at", "spine1", "counters", "query")
    assert "nothing was dropped, refused or lost" in r.stderr and "--all" in r.stderr and "PART" not in r.stdout


@pytest.mark.parametrize("words, next", [
    (["lnik"], "did you mean link?"), (["frob"], "one of: link, bgp, platform, query, runtime"),
    (["bfd"], "fabctl bfd -o wide"), (["eth1"], "fabctl counters link --filter port=eth1"),
])
def test_what_is_no_part(pair, words, next):
    r = pair.run("--at", "leaf1", "counters", *words, want=2)
    assert f"  next: {next}" in r.stderr and r.stdout == ""


def test_after_an_upgrade_they_begin_anew(pair):
    """Another process: what it counts is its own, and it says since when."""
    send(pair, "lldp-order", 3)
    pair.until("it is counted", lambda: counts(pair).get(("link", "eth1", "lldp-order"), 0) >= 3)
    before = pair.ask("leaf1", "counters")["summary"]["since_s"]
    uptime = pair.ask("leaf1", "status")["summary"]["uptime_s"]
    assert pair.ask("leaf1", "upgrade")["data"][-1]["upgraded"]
    answer = pair.ask("leaf1", "counters", "--all")
    assert answer["summary"]["since_s"] < before
    assert pair.ask("leaf1", "status")["summary"]["uptime_s"] > uptime
    assert [r["count"] for r in answer["data"] if r["counter"] == "lldp-order"] == [0]
    send(pair, "lldp-order", 2)
    pair.until("the new one counts", lambda: counts(pair).get(("link", "eth1", "lldp-order")) == 2)
