"""`fabctl upgrade`: another process takes a switch over, and neither neighbours nor packets notice."""

import fcntl
import json
import os
import signal
import socket
import struct
import subprocess

import pytest

from fabric.traffic import Traffic
from support import successor


@pytest.fixture
def lab(new_lab):
    return new_lab("4x2")


@pytest.fixture
def bfd_lab(new_lab):
    """Whose BFD sessions have been up for a while."""
    lab = new_lab("4x2", "--bfd")
    lab.until("BFD is calm", lambda: all(r["state"] == "Up" and r["since_s"] > 2 for n in lab.nodes("switch")
                                         for r in lab.rows(n["node"], "bfd", want=(0, 1))), 30)
    return lab


def sessions(lab, node):
    """What must not change: state, flaps, and the moment at which the session came up."""
    return {r["port"]: (r["state"], r["flaps"]) for r in lab.rows(node, "bgp")}


def since(lab, node):
    return {r["port"]: r["since_s"] for r in lab.rows(node, "bgp")}


def downs(lab):
    """What is said of sessions that ended, for the one who reads of a failed test."""
    out = []
    for n in [n["node"] for n in lab.nodes("switch")]:
        out += [(n, e["port"], e["text"], e["time"]) for e in lab.rows(n, "log") if e["event"] in ("BGP_DOWN", "BFD_DOWN")]
    return out


def upgrade(lab, node, *words, want=0):
    rows = lab.ask(node, "upgrade", *words, want=(0, 1))["data"]
    assert rows[-1]["upgraded"] == (want == 0), (rows, downs(lab), lab.rows(node, "bfd", want=(0, 1)))
    return rows


def pid(lab, node):
    return next(n["pid"] for n in lab.nodes() if n["node"] == node)


@pytest.mark.parametrize("node", ["spine1", "leaf1"])
def test_nobody_notices(bfd_lab, node):
    lab = bfd_lab
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
    assert {n: sessions(lab, n) for n in everybody} == before, downs(lab)
    for n in everybody:  # none came up anew, here or there
        assert all(age >= ages[n][port] for port, age in since(lab, n).items())
    assert [lab.exec(node, "ip", f"-{f}", "route", "show", "table", "all") for f in (4, 6)] == kernel
    lab.run("--at", node, "fib", "check")
    assert all(r["state"] == "Up" for n in everybody for r in lab.rows(n, "bfd"))
    with open(os.path.join(lab.run_dir(node), "lock"), encoding="ascii") as f:
        assert int(f.read()) == result["pid"]
    assert json.loads(lab.run("--at", node, "status", "-j").stdout)["complete"]


FAILURES = {  # life of the successor: what the operator reads, and how long it takes at most
    "exits": ("ended at once with exit code 7", 1000),
    "hangs": ("said nothing within 5 s", 6500),
    "garbage": ("no word of ours", 1000),
    "format": ("hands sessions over in another way (protocol 1, format 99)", 1000),
    "node": ("is somebody, not spine1", 1000),
    "file": ("the topology file has changed", 1000),
    "silent": ("did not become ready within 5 s", 6500),
    "damaged": ("the snapshot", 2000),
    "cut": ("the snapshot has", 2000),
    "empty": ("the snapshot", 2000),
    "dies": ("did not take over", 3000),
    "stops": ("did not take over", 5000),
}


@pytest.mark.parametrize("life", FAILURES)
def test_the_old_one_goes_on(lab, life, tmp_path):
    """Whatever the new program does wrong: no packet is lost, no session ends, and the operator is told why."""
    words, most_ms = FAILURES[life]
    binary = successor.write(tmp_path / life, life, f"{lab.bin}/fabricd")
    everybody = [n["node"] for n in lab.nodes("switch")]
    before, ages, was = {n: sessions(lab, n) for n in everybody}, {n: since(lab, n) for n in everybody}, pid(lab, "spine1")
    traffic = Traffic(lab, "h1", "h3", "10.1.3.2")
    try:
        rows = upgrade(lab, "spine1", binary, want=1)
    finally:
        sent, lost, span = traffic.stop()
    assert not lost, f"{sum(map(len, lost.values()))} of {sent} lost, {span}"
    result = rows[-1]
    assert not result["upgraded"] and words in result["reason"] and result["next"], result
    assert result["at_ms"] < most_ms
    assert rows[-2]["step"] == "failed" and "goes on" in rows[-2]["text"]
    assert pid(lab, "spine1") == was
    assert {n: sessions(lab, n) for n in everybody} == before, downs(lab)
    for n in everybody:
        assert all(age >= ages[n][port] for port, age in since(lab, n).items())
    assert upgrade(lab, "spine1")[-1]["upgraded"]  # and nothing is in the way of a better one
    assert {n: sessions(lab, n) for n in everybody} == before, downs(lab)


@pytest.mark.parametrize("words, says", [(["/nowhere/fabricd"], "No such file"), (["nowhere/fabricd"], "no absolute path"),
                                         (["/etc/passwd"], "Permission denied"), (["/tmp"], "it is no program")])
def test_what_cannot_be_run(fab, words, says):
    r = fab.run("--at", "spine1", "upgrade", *words, want=2)
    assert says in r.stderr and "fabctl upgrade /" in r.stderr, r.stderr


@pytest.mark.parametrize("node", ["spine1", "leaf1"])
@pytest.mark.parametrize("address", ["10.1.3.2", "fd00:1:0:3::2"])
def test_no_packet_is_lost(lab, node, address):
    traffic = Traffic(lab, "h1", "h3", address, per_s=10000)
    try:
        for _ in range(20):
            upgrade(lab, node)
    finally:
        sent, lost, span = traffic.stop()
    assert sent > 500
    assert not lost, f"{sum(map(len, lost.values()))} of {sent} lost in {len(lost)} flows, {span}"


def by_hand(lab, *words):
    """The fabricd of spine1 is ended; the words that start it again."""
    run = lab.run_dir("spine1")
    os.kill(pid(lab, "spine1"), signal.SIGTERM)
    lab.until("it has ended", lambda: next(n["state"] for n in lab.nodes() if n["node"] == "spine1") == "ended")
    topology = os.path.join(os.path.dirname(os.path.dirname(run)), "topology.yaml")
    return [f"{lab.bin}/fabctl", "--lab", lab.name, "lab", "exec", "spine1", f"{lab.bin}/fabricd", "--topology", topology,
            "--node", "spine1", "--run-dir", run, *words]


def own_pid(lab):
    """As the lock of spine1 says: whoever started it."""
    with open(os.path.join(lab.run_dir("spine1"), "lock"), encoding="ascii") as f:
        return int(f.read())


def whole(lab):
    lab.until("whole again", lambda: lab.run("--at", "spine1", "status", want=(0, 1, 4)).returncode == 0 and all(
        r["state"] == "Established" for r in lab.rows("spine1", "bgp")), 60)


def test_the_supervisor_is_told(lab, tmp_path):
    """As systemd is: READY=1 when it answers, and MAINPID=, from both processes, the new one first, when that is in charge."""
    path = str(tmp_path / "notify")
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(path)
    told.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    told.settimeout(20)

    def hear():
        data, ancillary, _, _ = told.recvmsg(256, socket.CMSG_SPACE(12))
        return data.decode(), struct.unpack("iII", ancillary[0][2])[0]

    argv = by_hand(lab)
    with subprocess.Popen(argv, env={**os.environ, "NOTIFY_SOCKET": path}, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as p:
        said, was = hear()
        assert said == "READY=1\n"
        whole(lab)
        result = upgrade(lab, "spine1")[-1]
        assert result["upgraded"]
        assert [hear(), hear()] == [(f"MAINPID={result['pid']}\n", by) for by in (result["pid"], was)]
        p.wait(10)
        was = result["pid"]
        result = upgrade(lab, "spine1")[-1]  # the successor has a successor, and knows whom to tell
        assert [hear(), hear()] == [(f"MAINPID={result['pid']}\n", by) for by in (result["pid"], was)]
        os.kill(result["pid"], signal.SIGTERM)


def test_a_relative_path_and_our_own(fab):
    """Without a name, what stands on the disk where the running one came from; a name is as in the shell."""
    for words in ([], [os.path.relpath(f"{fab.bin}/fabricd")]):
        result = upgrade(fab, "leaf4", *words)[-1]
        assert result["upgraded"] and result["binary"] == os.path.realpath(f"{fab.bin}/fabricd")
    log = fab.rows("leaf4", "log")  # goes on from process to process
    assert [e["event"] for e in log].count("UPGRADED") == 2 and "STARTED" in [e["event"] for e in log]
    assert [e["id"] for e in log] == list(range(log[0]["id"], log[0]["id"] + len(log)))


def test_without_a_forwarding_plane(lab):
    """--platform null: there is nothing to compare, and sessions go on."""
    with subprocess.Popen(by_hand(lab, "--platform", "null"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        whole(lab)
        before = sessions(lab, "spine1")
        for _ in range(2):
            rows = upgrade(lab, "spine1")
            assert "no forwarding plane" in next(r["text"] for r in rows if r["step"] == "ready")
        assert sessions(lab, "spine1") == before
        os.kill(own_pid(lab), signal.SIGTERM)


def test_the_end_of_a_successor(lab):
    """With --back-off: as planned as that of one that was started; and who signals the one before it is heard."""
    crashes = os.path.join(lab.run_dir("spine1"), "crashes")
    for late in (False, True):
        with subprocess.Popen(by_hand(lab, "--back-off") if not late else argv, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as p:
            argv = p.args
            whole(lab)
            was = own_pid(lab)
            result = upgrade(lab, "spine1")[-1]
            os.kill(was if late else result["pid"], signal.SIGTERM)  # the old one is there for a moment
            lab.until("it ends", lambda: not os.path.exists(f"/proc/{result['pid']}"))
            p.wait(10)
        with open(crashes, encoding="ascii") as f:
            assert f.read() == ""


def is_free(path):
    with open(path, encoding="ascii") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


@pytest.mark.parametrize("moment", ["starts", "reads", "commits"])
def test_the_old_one_is_killed(lab, moment, tmp_path):
    """kill -9 before the new one is in charge: both are gone, the lock is free, and a start is a restart like any other."""
    binary = successor.write(tmp_path / moment, "kills-" + moment, f"{lab.bin}/fabricd")
    argv, traffic = by_hand(lab), None
    try:
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as p:
            whole(lab)
            traffic = Traffic(lab, "h1", "h3", "10.1.3.2")
            lab.run("--at", "spine1", "upgrade", binary, want=4)
            p.wait(10)
        lab.until("the lock is free", lambda: is_free(os.path.join(lab.run_dir("spine1"), "lock")))
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as p:
            whole(lab)
            lab.run("--at", "spine1", "fib", "check")
            os.kill(own_pid(lab), signal.SIGTERM)
            assert "another fabricd" not in p.stderr.read()
    finally:
        if traffic:
            sent, lost, span = traffic.stop()
    assert not lost, f"{sum(map(len, lost.values()))} of {sent} lost, {span}"
