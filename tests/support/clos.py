"""A two-tier Clos as numbers and names: who is wired to whom, with which addresses; and its topology file.

The figures follow the rules of docs/topology-file.md, computed here a second time, by other hands: the tests and the
foreign switches take theirs from here, fabricd takes its own from the file.

    leaf n, uplink k  <->  spine k, port n       leaf n: AS 65000+n, 10.0.1.n, racks 10.1.n.0/24 and fd00:1:0:n::/64
"""

import dataclasses

from .netns import link_local
from .wait import until

SPINE_AS = 65000
HOST_PORT = "eth65"
EXTERNAL_PORT = "eth{}"  # numbers from 81 on
SLOTS = 64


@dataclasses.dataclass
class Port:
    name: str
    mac: str
    far: str
    far_port: str
    far_mac: str

    @property
    def link_local(self):
        return link_local(self.mac)

    @property
    def far_link_local(self):
        return link_local(self.far_mac)


@dataclasses.dataclass
class External:
    """A numbered session of a switch with something outside: a feeder or a sink of the benchmarks, or a host."""

    name: str
    port: str
    asn: int
    local: str  # IPv4, /31 with peer
    peer: str
    local6: str = ""  # /127, so that IPv6 next hops are on-link
    peer6: str = ""
    take: bool = True  # accept everything from it
    give: bool = False  # announce everything to it
    mac: str = ""  # its port
    local_mac: str = ""

    @property
    def peer_link_local(self):
        return link_local(self.mac)


@dataclasses.dataclass
class Node:
    name: str
    spine: bool
    number: int
    asn: int
    loopback4: str
    loopback6: str
    rack4: str = ""  # prefixes
    rack6: str = ""
    gateway4: str = ""
    gateway6: str = ""
    ports: list = dataclasses.field(default_factory=list)
    externals: list = dataclasses.field(default_factory=list)

    def port(self, name):
        return next(p for p in self.ports if p.name == name)


class Clos:
    def __init__(self, leaves, spines, fabric="lab", foreign=(), hold="9s", bfd=None, damping=None):
        """foreign: the tiers ("spine", "leaf") whose switches are of another vendor. bfd: ms between two packets, three
        of which may be lost; None: the language's default, which matters only where a bfdd runs. damping: as in the file."""
        self.leaves, self.spines, self.fabric, self.foreign, self.hold = leaves, spines, fabric, foreign, hold
        self.bfd, self.damping = bfd, damping
        self.nodes = {}
        for k in range(1, spines + 1):
            self._add(Node(f"spine{k}", True, k, SPINE_AS, f"10.0.0.{k}", f"fd00::{k:x}"))
        for n in range(1, leaves + 1):
            self._add(
                Node(
                    f"leaf{n}", False, n, SPINE_AS + n, f"10.0.1.{n}", f"fd00:0:0:1::{n:x}",
                    f"10.1.{n}.0/24", f"fd00:1:0:{n:x}::/64", f"10.1.{n}.1", f"fd00:1:0:{n:x}::1",
                )
            )  # fmt: skip
        for n in range(1, leaves + 1):
            for k in range(1, spines + 1):
                lower, upper = self.nodes[f"leaf{n}"], self.nodes[f"spine{k}"]
                ml, mu = f"02:fa:01:{n:02x}:00:{k:02x}", f"02:fa:00:{k:02x}:00:{n:02x}"
                lower.ports.append(Port(f"eth{k}", ml, upper.name, f"eth{n}", mu))
                upper.ports.append(Port(f"eth{n}", mu, lower.name, f"eth{k}", ml))

    def _add(self, node):
        self.nodes[node.name] = node

    def __iter__(self):
        return iter(self.nodes.values())

    def __getitem__(self, name):
        return self.nodes[name]

    def external(self, at, asn=64600, take=True, give=False, name=None):
        """Adds a session with the outside on the next free port of a switch."""
        node = self.nodes[at]
        i = len(node.externals)
        unit = (node.number * 128 + i) * 2
        base = f"172.31.{unit >> 8}.{{}}"
        base6 = f"2001:470:0:{node.number:x}{i:02x}::{{}}"
        e = External(
            name or f"ext{node.number}x{i}", EXTERNAL_PORT.format(81 + i), asn,
            base.format(unit & 255), base.format((unit & 255) + 1), base6.format(10), base6.format(11), take, give,
            f"02:fb:{node.number:02x}:{i:02x}:00:02", f"02:fb:{node.number:02x}:{i:02x}:00:01",
        )  # fmt: skip
        node.externals.append(e)
        return e

    # ---- the topology file ----

    def topology(self, foreign=None):
        """foreign: other tiers than those of the Clos."""
        foreign = self.foreign if foreign is None else foreign
        vendor = {t: ", vendor: other" if t in foreign else "" for t in ("spine", "leaf")}
        racks = 'racks: [{pool: 10.1.0.0/16, len: 24}, {pool: "fd00:1::/48", len: 64}]'
        lines = [
            "schema: 1",
            f"fabric: {self.fabric}",
            "tiers:",
            f"  - {{name: spine, count: {self.spines}, asn: {SPINE_AS}, "
            f'loopback: [10.0.0.0/24, "fd00:0:0:0::/64"]{vendor["spine"]}}}',
            f"  - {{name: leaf, count: {self.leaves}, asn: {{base: {SPINE_AS}}}, "
            f'loopback: [10.0.1.0/24, "fd00:0:0:1::/64"]{vendor["leaf"]},',
            f'     up: {{to: spine, local: "eth[1-{self.spines}]", remote: "eth[1-{SLOTS}]"}},',
            f'     hosts: {{ports: "{HOST_PORT}", rack_always: true, {racks}}}}}',
        ]
        if any(n.externals for n in self):
            lines.append("external:")
        for n in self:
            for e in n.externals:
                rules = (", in: full" if e.take else "") + (", out: full" if e.give else "")
                lines.append(
                    f'  - {{at: "{n.name}:{e.port}", name: {e.name}, asn: {e.asn}, '
                    f"local: {e.local}/31, peer: {e.peer}{rules}}}"
                )
        bfd = f"bfd: 3x{self.bfd}ms, " if self.bfd else ""
        damping = f", damping: {self.damping}" if self.damping else ""
        lines.append(f"timers: {{{bfd}hold: {self.hold}{damping}}}")
        return "\n".join(lines) + "\n"

    # ---- wiring ----

    def wire(self, lab, hosts=(), patched=()):
        """Namespaces, cables and up links; patched: (leaf, port) cables that run through a namespace `cable`, where
        both ends lose carrier at once when patch_cut() takes them down, as with a real cable."""
        names = list(self.nodes) + [f"host{n}" for n in hosts]
        names += [e.name for n in self for e in n.externals]
        lab.add(*names, *(["cable"] if patched else []))
        ends, up = [], {name: [] for name in names}
        bridges = []
        for node in self:
            up[node.name] += [p.name for p in node.ports] + [e.port for e in node.externals]
            for p in node.ports if not node.spine else ():
                if (node.name, p.name) in patched:
                    i = patched.index((node.name, p.name))
                    ends.append(((node.name, p.name, p.mac), ("cable", f"a{i}", None)))
                    ends.append((("cable", f"b{i}", None), (p.far, p.far_port, p.far_mac)))
                    bridges.append(i)
                else:
                    ends.append(((node.name, p.name, p.mac), (p.far, p.far_port, p.far_mac)))
            for e in node.externals:
                ends.append(((node.name, e.port, e.local_mac), (e.name, "eth0", e.mac)))
        for n in hosts:
            ends.append(((f"leaf{n}", HOST_PORT, None), (f"host{n}", "eth0", None)))
            up[f"leaf{n}"].append(HOST_PORT)
        lab.cables(*ends)
        for i in bridges:  # 16384: LLDP passes, as on a wire
            lab.ip("cable", f"link add br{i} type bridge stp_state 0 forward_delay 0 group_fwd_mask 16384",
                   f"link set a{i} mtu 9216 master br{i}", f"link set b{i} mtu 9216 master br{i}",
                   f"link set a{i} up", f"link set b{i} up", f"link set br{i} up")  # fmt: skip
        for name, ports in up.items():
            if name in self.nodes and ports:
                lab.ip(name, *[f"link set {p} up" for p in ports])
        for node in self:
            for e in node.externals:
                lab.ip(node.name, f"addr add {e.local6}/127 dev {e.port} nodad")
                lab.ip(e.name, "link set eth0 up", f"addr add {e.peer}/31 dev eth0",
                       f"addr add {e.peer6}/127 dev eth0 nodad")  # fmt: skip
        for n in hosts:
            leaf = self.nodes[f"leaf{n}"]
            a4, a6 = f"10.1.{n}.10", f"fd00:1:0:{n:x}::10"
            lab.ip(f"host{n}", "link set eth0 up", f"addr add {a4}/24 dev eth0", f"addr add {a6}/64 dev eth0 nodad",
                   f"route add default via {leaf.gateway4}", f"route add default via {leaf.gateway6}")  # fmt: skip
        for name, ports in up.items():
            if name in self.nodes:
                until(lambda: _have_link_local(lab, name) >= set(ports), 10, f"link-local addresses of {name}", 0.005)

    def foreign_ports(self, lab, node, hosts=()):
        """What fabricd does by itself and a foreign switch has to be given: loopbacks, rack bridge, session addresses."""
        commands = [f"addr add {node.loopback4}/32 dev lo", f"addr add {node.loopback6}/128 dev lo"]
        if node.rack4:
            commands += ["link add rack0 type bridge", "link set rack0 up", f"addr add {node.gateway4}/24 dev rack0",
                         f"addr add {node.gateway6}/64 dev rack0 nodad"]  # fmt: skip
            if node.number in hosts:
                commands.append(f"link set {HOST_PORT} master rack0")
        commands += [f"addr add {e.local}/31 dev {e.port}" for e in node.externals]
        lab.ip(node.name, *commands)


def _have_link_local(lab, node):
    with lab.inside(node), open("/proc/thread-self/net/if_inet6") as f:
        return {w[5] for w in map(str.split, f) if w[0].startswith("fe80")}


def patch_cut(lab, index=0):
    """The upper end first: taking a port down lasts milliseconds, and what comes from above must not be lost meanwhile."""
    lab.ip("cable", f"link set b{index} down", f"link set a{index} down")


def patch_heal(lab, index=0):
    lab.ip("cable", f"link set a{index} up", f"link set b{index} up")


def patch_mute(lab, index=0):
    """The cable swallows every frame of both directions from one moment on, and both ends keep their carrier: a port in
    state disabled neither takes from the bridge nor gives to it, and one message changes that."""
    lab.run("cable", ["bridge", "link", "set", "dev", f"a{index}", "state", "0"])


def patch_speak(lab, index=0):
    lab.run("cable", ["bridge", "link", "set", "dev", f"a{index}", "state", "3"])
