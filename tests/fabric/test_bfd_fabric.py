"""bfdd beside fabricd in a fabric: who goes, who comes back, in which order, and what BGP makes of it."""

import json
import os
import signal
import subprocess

import pytest

from support.wait import holds, until


@pytest.fixture(scope="module")
def fab(module_lab):
    return module_lab("2x2", "--bfd")


def keeper(fab, node):
    with open(os.path.join(os.path.dirname(os.path.dirname(fab.run_dir(node))), "lab.json")) as f:
        return next(n for n in json.load(f)["nodes"] if n["name"] == node)["bfdd"]["pid"]


def worker(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return next(map(int, f.read().split()), None)


def bfd_rows(fab, node):
    answer = fab.run("--at", node, "bfd", "-j", want=(0, 1, 4))  # 4: fabricd has no bfdd at this moment
    return json.loads(answer.stdout)["data"] if answer.returncode != 4 else []


def all_up(fab):
    def up():
        return all([r["state"] for r in bfd_rows(fab, n)] == ["Up", "Up"] for n in ("spine1", "spine2", "leaf1", "leaf2"))

    until(up, 30, "every session of BFD", 0.1)


def events(fab, node, *kinds):
    return [e for e in fab.rows(node, "log", want=(0, 1)) if e["event"] in kinds]


def flaps(fab):
    """Of every BGP session that spine1 is an end of."""
    return [(n, r["peer"], r["flaps"], r["state"]) for n in ("spine1", "leaf1", "leaf2") for r in fab.rows(n, "bgp")]


def test_the_rows_of_fabctl_bfd(fab):
    """What an operator looks for: intervals, detection time, lateness, missed packets, falls and their reason."""
    all_up(fab)
    row = {r["peer"]: r for r in until(lambda: [r for r in bfd_rows(fab, "spine1") if r["detect_us"] == 300000], 10, "agreed")}["leaf1"]
    assert (row["tx_us"], row["rx_us"], row["multiplier"], row["state"]) == (100000, 100000, 3, "Up")
    assert row["address"].startswith("fe80::") and row["packets_dropped"] == 0 and row["independent"] is True
    assert 0 <= row["rx_late_p99_us"] and 0 <= row["tx_late_p99_us"] and row["missed"] >= 0
    until(lambda: [r for r in bfd_rows(fab, "spine1") if r["packets_received"] > row["packets_received"]], 5, "they grow")
    table = fab.run("--at", "spine1", "bfd", want=(0, 1)).stdout.splitlines()
    assert table[0].split() == "PORT PEER STATE TX RX MULT DETECT LATE P99 MISSED FLAPS SINCE REASON".split()
    line = next(t.split() for t in table if " leaf1 " in t)
    assert line[2:7] == ["Up", "100ms", "100ms", "3", "300ms"], table


@pytest.mark.skipif(os.geteuid() != 0, reason="memory is locked by root")
def test_the_process_of_the_sessions_waits_for_nobody(fab):
    """All its memory is locked, and it has no netlink socket that it could wait for the kernel at."""
    all_up(fab)
    pid = worker(keeper(fab, "spine1"))
    with open(f"/proc/{pid}/status") as f:
        kb = {k: int(v.split()[0]) for k, v in (line.split(":", 1) for line in f) if k in ("VmLck", "VmRSS")}
    assert kb["VmLck"] and kb["VmRSS"] - kb["VmLck"] < 64  # but the pages that the kernel lends it for the clock
    with open(f"/proc/{pid}/net/netlink") as f:
        netlink = {line.split()[-1] for line in f}
    held = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    assert any(h.startswith("socket:") for h in held)
    assert not held & {f"socket:[{inode}]" for inode in netlink}


def test_the_process_of_the_sessions_dies(fab):
    """kill -9, five times, as fast as there is another: 100 ms x 3 notices nothing, BGP even less."""
    all_up(fab)
    before = {n: len(events(fab, n, "BFD_DOWN", "BFD_ADMIN_DOWN")) for n in ("spine1", "leaf1", "leaf2")}
    was = flaps(fab)
    k = keeper(fab, "spine1")
    for _ in range(5):
        old = until(lambda: worker(k), 5, "a process of the sessions")
        os.kill(old, signal.SIGKILL)
        until(lambda: worker(k) not in (None, old), 5, "another", 0.005)
        until(lambda: [r["packets_received"] > 3 for r in bfd_rows(fab, "spine1")] == [True, True], 5, "it hears the neighbours")
    holds(lambda: all(len(events(fab, n, "BFD_DOWN", "BFD_ADMIN_DOWN")) == before[n] for n in before), 1, "no session fell", 0.2)
    assert flaps(fab) == was


def test_B11_B12_the_neighbour_takes_bfd_down(fab):
    """bfdd of a spine ends as asked: AdminDown, no failure (RFC 5882 3.2): BGP stays; and its return is seen."""
    all_up(fab)
    before = len(events(fab, "leaf1", "BFD_DOWN", "BGP_DOWN"))
    k = keeper(fab, "spine1")
    with open(f"/proc/{k}/cmdline", "rb") as f:
        argv = f.read().decode().split("\0")[:-1]
    exe = os.readlink(f"/proc/{k}/exe")
    ns = os.path.join(os.path.dirname(os.path.dirname(fab.run_dir("spine1"))), "ns", "spine1")
    os.kill(k, signal.SIGTERM)
    until(lambda: events(fab, "leaf1", "BFD_ADMIN_DOWN"), 5, "AdminDown is seen")
    holds(lambda: {r["state"] for r in fab.rows("leaf1", "bgp")} == {"Established"}, 2, "BGP stays", 0.2)
    assert len(events(fab, "leaf1", "BFD_DOWN", "BGP_DOWN")) == before
    # B12: BGP was there before BFD; the state in the end is the same
    again = subprocess.Popen(["nsenter", f"--net={ns}", exe, *argv[1:]], stderr=subprocess.DEVNULL)
    try:
        all_up(fab)
        assert {r["state"] for r in fab.rows("leaf1", "bgp")} == {"Established"}
        assert len(events(fab, "leaf1", "BFD_DOWN", "BGP_DOWN")) == before
    finally:
        again.terminate()
        again.wait(10)
