"""bfdd on real sockets: between two namespaces, beside FRR's bfdd and BIRD's BFD, under floods, stalls and restarts."""

import os
import signal
import socket
import struct
import subprocess
import sys
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from fabric.cabled import cabled  # noqa: E402
from support.bfd import Bfdd, BirdBfd, FrrBfd  # noqa: E402
from support.fabricd import BUILD  # noqa: E402
from support.netns import link_local  # noqa: E402
from support.wait import holds, until  # noqa: E402

MACS = {"a": "02:01:00:00:0b:0a", "b": "02:01:00:00:0b:0b"}
LL = {n: link_local(m) for n, m in MACS.items()}
FOUR = {"a": "10.1.0.1", "b": "10.1.0.2"}


@pytest.fixture
def lab():
    with cabled("bfd", MACS, FOUR) as lab:
        yield lab


def pair(lab, interval_us=50000, multiplier=3, options=((), ()), addresses=LL, multipliers=None):
    """Both ends up, each with a bfdd and a client that watches the other as 1."""
    bfdds = {n: Bfdd(lab, n) for n in "ab"}
    clients = {n: b.client() for n, b in bfdds.items()}
    for i, (n, o) in enumerate(("ab", "ba")):
        m = multipliers[n] if multipliers else multiplier
        clients[n].watch(1, "eth1", addresses[n], addresses[o], interval_us, m, *options[i])
    for c in clients.values():
        c.wait("Up")
    return bfdds, clients


@pytest.mark.parametrize("addresses", [LL, FOUR], ids=["ipv6", "ipv4"])
def test_comes_up(lab, addresses):
    bfdds, clients = pair(lab, 10000, addresses=addresses)
    row = until(lambda: (clients["a"].list()[0]["tx_us"] == 10000) and clients["a"].rows[0], 5, "10 ms agreed")
    assert row["detect_us"] == 30000 and row["state"] == row["remote"] == "Up" and row["clients"] == 1
    assert row["port"] == "eth1" and row["remote_independent"]
    assert row["dropped"] == 0
    assert not os.stat(bfdds["a"].path).st_mode & 0o007


def test_silence_is_found_in_time(lab):
    """The neighbour's process stops; the verdict comes a detection time after its last packet."""
    bfdds, clients = pair(lab, 50000)
    until(lambda: clients["a"].list()[0]["detect_us"] == 150000, 5, "50 ms agreed")
    bfdds["b"].process.popen.send_signal(signal.SIGSTOP)
    clients["a"].wait("Down")
    bfdds["b"].process.popen.send_signal(signal.SIGCONT)
    down = clients["a"].last()
    assert down["diag"] == "control detection time expired" and not down["remote_said_down"]
    clients["a"].wait("Up")
    clients["b"].wait("Up")
    assert clients["b"].downs() == 1


def test_told_at_once(lab):
    """A session that is given up tells the neighbour, which knows that it is no failure."""
    _, clients = pair(lab, 8000000)
    until(lambda: clients["a"].list()[0]["tx_us"] == 8000000, 20, "a packet each 6 to 8 s")
    clients["a"].say("free 1")
    clients["b"].wait("Down", timeout=3)
    assert clients["b"].last()["remote"] == "AdminDown" and clients["b"].last()["remote_said_down"]


def test_own_absence_is_no_failure(lab):
    """bfdd is stopped for 20 detection times of its own; the neighbour (which waits long) lives, and is not called dead."""
    bfdds, clients = pair(lab, 10000, multipliers={"a": 200, "b": 3})
    until(lambda: clients["a"].list()[0]["detect_us"] == 30000, 5, "10 ms agreed")
    for _ in range(3):
        bfdds["a"].process.popen.send_signal(signal.SIGSTOP)
        holds(lambda: True, 0.6, "time passes")
        bfdds["a"].process.popen.send_signal(signal.SIGCONT)
        holds(lambda: clients["a"].downs() == 0, 0.2, "a keeps b")
    assert bfdds["a"].stats()["stalls"] >= 3
    assert clients["b"].downs() == 0


HOG = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(80))
until = time.monotonic() + 0.25
while time.monotonic() < until:
    pass
"""


def processor(bfdd):
    return os.sched_getaffinity(bfdd.process.pid)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs real-time priority")
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors")
def test_a_processor_that_is_taken_is_left(lab):
    """Something that bfdd cannot preempt (here of higher priority) keeps its processor for longer than detection takes."""
    bfdds, clients = pair(lab, 50000)
    until(lambda: all(c.list()[0]["detect_us"] == 150000 for c in clients.values()), 5, "50 ms agreed")
    if os.sched_getscheduler(bfdds["a"].process.pid) & ~os.SCHED_RESET_ON_FORK != os.SCHED_FIFO:
        pytest.skip("no real-time priority here")
    for _ in range(4):
        homes = {n: processor(b) for n, b in bfdds.items()}
        assert all(len(h) == 1 for h in homes.values())
        assert subprocess.run([sys.executable, "-c", HOG, str(*homes["a"])], timeout=10).returncode == 0
        assert processor(bfdds["a"]) != homes["a"]
        holds(lambda: all(c.downs() == 0 for c in clients.values()), 0.3, "nobody falls")
    for n in "ab":
        assert bfdds[n].stats()["moved"] >= (4 if n == "a" else 1)
        assert clients[n].list()[0]["spared"] == 0


def test_sessions_outlive_their_client(lab):
    bfdds, clients = pair(lab)
    clients["a"].process.stop(signal.SIGKILL)
    holds(lambda: clients["b"].downs() == 0, 1, "b hears nothing of the client's death")
    again = bfdds["a"].client()
    again.watch(1, "eth1", LL["a"], LL["b"], 50000, 3)
    until(lambda: again.events, 5, "the state")
    assert again.events[0]["state"] == "Up"
    assert again.list()[0]["clients"] == 1
    again.say("quit")
    clients["b"].wait("Down")
    assert clients["b"].last()["remote"] == "AdminDown"


def test_watches_outlive_bfdd(lab):
    """B12: bfdd comes after its client, goes without a word, and comes again: the state in the end is the same."""
    bfdds, clients = pair(lab)
    bfdds["a"].process.stop(signal.SIGKILL)
    until(lambda: not clients["a"].links[-1]["connected"], 5, "the connection is lost")
    clients["b"].wait("Down")
    bfdds["a"].start()
    for c in clients.values():
        c.wait("Up")
    until(lambda: clients["a"].links[-1]["connected"], 5, "the client finds it")


def test_planned_end_is_no_failure(lab):
    bfdds, clients = pair(lab)
    assert bfdds["a"].process.stop(signal.SIGTERM) == 0
    clients["b"].wait("Down")
    assert clients["b"].last()["remote"] == "AdminDown"
    assert not os.path.exists(bfdds["a"].path)


def test_two_clients_share_a_session(lab):
    bfdds, clients = pair(lab, 200000)
    second = bfdds["a"].client()
    second.watch(7, "eth1", LL["a"], LL["b"], 50000, 4)
    second.wait("Up", 7)
    rows = second.list()
    assert len(rows) == 1 and rows[0]["clients"] == 2
    second.say("free 7")
    holds(lambda: clients["a"].downs() == 0, 0.5, "the first client keeps the session")


def test_nonsense_cuts_off_its_sender_alone(lab):
    bfdds, clients = pair(lab)
    for junk in (b"\xff\xff\xff\xff", b"\0\0\0\x04abcd", b"\0\0\0\0", os.urandom(5000)):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(bfdds["a"].path)
            s.sendall(junk)
            s.settimeout(5)
            assert_gone(s)
    # one that asks and never reads
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(bfdds["a"].path)
        s.setblocking(False)
        try:
            while True:
                s.send(b"\0\0\0\x02\x1a\x00" * 1000)
        except (BlockingIOError, ConnectionError):
            pass
        assert clients["a"].list()[0]["state"] == "Up"
    assert bfdds["a"].stats()["cut_off"] >= 4
    assert clients["a"].downs() == 0 and clients["b"].downs() == 0


def assert_gone(s):
    """The other end closes the connection, without an answer."""
    try:
        assert s.recv(100) == b"", "an answer to nonsense"
    except ConnectionError:
        pass


def test_refused_with_a_reason(lab):
    client = Bfdd(lab, "a").client()
    client.watch(1, "eth1", LL["a"], FOUR["b"], 50000, 3)
    until(lambda: client.last(1), 5, "an answer")
    assert "families" in client.last(1)["refused"]
    client.watch(2, "eth1", LL["a"], LL["b"], 50000, 3, "key=3:1:secret")
    until(lambda: client.last(2), 5, "an answer")
    assert "authentication" in client.last(2)["refused"]


def test_no_allocation_while_it_runs(lab):
    bfdds, clients = pair(lab, 5000)
    until(lambda: clients["a"].list()[0]["tx_us"] == 5000, 5, "5 ms agreed")
    before = bfdds["a"].stats()
    until(lambda: bfdds["a"].stats()["rx"] > before["rx"] + 300, 10, "300 packets")
    after = bfdds["a"].stats()
    assert after["allocs"] == before["allocs"]


def control(state, my, your, interval=50000):
    return struct.pack("!BBBBIIIII", 0x20, state << 6, 3, 24, my, your, interval, interval, 0)


def spoof(lab, node, to, packets, hops=255, port="eth1", source=None):
    with lab.inside(node):
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)
        index = socket.if_nametoindex(port)
        if source:
            s.bind((source, 0, 0, index))
    for p in packets:
        s.sendto(p, (to, 3784, 0, index))
    s.close()


def test_B01_B03_dropped_and_counted(lab):
    bfdds, clients = pair(lab)
    row = clients["a"].list()[0]
    good = control(1, row["remote_discr"], row["local_discr"])
    wrong = {
        "version": b"\x40" + good[1:],
        "length-small": good[:3] + b"\x17" + good[4:],
        "length-large": good[:23],
        "multiplier": good[:2] + b"\0" + good[3:],
        "multipoint": good[:1] + b"\x41" + good[2:],
        "my-discriminator": good[:4] + b"\0\0\0\0" + good[8:],
        "your-discriminator": good[:8] + struct.pack("!I", row["local_discr"] ^ 1) + good[12:],
        "state": control(3, 5, 0),
        "auth-unexpected": good[:1] + b"\x44" + good[2:3] + b"\x1a" + good[4:] + b"\x04\x02",
    }
    spoof(lab, "b", LL["a"], wrong.values())
    spoof(lab, "b", LL["a"], [good], hops=254)
    want = {**dict.fromkeys(wrong, 1), "hop-limit": 1}
    until(lambda: {k: v for k, v in bfdds["a"].stats()["dropped"].items() if v} == want, 5, f"{want}")
    assert clients["a"].downs() == 0


def test_B05_spoofed_down(lab):
    """On the link and with the right discriminators a Down is believed; this is what authentication is for."""
    for options in ((), ("key=5:1:secret",)):
        bfdds, clients = pair(lab, options=(options, options))
        row = clients["a"].list()[0]
        spoof(lab, "b", LL["a"], [control(1, row["remote_discr"], row["local_discr"])])
        if options:
            until(lambda: bfdds["a"].stats()["dropped"]["auth-missing"] == 1, 5, "dropped")
            assert clients["a"].downs() == 0
        else:
            until(lambda: clients["a"].downs() == 1, 5, "Down")
        for n in "ab":
            clients[n].process.stop()
            bfdds[n].process.stop()


def test_B02_wrong_port_or_source(lab):
    """With the right discriminators, but on another port, or from another address: dropped, counted, nothing else."""
    lab.cables((("a", "eth2", None), ("b", "eth2", "02:01:00:00:0b:2b")))
    for n in "ab":
        lab.ip(n, "link set eth2 up")
    lab.ip("a", "addr add fe80::2a/64 dev eth2 nodad")
    lab.ip("b", "addr add fe80::99/64 dev eth1 nodad", "addr add fe80::2b/64 dev eth2 nodad")
    bfdds, clients = pair(lab, 200000)
    clients["a"].watch(2, "eth2", "fe80::2a", "fe80::2b", 200000, 3)
    row = until(lambda: next((r for r in clients["a"].list() if r["peer"] == LL["b"]), None), 5, "the session")
    down = control(1, row["remote_discr"], row["local_discr"])
    spoof(lab, "b", "fe80::2a", [down] * 3, port="eth2")
    spoof(lab, "b", LL["a"], [down] * 2, source="fe80::99")
    until(lambda: bfdds["a"].stats()["dropped"]["port"] == 3, 5, "the wrong port is counted")
    until(lambda: bfdds["a"].stats()["dropped"]["address"] == 2, 5, "the wrong source is counted")
    assert clients["a"].downs() == 0


@pytest.mark.parametrize("what, how, threads", [
    ("junk", "udp", 1), ("junk", "frames", 2), ("junk", "bunches", 2), ("up", "frames", 2), ("strangers", "frames", 2),
    ("polls", "udp", 1), ("polls", "bunches", 2), ("begin", "bunches", 2),
])  # fmt: skip
def test_B04_B06_flood(lab, what, how, threads):
    """As much as the cores can send, for three seconds: random bytes, packets for nobody, first words of strangers, polls,
    and first words that the neighbour itself seems to say, which take its session down as they should (RFC 5880 6.8.6). No
    other session is lost on this port or another, bfdd stays idle enough, and every packet is accounted for."""
    lab.cables((("a", "eth2", None), ("b", "eth2", None)))
    for n in "ab":
        lab.ip(n, "link set eth2 up", f"addr add fe80::2{n}/64 dev eth2 nodad")
    bfdds, clients = pair(lab, 50000)
    for n, o in ("ab", "ba"):
        clients[n].watch(2, "eth2", f"fe80::2{n}", f"fe80::2{o}", 50000, 3)
    for c in clients.values():
        c.wait("Up", 2)
    row = next(r for r in clients["a"].list() if r["peer"] == LL["b"])
    before = bfdds["a"].stats()
    pid = bfdds["a"].process.pid
    cpu = time.clock_gettime_ns(~pid << 3 | 2)
    sent = int(lab.run("b", [f"{BUILD}/bfdflood", "eth1", LL["a"], "3", what, str(row["remote_discr"]),
                            str(row["local_discr"]), how, str(threads)]))  # fmt: skip
    cpu = (time.clock_gettime_ns(~pid << 3 | 2) - cpu) / 1e9
    print(f"{what}, {how}: {sent / 3:.0f} packets/s, bfdd used {cpu:.2f} s of 3 s")
    assert sent > 30000 and cpu < 1
    for c in clients.values():
        assert c.downs(2) == 0 and (c.downs(1) == 0 or what == "begin")
    if what in ("junk", "up", "strangers"):
        until(lambda: gone(bfdds["a"].stats(), before) >= sent * 0.99, 5, "all of them are counted")
    elif what == "polls":
        assert next(r for r in clients["a"].list() if r["peer"] == LL["b"])["tx"] < 3 / 0.0375 + 3 * 20 + 200
    else:
        clients["a"].wait("Up", 1)


def gone(stats, before):
    return sum(stats["dropped"].values()) - sum(before["dropped"].values()) + stats["overflowed"] - before["overflowed"]


@pytest.mark.parametrize("kind", [4, 5], ids=["keyed", "meticulous"])
def test_authenticated(lab, kind):
    _, clients = pair(lab, 20000, options=((f"key={kind}:7:secret",),) * 2)
    row = until(lambda: clients["a"].list()[0]["tx"] > 100 and clients["a"].rows[0], 10, "100 packets")
    assert row["authenticated"] and row["dropped"] == 0


def test_strangers(lab):
    """RFC 9468: a wants nobody in particular, b speaks first."""
    bfdds = {n: Bfdd(lab, n) for n in "ab"}
    a, b = bfdds["a"].client(), bfdds["b"].client()
    b.watch(1, "eth1", LL["b"], LL["a"], 50000, 3)
    until(lambda: bfdds["b"].stats()["tx"] > 0, 5, "b speaks")
    a.say("strangers eth1 50000 3 4")
    b.wait("Up")
    row = a.list()[0]
    assert row["unsolicited"] and row["peer"] == LL["b"]
    bfdds["b"].process.stop(signal.SIGKILL)
    until(lambda: not a.list(), 5, "the session goes with its neighbour")


def test_strangers_of_the_subnet(lab):
    """RFC 9468 2: who speaks from an address that is not of the port's subnets gets no session, and is counted."""
    bfdds = {n: Bfdd(lab, n) for n in "ab"}
    a, b = bfdds["a"].client(), bfdds["b"].client()
    a.say("strangers eth1 50000 3 4 10.2.0.0/24 2001:db8::/64")
    b.watch(1, "eth1", "10.1.0.2", "10.1.0.1", 50000, 3)
    until(lambda: bfdds["a"].stats()["dropped"].get("address", 0) > 1, 10, "a drops what b says")
    assert not a.list() and b.state(1) != "Up"
    a.say("strangers eth1 50000 3 4 10.2.0.0/24 10.1.0.0/24")
    b.wait("Up")
    assert [(r["unsolicited"], r["peer"]) for r in a.list()] == [(True, "10.1.0.2")]
    a.say("strangers eth1 50000 3 0")
    b.say("free 1")
    until(lambda: not a.list(), 10, "the session goes with its neighbour")
    b.watch(2, "eth1", "10.1.0.2", "10.1.0.1", 50000, 3)
    holds(lambda: b.state(2) != "Up", 1.5, "no strangers any more")


def test_echo(lab):
    _, clients = pair(lab, 200000, options=(("echo=20000",), ("loop=20000",)))
    until(lambda: clients["a"].list()[0]["echo_rx"] > 50, 10, "echoes come back")
    assert clients["a"].downs() == 0


def test_multihop(lab):
    """a - b - c; hop limit 254 at least."""
    lab.add("c")
    lab.cables((("b", "eth2", None), ("c", "eth1", None)))
    lab.ip("b", "link set eth2 up", "addr add 10.2.0.1/24 dev eth2")
    lab.ip("c", "link set eth1 up", "addr add 10.2.0.2/24 dev eth1", "route add default via 10.2.0.1")
    lab.ip("a", "route add 10.2.0.0/24 via 10.1.0.2")
    ends = {"a": ("10.1.0.1", "10.2.0.2"), "c": ("10.2.0.2", "10.1.0.1")}
    clients = {n: Bfdd(lab, n).client() for n in ends}
    for n, (local, peer) in ends.items():
        clients[n].watch(1, "-", local, peer, 50000, 3, "hops=254")
    for c in clients.values():
        c.wait("Up")
    # a third hop would be too many
    clients["a"].say("free 1")
    clients["c"].wait("Down")
    clients["a"].watch(2, "-", "10.1.0.1", "10.2.0.2", 50000, 3, "hops=255")
    holds(lambda: clients["a"].state(2) != "Up", 1.5, "hop limit 254 is too little")


@pytest.mark.skipif(not os.path.exists("/usr/lib/frr/bfdd"), reason="no FRR here")
@pytest.mark.parametrize("addresses", [LL, FOUR], ids=["ipv6", "ipv4"])
def test_frr(lab, addresses):
    frr = FrrBfd(lab, "b", [f" peer {addresses['a']} local-address {addresses['b']} interface eth1",
                            "  receive-interval 50", "  transmit-interval 60", "  detect-multiplier 4"])  # fmt: skip
    client = Bfdd(lab, "a").client()
    client.watch(1, "eth1", addresses["a"], addresses["b"], 70000, 3)
    client.wait("Up")
    until(lambda: [p["status"] for p in frr.peers()] == ["up"], 10, "FRR says up")
    row = until(lambda: client.list()[0]["rx_us"] == 70000 and client.rows[0], 10, "intervals agreed")
    assert row["tx_us"] == 70000 and row["detect_us"] == 4 * 70000
    holds(lambda: client.downs() == 0, 2, "stays up")
    client.say("change 1 20000 3")
    until(lambda: client.list()[0]["tx_us"] == 50000, 5, "a poll sequence with FRR")
    assert client.downs() == 0
    frr.process.popen.send_signal(signal.SIGSTOP)
    client.wait("Down")
    assert client.last()["diag"] == "control detection time expired"
    frr.process.popen.send_signal(signal.SIGCONT)
    client.wait("Up")
    client.say("free 1")
    until(lambda: [p["status"] for p in frr.peers()] == ["down"], 5, "FRR says down")


@pytest.mark.skipif(not os.path.exists("/usr/sbin/bird"), reason="no BIRD here")
@pytest.mark.parametrize("key", ["", "keyed sha1", "meticulous keyed sha1"], ids=["plain", "keyed", "meticulous"])
def test_bird(lab, key):
    auth = f'authentication {key}; password "secret" {{ id 3; }};' if key else ""
    bird = BirdBfd(lab, "b", f'interface "eth1" {{ interval 50 ms; multiplier 4; {auth} }}; '
                             f'neighbor {LL["a"]} dev "eth1"; neighbor {FOUR["a"]} dev "eth1" local {FOUR["b"]};')  # fmt: skip
    client = Bfdd(lab, "a").client()
    options = [f"key={5 if 'meticulous' in key else 4}:3:secret"] if key else []
    for number, addresses in ((1, LL), (2, FOUR)):
        client.watch(number, "eth1", addresses["a"], addresses["b"], 50000, 3, *options)
    for number in (1, 2):
        client.wait("Up", number)
    until(lambda: set(bird.sessions().values()) == {"Up"}, 10, "BIRD says up")
    until(lambda: all(r["detect_us"] == 200000 for r in client.list()), 10, "intervals agreed")
    holds(lambda: client.downs(1) + client.downs(2) == 0, 2, "stays up")
    assert all(r["dropped"] == 0 for r in client.list())
    client.say("change 1 100000 5")
    until(lambda: sorted(r["tx_us"] for r in client.list()) == [50000, 100000], 5, "a poll sequence with BIRD")
    assert client.downs() == 0
    bird.process.popen.send_signal(signal.SIGSTOP)
    client.wait("Down")
    bird.process.popen.send_signal(signal.SIGCONT)
    client.wait("Up")
    client.wait("Up", 2)


def test_128_sessions_under_load(lab):
    """One cable with 128 addresses at each end, 50 ms x 3, beside processes that want all of the machine."""
    bfdds = {n: Bfdd(lab, n) for n in "ab"}
    clients = {n: b.client() for n, b in bfdds.items()}
    for n, o in (("a", "b"), ("b", "a")):
        lab.ip(n, *(f"addr add 10.3.{i}.{1 if n == 'a' else 2}/24 dev eth1" for i in range(128)))
    for n, mine, other in (("a", 1, 2), ("b", 2, 1)):
        for i in range(128):
            clients[n].watch(i, "eth1", f"10.3.{i}.{mine}", f"10.3.{i}.{other}", 50000, 3)
    for n in "ab":
        for i in range(128):
            clients[n].wait("Up", i, 20)
    load = [lab.spawn("a", f"spin{i}", ["/bin/sh", "-c", "while :; do :; done"]) for i in range(4)]
    holds(lambda: sum(clients[n].downs(i) for n in "ab" for i in range(128)) == 0, 5, "no false alarm", 0.2)
    for p in load:
        p.stop()
    stats = bfdds["a"].stats()
    assert stats["up"] == 128
    print("run_late_p99_us", stats["run_late_p99_us"], "max", stats["run_late_max_us"])
