"""A BGP speaker that does nothing but change its mind: IPv4 unicast, one prefix in each UPDATE, so many a second.

    python3 speaker.py LOCAL PEER ASN RATE FIRST COUNT SEED

Prefixes are FIRST + n * 256, n < COUNT (/24). Each change announces a random one with a random path behind its own AS,
or withdraws it. SIGUSR1: it stops changing and prints {prefix: path or null}, one JSON object; the session stays.
Ends with an error when the session ends.
"""

import ipaddress
import json
import random
import select
import signal
import socket
import struct
import sys
import time

TICK = 0.002


def message(kind, body=b""):
    return b"\xff" * 16 + struct.pack("!HB", 19 + len(body), kind) + body


def attribute(flags, kind, value):
    return bytes([flags, kind, len(value)]) + value


class Speaker:
    def __init__(self, local, peer, asn, rate, first, count, seed):
        self.local, self.asn, self.rate, self.count = local, asn, rate, count
        self.prefixes = [struct.pack("!I", int(ipaddress.ip_address(first)) + n * 256)[:3] for n in range(count)]
        self.random, self.state, self.changes, self.calm, self.told = random.Random(seed), {}, 0, False, False
        self.s = socket.create_connection((peer, 179), source_address=(local, 0), timeout=10)
        capabilities = b"\x01\x04\x00\x01\x00\x01" + b"\x41\x04" + struct.pack("!I", asn)
        options = b"\x02" + bytes([len(capabilities)]) + capabilities
        self.s.sendall(message(1, struct.pack("!BHH4sB", 4, asn, 90, socket.inet_aton(local), len(options)) + options))
        self.left = b""
        self.wait_for(4)
        self.s.sendall(message(4))
        self.s.settimeout(60)

    def wait_for(self, kind):
        while kind not in self.read():
            pass

    def read(self):
        got = self.s.recv(1 << 20)
        if not got:
            raise SystemExit("the peer closed the session")
        self.left += got
        kinds = []
        while len(self.left) >= 19:
            n, kind = struct.unpack("!HB", self.left[16:19])
            if len(self.left) < n:
                break
            if kind == 3:
                raise SystemExit(f"NOTIFICATION {self.left[19:n].hex()}")
            kinds.append(kind)
            self.left = self.left[n:]
        return kinds

    def change(self):
        n = self.random.randrange(self.count)
        nlri = b"\x18" + self.prefixes[n]
        if self.random.random() < 0.2:
            self.state[n] = None
            return message(2, struct.pack("!H", 4) + nlri + b"\0\0")
        path = [self.asn, 4200000000 + self.random.randrange(300), 4200001000 + self.random.randrange(50)]
        self.state[n] = path
        attributes = (attribute(0x40, 1, b"\0") + attribute(0x40, 2, struct.pack("!BB3I", 2, 3, *path)) +
                      attribute(0x40, 3, socket.inet_aton(self.local)))
        return message(2, struct.pack("!HH", 0, len(attributes)) + attributes + nlri)

    def tell(self):
        table = {f"{socket.inet_ntoa(self.prefixes[n] + bytes(1))}/24": p for n, p in self.state.items()}
        print(json.dumps({"changes": self.changes, "seconds": time.monotonic() - self.begun, "table": table}), flush=True)

    def run(self):
        self.begun = time.monotonic()
        said = self.begun
        print("up", flush=True)
        while True:
            now = time.monotonic()
            if self.calm and not self.told:
                self.told = True
                self.tell()
            due = 0 if self.calm else min(int((now - self.begun) * self.rate) - self.changes, 4 * int(self.rate * TICK) + 1)
            if due > 0:
                self.s.sendall(b"".join(self.change() for _ in range(due)))
                self.changes += due
            if now - said > 2:
                self.s.sendall(message(4))
                said = now
            if select.select([self.s], [], [], TICK)[0]:
                self.read()

    def stop(self, *_):
        self.calm = True


def main(local, peer, asn, rate, first, count, seed):
    speaker = Speaker(local, peer, int(asn), int(rate), first, int(count), int(seed))
    signal.signal(signal.SIGUSR1, speaker.stop)
    speaker.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
