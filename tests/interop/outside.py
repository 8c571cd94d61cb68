"""A border with the world on one port: a LAN on which FRR, BIRD and another fabric's fabricd have sessions with it.

    spine1 --eth1-- leaf1 --eth81-- [bridge in `lan`] -- eth0 of frr, bird, other

leaf1 and spine1 run fabricd with one file, whose `external` a test gives; other is a fabricd with a file of its own.
"""

import os
import shutil

from support import fabricd, schema
from support.bird import Bird
from support.frr import Frr
from support.stacks import start, write
from support.wait import until

LAN4, LAN6 = "192.0.2.{}", "2001:db8:77::{}"
HOSTS = {"frr": 11, "bird": 12, "other": 13}
ASN = {"frr": 64701, "bird": 64702, "other": 64703}


class Node:
    """What a Stack wants to know of a switch."""

    def __init__(self, name):
        self.name = name


class Fabricd(fabricd.Fabricd):
    """With a topology file and key files of its own."""

    def __init__(self, text, keys=None):
        super().__init__()
        self.text, self.keys = text, keys or {}
        self.node_name = None  # in the file, where it is not that of the namespace

    def configure(self, lab, clos, node):
        d = self.dir(lab, node)
        write(f"{d}/fabric.yaml", self.text)
        os.makedirs(f"{d}/keys", exist_ok=True)
        for name, key in self.keys.items():
            write(f"{d}/keys/{name}", key + "\n")
            os.chmod(f"{d}/keys/{name}", 0o600)

    def file(self, lab, clos, node):
        return f"{self.dir(lab, node)}/fabric.yaml"

    def jobs(self, lab, clos, node):
        (job,) = super().jobs(lab, clos, node)
        job.argv += ["--key-dir", f"{self.dir(lab, node)}/keys"]
        if self.node_name:
            job.argv[job.argv.index("--node") + 1] = self.node_name
        return [job]

    def rows(self, lab, node):
        """{peer: row} of `fabctl bgp`; the answer is as its schema says."""
        answer = self.ctl(lab, node, "bgp")
        if answer:
            schema.check(answer)
        return {r["peer"]: r for r in answer.get("data", [])}


class OutsideFrr(Frr):
    def __init__(self, *lines, neighbor=LAN4.format(1), asn=65001, router=(), **kw):
        """lines: further ones of the address family; router: of the router."""
        super().__init__(**kw)
        self.lines, self.neighbor, self.far_asn, self.router = lines, neighbor, asn, router

    def prepare(self, lab, clos, node, hosts=()):
        d = self.dir(lab, node)
        common = f"frr defaults datacenter\nhostname {node.name}\nlog stdout errors\n"
        family = "ipv6" if ":" in self.neighbor else "ipv4"
        write(f"{d}/zebra.conf", common)
        password = [f" neighbor {self.neighbor} password {self.password}"] if self.password else []
        ttl = [f" neighbor {self.neighbor} ttl-security hops 1"] if self.gtsm else []
        write(f"{d}/bgpd.conf", common + "\n".join([
            f"router bgp {ASN[node.name]}", f" bgp router-id {LAN4.format(HOSTS[node.name])}",
            " no bgp ebgp-requires-policy", " no bgp network import-check", " no bgp default ipv4-unicast",
            " coalesce-time 0", " timers bgp 3 9", f" neighbor {self.neighbor} remote-as {self.far_asn}",
            f" neighbor {self.neighbor} timers connect 1", f" neighbor {self.neighbor} advertisement-interval 0",
            *password, *ttl, *[f" {line}" for line in self.router], f" address-family {family} unicast", f"  neighbor {self.neighbor} activate",
            *[f"  {line}" for line in self.lines], " exit-address-family", "exit", "",
        ]))  # fmt: skip
        shutil.chown(d, "frr", "frr")

    def table(self, lab, node, family="ipv4"):
        return set(self.show(lab, node, f"show bgp {family} unicast json").get("routes", {}))


class OutsideBird(Bird):
    """routes: {"4": [...], "6": [...]}; one session per family that is in it."""

    def __init__(self, routes, more="", **kw):
        """more: further settings of its sessions."""
        super().__init__(gtsm=False, **kw)
        self.routes, self.more = routes, more

    def prepare(self, lab, clos, node, hosts=()):
        self.write(lab, node, self.routes)

    def write(self, lab, node, routes):
        out = [f"router id {LAN4.format(HOSTS[node.name])};", "log stderr { warning, error, fatal, bug };",
               "protocol device { }", 'protocol direct { ipv4; ipv6; interface "eth0"; }']  # fmt: skip
        password = f'  password "{self.password}";\n' if self.password else ""
        for family, prefixes in routes.items():
            lan = LAN4 if family == "4" else LAN6
            via = "".join(f"  route {p} blackhole;\n" for p in prefixes)
            out += [f"protocol kernel k{family} {{ ipv{family} {{ import none; export where source = RTS_BGP; }}; }}",
                    f"protocol static s{family} {{ ipv{family};\n{via}}}",
                    f"protocol bgp b{family} {{ local {lan.format(HOSTS[node.name])} as {ASN[node.name]}; "
                    f"neighbor {lan.format(1)} as 65001; direct;\n{password}"
                    "  hold time 9; keepalive time 3; connect delay time 1; connect retry time 1; error wait time 1, 2;\n"
                    f"  {self.more}\n  ipv{family} {{ import all; export where source = RTS_STATIC; }}; }}"]  # fmt: skip
        write(f"{self.dir(lab, node)}/bird.conf", "\n".join(out) + "\n")

    def replace(self, lab, node, routes):
        self.write(lab, node, routes)
        self.do(lab, node, "configure")


def fabric_file(external, fabric="lab", more="", timers="hold: 9s"):
    return f"""schema: 1
fabric: {fabric}
tiers:
  - {{name: spine, count: 1, asn: 65000, loopback: [10.0.0.0/24, "fd00:0:0:0::/64"]}}
  - {{name: leaf, count: 1, asn: {{base: 65000}}, loopback: [10.0.1.0/24, "fd00:0:0:1::/64"],
     up: {{to: spine, local: "eth1", remote: "eth[1-8]"}},
     hosts: {{ports: "eth65", rack_always: true, racks: [{{pool: 10.1.0.0/16, len: 24}}, {{pool: "fd00:1::/48", len: 64}}]}}}}
external:
""" + "".join(f"  - {{at: \"leaf1:eth81\", {e}}}\n" for e in external) + f"timers: {{{timers}}}\n" + more


def session(name, host, family="4", rest=""):
    lan, bits = (LAN4, 24) if family == "4" else (LAN6, 64)
    return f'name: {name}, asn: {ASN[host]}, local: "{lan.format(1)}/{bits}", peer: "{lan.format(HOSTS[host])}"' + (
        f", {rest}" if rest else ""
    )


class Outside:
    def __init__(self, lab, external, stacks, keys=None, **kw):
        """external: entries of the file; stacks: {host on the LAN: Stack}; kw: for fabric_file()."""
        self.lab, self.leaf, self.spine = lab, Node("leaf1"), Node("spine1")
        self.fabricd = Fabricd(fabric_file(external, **kw), keys)
        self.stacks = {"leaf1": self.fabricd, "spine1": self.fabricd, **stacks}
        self.processes = {}
        lab.add("leaf1", "spine1", "lan", *stacks)
        lab.cables((("leaf1", "eth1", None), ("spine1", "eth1", None)), (("leaf1", "eth81", None), ("lan", "p0", None)),
                   *[((h, "eth0", None), ("lan", f"p{HOSTS[h]}", None)) for h in stacks])  # fmt: skip
        ports = ["p0"] + [f"p{HOSTS[h]}" for h in stacks]
        lab.ip("lan", "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0", "link set br0 up",
               *[f"link set {p} master br0" for p in ports], *[f"link set {p} up" for p in ports])  # fmt: skip
        for h in stacks:
            lab.ip(h, "link set eth0 up", f"addr add {LAN4.format(HOSTS[h])}/24 dev eth0",
                   f"addr add {LAN6.format(HOSTS[h])}/64 dev eth0 nodad")  # fmt: skip
        for name in self.stacks:
            self.start(name)

    def start(self, name):
        self.processes[name] = start(self.lab, self.stacks[name], None, Node(name))

    def stop(self, name):
        for p in reversed(self.processes[name]):
            p.stop()

    def rows(self, node=None):
        return self.fabricd.rows(self.lab, node or self.leaf)

    def state(self, peer):
        return self.rows().get(peer, {}).get("state")

    def wait_up(self, *peers, timeout=60):
        until(lambda: all(self.state(p) == "Established" for p in peers), timeout,
              lambda: f"sessions of leaf1 with {peers}: {self.rows()}", 0.1)  # fmt: skip

    def neighbor(self, peer):
        answer = self.fabricd.ctl(self.lab, self.leaf, "bgp", "neighbor", peer)
        schema.check(answer)
        return answer["data"][0]

    def events(self, *kinds):
        rows = self.fabricd.ctl(self.lab, self.leaf, "log").get("data", [])
        return [r for r in rows if not kinds or r["event"] in kinds]
