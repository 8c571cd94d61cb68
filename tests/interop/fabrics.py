"""Mixed fabrics for the interoperation tests: which stack runs which switch, and what must be true of them."""

import signal

from support import kernel, stacks
from support.clos import Clos
from support.fabricd import Fabricd
from support.wait import until

UP = 60  # s until a session has to be up: the peers' retry timers are seconds, and the machine may be busy
SOON = 30  # s until a change that needs no new session must have arrived


class Mixed:
    """A Clos in which each switch has its own stack; started in the order given."""

    def __init__(self, lab, leaves, spines, foreign, assign, bfd=None):
        """foreign: tiers with vendor: other; assign: {switch: stack}, every other switch runs fabricd. bfd: as in Clos."""
        self.lab, self.clos = lab, Clos(leaves, spines, foreign=foreign, bfd=bfd)
        self.stack = {n.name: assign.get(n.name) or Fabricd() for n in self.clos}
        self.processes = {}
        hosts = tuple(range(1, leaves + 1))
        self.clos.wire(lab, hosts)
        for node in self.clos:
            self.stack[node.name].prepare(lab, self.clos, node, hosts)
        for node in self.clos:
            self.start(node.name)

    def start(self, name):
        self.processes[name] = stacks.start(self.lab, self.stack[name], self.clos, self.clos[name], prepare=False)

    def stop(self, name, how=signal.SIGTERM):
        for p in reversed(self.processes[name]):
            p.stop(how)

    def established(self, name):
        return self.stack[name].established(self.lab, self.clos[name])

    def wait_up(self, *names, timeout=None):
        for name in names or self.clos.nodes:
            want = {p.name for p in self.clos[name].ports}
            until(lambda: self.established(name) >= want, timeout or UP, f"sessions of {name} on {sorted(want)}", 0.1)

    def ports_to(self, name, prefix):
        """Ports over which the kernel of a switch sends a prefix; [] without a route."""
        routes = kernel.routes(self.lab, name, 6 if ":" in prefix else 4)
        return kernel.ports_of(routes.get(prefix, []))

    def wait_route(self, name, prefix, ports, timeout=SOON):
        until(
            lambda: self.ports_to(name, prefix) == sorted(ports), timeout,
            f"{name}: {prefix} over {ports}, has {self.ports_to(name, prefix)}",
        )  # fmt: skip

    def ping(self, host_from, host_to):
        """Both families, from a host behind one leaf to a host behind another."""
        for a in (f"10.1.{host_to}.10", f"fd00:1:0:{host_to:x}::10"):
            until(
                lambda: " 0% packet loss" in self.lab.run(
                    f"host{host_from}", ["ping", "-c", "1", "-W", "1", a], check=False), SOON, f"ping {a}",
            )  # fmt: skip

    def gateways_are_link_local(self, name, prefix):
        """IPv4 must go to an IPv6 link-local next hop, which is what an unnumbered fabric is (RFC 8950)."""
        legs = kernel.routes(self.lab, name, 4)[prefix]
        return legs and all(via.startswith("fe80:") for via, _ in legs)


def prefixes(node):
    return [p for p in (f"{node.loopback4}/32", f"{node.loopback6}/128", node.rack4, node.rack6) if p]
