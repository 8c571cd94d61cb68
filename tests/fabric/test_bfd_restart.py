"""bfdd dies, is replaced, is handed over, finds a damaged state: what its neighbours and clients see of it."""

import ctypes
import os
import shutil
import signal
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from fabric.cabled import cabled  # noqa: E402
from support.bfd import Bfdd, Ear  # noqa: E402
from support.fabricd import BUILD  # noqa: E402
from support.netns import link_local  # noqa: E402
from support.wait import holds, until  # noqa: E402

MACS = {"a": "02:01:00:00:0c:0a", "b": "02:01:00:00:0c:0b"}
LL = {n: link_local(m) for n, m in MACS.items()}
PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 0x4206, 0x4207, 0x40000000  # linux/ptrace.h, linux/wait.h
TIMES = int(os.environ.get("BFD_RESTARTS", "10"))  # of each fault


@pytest.fixture
def lab():
    with cabled("bfdr", MACS) as lab:
        yield lab


def pair(lab, interval_us, *options, a=("--keep",)):
    bfdds = {"a": Bfdd(lab, "a", *a), "b": Bfdd(lab, "b")}
    clients = {n: b.client() for n, b in bfdds.items()}
    for n, o in ("ab", "ba"):
        clients[n].watch(1, "eth1", LL[n], LL[o], interval_us, 3, *options)
    for c in clients.values():
        c.wait("Up")
    for c in clients.values():
        until(lambda: c.list()[0]["detect_us"] == 3 * interval_us and not c.rows[0].get("polling"), 5, "agreed")
    return bfdds, clients


def gaps(lab, node, run):
    """The greatest time in s between two packets to port 3784 that `node` is given while run() goes on, and how many."""
    with Ear(lab, node) as ear:
        run()
        ear.hear()
    times = ear.times.get("eth1", [])
    return max((b - a for a, b in zip(times, times[1:])), default=0) / 1e9, len(times)


def kill_worker(bfdd):
    old = until(bfdd.worker, 5, "a worker")
    os.kill(old, signal.SIGKILL)
    until(lambda: bfdd.worker() not in (None, old), 5, "another worker", 0.001)


def test_a_stranger_of_the_process_before(lab):
    """It lives on, and counts among those that its port allows."""
    for node, address in ("a", "10.1.0.1/24"), ("b", "10.1.0.2/24"):
        lab.ip(node, f"addr add {address} dev eth1")
    bfdds = {"a": Bfdd(lab, "a", "--keep"), "b": Bfdd(lab, "b")}
    clients = {n: b.client() for n, b in bfdds.items()}
    clients["a"].say("strangers eth1 50000 3 1 10.1.0.0/24")
    clients["b"].watch(1, "eth1", LL["b"], LL["a"], 50000, 3)
    clients["b"].wait("Up")
    kill_worker(bfdds["a"])
    until(lambda: clients["a"].links[-1]["connected"], 5, "the client is back", 0.002)
    clients["b"].watch(2, "eth1", "10.1.0.2", "10.1.0.1", 50000, 3)
    until(lambda: bfdds["a"].stats()["dropped"].get("no-session", 0) > 1, 10, "the second is refused")
    assert [(r["unsolicited"], r["peer"]) for r in clients["a"].list()] == [(True, LL["b"])]
    assert clients["b"].downs() == 0 and clients["b"].state(2) != "Up"


@pytest.mark.parametrize("options", [(), ("key=5:1:secret",), ("key=4:1:secret",)], ids=["plain", "meticulous", "keyed"])
def test_killed(lab, options):
    """kill -9: packets go out again within 50 ms; a session of 50 ms x 3 lives, and so do its discriminators."""
    bfdds, clients = pair(lab, 50000, *options)
    before = clients["a"].list()[0]
    for _ in range(TIMES):
        sent = clients["b"].list()[0]["rx"]
        kill_worker(bfdds["a"])
        until(lambda: clients["a"].links[-1]["connected"], 5, "the client is back", 0.002)
        until(lambda: clients["b"].list()[0]["rx"] > sent + 4, 5, "packets")
    assert clients["a"].downs() == 0 and clients["b"].downs() == 0
    after = until(lambda: clients["a"].list()[0], 5, "the session")
    for word in ("local_discr", "remote_discr", "state", "flaps"):
        assert after[word] == before[word], word
    assert after["clients"] == 1
    stats = bfdds["a"].stats()
    assert stats["restored"] == 1 and 0 <= stats["away_us"] < 150000
    assert bfdds["b"].stats()["dropped"]["auth-sequence"] <= TIMES


def test_killed_gap(lab):
    """How long no packet goes out: less than 50 ms beyond an interval, in the worst of all."""
    bfdds, clients = pair(lab, 50000)

    def run():
        for _ in range(TIMES):
            kill_worker(bfdds["a"])
            rx = clients["b"].list()[0]["rx"]
            until(lambda: clients["b"].list()[0]["rx"] > rx + 3, 5, "packets")

    gap, n = gaps(lab, "b", run)
    print(f"worst gap {gap * 1000:.1f} ms over {TIMES} deaths, {n} packets")
    assert gap < 0.1
    assert clients["b"].downs() == 0


def test_a_crash_loop_ends(lab):
    """A process that ends by itself as soon as it has begun, three times: then without the store, and not at once."""
    bfdds, clients = pair(lab, 50000)

    def crash():
        old = until(bfdds["a"].worker, 5, "a worker", 0.0005)
        os.kill(old, signal.SIGABRT)
        until(lambda: bfdds["a"].worker() != old, 5, "it is gone", 0.0005)

    def looped():
        crash()
        return "begins anew" in bfdds["a"].process.output()

    until(looped, 10, "the keeper gives up on the store", 0)
    until(lambda: clients["b"].downs() == 1, 5, "b lost the session")
    for c in clients.values():
        c.wait("Up")


def test_handed_over(lab):
    """SIGHUP: another process, the same sockets and discriminators; no session notices, not even one of 10 ms x 3."""
    bfdds, clients = pair(lab, 10000)
    before = clients["a"].list()[0]

    def run():
        for _ in range(TIMES):
            old = until(bfdds["a"].worker, 5, "a worker")
            bfdds["a"].process.popen.send_signal(signal.SIGHUP)
            until(lambda: not os.path.exists(f"/proc/{old}"), 5, "the old one ends", 0.001)
            rx = clients["b"].list()[0]["rx"]
            until(lambda: clients["b"].list()[0]["rx"] > rx + 10, 5, "packets")

    gap, n = gaps(lab, "b", run)
    print(f"worst gap {gap * 1000:.1f} ms over {TIMES} handovers, {n} packets")
    assert clients["a"].downs() == 0 and clients["b"].downs() == 0
    assert gap < 0.03, "more than the neighbour's detection time"
    until(lambda: clients["a"].links[-1]["connected"], 5, "the client is back", 0.002)
    after = clients["a"].list()[0]
    assert (after["local_discr"], after["flaps"], after["clients"]) == (before["local_discr"], 0, 1)


def test_P03_stopped(lab):
    """SIGSTOP of the process of the sessions: they fall by design, once; in a second it is replaced, and they come back.
    One that is stopped for less than its neighbours wait goes on as if nothing had been."""
    bfdds, clients = pair(lab, 100000)
    worker = bfdds["a"].worker()
    os.kill(worker, signal.SIGSTOP)
    holds(lambda: clients["b"].downs() == 0, 0.15, "b waits for 300 ms")
    os.kill(worker, signal.SIGCONT)
    rx = clients["b"].list()[0]["rx"]
    until(lambda: clients["b"].list()[0]["rx"] > rx + 12, 5, "packets")
    assert bfdds["a"].worker() == worker and clients["b"].downs() == clients["a"].downs() == 0
    os.kill(worker, signal.SIGSTOP)
    until(lambda: bfdds["a"].worker() not in (None, worker), 3, "another one")
    until(lambda: clients["b"].downs() == 1 and clients["b"].state() == "Up", 5, "b lost it, and has it again")
    clients["a"].wait("Up")
    holds(lambda: clients["b"].downs() == 1 and clients["b"].state() == "Up", 1, "no flapping")
    assert "stopped" in bfdds["a"].process.output()


def test_a_loop_that_does_not_turn(lab):
    """The process of the sessions hangs, and no signal tells of it (a tracer holds it): it is asked, and replaced."""
    bfdds, clients = pair(lab, 100000)
    worker = bfdds["a"].worker()
    holds(lambda: bfdds["a"].worker() == worker, 3.5, "who answers stays", 0.1)
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    if ptrace(PTRACE_SEIZE, worker, None, None):
        pytest.skip(f"no tracing here: {os.strerror(ctypes.get_errno())}")
    assert ptrace(PTRACE_INTERRUPT, worker, None, None) == 0

    def killed():  # its end is told to its tracer first
        pid, status = os.waitpid(worker, os.WNOHANG | WALL)
        return pid and os.WIFSIGNALED(status)

    until(killed, 8, "the keeper ends it")
    until(lambda: bfdds["a"].worker() not in (None, worker), 3, "another one")
    until(lambda: clients["b"].downs() == 1 and clients["b"].state() == "Up", 5, "b lost it, and has it again")
    clients["a"].wait("Up")
    assert "has not answered" in bfdds["a"].process.output()


def test_a_short_session_may_fall_and_shows_it(lab):
    """The whole service is away for longer than the detection time: one fall, told to both, and Up again."""
    bfdds, clients = pair(lab, 10000)
    assert bfdds["a"].process.stop(signal.SIGKILL) == -signal.SIGKILL
    clients["b"].wait("Down")
    bfdds["a"].start()
    for c in clients.values():
        c.wait("Up")
    until(lambda: clients["a"].list()[0]["flaps"] >= 1, 5, "the fall is counted")


def test_all_of_it_killed(lab):
    """The keeper is killed, and its worker with it; whoever starts them again finds the sessions in the store."""
    bfdds, clients = pair(lab, 300000)
    for _ in range(3):
        discr = clients["b"].list()[0]["remote_discr"]
        bfdds["a"].process.stop(signal.SIGKILL)
        os.unlink(bfdds["a"].path)  # so that start() waits for the new one
        bfdds["a"].start()
        until(lambda: clients["a"].links[-1]["connected"], 5, "the client is back")
        rx = clients["b"].list()[0]["rx"]
        until(lambda: clients["b"].list()[0]["rx"] > rx + 2, 5, "packets")
        assert clients["b"].list()[0]["remote_discr"] == discr
    assert clients["a"].downs() == 0 and clients["b"].downs() == 0


def test_planned_end(lab):
    """SIGTERM to the keeper: AdminDown to the neighbours, status 0, and nothing left behind."""
    bfdds, clients = pair(lab, 50000)
    worker = bfdds["a"].worker()
    assert bfdds["a"].process.stop(signal.SIGTERM) == 0
    clients["b"].wait("Down")
    assert clients["b"].last()["remote"] == "AdminDown"
    until(lambda: not os.path.exists(f"/proc/{worker}"), 5, "the worker is gone")
    assert not os.path.exists(bfdds["a"].path)
    assert not os.path.exists(bfdds["a"].path.replace(".sock", ".state"))


@pytest.mark.parametrize("how", ["header", "slot", "cut", "empty", "junk"])
def test_damaged_state(lab, how):
    """What stands in the store is damaged: bfdd says so and begins anew; the session comes up by itself."""
    bfdds, clients = pair(lab, 50000)
    path = bfdds["a"].path.replace(".sock", ".state")
    assert os.stat(path).st_mode & 0o777 == 0o600
    bfdds["a"].process.stop(signal.SIGKILL)
    with open(path, "r+b") as f:
        data = bytearray(f.read())
        if how == "header":
            data[20] ^= 1
        elif how == "slot":
            data[64 + 100] ^= 1
            data[64 + 448 + 100] ^= 1
        elif how == "cut":
            data = data[: len(data) // 2]
        elif how == "empty":
            data = bytearray()
        else:
            data = bytearray(os.urandom(len(data)))
        f.seek(0)
        f.truncate()
        f.write(data)
    os.unlink(bfdds["a"].path)
    bfdds["a"].start()
    assert bfdds["a"].stats()["restored"] == 0
    if how != "empty":
        assert "anew" in bfdds["a"].process.output()
    until(lambda: clients["b"].downs() >= 1, 10, "b notices")
    for c in clients.values():
        c.wait("Up")


def copied(lab, tmp_path):
    """pair(), but b's bfdd keeps a program that the test may replace. Returns its path as well."""
    copy = str(tmp_path / "bfdd")
    shutil.copy(f"{BUILD}/bfdd", copy)
    bfdds, clients = pair(lab, 50000)
    b = bfdds["b"]
    clients["b"].process.stop()
    b.process.stop()
    clients["a"].wait("Down")
    b.process = lab.spawn("b", "b-copy", [copy, "--socket", b.path, "--keep"])
    until(lambda: os.path.exists(b.path), 5, "the socket of bfdd", 0.005)
    clients["b"] = b.client()
    clients["b"].watch(1, "eth1", LL["b"], LL["a"], 50000, 3)
    clients["a"].wait("Up")
    return bfdds, clients, copy


def replace(path, text):
    """A script in place of a program that may be running."""
    os.unlink(path)
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, 0o755)


def test_new_program_does_not_start(lab, tmp_path):
    """A reload with a program that ends at once: the old one goes on."""
    bfdds, clients, copy = copied(lab, tmp_path)
    b, downs = bfdds["b"], clients["a"].downs()
    worker = b.worker()
    replace(copy, "#!/bin/false\n")
    b.process.popen.send_signal(signal.SIGHUP)
    until(lambda: "the old one goes on" in b.process.output(), 5, "a word about it")
    holds(lambda: clients["a"].downs() == downs, 0.5, "nothing fell")
    assert b.worker() == worker


def test_a_program_that_hangs_at_its_start(lab, tmp_path):
    """It never gets ready, and there is no old one that could go on: it is ended, and another one is tried."""
    bfdds, clients, copy = copied(lab, tmp_path)
    b = bfdds["b"]
    replace(copy, "#!/bin/sh\nexec cat >/dev/null <&3\n")  # 3: the keeper's end, which says nothing of itself
    os.kill(b.worker(), signal.SIGKILL)
    until(lambda: "is not ready" in b.process.output(), 10, "the keeper gives it up")
    os.unlink(copy)
    shutil.copy(f"{BUILD}/bfdd", copy)
    until(lambda: clients["b"].links[-1]["connected"], 20, "another one works")
    for c in clients.values():
        c.wait("Up", timeout=20)
