"""Sends flows: one UDP packet each for ROUNDS rounds, from as many source ports, to a port where nobody listens.

    python3 flows.py ADDRESS FLOWS ROUNDS
"""

import resource
import socket
import sys

FIRST = 20000
TO = 9  # discard
HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def main(address, flows, rounds):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, HARD), HARD))
    sockets = []
    for n in range(flows):
        s = socket.socket(family, socket.SOCK_DGRAM)
        s.bind(("", FIRST + n))
        sockets.append(s)
    for _ in range(rounds):
        for s in sockets:
            s.sendto(b"x", (address, TO))  # not connected: what ICMP says is nobody's business


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
