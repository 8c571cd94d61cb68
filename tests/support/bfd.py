"""bfdd and its test client in a namespace, and FRR's bfdd and BIRD's BFD as neighbours."""

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

from . import fabricd
from .netns import Failed
from .stacks import write
from .wait import until


class Watcher:
    """tests/support/bfdwatch.c: says what to watch, and keeps what it was told."""

    def __init__(self, lab, node, path, name):
        self.process = lab.spawn(node, name, [f"{fabricd.BUILD}/bfdwatch", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.events, self.rows, self.ends, self.links = [], [], [], []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.popen.stdout:
            m = json.loads(line)
            if "row" in m:
                self.rows.append(m)
            elif "end" in m:
                self.ends.append(m["end"])
            elif "connected" in m:
                self.links.append(m)
            else:
                self.events.append(m)

    def say(self, line):
        self.process.popen.stdin.write(line + "\n")
        self.process.popen.stdin.flush()

    def watch(self, number, port, local, peer, interval_us, multiplier, *options):
        self.say(f"watch {number} {port} {local} {peer} {interval_us} {multiplier} {' '.join(options)}")

    def state(self, number=1):
        return next((e["state"] for e in reversed(self.events) if e["id"] == number), None)

    def last(self, number=1):
        return next((e for e in reversed(self.events) if e["id"] == number), None)

    def downs(self, number=1):
        """Falls from Up."""
        states = [e["state"] for e in self.events if e["id"] == number]
        return sum(a == "Up" != b for a, b in zip(states, states[1:]))

    def wait(self, state, number=1, timeout=10):
        until(lambda: self.state(number) == state, timeout, f"{self.process.name}: watch {number} is {state}", 0.005)

    def list(self):
        n, self.rows = len(self.ends), []
        self.say("list")
        until(lambda: len(self.ends) > n, 5, "the end of the list", 0.005)
        return self.rows


class Bfdd:
    """Our bfdd in one node."""

    def __init__(self, lab, node, *options):
        self.lab, self.node, self.options = lab, node, options
        self.path = os.path.join(lab.dir, f"{node}.bfdd.sock")
        self.count = 0
        self.start()

    def start(self):
        self.count += 1
        self.process = self.lab.spawn(
            self.node, f"{self.node}-bfdd{self.count}", [f"{fabricd.BUILD}/bfdd", "--socket", self.path, *self.options]
        )
        until(lambda: os.path.exists(self.path), 5, "the socket of bfdd", 0.005)

    def worker(self):
        """With --keep: the process that has the sessions now; None while there is none."""
        pid = self.process.pid
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return next(map(int, f.read().split()), None)

    def client(self):
        self.count += 1
        w = Watcher(self.lab, self.node, self.path, f"{self.node}-watch{self.count}")
        until(lambda: w.links, 5, "a connection to bfdd", 0.005)
        return w

    def stats(self):
        """The line of figures that SIGUSR1 asks for."""

        def lines():
            return [line for line in self.process.output().splitlines() if line.startswith("{") and line.endswith("}}")]

        n = len(lines())
        self.process.popen.send_signal(signal.SIGUSR1)
        return json.loads(until(lambda: lines()[n:], 5, "figures of bfdd", 0.005)[0])


class Ear:
    """Hears the BFD packets that a node is given, at all its ports; with Ear(lab, node) as ear. .times: {port: [ns of
    CLOCK_MONOTONIC]}, by the kernel's time stamps."""

    SO_TIMESTAMPNS, SO_RCVBUFFORCE, PACKET_STATISTICS, SOL_PACKET = 35, 33, 6, 263  # the kernel's headers
    MEMORY = 64 << 20

    def __init__(self, lab, node):
        with lab.inside(node):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, socket.htons(0x86DD))
        self.socket.setsockopt(socket.SOL_SOCKET, self.SO_RCVBUFFORCE, self.MEMORY)
        self.socket.setsockopt(socket.SOL_SOCKET, self.SO_TIMESTAMPNS, 1)
        self.times = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def hear(self):
        """Takes what has come since. Packets that it missed are an error: silence would be a figure then."""
        shift = time.monotonic_ns() - time.time_ns()
        while True:
            try:
                data, extra, _, where = self.socket.recvmsg(256, 64)
            except BlockingIOError:
                break
            if len(data) >= 72 and data[6] == 17 and data[42:44] == struct.pack("!H", 3784):
                seconds, ns = struct.unpack("qq", extra[0][2])
                self.times.setdefault(where[0], []).append(seconds * 10**9 + ns + shift)
        missed = struct.unpack("II", self.socket.getsockopt(self.SOL_PACKET, self.PACKET_STATISTICS, 8))[1]
        if missed:
            raise Failed(f"the kernel dropped {missed} packets before they were read")

    def forget(self):
        self.hear()
        self.times.clear()


class FrrBfd:
    """FRR's zebra and bfdd in one node; peers: lines of its configuration."""

    def __init__(self, lab, node, peers):
        self.lab, self.node = lab, node
        d = self.dir = os.path.join(lab.dir, node + "-frr")
        os.makedirs(d)
        write(f"{d}/zebra.conf", f"hostname {node}\nlog stdout errors\n")
        write(f"{d}/bfdd.conf", f"hostname {node}\nlog stdout errors\nbfd\n" + "\n".join(peers) + "\n")
        shutil.chown(d, "frr", "frr")
        common = ["-z", f"{d}/zserv.api", "--vty_socket", d, "-P", "0"]
        lab.spawn(node, f"{node}-zebra",
                  ["/usr/lib/frr/zebra", "-f", f"{d}/zebra.conf", "-i", f"{d}/zebra.pid", *common])  # fmt: skip
        until(lambda: os.path.exists(f"{d}/zserv.api"), 10, "zebra", 0.005)
        self.process = lab.spawn(
            node, f"{node}-frrbfdd",
            ["/usr/lib/frr/bfdd", "-f", f"{d}/bfdd.conf", "-i", f"{d}/bfdd.pid",
             "--bfdctl", f"{d}/bfdd.sock", *common])  # fmt: skip
        until(lambda: os.path.exists(f"{d}/bfdd.vty"), 10, "FRR's bfdd", 0.005)

    def peers(self):
        text = self.lab.run(
            self.node, ["vtysh", "--vty_socket", self.dir, "-c", "show bfd peers json"], check=False)
        return json.loads(text[text.index("["):]) if "[" in text else []


class BirdBfd:
    """BIRD with protocol bfd alone."""

    def __init__(self, lab, node, text):
        self.lab, self.node = lab, node
        d = self.dir = os.path.join(lab.dir, node + "-bird")
        os.makedirs(d)
        write(f"{d}/bird.conf", f"router id 10.9.9.9;\nlog stderr all;\nprotocol device {{ }}\nprotocol bfd {{ {text} }}\n")
        self.process = lab.spawn(
            node, f"{node}-bird",
            ["/usr/sbin/bird", "-f", "-c", f"{d}/bird.conf", "-s", f"{d}/bird.ctl", "-P", f"{d}/bird.pid"])
        until(lambda: os.path.exists(f"{d}/bird.ctl"), 10, "BIRD", 0.005)

    def sessions(self):
        """State by neighbour."""
        text = self.lab.run(self.node, ["birdc", "-s", f"{self.dir}/bird.ctl", "show", "bfd", "sessions"], check=False)
        rows = [line.split() for line in text.splitlines()]
        return {r[0]: r[2] for r in rows if len(r) >= 6 and r[2] in ("Up", "Down", "Init", "AdminDown")}
