"""Sessions with the outside: several on one port, IPv4 and IPv6, what they may bring and are told, limits, keys."""

import pytest
from outside import HOSTS, LAN4, LAN6, Fabricd, Node, Outside, OutsideBird, OutsideFrr, fabric_file, session
from support import kernel
from support.stacks import start
from support.wait import holds, until

SOON = 30


def route(lab, prefix, via, name="leaf1"):
    """leaf1 sends a prefix to that gateway; via None: has no such route."""
    def seen():
        legs = kernel.routes(lab, name, 6 if ":" in prefix else 4).get(prefix)
        return [v for v, _ in legs] if legs is not None else None
    want = None if via is None else [via]
    until(lambda: seen() == want, SOON, lambda: f"{name}: {prefix} via {via}, has {seen()}")


def test_several_sessions_on_one_port(lab):
    """Three on one LAN, two of them to one local address; each has its own routes, and the loss of one leaves the others."""
    full = "in: full, out: full"
    fabric = Outside(
        lab,
        [session("frr4", "frr", rest=full), session("bird4", "bird", rest=full), session("bird6", "bird", "6", full)],
        {"frr": OutsideFrr("network 198.51.100.0/24", gtsm=False),
         "bird": OutsideBird({"4": ["203.0.113.0/24"], "6": ["2001:db8:113::/48"]})},
    )  # fmt: skip
    fabric.wait_up("frr4", "bird4", "bird6", "spine1")
    route(lab, "198.51.100.0/24", LAN4.format(11))
    route(lab, "203.0.113.0/24", LAN4.format(12))
    route(lab, "2001:db8:113::/48", LAN6.format(12))
    for prefix in ("198.51.100.0/24", "203.0.113.0/24", "2001:db8:113::/48"):  # and the fabric hears of them
        until(lambda: prefix in kernel.routes(lab, "spine1", 6 if ":" in prefix else 4), SOON, f"spine1: {prefix}")
    route(lab, "10.1.1.0/24", LAN4.format(1), "bird")
    route(lab, "10.0.0.1/32", LAN4.format(1), "frr")
    route(lab, "fd00:1:0:1::/64", LAN6.format(1), "bird")
    assert {r["port"] for r in fabric.rows().values() if r["kind"] == "external"} == {"eth81"}
    assert fabric.neighbor("bird6")["address"] == LAN6.format(12)
    fabric.stop("frr")
    route(lab, "198.51.100.0/24", None)
    assert fabric.state("bird4") == "Established" and fabric.state("bird6") == "Established"
    route(lab, "203.0.113.0/24", LAN4.format(12))
    flaps = fabric.rows()["bird6"]["flaps"]
    lab.cut("leaf1", "eth81")  # the kernel forgets the IPv6 address; fabricd sets it again
    route(lab, "2001:db8:113::/48", None)
    lab.heal("leaf1", "eth81")
    fabric.wait_up("bird4", "bird6")
    route(lab, "2001:db8:113::/48", LAN6.format(12))
    assert fabric.rows()["bird6"]["flaps"] == flaps + 1


def test_default_in_aggregates_out(lab):
    """in: default takes a default and nothing else; out: aggregates tells the aggregate and nothing else."""
    fabric = Outside(
        lab,
        [session("isp", "frr", rest="in: default, out: aggregates"), session("silent", "bird"),
         session("leaves", "bird", "6", "in: full, out: default")],
        {"frr": OutsideFrr("network 0.0.0.0/0", "network 198.51.100.0/24", "network 10.1.1.0/24", gtsm=False),
         "bird": OutsideBird({"4": ["203.0.113.0/24"], "6": ["2001:db8:113::/48", "fd00:1:0:1::/64"]})},
        more="aggregates: [10.1.0.0/16]\n",
    )  # fmt: skip
    frr = fabric.stacks["frr"]
    fabric.wait_up("isp", "silent", "leaves", "spine1")
    route(lab, "0.0.0.0/0", LAN4.format(11))
    until(lambda: "0.0.0.0/0" in kernel.routes(lab, "spine1"), SOON, "spine1: a default")
    until(lambda: fabric.rows()["isp"].get("refused", 0) >= 2, SOON, "refusals are counted")
    reasons = {r["reason"]: r for r in fabric.neighbor("isp")["refusals"]}
    assert "denied" in reasons, reasons
    until(lambda: "10.1.0.0/16" in frr.table(lab, Node("frr")), SOON, "the aggregate at FRR")
    assert not {p for p in frr.table(lab, Node("frr")) if p.startswith("10.") and p not in ("10.1.0.0/16", "10.1.1.0/24")}
    discards = kernel.routes(lab, "leaf1", 4, kinds=("blackhole", "unreachable"))
    assert "10.1.0.0/16" in discards
    assert "10.1.0.0/16" not in kernel.routes(lab, "spine1")  # inside, everybody has what it stands for
    # RFC 8212: a session without `in` and `out` is up, and says why nothing comes
    row = fabric.rows()["silent"]
    assert (row["policy_in"], row["policy_out"]) == ("none", "none") and "RFC 8212" in row["reason"], row
    route(lab, "203.0.113.0/24", None)
    # a prefix of the fabric is never taken from outside
    route(lab, "2001:db8:113::/48", LAN6.format(12))
    until(lambda: fabric.rows()["leaves"].get("refused", 0) >= 1, SOON, "the fabric's own prefix is refused")
    # the fabric is out of reach: the aggregate goes
    lab.cut("spine1", "eth1")
    until(lambda: "10.1.0.0/16" not in frr.table(lab, Node("frr")), SOON, "the aggregate is withdrawn")
    lab.heal("spine1", "eth1")
    until(lambda: "10.1.0.0/16" in frr.table(lab, Node("frr")), SOON, "the aggregate is told again")


def test_originate(lab):
    """What `originate` names is announced to the outside and into the fabric."""
    fabric = Outside(
        lab, [session("isp", "frr", rest="in: default, out: full, originate: [198.18.5.0/24]")],
        {"frr": OutsideFrr("network 0.0.0.0/0", gtsm=False)},
    )  # fmt: skip
    fabric.wait_up("isp", "spine1")
    until(lambda: "198.18.5.0/24" in fabric.stacks["frr"].table(lab, Node("frr")), SOON, "at FRR")
    until(lambda: "198.18.5.0/24" in kernel.routes(lab, "spine1"), SOON, "at spine1")


def test_W20_max_prefixes(lab):
    """Cease 6/1, idle with the reason, back by itself; the other session of the same port and all others untouched."""
    many = [f"203.0.{i}.0/24" for i in range(1, 20)]
    fabric = Outside(
        lab,
        [session("frr4", "frr", rest="in: full, out: full"), session("bird4", "bird", rest="in: full, max_prefixes: 10")],
        {"frr": OutsideFrr("network 198.51.100.0/24", gtsm=False), "bird": OutsideBird({"4": many[:5]})},
    )  # fmt: skip
    bird = fabric.stacks["bird"]
    fabric.wait_up("frr4", "bird4", "spine1")
    route(lab, many[4], LAN4.format(12))
    bird.replace(lab, Node("bird"), {"4": many})
    until(lambda: fabric.state("bird4") == "Idle", SOON, "bird4 is Idle")
    row = fabric.neighbor("bird4")
    assert "(6/1)" in row["last_notification_sent"] and "more than 10" in row["last_reset"], row
    assert "10" in fabric.rows()["bird4"]["reason"], row
    route(lab, many[4], None)
    route(lab, "198.51.100.0/24", LAN4.format(11))
    assert {p: r["flaps"] for p, r in fabric.rows().items() if p != "bird4"} == {"frr4": 0, "spine1": 0}
    bird.replace(lab, Node("bird"), {"4": many[:5]})
    holds(lambda: fabric.state("bird4") != "Established", 5, "it stays away for a while")
    fabric.wait_up("bird4", timeout=90)
    route(lab, many[4], LAN4.format(12))


KEYED = {
    "frr": lambda key: OutsideFrr("network 198.51.100.0/24", gtsm=False, password=key),
    "bird": lambda key: OutsideBird({"4": ["198.51.100.0/24"]}, password=key),
}


@pytest.mark.parametrize("peer", KEYED)
def test_key(lab, peer):
    """The same key at both ends; and the keyed session beside one without, on the same local address."""
    other = "bird" if peer == "frr" else "frr"
    fabric = Outside(
        lab, [session("keyed", peer, rest="in: full, out: full, auth: keyed.key"), session("plain", other)],
        {peer: KEYED[peer]("so-secret"), other: KEYED[other](None)}, keys={"keyed.key": "so-secret"},
    )  # fmt: skip
    fabric.wait_up("keyed", "plain")
    route(lab, "198.51.100.0/24", LAN4.format(HOSTS[peer]))


@pytest.mark.parametrize("peer", KEYED)
def test_W18_wrong_key(lab, peer):
    """No session, the reason shown, and a log that does not grow; with the right key it comes up."""
    fabric = Outside(
        lab, [session("keyed", peer, rest="in: full, auth: keyed.key")], {peer: KEYED[peer]("so-secret")},
        keys={"keyed.key": "not-so-secret"},
    )  # fmt: skip
    until(lambda: "key" in fabric.rows().get("keyed", {}).get("reason", ""), SOON,
          lambda: f"a reason that speaks of the key: {fabric.rows()}")  # fmt: skip
    holds(lambda: fabric.state("keyed") != "Established", 10, "no session")
    assert len(fabric.events("BGP_TCP", "BGP_ERROR", "BGP_TIMER")) <= 2, fabric.events()
    assert "so-secret" not in str(fabric.neighbor("keyed"))
    fabric.stop("leaf1")
    fabric.fabricd.keys["keyed.key"] = "so-secret"
    fabric.start("leaf1")
    fabric.wait_up("keyed")


def test_missing_key(lab):
    """Idle with that reason, and nothing else suffers."""
    fabric = Outside(lab, [session("keyed", "frr", rest="in: full, auth: keyed.key")], {"frr": KEYED["frr"]("x")})
    fabric.wait_up("spine1")
    row = fabric.rows()["keyed"]
    assert row["state"] == "Idle" and "keyed.key cannot be read" in row["reason"], row


def test_key_between_two_fabrics(lab):
    """Two fabricds of different fabrics, numbered, over IPv6, with a key and a hop limit that is checked."""
    far = fabric_file([f'name: lab, asn: 65001, local: "{LAN6.format(13)}/64", peer: "{LAN6.format(1)}", '
                       "in: full, out: full, auth: a.key, gtsm: true"], fabric="other")  # fmt: skip
    far = far.replace("65000", "64702").replace("10.0.", "10.200.").replace("10.1.", "10.201.").replace("fd00:", "fd99:")
    far = far.replace("leaf1:eth81", "leaf1:eth0")
    fabric = Outside(lab, [session("other", "other", "6", "in: full, out: full, auth: a.key, gtsm: true")], {},
                     keys={"a.key": "so-secret"})  # fmt: skip
    lab.add("other")
    lab.cables((("other", "eth0", None), ("lan", "p13", None)))
    lab.ip("lan", "link set p13 master br0", "link set p13 up")
    stack = Fabricd(far, {"a.key": "so-secret"})
    stack.node_name = "leaf1"
    fabric.processes["other"] = start(lab, stack, None, Node("other"))
    fabric.wait_up("other")
    route(lab, "10.201.1.0/24", LAN6.format(13))
    route(lab, "fd99:1:0:1::/64", LAN6.format(13))
    route(lab, "10.1.1.0/24", LAN6.format(1), "other")
