"""The query socket of a running fabricd, with clients that mean no good. Routing goes on meanwhile."""

import os
import resource
import socket
import stat
import struct
import subprocess
import time

import pytest


def varint(n):
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def text(field, value):
    return bytes([field << 3 | 2]) + varint(len(value)) + value


def request(verb, *args, number=1):
    body = b"\x08" + varint(number) + text(2, verb.encode()) + b"".join(text(3, a.encode()) for a in args)
    return struct.pack(">I", len(body)) + body


@pytest.fixture
def connect(fab):
    path = os.path.join(fab.run_dir("leaf1"), "fabricd.sock")
    made = []

    def make():
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(10)
        s.connect(path)
        made.append(s)
        return s

    make.path = path
    yield make
    for s in made:
        s.close()


def closed(s):
    """Reads to the end; whether the other side closed."""
    try:
        while s.recv(65536):
            pass
        return True
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def flaps(fab):
    return [(r["state"], r["flaps"]) for r in fab.rows("leaf1", "bgp")]


def memory_kb(fab):
    pid = next(n["pid"] for n in fab.nodes() if n["node"] == "leaf1")
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(next(line for line in f if line.startswith("VmRSS")).split()[1])


def test_Q01_hostile_bytes(fab, connect):
    before, rss = flaps(fab), memory_kb(fab)
    for bad in [b"\xff\xff\xff\xff", struct.pack(">I", 1) + b"\x08", struct.pack(">I", 12) + b"\x08" + b"\xff" * 11,
                struct.pack(">I", 10000) + b"\x7b" * 10000, struct.pack(">I", 1 << 20) + b"\x78\x01" * (1 << 19),
                b"GET / HTTP/1.0\r\n\r\n", os.urandom(4096)]:
        s = connect()
        try:
            s.sendall(bad)
        except ConnectionError:
            continue
        s.shutdown(socket.SHUT_WR)
        assert closed(s), bad[:20]
    assert flaps(fab) == before
    assert memory_kb(fab) < rss + 2048


def test_Q02_a_client_that_stops_reading(fab, connect):
    """It asks for dumps without end and reads nothing: little is kept for it, and others are served."""
    before, rss = flaps(fab), memory_kb(fab)
    s = connect()
    s.setblocking(False)
    sent = stuck = 0
    while stuck < 100:  # a second and more in which nothing moves
        try:
            sent += s.send(request("routes") * 10)
            stuck = 0
        except BlockingIOError:
            stuck += 1
            time.sleep(0.01)
        assert sent < 64 << 20, "it takes requests without end"
    assert sent > 10000
    assert memory_kb(fab) < rss + 5 * 1024
    assert flaps(fab) == before


def test_Q03_a_thousand_clients(fab, connect):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    try:
        before = flaps(fab)
        clients = []
        for _ in range(1000):
            try:
                clients.append(connect())
            except BlockingIOError:
                break
        live = 0
        for s in clients:
            try:
                s.settimeout(0.01)
                live += s.recv(1) != b""
            except TimeoutError:
                live += 1
            except ConnectionError:
                pass
        assert live == 64
        for s in clients:
            s.close()
        fab.until("places are free again", lambda: fab.run("--at", "leaf1", "bgp", want=(0, 4)).returncode == 0)
        assert flaps(fab) == before
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_Q04_clients_killed_in_mid_reply(fab, connect):
    before = flaps(fab)
    for i in range(200):
        while True:  # all 64 places may be taken by those that are just being noticed as dead
            try:
                s = connect()
                s.sendall(request("routes") * 50)
                s.recv(1 + i * 97)
                break
            except ConnectionError:
                time.sleep(0.01)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    assert flaps(fab) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_Q06_the_socket_is_for_owner_and_group(fab, connect):
    mode = os.stat(connect.path).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660
    r = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c",
                        "import socket,sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])", connect.path],
                       capture_output=True, text=True)
    assert r.returncode != 0 and "PermissionError" in r.stderr
