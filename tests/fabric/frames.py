"""Sends broken neighbour discovery and LLDP out of a port, as somebody at this end of the cable could.

    python3 frames.py PORT KIND COUNT

KIND: ra-hop-limit (a router advertisement that has been through a router), ra-code, rs-option (an option of length zero),
lldp-order (no chassis id first), lldp-length (a TLV that reaches past the end); ra: a sound one, of a second router.
"""

import socket
import struct
import sys

ALL_NODES, ALL_ROUTERS = ("ff02::1", b"\x33\x33\0\0\0\x01"), ("ff02::2", b"\x33\x33\0\0\0\x02")
LLDP_GROUP = b"\x01\x80\xc2\0\0\x0e"
MAC = b"\x02\0\0\0\x77\x77"
ADDRESS = "fe80::7777"


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def nd(to, message, hop_limit=255):
    dst = socket.inet_pton(socket.AF_INET6, to[0])
    src = socket.inet_pton(socket.AF_INET6, ADDRESS)
    pseudo = src + dst + struct.pack(">II", len(message), socket.IPPROTO_ICMPV6)
    message = message[:2] + struct.pack(">H", checksum(pseudo + message)) + message[4:]
    return (to[1] + MAC + b"\x86\xdd" + struct.pack(">IHBB", 6 << 28, len(message), socket.IPPROTO_ICMPV6, hop_limit) +
            src + dst + message)


def ra(code=0):
    return struct.pack(">BBHBBHII", 134, code, 0, 64, 0, 1800, 0, 0) + b"\x01\x01" + MAC


def lldp(*tlvs):
    return LLDP_GROUP + MAC + b"\x88\xcc" + b"".join(struct.pack(">H", kind << 9 | length) + value for kind, length, value in tlvs)


CHASSIS, PORT, TTL, END = (1, 7, b"\x04" + MAC), (2, 5, b"\x05eth9"), (3, 2, b"\0\x78"), (0, 0, b"")
FRAMES = {
    "ra-hop-limit": lambda: nd(ALL_NODES, ra(), 254),
    "ra-code": lambda: nd(ALL_NODES, ra(code=1)),
    "rs-option": lambda: nd(ALL_ROUTERS, struct.pack(">BBHI", 133, 0, 0, 0) + b"\x01\0" + MAC),
    "lldp-order": lambda: lldp(PORT, CHASSIS, TTL, END),
    "lldp-length": lambda: lldp((1, 511, b"\x04" + MAC)),
    "ra": lambda: nd(ALL_NODES, ra()),
}


def main(port, kind, count):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind((port, 0))
        for _ in range(int(count)):
            s.send(FRAMES[kind]())


if __name__ == "__main__":
    main(*sys.argv[1:])
