"""BIRD 2.0.12 as a Clos switch: direct sessions over link-local addresses, merged paths into the kernel.

BIRD has no router-advertisement discovery for BGP in this version, so its neighbours' link-local addresses are either
written into the configuration (between BIRDs: the MAC addresses are ours to choose), or, with passive_range, a range is
opened to whoever comes, and BIRD's own router advertisements tell the other end where to connect to (docs/interop.md).
"""

import dataclasses
import re

from .stacks import Job, Stack, write


class Bird(Stack):
    name = "bird"

    def __init__(self, fib=True, passive_range=False, password=None, gtsm=True, restart=None):
        """restart: "full" keeps its own routes over a restart as well; None: as BIRD has it by default, a helper. BFD
        is on when the Clos has `bfd`."""
        self.restart = restart
        self.fib, self.passive_range, self.password, self.gtsm = fib, passive_range, password, gtsm

    def configure(self, lab, clos, node):
        write(f"{self.dir(lab, node)}/bird.conf", self.config(clos, node))

    def config(self, clos, node):
        out = [
            f"router id {node.loopback4};",
            "log stderr { warning, error, fatal, bug };",
            "protocol device { scan time 60; }",
            'protocol direct { ipv4; ipv6; interface "lo", "rack0"; }',
        ]
        if self.fib:
            out += self._kernel(node, "graceful restart on; persist on; " if self.restart == "full" else "")
        extra = "  graceful restart on;\n" if self.restart == "full" else ""
        if clos.bfd:
            ports = " ".join(f'interface "{p.name}" {{ interval {clos.bfd} ms; multiplier 3; }};' for p in node.ports)
            out.append(f"protocol bfd {{ {ports} }}")
            extra += "  bfd on;\n"
        # A leaf announces upwards what is its own or comes from outside; what a spine sent never goes back up.
        up = "source = RTS_DEVICE || proto ~ \"x*\"" if not node.spine else "source ~ [RTS_DEVICE, RTS_BGP]"
        password = f'  password "{self.password}";\n' if self.password else ""
        out.append(
            "template bgp fabric {\n"
            f"  local as {node.asn};\n  direct;\n  ttl security {'on' if self.gtsm else 'off'};\n{password}{extra}"
            "  hold time 9; keepalive time 3; connect delay time 1; connect retry time 1; error wait time 1, 2;\n"
            f"  ipv4 {{ import all; export where {up}; extended next hop on; }};\n"
            f"  ipv6 {{ import all; export where {up}; }};\n"
            "}"
        )
        if self.passive_range and node.ports:
            # How the other end learns this one's link-local address: BIRD cannot discover, but it can advertise.
            ports = " ".join(f'interface "{p.name}" {{ min ra interval 3; max ra interval 4; }};' for p in node.ports)
            out.append(f"protocol radv {{ {ports} }}")
        for p in node.ports:
            if self.passive_range:
                out.append(
                    f'protocol bgp f_{p.name} from fabric {{ neighbor range fe80::/10 external; interface "{p.name}"; '
                    f'dynamic name "d_{p.name}_"; passive; }}'
                )
            else:
                out.append(
                    f"protocol bgp f_{p.name} from fabric {{ neighbor {p.far_link_local} % '{p.name}' external; }}"
                )
        for i, e in enumerate(node.externals):
            take, give = ("all" if e.take else "none"), ("all" if e.give else "none")
            out.append(
                f"protocol bgp x{i} {{ local {e.local} as {node.asn}; neighbor {e.peer} as {e.asn}; passive; direct;\n"
                f"  ipv4 {{ import {take}; export {give}; }};\n"
                f"  ipv6 {{ import {take}; export {give}; next hop address {e.local6}; }};\n}}"
            )
        return "\n".join(out) + "\n"

    @staticmethod
    def _kernel(node, extra):
        return [
            f"protocol kernel k{f} {{ {extra}learn off; merge paths on limit 128; scan time 60; ipv{f} {{ import none; "
            f"export filter {{ if source = RTS_DEVICE then reject; krt_prefsrc = {src}; accept; }}; }}; }}"
            for f, src in ((4, node.loopback4), (6, node.loopback6))
        ]

    def jobs(self, lab, clos, node):
        d = self.dir(lab, node)
        argv = ["/usr/sbin/bird", "-f", "-c", f"{d}/bird.conf", "-s", f"{d}/bird.ctl", "-P", f"{d}/bird.pid"]
        return [Job(node.name, f"{node.name}-bird", argv)]

    def again(self, lab, clos, node):
        """A second start, with recovery by graceful restart when that is wanted."""
        job = self.jobs(lab, clos, node)[-1]
        return dataclasses.replace(job, argv=job.argv + (["-R"] if self.restart == "full" else []))

    def do(self, lab, node, *words, check=True):
        return lab.run(node.name, ["birdc", "-s", f"{self.dir(lab, node)}/bird.ctl", *words], check=check)

    def established(self, lab, node):
        """Names of the ports (and x<n> of externals) whose session is up."""
        up = set()
        for line in self.do(lab, node, "show", "protocols", check=False).splitlines():
            word = line.split()
            if len(word) > 5 and word[1] == "BGP" and word[-1] == "Established":
                m = re.match(r"(?:f_|d_)(eth\d+)", word[0])
                up.add(m.group(1) if m else word[0])
        return up

    def count(self, lab, node, table="master4"):
        """Networks in a table."""
        text = self.do(lab, node, "show", "route", "table", table, "count")
        return int(re.search(r"for (\d+) networks", text).group(1))
