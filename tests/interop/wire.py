"""A BGP peer made of bytes: opens sessions with whoever listens, and says in them what no router would.

A case is what is sent on a session of its own, from an address of its own, behind one plain route; its verdict is what
has become of the session and of that route: `keeps` both, `loses` the route alone, or the NOTIFICATION, as "3/5".

    python3 wire.py          the verdicts of fabricd, FRR and BIRD beside each other
"""

import dataclasses
import ipaddress
import os
import select
import socket
import struct
import sys
import time

ASN = 64704
OPEN, UPDATE, NOTIFICATION, KEEPALIVE, REFRESH = 1, 2, 3, 4, 5
TRANSITIVE, OPTIONAL, BOTH, PARTIAL, EXTENDED = 0x40, 0x80, 0xC0, 0x20, 0x10


def message(kind, body=b"", length=None, marker=b"\xff" * 16):
    return marker + struct.pack("!HB", 19 + len(body) if length is None else length, kind) + body


def attribute(flags, kind, value=b"", length=None):
    n = len(value) if length is None else length
    if n > 255 or flags & EXTENDED:
        return struct.pack("!BBH", flags | EXTENDED, kind, n) + value
    return bytes([flags, kind, n]) + value


def net(prefix):
    n = ipaddress.ip_network(prefix)
    return bytes([n.prefixlen]) + n.network_address.packed[: (n.prefixlen + 7) // 8]


def update(attributes=b"", nlri=b"", withdrawn=b""):
    return message(UPDATE, struct.pack("!H", len(withdrawn)) + withdrawn + struct.pack("!H", len(attributes)) +
                   attributes + nlri)  # fmt: skip


def segment(kind, *asns, size="I"):
    return struct.pack(f"!BB{len(asns)}{size}", kind, len(asns), *asns)


def capability(code, value=b""):
    return bytes([code, len(value)]) + value


MP4, MP6 = capability(1, b"\0\1\0\1"), capability(1, b"\0\2\0\1")
AS4, ENH = capability(65, struct.pack("!I", ASN)), capability(5, b"\0\1\0\1\0\2")
USUAL = MP4 + MP6 + AS4 + ENH + capability(2) + capability(70)


def options(*capabilities):
    return b"".join(bytes([2, len(c)]) + c for c in capabilities)


def open_body(options_, asn=ASN, hold=90, ident="10.64.0.99", version=4):
    return struct.pack("!BHH4sB", version, asn, hold, socket.inet_aton(ident), len(options_)) + options_


@dataclasses.dataclass
class Case:
    name: str
    said: object  # bytes, or what makes them of the Session; a list is sent piece by piece
    want: str  # the verdict
    options: bytes = options(USUAL)
    opening: object = None  # bytes instead of OPEN and KEEPALIVE
    base: bool = True  # whether the plain route comes first
    as4: bool = True


class Session:
    """One case under way, from address n of ours."""

    def __init__(self, case, n, address, far):
        self.case, self.n, self.address, self.far = case, n, address, far
        self.prefix, self.marker, self.other = f"20.1.{n}.0/24", f"20.2.{n}.0/24", f"20.3.{n}.0/24"
        self.prefix6 = f"2620:1:{n:x}::/48"
        self.left, self.got, self.closed, self.s = b"", [], False, None

    # ---- what is said ----

    def plain(self, without=(), path=None, nexthop=None):
        """The attributes of a good route, but those."""
        size = "I" if self.case.as4 else "H"
        all_ = {1: attribute(TRANSITIVE, 1, b"\0"),
                2: attribute(TRANSITIVE, 2, segment(2, ASN, 64999, size=size) if path is None else path),
                3: attribute(TRANSITIVE, 3, nexthop or socket.inet_aton(self.address))}  # fmt: skip
        return b"".join(v for k, v in all_.items() if k not in without)

    def route(self, more=b"", without=(), prefix=None, **kw):
        return update(self.plain(without, **kw) + more, net(prefix or self.prefix))

    def reach(self, nexthop=None, nlri=None, afi=2, safi=1, flags=OPTIONAL, length=None):
        nexthop = self.global6() if nexthop is None else nexthop
        nlri = net(self.prefix6) if nlri is None else nlri
        value = struct.pack("!HBB", afi, safi, len(nexthop) if length is None else length) + nexthop + b"\0" + nlri
        return attribute(flags, 14, value)

    def global6(self):
        return socket.inet_pton(socket.AF_INET6, f"2001:db8:77::{self.n + 100:x}")

    # ---- the connection ----

    def connect(self):
        self.s = socket.create_connection((self.far, 179), source_address=(self.address, 0), timeout=5)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.s.setblocking(False)

    def send(self, data):
        view = memoryview(data)
        deadline = time.monotonic() + 10
        while view and not self.closed and time.monotonic() < deadline:
            try:
                view = view[self.s.send(view):]  # fmt: skip
            except BlockingIOError:
                select.select([], [self.s], [], 0.1)
            except OSError:
                self.read()
                self.closed = True

    def read(self):
        while not self.closed:
            try:
                data = self.s.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            self.closed = not data
            self.left += data
            while len(self.left) >= 19:
                n, kind = struct.unpack("!HB", self.left[16:19])
                if len(self.left) < n:
                    break
                self.got.append((kind, self.left[19:n]))
                self.left = self.left[n:]

    def heard(self, kind):
        return [body for k, body in self.got if k == kind]

    def begin(self):
        if self.case.opening is not None:
            self.send(self.case.opening(self) if callable(self.case.opening) else self.case.opening)
        else:
            self.send(message(OPEN, open_body(self.case.options, ident=self.address)) + message(KEEPALIVE))

    def speak(self, dice=None):
        said = self.case.said(self) if callable(self.case.said) else self.case.said
        pieces = said if isinstance(said, list) else [said]
        pieces = pieces + [update(self.plain(), net(self.marker)) + message(KEEPALIVE)]
        if dice:
            data, pieces = b"".join(pieces), []
            while data:
                n = dice.choice((1, 2, 18, 19, 20, dice.randrange(1, 1461)))
                pieces.append(data[:n])
                data = data[n:]
        for piece in pieces:
            self.send(piece)

    def up(self):
        return KEEPALIVE in [kind for kind, _ in self.got]

    def notice(self):
        bodies = self.heard(NOTIFICATION)
        return f"{bodies[-1][0]}/{bodies[-1][1]}" if bodies else None

    def verdict(self, routes):
        if self.closed or self.notice():
            return self.notice() or "closed"
        if self.marker not in routes:
            return "silent"
        return "keeps" if self.prefix in routes or not self.case.base else "loses"


def conduct(lab, node, cases, far, first, kernel_routes, timeout=20, dice=None):
    """Runs all cases side by side; {name: (verdict, Session)}. kernel_routes(): prefixes in the kernel of the far end. With
    dice what is said comes in pieces of any length."""
    sessions = [Session(c, i, str(ipaddress.ip_address(first) + i), far) for i, c in enumerate(cases)]

    def settle(done, every=lambda: None):
        deadline, said = time.monotonic() + timeout, time.monotonic()
        while time.monotonic() < deadline:
            every()
            for s in sessions:
                s.read()
            if all(s.closed or s.notice() or done(s) for s in sessions):
                return
            if time.monotonic() - said > 2:
                said = time.monotonic()
                for s in sessions:
                    if s.up():
                        s.send(message(KEEPALIVE))
            time.sleep(0.02)  # between two looks at all of them

    routes = set()

    def look():
        routes.clear()
        routes.update(kernel_routes())

    with lab.inside(node):
        for s in sessions:
            s.connect()
            s.begin()
    settle(lambda s: s.up())
    for s in sessions:
        if s.case.base:
            s.send(s.route())
    settle(lambda s: not s.case.base or s.prefix in routes, look)
    for s in sessions:
        s.speak(dice)
    settle(lambda s: s.marker in routes, look)
    look()
    return {s.case.name: (s.verdict(routes), s) for s in sessions}


# ---- what is said ----


def bad(name, more, want, **kw):
    """A route again, with something more behind its attributes."""
    return Case(name, lambda s: s.route(more if isinstance(more, bytes) else more(s)), want, **kw)


def instead(name, kind, value, want, flags=None, **kw):
    """A route again, with another attribute in the place of one of its own."""
    flags = {1: TRANSITIVE, 2: TRANSITIVE, 3: TRANSITIVE}[kind] if flags is None else flags
    return Case(name, lambda s: update(s.plain([kind]) + attribute(flags, kind, value), net(s.prefix)), want, **kw)


def in_open(name, body, want, said=b""):
    return Case(name, said, want, opening=message(OPEN, body) + message(KEEPALIVE), base=False)


def v6(name, reach, want, **kw):
    return Case(name, lambda s: update(reach(s) + s.plain([3])), want, **kw)


LINK_LOCAL = socket.inet_pton(socket.AF_INET6, "fe80::1234")
COMMUNITY = struct.pack("!HH", 64704, 7)
LARGE = struct.pack("!III", 64704, 1, 2)
DEEP = segment(2, ASN, *[65010 + i for i in range(200)])

CASES = [
    # headers, RFC 4271 6.1
    Case("marker of zeros", message(KEEPALIVE, marker=b"\0" * 16), "1/1"),
    Case("last octet of the marker", message(KEEPALIVE, marker=b"\xff" * 15 + b"\xfe"), "1/1"),
    Case("length 18", message(KEEPALIVE, length=18), "1/2"),
    Case("length 4097", message(UPDATE, bytes(4078)), "1/2"),
    Case("length 65535 announced", message(UPDATE, bytes(4), length=65535), "1/2"),
    Case("UPDATE of 5000 octets, agreed upon", lambda s: s.route(attribute(BOTH, 213, bytes(4900))), "keeps",
         options=options(USUAL + capability(6))),  # fmt: skip
    Case("UPDATE of 65535 octets, agreed upon", lambda s: s.route(attribute(BOTH, 213, bytes(65535 - 61))), "keeps",
         options=options(USUAL + capability(6))),  # fmt: skip
    Case("KEEPALIVE of 5000 octets, with long messages", message(KEEPALIVE, bytes(4981)), "1/2",
         options=options(USUAL + capability(6))),  # fmt: skip
    Case("type 0", message(0), "1/3"),
    Case("type 6", message(6), "1/3"),
    Case("type 255", message(255), "1/3"),
    Case("KEEPALIVE with a body", message(KEEPALIVE, b"\0"), "1/2"),
    Case("UPDATE of 22 octets", message(UPDATE, bytes(3)), "1/2"),
    Case("OPEN in Established", lambda s: message(OPEN, open_body(s.case.options, ident=s.address)), "5/3"),
    Case("octet by octet", lambda s: [bytes([b]) for b in s.route(prefix=s.prefix) + message(KEEPALIVE)], "keeps"),
    Case("hundred KEEPALIVEs at once", message(KEEPALIVE) * 100, "keeps"),
    # OPEN, RFC 4271 6.2, RFC 5492, 6793, 7607, 9072
    in_open("version 3", open_body(options(USUAL), version=3), "2/1"),
    in_open("version 5", open_body(options(USUAL), version=5), "2/1"),
    in_open("AS 0", open_body(options(MP4), asn=0), "2/2"),
    in_open("another AS", open_body(options(MP4), asn=64705), "2/2"),
    in_open("AS 0 in capability 65", open_body(options(MP4 + capability(65, bytes(4)))), "2/2"),
    in_open("capability 65 is of another AS", open_body(options(MP4 + capability(65, struct.pack("!I", 64705)))), "2/2"),
    in_open("AS_TRANS and capability 65", open_body(options(USUAL), asn=23456), "keeps"),
    in_open("AS_TRANS alone", open_body(options(MP4), asn=23456), "2/2"),
    in_open("identifier 0.0.0.0", open_body(options(USUAL), ident="0.0.0.0"), "2/3"),
    in_open("hold time 1", open_body(options(USUAL), hold=1), "2/6"),
    in_open("hold time 2", open_body(options(USUAL), hold=2), "2/6"),
    in_open("hold time 3", open_body(options(USUAL), hold=3), "keeps"),
    in_open("hold time 0", open_body(options(USUAL), hold=0), "keeps"),
    in_open("parameter of type 1", open_body(b"\1\1\0" + options(USUAL)), "2/4"),
    in_open("parameter of type 7", open_body(options(USUAL) + b"\7\0"), "2/4"),
    in_open("each capability in a parameter of its own",
            open_body(options(MP4, MP6, AS4, ENH, capability(2), capability(70))), "keeps"),  # fmt: skip
    Case("no parameter", b"", "keeps", opening=message(OPEN, open_body(b"")) + message(KEEPALIVE), base=False, as4=False),
    in_open("empty parameter", open_body(options(b"", USUAL)), "keeps"),
    in_open("unknown capabilities", open_body(options(capability(200, bytes(20)) + USUAL + capability(255))), "keeps"),
    in_open("capability past the end", open_body(b"\2\4\x01\x04\0\1"), "2/0"),
    in_open("parameter past the end", open_body(b"\2\x20\x01\x04\0\1\0\1"), "2/0"),
    in_open("capability 1 of 3 octets", open_body(options(capability(1, b"\0\1\0") + AS4)), "2/0"),
    in_open("capability 65 of 2 octets", open_body(options(MP4 + capability(65, b"\xfc\xc0"))), "2/0"),
    in_open("octets behind the parameters", open_body(options(USUAL)) + b"\0\0", "2/0"),
    in_open("extended parameters", open_body(b"")[:-1] + b"\xff\xff" + struct.pack("!H", len(USUAL) + 3) + b"\2" +
            struct.pack("!H", len(USUAL)) + USUAL, "keeps"),  # fmt: skip
    in_open("extended parameters, length octet 1", open_body(b"")[:-1] + b"\x01\xff" + struct.pack("!H", len(USUAL) + 3) +
            b"\2" + struct.pack("!H", len(USUAL)) + USUAL, "keeps"),  # fmt: skip
    in_open("extended parameters of 600 octets", open_body(b"")[:-1] + b"\xff\xff" + struct.pack("!H", len(USUAL) + 606) +
            b"\2" + struct.pack("!H", 600) + capability(200, bytes(255)) + capability(201, bytes(255)) +
            capability(202, bytes(84)) + b"\2" + struct.pack("!H", len(USUAL)) + USUAL, "keeps"),  # fmt: skip
    in_open("extended parameters cut short", open_body(b"")[:-1] + b"\xff\xff\0", "2/0"),
    in_open("capability 64 of 1 octet", open_body(options(USUAL + capability(64, b"\0"))), "2/0"),
    in_open("capability 64 of 5 octets", open_body(options(USUAL + capability(64, bytes(5)))), "2/0"),
    in_open("capability 64 twice", open_body(options(USUAL + capability(64, b"\0\x78") * 2)), "keeps"),
    in_open("capability 71 without 64", open_body(options(USUAL + capability(71, b"\0\1\1\x80\0\0\x3c"))), "keeps"),
    in_open("capability 71 of 5 octets", open_body(options(USUAL + capability(71, bytes(5)))), "keeps"),
    in_open("capability 69", open_body(options(USUAL + capability(69, b"\0\1\1\3\0\2\1\3"))), "keeps"),
    in_open("capability 73 that tells too much", open_body(options(USUAL + capability(73, b"\xffab"))), "keeps"),
    in_open("capability 9 of 2 octets", open_body(options(USUAL + capability(9, b"\0\0"))), "2/0"),
    in_open("capability 5 of 5 octets", open_body(options(USUAL + capability(5, bytes(5)))), "keeps"),
    in_open("capabilities twice", open_body(options(USUAL, USUAL)), "keeps"),
    in_open("hold time 65535", open_body(options(USUAL), hold=65535), "keeps"),
    in_open("OPEN of 4097 octets", open_body(b"")[:-1] + b"\xff\xff" + struct.pack("!H", 4065) + b"\2" +
            struct.pack("!H", 4062) + bytes(4062), "1/2"),  # fmt: skip
    in_open("families of nobody", open_body(options(capability(1, b"\0\1\0\x80") + AS4)), "2/7"),
    Case("UPDATE before OPEN", b"", "5/1", opening=update(), base=False),
    Case("KEEPALIVE before OPEN", b"", "5/1", opening=message(KEEPALIVE), base=False),
    Case("OPEN twice", b"", "5/2", opening=lambda s: message(OPEN, open_body(s.case.options, ident=s.address)) * 2, base=False),
    Case("UPDATE before KEEPALIVE", b"", "5/2",
         opening=lambda s: message(OPEN, open_body(s.case.options, ident=s.address)) + update(), base=False),  # fmt: skip
    # the three lengths, RFC 4271 6.3, RFC 7606 3 and 4
    Case("withdrawn length past the end", message(UPDATE, b"\0\xff\0\0"), "3/1"),
    Case("attribute length past the end", message(UPDATE, b"\0\0\0\xff"), "3/1"),
    bad("attribute past the end", b"\x80\x04\xff\0", "loses"),
    bad("attribute of one octet", b"\x80", "loses"),
    Case("no attribute, one route", lambda s: update(b"", net(s.prefix)), "loses"),
    # ORIGIN, AS_PATH, NEXT_HOP: RFC 7606 7.1 to 7.3
    Case("no ORIGIN", lambda s: s.route(without=[1]), "loses"),
    Case("no AS_PATH", lambda s: s.route(without=[2]), "loses"),
    Case("no NEXT_HOP", lambda s: s.route(without=[3]), "loses"),
    instead("ORIGIN of 2 octets", 1, b"\0\0", "loses"),
    instead("ORIGIN 3", 1, b"\3", "loses"),
    instead("ORIGIN optional", 1, b"\0", "loses", flags=BOTH),
    instead("ORIGIN partial", 1, b"\0", "loses", flags=TRANSITIVE | PARTIAL),
    instead("ORIGIN with extended length", 1, b"\0", "keeps", flags=TRANSITIVE | EXTENDED),
    instead("ORIGIN with all lower flags", 1, b"\0", "keeps", flags=TRANSITIVE | 0x0F),
    instead("AS_PATH of type 5", 2, segment(5, ASN), "loses"),
    instead("AS_PATH past its end", 2, struct.pack("!BBI", 2, 2, ASN), "loses"),
    instead("AS_PATH with an octet too many", 2, segment(2, ASN) + b"\0", "loses"),
    instead("AS_PATH with an empty segment", 2, segment(2, ASN) + b"\2\0", "loses"),
    instead("AS_PATH empty", 2, b"", "loses"),
    instead("AS_PATH of another neighbour", 2, segment(2, 64705), "loses"),
    instead("AS_PATH with AS 0", 2, segment(2, ASN, 0), "loses"),
    instead("AS_PATH with an AS_SET", 2, segment(2, ASN) + segment(1, 64999, 64998), "loses"),
    instead("AS_PATH with a confederation", 2, segment(3, 64512) + segment(2, ASN), "loses"),
    instead("AS_PATH with a confederation set", 2, segment(2, ASN) + segment(4, 64512), "loses"),
    instead("AS_PATH with AS_TRANS", 2, segment(2, ASN, 23456), "keeps"),
    instead("AS_PATH in two sequences", 2, segment(2, ASN) + segment(2, 64999), "keeps"),
    instead("AS_PATH with our own AS", 2, segment(2, ASN, 65001), "loses"),
    instead("AS_PATH of 201", 2, DEEP, "keeps"),
    instead("AS_PATH of 900", 2, b"".join(segment(2, ASN, *range(64512, 64736)) for _ in range(4)), "keeps"),
    instead("NEXT_HOP of 3 octets", 3, b"\x0a\x40\0", "loses"),
    instead("NEXT_HOP of 16 octets", 3, bytes(15) + b"\1", "loses"),
    instead("NEXT_HOP 0.0.0.0", 3, bytes(4), "loses"),
    instead("NEXT_HOP 127.0.0.1", 3, b"\x7f\0\0\1", "loses"),
    instead("NEXT_HOP 224.0.0.5", 3, b"\xe0\0\0\5", "loses"),
    instead("NEXT_HOP is the receiver", 3, b"\x0a\x40\0\1", "loses"),
    instead("NEXT_HOP of nowhere", 3, b"\xcb\0\x71\x09", "loses"),
    instead("NEXT_HOP optional", 3, b"\x0a\x40\0\x63", "loses", flags=BOTH),
    # the others, RFC 7606 7.4 to 7.16
    bad("MED of 3 octets", attribute(OPTIONAL, 4, b"\0\0\1"), "loses"),
    bad("MED transitive", attribute(BOTH, 4, b"\0\0\0\1"), "loses"),
    bad("MED partial", attribute(OPTIONAL | PARTIAL, 4, b"\0\0\0\1"), "keeps"),
    bad("LOCAL_PREF from outside", attribute(TRANSITIVE, 5, b"\0\0\0\1"), "keeps"),
    bad("LOCAL_PREF of 3 octets from outside", attribute(TRANSITIVE, 5, b"\0\0\1"), "keeps"),
    bad("ATOMIC_AGGREGATE of 1 octet", attribute(TRANSITIVE, 6, b"\0"), "keeps"),
    bad("AGGREGATOR of 6 octets", attribute(BOTH, 7, b"\xfc\xc0\xc0\0\2\1"), "keeps"),
    bad("AGGREGATOR of 7 octets", attribute(BOTH, 7, bytes(7)), "keeps"),
    bad("AGGREGATOR of AS 0", attribute(BOTH, 7, bytes(8)), "keeps"),
    bad("AGGREGATOR optional non-transitive", attribute(OPTIONAL, 7, b"\0\0\xfc\xc0\xc0\0\2\1"), "loses"),
    bad("COMMUNITIES empty", attribute(BOTH, 8), "loses"),
    bad("COMMUNITIES of 5 octets", attribute(BOTH, 8, COMMUNITY + b"\0"), "loses"),
    bad("COMMUNITIES non-transitive", attribute(OPTIONAL, 8, COMMUNITY), "loses"),
    bad("COMMUNITIES partial", attribute(BOTH | PARTIAL, 8, COMMUNITY), "keeps"),
    bad("COMMUNITIES with extended length", attribute(BOTH | EXTENDED, 8, COMMUNITY), "keeps"),
    bad("ORIGINATOR_ID from outside", attribute(OPTIONAL, 9, b"\xc0\0\2\1"), "keeps"),
    bad("ORIGINATOR_ID of 3 octets from outside", attribute(OPTIONAL, 9, b"\xc0\0\2"), "keeps"),
    bad("CLUSTER_LIST of 5 octets from outside", attribute(OPTIONAL, 10, bytes(5)), "keeps"),
    bad("EXTENDED_COMMUNITIES of 9 octets", attribute(BOTH, 16, bytes(9)), "loses"),
    bad("EXTENDED_COMMUNITIES empty", attribute(BOTH, 16), "loses"),
    bad("AS4_PATH between new speakers", attribute(BOTH, 17, segment(2, ASN)), "keeps"),
    bad("AS4_PATH between new speakers, broken", attribute(BOTH, 17, b"\2\5\0\0"), "keeps"),
    bad("AS4_AGGREGATOR of 9 octets", attribute(BOTH, 18, bytes(9)), "keeps"),
    bad("PMSI_TUNNEL broken", attribute(BOTH, 22, b"\0\6"), "keeps"),
    bad("TUNNEL_ENCAPSULATION broken", attribute(BOTH, 23, b"\0\7\0\4\1"), "keeps"),
    bad("AIGP", attribute(OPTIONAL, 26, b"\1\0\x0b" + bytes(8)), "keeps"),
    bad("AIGP transitive", attribute(BOTH, 26, b"\1\0\x0b" + bytes(8)), "keeps"),
    bad("BGP-LS broken", attribute(OPTIONAL, 29, b"\4\0\0\xff\0"), "keeps"),
    bad("LARGE_COMMUNITIES empty", attribute(BOTH, 32), "loses"),
    bad("LARGE_COMMUNITIES of 13 octets", attribute(BOTH, 32, LARGE + b"\0"), "loses"),
    bad("LARGE_COMMUNITIES twice the same", attribute(BOTH, 32, LARGE * 2), "keeps"),
    bad("PREFIX_SID broken", attribute(BOTH, 40, b"\1\0\xff"), "keeps"),
    bad("attribute 128 broken", attribute(BOTH, 128, b"\0"), "keeps"),
    bad("attribute 255", attribute(BOTH, 255, bytes(9)), "keeps"),
    bad("unknown optional transitive", attribute(BOTH, 213, b"abc"), "keeps"),
    bad("unknown optional transitive, partial", attribute(BOTH | PARTIAL, 213, b"abc"), "keeps"),
    bad("unknown optional non-transitive", attribute(OPTIONAL, 213, b"abc"), "keeps"),
    bad("unknown of 3000 octets", attribute(BOTH, 213, bytes(3000)), "keeps"),
    bad("unknown well-known", attribute(TRANSITIVE, 213, b"abc"), "loses"),  # RFC 4271 6.3: 3/2; see attr.c
    bad("attribute 0", attribute(BOTH, 0, b"abc"), "keeps"),
    Case("attributes in falling order",
         lambda s: update(attribute(BOTH, 8, COMMUNITY) + attribute(TRANSITIVE, 3, socket.inet_aton(s.address)) +
                          attribute(TRANSITIVE, 2, segment(2, ASN)) + attribute(TRANSITIVE, 1, b"\0"), net(s.prefix)),
         "keeps"),  # fmt: skip
    bad("ORIGIN twice", attribute(TRANSITIVE, 1, b"\0"), "keeps"),
    bad("ORIGIN twice, the second one broken", attribute(TRANSITIVE, 1, b"\7"), "keeps"),
    bad("AS_PATH twice", attribute(TRANSITIVE, 2, segment(2, 1)), "keeps"),
    bad("COMMUNITIES twice", attribute(BOTH, 8, COMMUNITY) * 2, "keeps"),
    bad("unknown twice", attribute(BOTH, 213, b"abc") * 2, "keeps"),
    # prefixes, RFC 7606 5.3, RFC 4271 4.3
    Case("prefix of 33 bits", lambda s: update(s.plain(), b"\x21\x14\x01" + bytes([s.n]) + b"\0\0"), "3/10"),
    Case("prefix past the end", lambda s: update(s.plain(), b"\x18\x14\x01"), "3/10"),
    Case("withdrawn of 33 bits", update(b"", b"", b"\x21\x14\x01\0\0\0"), "3/10"),
    Case("host bits set", lambda s: update(s.plain(), b"\x16\x14\x03" + bytes([s.n | 3])) + update(b"", b"", net(s.prefix)),
         "loses"),  # fmt: skip
    Case("withdrawn and announced", lambda s: update(s.plain(), net(s.prefix), net(s.prefix)), "keeps"),
    Case("announced twice", lambda s: update(s.plain(), net(s.prefix) * 2), "keeps"),
    Case("attributes without a route", lambda s: update(s.plain()), "keeps"),
    Case("withdrawn that was never there", lambda s: update(b"", b"", net(s.other)), "keeps"),
    Case("224.0.0.0/4", lambda s: update(s.plain(), b"\x04\xe0"), "keeps"),
    Case("broken attribute, nothing announced", lambda s: update(attribute(OPTIONAL, 4, b"\1"), b"", net(s.prefix)), "3/5"),
    Case("End-of-RIB", update(), "keeps"),
    # MP_REACH and MP_UNREACH, RFC 4760, 7606 5.3 and 7.11, 8950
    v6("IPv6 route", lambda s: s.reach(), "keeps"),
    v6("IPv6 over two next hops", lambda s: s.reach(s.global6() + LINK_LOCAL), "keeps"),
    v6("IPv6 next hop of 4", lambda s: s.reach(b"\xc0\0\2\1"), "3/9"),
    v6("IPv6 next hop of 24", lambda s: s.reach(bytes(8) + s.global6()), "3/9"),
    v6("IPv6 next hop of 48", lambda s: s.reach(bytes(8) + s.global6() + bytes(8) + LINK_LOCAL), "3/9"),
    v6("IPv6 next hop of 0", lambda s: s.reach(b""), "3/9"),
    v6("IPv6 next hop past the end", lambda s: s.reach(length=200), "3/9"),
    v6("IPv6 prefix of 129 bits", lambda s: s.reach(nlri=b"\x81" + bytes(17)), "3/9"),
    v6("IPv6 prefix past the end", lambda s: s.reach(nlri=b"\x40\x20"), "3/9"),
    v6("MP_REACH twice", lambda s: s.reach() * 2, "3/1"),
    v6("MP_REACH transitive", lambda s: s.reach(flags=BOTH), "3/9"),
    v6("MP_REACH well-known", lambda s: s.reach(flags=TRANSITIVE), "3/9"),
    v6("MP_REACH of 4 octets", lambda s: attribute(OPTIONAL, 14, b"\0\2\1\0"), "3/9"),
    v6("MP_REACH with a reserved octet that is set",
       lambda s: attribute(OPTIONAL, 14, b"\0\2\1\x10" + s.global6() + b"\7" + net(s.prefix6)), "keeps"),  # fmt: skip
    v6("MP_REACH without a prefix", lambda s: s.reach(nlri=b""), "keeps"),
    v6("MP_REACH of multicast", lambda s: s.reach(safi=2), "keeps"),
    v6("MP_REACH of another family", lambda s: s.reach(afi=25, safi=70), "keeps"),
    v6("IPv4 over IPv6", lambda s: s.reach(afi=1, nlri=net(s.other)), "keeps"),
    v6("IPv4 over IPv6, two next hops", lambda s: s.reach(s.global6() + LINK_LOCAL, afi=1, nlri=net(s.other)), "keeps"),
    v6("IPv4 over 24 octets", lambda s: s.reach(bytes(8) + s.global6(), afi=1, nlri=net(s.other)), "3/9"),
    v6("IPv4 over IPv6, not agreed upon", lambda s: s.reach(afi=1, nlri=net(s.other)), "3/9", options=options(MP4 + MP6 + AS4)),
    v6("IPv4 in MP_REACH", lambda s: s.reach(socket.inet_aton(s.address), afi=1, nlri=net(s.other)), "keeps"),
    Case("MP_UNREACH", lambda s: update(attribute(OPTIONAL, 15, b"\0\2\1" + net(s.prefix6))), "keeps"),
    Case("MP_UNREACH of 2 octets", update(attribute(OPTIONAL, 15, b"\0\2")), "3/9"),
    Case("MP_UNREACH of 129 bits", update(attribute(OPTIONAL, 15, b"\0\2\1\x81" + bytes(17))), "3/9"),
    Case("MP_UNREACH transitive", lambda s: update(attribute(BOTH, 15, b"\0\2\1" + net(s.prefix6))), "3/9"),
    Case("MP_UNREACH of IPv4", lambda s: update(attribute(OPTIONAL, 15, b"\0\1\1" + net(s.prefix))), "loses"),
    Case("MP_UNREACH twice", update(attribute(OPTIONAL, 15, b"\0\2\1") * 2), "3/1"),
    # 2-octet AS numbers, RFC 6793
    bad("AS4_PATH", attribute(BOTH, 17, segment(2, 64999)), "keeps", options=options(MP4), as4=False),
    bad("AS4_PATH with a loop", attribute(BOTH, 17, segment(2, 65001)), "loses", options=options(MP4), as4=False),
    bad("AS4_PATH longer than AS_PATH", attribute(BOTH, 17, segment(2, 1, 2, 3, 4)), "keeps", options=options(MP4), as4=False),
    bad("AS4_PATH of 5 octets", attribute(BOTH, 17, bytes(5)), "keeps", options=options(MP4), as4=False),
    bad("AS4_PATH with a confederation", attribute(BOTH, 17, segment(3, 64512) + segment(2, 64999)), "keeps",
        options=options(MP4), as4=False),  # fmt: skip
    bad("AGGREGATOR of 8 octets", attribute(BOTH, 7, bytes(8)), "keeps", options=options(MP4), as4=False),
    Case("AS_PATH of 4-octet numbers", lambda s: s.route(path=segment(2, ASN, 64999)), "loses", options=options(MP4), as4=False),
    # ROUTE-REFRESH, RFC 2918, 7313, 5291
    Case("ROUTE-REFRESH", message(REFRESH, b"\0\1\0\1"), "keeps"),
    Case("ROUTE-REFRESH of one who cannot take it", message(REFRESH, b"\0\1\0\1"), "keeps", options=options(MP4 + AS4)),
    Case("ROUTE-REFRESH of nobody's family", message(REFRESH, b"\0\x19\0\x46"), "keeps"),
    Case("ROUTE-REFRESH with an ORF", message(REFRESH, b"\0\1\0\1\1\x40\0\1\x80"), "keeps"),
    Case("ROUTE-REFRESH of subtype 3", message(REFRESH, b"\0\1\3\1"), "keeps"),
    Case("ROUTE-REFRESH of subtype 255, longer", message(REFRESH, b"\0\1\xff\1\0\0"), "keeps"),
    Case("BoRR too long", message(REFRESH, b"\0\1\1\1\0"), "7/1"),
    Case("BoRR too long of one who never said 70", message(REFRESH, b"\0\1\1\1\0"), "keeps",
         options=options(MP4 + AS4 + capability(2))),  # fmt: skip
    Case("BoRR and EoRR without the route", message(REFRESH, b"\0\1\1\1") + message(REFRESH, b"\0\1\2\1"), "loses"),
    Case("EoRR alone", message(REFRESH, b"\0\1\2\1"), "keeps"),
    Case("ROUTE-REFRESH of 3 octets", message(REFRESH, b"\0\1\0"), "1/2"),
    # NOTIFICATION, RFC 4271 6.4
    Case("NOTIFICATION", message(NOTIFICATION, b"\6\4"), "closed"),
    Case("NOTIFICATION of code 77", message(NOTIFICATION, b"\x4d\x4d" + bytes(range(256))), "closed"),
    Case("NOTIFICATION of 20 octets", message(NOTIFICATION, b"\6"), "closed"),
    Case("NOTIFICATION of 4096 octets", message(NOTIFICATION, b"\6\2\xff" + b"\xff" * 4074), "closed"),
]
assert len({c.name for c in CASES}) == len(CASES)


def compare():
    """All three on the same LAN, and what each of them makes of the cases."""
    from support import netns
    import test_wire

    with netns.Lab("w") as lab:
        far = test_wire.lan(lab, CASES, others=True)
        verdicts = {name: {k: v for k, (v, _) in test_wire.ask(lab, CASES, name).items()} for name in far}
    print(f"{'':55}{'wanted':9}" + "".join(f"{n:9}" for n in verdicts))
    for c in CASES:
        row = [v[c.name] for v in verdicts.values()]
        print(f"{c.name:55}{c.want:9}" + "".join(f"{r:9}" for r in row) + ("" if row[0] == c.want else "  <--"))


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    compare()
