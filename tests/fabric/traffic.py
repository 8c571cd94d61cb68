"""Flows between two hosts of a laboratory, and which of their packets were lost.

    python3 traffic.py take ADDRESS                  prints "ready"; at the end of its stdin what came, as JSON
    python3 traffic.py send ADDRESS FLOWS PER_S      prints "ready"; at the end of its stdin what was sent

A packet says its flow and its number. Flows differ in their source port, so that they spread over equal paths. Which
packets were lost is worked out by who started both (Traffic), when both have ended.
"""

import json
import select
import socket
import struct
import subprocess
import sys
import time

FIRST, TO = 21000, 21900
HEAD = struct.Struct("!HI")
TICK = 0.005


def ended():
    return bool(select.select([sys.stdin], [], [], 0)[0])


def take(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE: a test is not the place to lose packets
    s.bind((address, TO))
    s.setblocking(False)
    seen = {}
    print("ready", flush=True)
    open_in, quiet = True, 0
    while open_in or quiet < 5:
        ready = select.select([s, sys.stdin] if open_in else [s], [], [], 0.1)[0]
        quiet = 0 if s in ready else quiet + 1
        if sys.stdin in ready:
            open_in = False
        while s in ready:
            try:
                flow, number = HEAD.unpack(s.recv(64))
            except BlockingIOError:
                break
            seen.setdefault(flow, []).append(number)
    print(json.dumps(seen), flush=True)


def send(address, flows, per_s):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sockets = []
    for n in range(flows):
        s = socket.socket(family, socket.SOCK_DGRAM)
        s.bind(("", FIRST + n))
        sockets.append(s)
    print("ready", flush=True)
    start, sent, refused, times = time.monotonic(), 0, 0, []
    while not ended():
        due = int((time.monotonic() - start) * per_s)
        times.append((sent, time.time()))
        while sent < due:
            try:
                sockets[sent % flows].sendto(HEAD.pack(sent % flows, sent // flows), (address, TO))
            except OSError:  # no route: lost as well
                refused += 1
            sent += 1
        time.sleep(TICK)
    print(json.dumps({"flows": flows, "sent": sent, "refused": refused, "times": times}), flush=True)


class Traffic:
    """Packets from one node of the laboratory to an address of another, until stop()."""

    def __init__(self, lab, source, target, address, flows=64, per_s=4000):
        self.lab, self.flows = lab, flows
        self.takes = self._start(target, "take", address)
        self.sends = self._start(source, "send", address, str(flows), str(per_s))

    def _start(self, node, *words):
        p = subprocess.Popen([f"{self.lab.bin}/fabctl", "--lab", self.lab.name, "lab", "exec", node, "/usr/bin/python3",
                              __file__, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert p.stdout.readline() == "ready\n", f"{node}: traffic.py {' '.join(words)}"
        return p

    def stop(self):
        """(how many were sent, {flow: numbers that were lost}, wall clock times of the first and the last lost one)."""
        sent = json.loads(self.sends.communicate("\n", timeout=60)[0])
        seen = json.loads(self.takes.communicate("\n", timeout=60)[0])
        lost = {}
        for flow in range(self.flows):
            count = (sent["sent"] - flow + self.flows - 1) // self.flows
            missing = sorted(set(range(count)) - set(seen.get(str(flow), [])))
            if missing:
                lost[flow] = missing
        span = None
        if lost:
            ends = [m[0] * self.flows + f for f, m in lost.items()] + [m[-1] * self.flows + f for f, m in lost.items()]
            span = tuple(max((t for n, t in sent["times"] if n <= at), default=None) for at in (min(ends), max(ends)))
        return sent["sent"], lost, span


if __name__ == "__main__":
    if sys.argv[1] == "take":
        take(sys.argv[2])
    else:
        send(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
