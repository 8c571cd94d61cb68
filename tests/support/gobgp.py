"""GoBGP 3.10 as a Clos switch, its RIB only: it installs nothing in the kernel by itself."""

import json

from .stacks import Job, Stack, write


class Gobgp(Stack):
    name = "gobgp"

    def __init__(self, passive=False, password=None, gtsm=True):
        self.passive, self.password, self.gtsm = passive, password, gtsm

    def configure(self, lab, clos, node):
        out = [f'[global.config]\n  as = {node.asn}\n  router-id = "{node.loopback4}"\n  port = 179\n']
        for p in node.ports:
            far = clos[p.far]
            out.append(
                "[[neighbors]]\n  [neighbors.config]\n"
                f'    neighbor-address = "{p.far_link_local}%{p.name}"\n    peer-as = {far.asn}\n'
                + (f'    auth-password = "{self.password}"\n' if self.password else "")
                + f"  [neighbors.transport.config]\n    passive-mode = {str(self.passive).lower()}\n"
                + ("  [neighbors.ttl-security.config]\n    enabled = true\n    ttl-min = 255\n" if self.gtsm else "")
                + "  [neighbors.timers.config]\n    connect-retry = 1\n    hold-time = 9\n    keepalive-interval = 3\n"
                '  [[neighbors.afi-safis]]\n    [neighbors.afi-safis.config]\n      afi-safi-name = "ipv4-unicast"\n'
                '  [[neighbors.afi-safis]]\n    [neighbors.afi-safis.config]\n      afi-safi-name = "ipv6-unicast"\n'
            )
        write(f"{self.dir(lab, node)}/gobgpd.toml", "".join(out))

    def jobs(self, lab, clos, node):
        d = self.dir(lab, node)
        argv = ["/usr/bin/gobgpd", "-f", f"{d}/gobgpd.toml", "--api-hosts", "127.0.0.1:50051", "--pprof-disable"]
        return [Job(node.name, f"{node.name}-gobgpd", argv)]

    def do(self, lab, node, *words, check=True):
        return lab.run(node.name, ["gobgp", "-j", *words], check=check)

    def originate(self, lab, node):
        """Announces the switch's own prefixes (there is nothing to read them from)."""
        port = node.ports[0]
        for prefix in (f"{node.loopback4}/32", node.rack4):
            if prefix:
                self.do(lab, node, "global", "rib", "add", "-a", "ipv4", prefix, "nexthop", port.link_local)
        for prefix in (f"{node.loopback6}/128", node.rack6):
            if prefix:
                self.do(lab, node, "global", "rib", "add", "-a", "ipv6", prefix, "nexthop", port.link_local)

    def established(self, lab, node):
        """Names of the ports whose session is up."""
        text = self.do(lab, node, "neighbor", check=False)
        if not text.startswith("["):
            return set()
        up = set()
        for n in json.loads(text):
            if n.get("state", {}).get("session_state") == 6:
                address = n["conf"].get("neighbor_address") or n["state"].get("neighbor_address", "")
                up.add(address.partition("%")[2] or address)
        return up

    def rib(self, lab, node, family="ipv4"):
        """{prefix: number of paths}"""
        text = self.do(lab, node, "global", "rib", "-a", family)
        return {k: len(v) for k, v in json.loads(text).items()} if text.strip() else {}
