"""FRR 8.4 as a Clos switch: zebra and bgpd in the switch's namespace, unnumbered eBGP, as fast as it can be made.

Measured choices: the datacenter profile, coalesce-time 0 (its default waits up to a second before the first UPDATE),
advertisement interval 0, next-hop groups (zebra's default), sender-side loop detection so that leaves do not send
spines their own AS back, zebra's netlink buffer as large as Debian's own start script makes it. bgpd starts when
zebra's socket is there: a refused first attempt costs ten seconds.
"""

import json
import shutil

from .stacks import Job, Stack, write

SBIN = "/usr/lib/frr"


class Frr(Stack):
    name = "frr"

    def __init__(self, fib=True, password=None, gtsm=True, log="errors", restart=True):
        """restart: graceful restart as FRR has it by default, a helper; "full": it keeps its own routes as well; False:
        none. bfdd runs when the Clos has `bfd`."""
        self.fib, self.password, self.gtsm, self.log, self.restart = fib, password, gtsm, log, restart

    def configure(self, lab, clos, node):
        d = self.dir(lab, node)
        common = f"frr defaults datacenter\nhostname {node.name}\nlog stdout {self.log}\n"
        zebra = [common]
        for p in node.ports:
            zebra.append(f"interface {p.name}\n no ipv6 nd suppress-ra\n ipv6 nd ra-interval 10\nexit\n")
        write(f"{d}/zebra.conf", "".join(zebra))
        write(f"{d}/bgpd.conf", common + self.bgp(clos, node))
        if clos.bfd:
            profile = ["detect-multiplier 3", f"transmit-interval {clos.bfd}", f"receive-interval {clos.bfd}"]
            write(f"{d}/bfdd.conf", common + "bfd\n profile fabric\n  " + "\n  ".join(profile) + "\n exit\nexit\n")
        shutil.chown(d, "frr", "frr")  # the daemons drop to that user and make their sockets here

    def bgp(self, clos, node):
        out = [
            f"router bgp {node.asn}",
            f" bgp router-id {node.loopback4}",
            " no bgp ebgp-requires-policy",
            " no bgp network import-check",
            " no bgp default ipv4-unicast",
            " bgp bestpath as-path multipath-relax",
            " coalesce-time 0",
            " timers bgp 3 9",
            " neighbor fabric peer-group",
            " neighbor fabric remote-as external",
            " neighbor fabric timers connect 1",
            " neighbor fabric advertisement-interval 0",
            " neighbor fabric sender-as-path-loop-detection",
        ]
        if not self.restart:
            out.append(" bgp graceful-restart-disable")
        if self.restart == "full":
            out += [" bgp graceful-restart", " bgp graceful-restart preserve-fw-state"]
        if clos.bfd:
            out += [" neighbor fabric bfd", " neighbor fabric bfd profile fabric"]
        if self.gtsm:
            out.append(" neighbor fabric ttl-security hops 1")
        if self.password:
            out.append(f" neighbor fabric password {self.password}")
        out += [f" neighbor {p.name} interface peer-group fabric" for p in node.ports]
        for e in node.externals:
            out += [f" neighbor {e.peer} remote-as {e.asn}", f" neighbor {e.peer} advertisement-interval 0",
                    f" neighbor {e.peer} passive"]  # fmt: skip
        nets = {"ipv4": [f"{node.loopback4}/32", node.rack4], "ipv6": [f"{node.loopback6}/128", node.rack6]}
        for family, prefixes in nets.items():
            out.append(f" address-family {family} unicast")
            out += [f"  network {p}" for p in prefixes if p]
            if node.ports:
                out.append("  neighbor fabric activate")
            for e in node.externals:
                out.append(f"  neighbor {e.peer} activate")
                if not e.give:
                    out.append(f"  neighbor {e.peer} route-map NOTHING out")
                if not e.take:
                    out.append(f"  neighbor {e.peer} route-map NOTHING in")
            out += ["  maximum-paths 128", " exit-address-family"]
        out += ["exit", "route-map NOTHING deny 10", "exit", ""]
        return "\n".join(out)

    def again(self, lab, clos, node):
        """The program that a restart is about, as it is started a second time."""
        return self.jobs(lab, clos, node)[-1]

    def jobs(self, lab, clos, node):
        d = self.dir(lab, node)
        common = ["-F", "datacenter", "-z", f"{d}/zserv.api", "--vty_socket", d, "-P", "0"]
        zebra = [f"{SBIN}/zebra", "-f", f"{d}/zebra.conf", "-i", f"{d}/zebra.pid", "-s", "90000000", *common]
        bgpd = [f"{SBIN}/bgpd", "-f", f"{d}/bgpd.conf", "-i", f"{d}/bgpd.pid", "-e", "128", *common]
        if not self.fib:
            return [Job(node.name, f"{node.name}-bgpd", bgpd + ["-n", "-Z"])]
        bfdd = [f"{SBIN}/bfdd", "-f", f"{d}/bfdd.conf", "-i", f"{d}/bfdd.pid", "--bfdctl", f"{d}/bfdd.sock", *common]
        return [
            Job(node.name, f"{node.name}-zebra", zebra),
            *([Job(node.name, f"{node.name}-bfdd", bfdd, f"{d}/zserv.api")] if clos and clos.bfd else []),
            Job(node.name, f"{node.name}-bgpd", bgpd, f"{d}/{'bfdd.vty' if clos and clos.bfd else 'zserv.api'}"),
        ]

    def show(self, lab, node, command):
        """vtysh's answer to `show ... json` as an object; {} while the daemon does not answer."""
        text = lab.run(node.name, ["vtysh", "--vty_socket", self.dir(lab, node), "-c", command], check=False)
        return json.loads(text[text.index("{") :]) if "{" in text else {}

    def do(self, lab, node, *commands):
        argv = ["vtysh", "--vty_socket", self.dir(lab, node)]
        for c in commands:
            argv += ["-c", c]
        return lab.run(node.name, argv)

    def established(self, lab, node):
        """Names of the ports or peers whose session is up."""
        summary = self.show(lab, node, "show bgp summary json")
        up = set()
        for family in summary.values():
            up |= {name for name, p in family.get("peers", {}).items() if p["state"] == "Established"}
        return up
