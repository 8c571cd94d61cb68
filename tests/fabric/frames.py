"""Sends broken neighbour discovery, LLDP and BFD out of a port, as somebody at this end of the cable could.

    python3 frames.py PORT KIND COUNT

KIND: ra-hop-limit (a router advertisement that has been through a router), ra-code, rs-option (an option of length zero),
lldp-order (no chassis id first), lldp-length (a TLV that reaches past the end); ra: a sound one, of a second router.

bfd-version, bfd-length, bfd-multiplier, bfd-discriminator, bfd-auth, bfd-hop-limit, bfd-address: a packet of the session that leaves
through PORT is waited for and sent again with one thing in it that is wrong; bfd-stranger: a wrong version, from another address.
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


BFD, OUTGOING = 3784, 4


def bfd_of_the_session(port):
    """(Ethernet header, source, destination, UDP source port, BFD packet) of what leaves through the port with both discriminators."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as s:  # ETH_P_ALL: what leaves is seen, too
        s.bind((port, 0))
        s.settimeout(60)
        while True:
            frame, address = s.recvfrom(65535)
            if (address[2] == OUTGOING and frame[12:14] == b"\x86\xdd" and frame[20] == socket.IPPROTO_UDP and
                    struct.unpack_from(">H", frame, 56)[0] == BFD and any(frame[70:74])):
                return frame[:14], frame[22:38], frame[38:54], struct.unpack_from(">H", frame, 54)[0], frame[62:]


def replaced(packet, at, new):
    return packet[:at] + new + packet[at + len(new):]


# hop limit, source address and packet, each as it was or not
BROKEN_BFD = {
    "bfd-version": lambda h, s, p: (h, s, replaced(p, 0, b"\0")),
    "bfd-length": lambda h, s, p: (h, s, replaced(p, 3, b"\x17")),
    "bfd-multiplier": lambda h, s, p: (h, s, replaced(p, 2, b"\0")),
    "bfd-discriminator": lambda h, s, p: (h, s, replaced(p, 8, bytes(b ^ 0xFF for b in p[8:12]))),
    "bfd-auth": lambda h, s, p: (h, s, replaced(p, 1, bytes([p[1] | 4, p[2], 28])) + b"\x04\x04\0\0"),
    "bfd-hop-limit": lambda h, s, p: (h - 1, s, p),
    "bfd-address": lambda h, s, p: (h, socket.inet_pton(socket.AF_INET6, ADDRESS), p),
    "bfd-stranger": lambda h, s, p: (h, socket.inet_pton(socket.AF_INET6, ADDRESS), replaced(p, 0, b"\0")),
}


def bfd(port, kind):
    ethernet, src, dst, source_port, packet = bfd_of_the_session(port)
    hop_limit, src, packet = BROKEN_BFD[kind](255, src, packet)
    udp = struct.pack(">HHHH", source_port, BFD, 8 + len(packet), 0) + packet
    udp = udp[:6] + struct.pack(">H", checksum(src + dst + struct.pack(">II", len(udp), socket.IPPROTO_UDP) + udp)) + udp[8:]
    return ethernet + struct.pack(">IHBB", 6 << 28, len(udp), socket.IPPROTO_UDP, hop_limit) + src + dst + udp


def main(port, kind, count):
    frame = bfd(port, kind) if kind in BROKEN_BFD else FRAMES[kind]()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind((port, 0))
        for _ in range(int(count)):
            s.send(frame)


if __name__ == "__main__":
    main(*sys.argv[1:])
