"""`fabctl counters`: what is dropped at a port is counted there, by reason, and each form of the answer shows it.

    leaf1:eth1 -- spine1:eth1      what is broken leaves spine1 for leaf1
"""

import json
import os
import re
import signal
import time

import pytest

FRAMES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "frames.py")


@pytest.fixture(scope="module")
def pair(module_lab):
    return module_lab("1x1", "--bfd")


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
    assert {part for part, _, _ in everything} == {"link", "bgp", "bfd", "platform", "query", "runtime"}
    assert set(shown) < set(everything)
    assert {port for part, port, _ in everything if part == "link"} == {"eth1", "rack0"}
    assert {port for part, port, _ in everything if part == "bgp"} == {"eth1"}
    assert {port for part, port, _ in everything if part == "bfd"} == {None, "eth1"}
    assert all(port is None for part, port, _ in everything if part not in ("link", "bgp", "bfd"))
    assert everything["bfd", None, "packets-received"] > 0 and everything["bfd", "eth1", "packets-sent"] > 0
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
    assert wide[1].split() == ["PART", "PORT", "WHAT", "COUNT", "COUNTER", "ROUTINE", "ADDRESS"] and "nd-code" in "".join(wide)
    csv = pair.run("--at", "leaf1", "counters", "link", "-o", "csv").stdout.splitlines()
    assert csv[0] == "part,port,what,count,counter,routine,address" and len(csv) == len(rows) + 1
    lines = pair.run("--at", "leaf1", "counters", "link", "-o", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == rows


def test_nothing_to_show(pair):
    r = pair.run("--at", "spine1", "counters", "query")
    assert "nothing was dropped, refused or lost" in r.stderr and "--all" in r.stderr and "PART" not in r.stdout


@pytest.mark.parametrize("words, next", [
    (["lnik"], "did you mean link?"), (["frob"], "one of: link, bgp, bfd, platform, query, runtime"),
    (["fib"], "fabctl fib -o wide"), (["eth1"], "fabctl counters link --filter port=eth1"),
])
def test_what_is_no_part(pair, words, next):
    r = pair.run("--at", "leaf1", "counters", *words, want=2)
    assert f"  next: {next}" in r.stderr and r.stdout == ""


# ---- bfdd ----


def of_bfdd(lab, *words):
    """The answer of one that may have no bfdd at this moment: then none."""
    r = lab.run("--at", "leaf1", *words, "-j", want=(0, 1, 4))
    return json.loads(r.stdout) if r.returncode != 4 else {"data": [], "summary": {}}


def bfd_is_up(lab):
    return [r["state"] for r in of_bfdd(lab, "bfd")["data"]] == ["Up"]


def rules(counted):
    """What the lateness of a busy machine does not change."""
    return {k: n for k, n in counted.items() if k[0] == "bfd" and k[2] not in ("missed", "spared", "flaps", "polls-unanswered")}


@pytest.mark.parametrize("kind, counter, of_session", [
    ("bfd-version", "version", True), ("bfd-length", "length-small", True), ("bfd-multiplier", "multiplier", True),
    ("bfd-discriminator", "your-discriminator", True), ("bfd-hop-limit", "hop-limit", True),
    ("bfd-auth", "auth-unexpected", True), ("bfd-address", "address", True), ("bfd-stranger", "version", False),
])
def test_bfd_that_is_dropped(pair, kind, counter, of_session):
    """By its rule alone, and at its session, or that of its addresses; the session goes on."""
    pair.until("BFD is up", lambda: bfd_is_up(pair))
    before = rules(counts(pair, "bfd"))
    keys = [("bfd", None, counter)] + [("bfd", "eth1", "dropped")] * of_session
    send(pair, kind, 7)
    pair.until("all were dropped", lambda: counts(pair, "bfd").get(keys[0], 0) >= before.get(keys[0], 0) + 7)
    after = rules(counts(pair))
    assert after == {**before, **{key: before.get(key, 0) + 7 for key in keys}}
    assert all(after.values())
    assert bfd_is_up(pair) and pair.rows("leaf1", "bgp")[0]["state"] == "Established"


def bfdd(lab, node):
    """Its keeper, and the process that has the sessions."""
    with open(os.path.join(os.path.dirname(os.path.dirname(lab.run_dir(node))), "lab.json")) as f:
        keeper = next(n for n in json.load(f)["nodes"] if n["name"] == node)["bfdd"]["pid"]
    with open(f"/proc/{keeper}/task/{keeper}/children") as f:
        return keeper, int(f.read())


def test_another_process_of_the_sessions_counts_anew(pair):
    pair.until("BFD is up", lambda: bfd_is_up(pair))
    send(pair, "bfd-version")
    pair.until("it is counted", lambda: ("bfd", None, "version") in counts(pair, "bfd"))
    before = pair.ask("leaf1", "counters", "bfd")["summary"]["bfd_since_s"]
    keeper, worker = bfdd(pair, "leaf1")
    os.kill(worker, signal.SIGKILL)
    pair.until("another answers", lambda: of_bfdd(pair, "counters", "bfd")["summary"].get("bfd_since_s", before) < before)
    everything = counts(pair, "bfd", "--all")
    assert everything["bfd", None, "version"] == 0 and everything["bfd", None, "restored"] == 1
    pair.until("BFD is up", lambda: bfd_is_up(pair))


def test_a_bfdd_that_does_not_answer(pair):
    """Nobody waits long, and is shown what there was. (The keeper is stopped as well: it would replace the other.)"""
    pair.until("BFD is up", lambda: bfd_is_up(pair))
    send(pair, "bfd-version", 3)
    pair.until("they are counted", lambda: counts(pair, "bfd").get(("bfd", None, "version"), 0) >= 3)
    shown = counts(pair, "bfd")["bfd", None, "version"]
    processes = bfdd(pair, "leaf1")
    try:
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        begun = time.monotonic()
        answer = pair.ask("leaf1", "counters")
        assert time.monotonic() - begun < 2
        assert answer["complete"] and answer["summary"]["bfd_age_s"] > 0
        assert [r["count"] for r in answer["data"] if (r["part"], r["counter"]) == ("bfd", "version")] == [shown]
        assert "it does not answer now" in pair.run("--at", "leaf1", "counters", "bfd").stdout
    finally:
        for pid in reversed(processes):
            os.kill(pid, signal.SIGCONT)
    pair.until("it answers", lambda: set(of_bfdd(pair, "counters", "bfd")["summary"]) == {"since_s", "bfd_since_s"})
    pair.until("BFD is up", lambda: bfd_is_up(pair))
    pair.until("and BGP", lambda: pair.rows("leaf1", "bgp", want=(0, 1))[0]["state"] == "Established")


def test_after_an_upgrade_they_begin_anew(pair):
    """Another process: what it counts is its own, and it says since when."""
    send(pair, "lldp-order", 3)
    pair.until("it is counted", lambda: counts(pair).get(("link", "eth1", "lldp-order"), 0) >= 3)
    before, bfd_before = (pair.ask("leaf1", "counters")["summary"][k] for k in ("since_s", "bfd_since_s"))
    uptime = pair.ask("leaf1", "status")["summary"]["uptime_s"]
    assert pair.ask("leaf1", "upgrade")["data"][-1]["upgraded"]
    answer = pair.ask("leaf1", "counters", "--all")
    assert answer["summary"]["since_s"] < before and answer["summary"]["bfd_since_s"] > bfd_before  # bfdd has not changed
    assert pair.ask("leaf1", "status")["summary"]["uptime_s"] > uptime
    assert [r["count"] for r in answer["data"] if r["counter"] == "lldp-order"] == [0]
    send(pair, "lldp-order", 2)
    pair.until("the new one counts", lambda: counts(pair).get(("link", "eth1", "lldp-order")) == 2)
