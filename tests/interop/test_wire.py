"""What fabricd makes of bytes that no router would send: a session of its own for each case of wire.py."""

import ipaddress
import random

import pytest

import wire
from outside import LAN6, Outside, OutsideBird, OutsideFrr
from support import kernel
from support.stacks import write
from support.wait import until

NET, FIRST = "10.64.0.0/16", "10.64.1.0"  # the LAN, and where the addresses begin from which the cases speak
FAR = {"fabricd": "10.64.0.1", "frr": "10.64.0.11", "bird": "10.64.0.12"}
NODES = {"fabricd": "leaf1", "frr": "frr", "bird": "bird"}


class RangeFrr(OutsideFrr):
    def prepare(self, lab, clos, node, hosts=()):
        super().prepare(lab, clos, node, hosts)
        path = f"{self.dir(lab, node)}/bgpd.conf"
        write(path, "\n".join([
            "frr defaults datacenter", f"hostname {node.name}", "log stdout errors", "router bgp 65001",
            " bgp router-id 10.64.0.11", " no bgp ebgp-requires-policy", " no bgp default ipv4-unicast",
            " coalesce-time 0", " neighbor raw peer-group", f" neighbor raw remote-as {wire.ASN}",
            " neighbor raw capability extended-nexthop", " neighbor raw enforce-first-as",
            " bgp listen limit 1000", f" bgp listen range {NET} peer-group raw",
            *[f" address-family {f} unicast\n  neighbor raw activate\n  neighbor raw soft-reconfiguration inbound\n exit-address-family"
              for f in ("ipv4", "ipv6")], "exit", ""]))  # fmt: skip


class RangeBird(OutsideBird):
    def prepare(self, lab, clos, node, hosts=()):
        write(f"{self.dir(lab, node)}/bird.conf", "\n".join([
            "router id 10.64.0.12;", "log stderr { warning, error, fatal, bug };", "protocol device { }",
            'protocol direct { ipv4; ipv6; interface "eth0"; }',
            *[f"protocol kernel k{f} {{ ipv{f} {{ import none; export where source = RTS_BGP; }}; }}" for f in "46"],
            f"protocol bgp raw {{ local {FAR['bird']} as 65001; neighbor range {NET} as {wire.ASN}; direct;",
            "  enforce first as; ipv4 { import all; export none; extended next hop on; };",
            "  ipv6 { import all; export none; }; }", ""]))  # fmt: skip


def address(i):
    return str(ipaddress.ip_address(FIRST) + i)


def lan(lab, cases, others=False, rest="in: full"):
    """leaf1 and, for comparison, FRR and BIRD, each with a neighbour for every case; the names of those that are there."""
    sessions = [
        f'name: c{i}, asn: {wire.ASN}, local: "{FAR["fabricd"]}/16", peer: "{address(i)}", {rest}' for i in range(len(cases))
    ]
    stacks = {"frr": RangeFrr(gtsm=False), "bird": RangeBird({})} if others else {}
    Outside(lab, sessions, stacks)
    lab.add("raw")
    lab.cables((("raw", "eth0", None), ("lan", "p14", None)))
    lab.ip("lan", "link set p14 master br0", "link set p14 up")
    lab.ip("leaf1", f"addr add {LAN6.format(1)}/64 dev eth81 nodad")
    lab.ip("raw", "link set eth0 up", f"addr add {LAN6.format('fe')}/64 dev eth0 nodad",
           *[f"addr add {address(i)}/16 dev eth0" for i in range(len(cases))])  # fmt: skip
    for name in stacks:
        lab.ip(name, f"addr add {FAR[name]}/16 dev eth0")
    names = ["fabricd", *stacks]
    for name in names:
        until(lambda: " 0% packet loss" in lab.run("raw", ["ping", "-c", "1", "-W", "1", FAR[name]], check=False), 10, "ping")
    return names


def ask(lab, cases, name, **kw):
    def routes():
        return set(kernel.routes(lab, NODES[name], 4)) | set(kernel.routes(lab, NODES[name], 6))

    return wire.conduct(lab, "raw", cases, FAR[name], FIRST, routes, **kw)


# What stands in the NOTIFICATION behind code and subcode: RFC 4271 6.1 and 6.2, 6608 4, 7313 5
DATA = {
    "length 4097": b"\x10\x01", "length 18": b"\0\x12", "KEEPALIVE with a body": b"\0\x14", "type 6": b"\6",
    "version 3": b"\0\4", "version 5": b"\0\4", "hold time 1": b"", "AS 0": b"", "UPDATE before OPEN": b"\2",
    "KEEPALIVE before OPEN": b"\4", "OPEN twice": b"\1", "UPDATE before KEEPALIVE": b"\2", "OPEN in Established": b"\1",
    "withdrawn length past the end": b"", "MP_UNREACH of 2 octets": b"\x80\x0f\2\0\2",
    "BoRR too long": wire.message(wire.REFRESH, b"\0\1\1\1\0"),
}  # fmt: skip


@pytest.mark.parametrize("dice", [None, random.Random(7606)], ids=["whole", "in_pieces"])
def test_W01_W02_each_case(lab, dice):
    """Each verdict is the right one, in one segment and cut anywhere; what is said on one session costs no other one."""
    lan(lab, wire.CASES)
    verdicts = ask(lab, wire.CASES, "fabricd", dice=dice)
    wrong = {c.name: f"{verdicts[c.name][0]}, not {c.want}" for c in wire.CASES if verdicts[c.name][0] != c.want}
    assert wrong == {}
    data = {name: verdicts[name][1].heard(wire.NOTIFICATION)[-1][2:] for name in DATA}
    assert data == DATA


def test_route_server(lab):
    """RFC 7947 2.2.2.1: the path of a route server begins with the AS of its client; and it begins with some AS."""
    cases = [c for c in wire.CASES if c.name.startswith("AS_PATH")]
    lan(lab, cases, rest="type: route-server, in: full")
    verdicts = {name: v for name, (v, _) in ask(lab, cases, "fabricd").items()}
    assert verdicts == {c.name: "keeps" if c.name == "AS_PATH of another neighbour" else c.want for c in cases}
