"""A fabricd gives way to another one while FRR, over a connection with a key, and it tell each other 10,000 changes a
second: no session ends, and both know the same afterwards.

    feeder a --> frr ==(MD5)== leaf1 --- spine1          all of leaf1's outside in one LAN
    feeder b ------------------^
"""

import json
import signal
import sys

from fabrics import Mixed
from outside import ASN, HOSTS, LAN4, Node, Outside, OutsideBird, OutsideFrr, session
from support import schema
from support import speaker
from support.gobgp import Gobgp
from support.stacks import write
from support.wait import until

import pytest

FEEDS = {"a": (21, 64711, "20.0.0.0"), "b": (22, 64712, "30.0.0.0")}
COUNT, RATE, ROUNDS = 3000, 10000, 10


class FedFrr(OutsideFrr):
    """With a feeder behind it, whose changes it passes on."""

    def prepare(self, lab, clos, node, hosts=()):
        super().prepare(lab, clos, node, hosts)
        host, asn, _ = FEEDS["a"]
        path = f"{self.dir(lab, node)}/bgpd.conf"
        with open(path) as f:
            text = f.read()
        more = (f" neighbor {LAN4.format(host)} remote-as {asn}\n neighbor {LAN4.format(host)} passive\n"
                f" neighbor {LAN4.format(host)} advertisement-interval 0\n")
        head, rest = text.split(" address-family", 1)
        rest = rest.replace(" exit-address-family", f"  neighbor {LAN4.format(host)} activate\n exit-address-family", 1)
        write(path, head + more + " address-family" + rest)


def feed(lab, name):
    host, asn, first = FEEDS[name]
    peer = LAN4.format(HOSTS["frr"] if name == "a" else 1)
    lab.ip("lan", f"addr add {LAN4.format(host)}/24 dev br0")
    argv = ["/usr/bin/python3", speaker.__file__, LAN4.format(host), peer, str(asn), str(RATE), first, str(COUNT), "7"]
    return lab.spawn("lan", f"feed-{name}", argv)


def calm(process):
    """The feeder's own table, once it has stopped changing it."""
    process.popen.send_signal(signal.SIGUSR1)
    line = until(lambda: [x for x in process.output().splitlines() if x.startswith("{")], 30, f"{process.name} is calm")[0]
    answer = json.loads(line)
    return answer["changes"] / answer["seconds"], {p: path for p, path in answer["table"].items() if path}


def upgrade(fabric, node=None):
    answer = fabric.fabricd.ctl(fabric.lab, node or fabric.leaf, "upgrade")
    schema.check(answer)
    assert answer["complete"]
    return answer["data"][-1]


def of_frr(fabric, first):
    """FRR's paths to a feed's prefixes: {prefix: [AS path, of each path]}."""
    routes = fabric.stacks["frr"].show(fabric.lab, Node("frr"), "show bgp ipv4 unicast json").get("routes", {})
    return {p: sorted(tuple(int(a) for a in r["path"].split()) for r in rs)
            for p, rs in routes.items() if p.startswith(first)}


def of_leaf(fabric, first):
    rows = fabric.fabricd.ctl(fabric.lab, fabric.leaf, "bgp", "received", "frr" if first == "20." else "b")["data"]
    return {r["prefix"]: [tuple(int(a) for a in r["as_path"].split())] for r in rows if r["prefix"].startswith(first)}


def differences(has, wants):
    """How many there are, and the first few: (prefix, what it has, what it should have)."""
    all_ = [(p, has.get(p), wants.get(p)) for p in sorted(has.keys() | wants.keys()) if has.get(p) != wants.get(p)]
    return len(all_), all_[:5]


def test_under_updates_both_ways(lab):
    host, asn, _ = FEEDS["b"]
    full = "in: full, out: full, max_prefixes: 20000"
    fabric = Outside(
        lab,
        [session("frr", "frr", rest=full + ", auth: keyed.key"),
         f'name: b, asn: {asn}, local: "{LAN4.format(1)}/24", peer: "{LAN4.format(host)}", in: full, max_prefixes: 20000'],
        {"frr": FedFrr("network 198.51.100.0/24", gtsm=False, password="so-secret", fib=False)}, {"keyed.key": "so-secret"},
    )  # fmt: skip
    fabric.wait_up("frr", "spine1")
    feeds = {name: feed(lab, name) for name in FEEDS}
    for p in feeds.values():
        until(lambda: "up" in p.output(), 30, f"{p.name} is up")
    fabric.wait_up("b")
    before = fabric.rows()
    results = []
    for _ in range(ROUNDS):
        count = fabric.neighbor("frr")["messages"]
        results.append(upgrade(fabric))
        assert results[-1]["upgraded"], results[-1]
        until(lambda: fabric.neighbor("frr")["messages"] != count, 20, "updates go on")
    rates, tables = zip(*(calm(feeds[n]) for n in ("a", "b")))
    print(f"changes/s {rates}, upgrades in ms: {[r['at_ms'] for r in results]}", file=sys.stderr)
    assert min(rates) > RATE * 0.6, rates
    rows = fabric.rows()
    for name in ("frr", "b", "spine1"):
        assert rows[name]["flaps"] == 0 and rows[name]["state"] == "Established", rows[name]
        assert rows[name]["since_s"] >= before[name]["since_s"]
    # leaf1 has of FRR what the feeder behind it says last, and FRR has of leaf1 the same of the other feeder
    want_a = {p: [tuple([ASN["frr"], *path])] for p, path in tables[0].items()}
    want_b = {p: [tuple([65001, *path])] for p, path in tables[1].items()}
    for what, read, want in (("leaf1", lambda: of_leaf(fabric, "20."), want_a), ("frr", lambda: of_frr(fabric, "30."), want_b)):
        until(lambda: read() == want, 30, lambda: f"{what} has what it was told: {differences(read(), want)}", 0.5)
    own = {p: [tuple(path)] for p, path in tables[1].items()}
    assert of_leaf(fabric, "30.") == own
    summary = fabric.stacks["frr"].show(lab, Node("frr"), "show bgp neighbors json")[LAN4.format(1)]
    assert summary["connectionsEstablished"] == 1 and summary["connectionsDropped"] == 0, summary
    assert summary["messageStats"]["notificationsSent"] == summary["messageStats"]["notificationsRecv"] == 0


@pytest.mark.parametrize("node", ["spine1", "leaf1"])
def test_no_neighbour_is_told_anything(lab, node):
    """Without changes, an upgrade is silent: keepalives alone."""
    fabric = Outside(lab, [session("frr", "frr", rest="in: full, out: full")],
                     {"frr": OutsideFrr("network 198.51.100.0/24", gtsm=False, fib=False)})
    fabric.wait_up("frr", "spine1")
    until(lambda: "198.51.100.0/24" in fabric.stacks["frr"].table(lab, Node("frr")), 20, "FRR has its route")
    until(lambda: len(fabric.stacks["frr"].table(lab, Node("frr"))) >= 4, 20, "FRR has those of the fabric")
    frr = lambda: fabric.stacks["frr"].show(lab, Node("frr"), "show bgp neighbors json")[LAN4.format(1)]  # noqa: E731
    was = frr()["messageStats"]["updatesRecv"]
    for _ in range(5):
        assert upgrade(fabric, Node(node))["upgraded"]
    is_ = frr()
    assert is_["messageStats"]["updatesRecv"] == was and is_["connectionsDropped"] == 0


def bird_since(fabric, protocol):
    """When its session came up, in seconds of the day, and what it has: how many updates it got, and whether it is up."""
    text = fabric.stacks["bird"].do(fabric.lab, Node("bird"), "show", "protocols", "all", protocol)
    since = next(line.split()[4] for line in text.splitlines() if line.startswith(protocol))
    hours, minutes, seconds = map(float, since.split(":"))
    updates = sum(int(line.split()[2]) for line in text.splitlines() if line.strip().startswith("Import updates:"))
    return hours * 3600 + minutes * 60 + seconds, (updates, "Established" in text)


def same_session(was, is_):
    """BIRD keeps the moment on a clock of its own and says it by the day's clock as that stands now: the two run apart by
    milliseconds. A session that came up anew says a moment that is seconds later."""
    return abs(was[0] - is_[0]) < 0.5 and was[1] == is_[1]


def test_bird_notices_nothing(lab):
    """BIRD as the neighbour outside, in both families: ten upgrades, no session ends, nothing is told anew, and changes
    that are made between them arrive."""
    fabric = Outside(lab, [session("bird", "bird", rest="in: full, out: full"),
                           session("bird6", "bird", "6", "in: full, out: full")],
                     {"bird": OutsideBird({"4": ["198.51.100.0/24"], "6": ["2001:db8:100::/48"]})})  # fmt: skip
    fabric.wait_up("bird", "bird6", "spine1")
    accepted = lambda p: fabric.rows()[p]["accepted"]  # noqa: E731
    until(lambda: accepted("bird") == accepted("bird6") == 1, 20, "BIRD's routes are there")
    until(lambda: fabric.stacks["bird"].count(lab, Node("bird"), "master4") >= 5, 20, "BIRD has those of the fabric")
    before, rows = [bird_since(fabric, p) for p in ("b4", "b6")], fabric.rows()
    for _ in range(10):
        assert upgrade(fabric)["upgraded"]
    after = [bird_since(fabric, p) for p in ("b4", "b6")]
    assert all(map(same_session, before, after)) and all(up for _, (_, up) in before), (before, after)
    fabric.stacks["bird"].replace(lab, Node("bird"), {"4": ["198.51.100.0/24", "203.0.113.0/24"], "6": ["2001:db8:100::/48"]})
    until(lambda: accepted("bird") == 2, 20, "a new route of BIRD's")
    assert upgrade(fabric)["upgraded"]
    fabric.stacks["bird"].replace(lab, Node("bird"), {"4": ["203.0.113.0/24"], "6": ["2001:db8:100::/48"]})
    until(lambda: accepted("bird") == 1, 20, "a withdrawal of BIRD's")
    now = fabric.rows()
    for p in ("bird", "bird6", "spine1"):
        assert now[p]["flaps"] == 0 and now[p]["state"] == "Established" and now[p]["since_s"] >= rows[p]["since_s"]


def test_gobgp_notices_nothing(lab):
    """GoBGP as both spines: a leaf is upgraded ten times; their sessions and their tables stay as they are."""
    fabric = Mixed(lab, 2, 2, ("spine",), {"spine1": Gobgp(gtsm=False), "spine2": Gobgp(gtsm=False)})
    fabric.wait_up()
    gobgp, spines, leaf = Gobgp(), [fabric.clos[n] for n in ("spine1", "spine2")], fabric.clos["leaf1"]
    until(lambda: all("10.1.1.0/24" in gobgp.rib(lab, s) for s in spines), 30, "the spines have the leaf's prefixes")

    def seen():
        out = {}  # by neighbor: GoBGP lists them in another order each time
        for s in spines:
            for n in json.loads(gobgp.do(lab, s, "neighbor")):
                state = n["state"]
                got = state["messages"]["received"]
                out[s.name, state["neighbor_address"]] = (
                    n["timers"]["state"]["uptime"], state.get("flops", 0), got.get("update", 0), state["session_state"])
        assert len(out) == 2 * len(spines)
        return out, [gobgp.rib(lab, s, f) for s in spines for f in ("ipv4", "ipv6")]

    before = seen()
    for _ in range(10):
        answer = fabric.stack["leaf1"].ctl(lab, leaf, "upgrade")
        schema.check(answer)
        assert answer["data"][-1]["upgraded"], answer["data"][-1]
    assert seen() == before
    gobgp.do(lab, spines[0], "global", "rib", "add", "-a", "ipv4", "203.0.113.0/24", "nexthop", spines[0].ports[0].link_local)
    until(lambda: any(r["prefix"] == "203.0.113.0/24" for r in fabric.stack["leaf1"].ctl(
        lab, leaf, "bgp", "received", leaf.ports[0].name, )["data"]) or fabric.stack["leaf1"].ctl(
            lab, leaf, "bgp")["data"][0]["refused"] > 0, 20, "what GoBGP says afterwards is heard")
    assert {r["flaps"] for r in fabric.stack["leaf1"].ctl(lab, leaf, "bgp")["data"]} == {0}
