"""Fabrics: cold start, memory, idle CPU, gap on carrier loss, time back to full ECMP.

    launch ----> daemons of all switches          fibwatch <---- route and next-hop messages of all namespaces
                                                  probe    ----> flows host1 -> leaf1 -> spine1 -> leaf2 -> ext2x0

The cable leaf2:eth1 -- spine1 runs through a namespace of its own, so that a cut takes the carrier from both ends at
once and no port is taken down by hand. The prefixes behind leaf2 come from a BGP peer (bgpload) in namespace ext2x0,
which also owns their addresses, so probes end there.
"""

import ipaddress
import os

from measure import Tool, ToolError, cpu_ns, memory, now, summary
from support.bird import Bird
from support.clos import Clos, patch_cut, patch_heal
from support.fabricd import Fabricd
from support.frr import Frr
from support.netns import Failed, Lab

STACKS = {"fabricd": Fabricd, "frr": Frr, "bird": Bird}
FEED_AS = 64600
SPACING_US = 500
CHURN = 100  # changes per second, when asked for
QUIET = 1.5  # s without a FIB change, then the tables are looked at


def size(text):
    leaves, spines = text.split("x")
    return int(leaves), int(spines)


class Fabric:
    """All switches of one stack, wired, prepared and started by `launch`; with Fabric(...) as f."""

    def __init__(self, options, stack, leaves, spines, behind=False, bfd=None, cables=1, patched=(), damping=None):
        """stack: a Stack, or the name of one as it is by default. cables: so many of leaf2's uplinks can be cut, where
        prefixes are behind it; patched: or these (leaf, port)."""
        self.options = options
        self.stack = STACKS[stack]() if isinstance(stack, str) else stack
        self.lab = Lab("f")
        self.clos = Clos(leaves, spines, bfd=bfd, damping=damping)
        self.hosts = (1,) if behind else ()
        self.behind = self.clos.external("leaf2", FEED_AS) if behind else None
        self.patched = [("leaf2", f"eth{k}") for k in range(1, cables + 1)] if behind else list(patched)
        self.tools, self.pids, self.prefixes = [], {}, 0
        self.meant_to_end = set()  # pids

    def tool(self, name, *args):
        t = Tool(os.path.join(self.options.tools, name), *args)
        self.tools.append(t)
        return t

    def __enter__(self):
        try:
            self.clos.wire(self.lab, self.hosts, self.patched)
            for node in self.clos:
                self.stack.prepare(self.lab, self.clos, node, self.hosts)
            self.watch = self.tool("fibwatch", *[self.lab.ns(n.name) for n in self.clos])
            self.watch.line(10)
            self.tap = None
            if self.clos.bfd:
                ports = [f"{end}{i}" for i in range(len(self.patched)) for end in "ab"]
                self.tap = self.tool("bfdtap", self.lab.ns("cable"), *ports)
                self.tap.line(10)
            self.jobs = [j for n in self.clos for j in self.stack.jobs(self.lab, self.clos, n)]
        except BaseException:
            self.close()
            raise
        return self

    def start(self):
        """Starts everything; returns the time of the first exec."""
        path = os.path.join(self.lab.dir, "jobs")
        with open(path, "w") as f:
            for j in self.jobs:
                fields = [j.name, self.lab.ns(j.node), self.lab.log_path(j.name), j.wait_for, *j.argv]
                f.write("\t".join(fields) + "\n")
        self.watch.ask("mark")
        self.launcher = self.tool("launch", path)
        first = None
        while len(self.pids) < len(self.jobs):
            e = self.launcher.line(20)
            if e is None or e["event"] != "start":
                raise ToolError(f"starting the switches: {e}")
            self.pids[e["name"]] = e["pid"]
            first = first or e["t"]
        return first

    def start_with_local_prefixes(self):
        # All that bgpload may announce is local there. 10/8 is not: a packet from a local address is refused.
        nets = ("11.0.0.0/8", "12.0.0.0/6", "16.0.0.0/4", "32.0.0.0/3", "64.0.0.0/2", "2a10::/32")
        self.lab.ip(self.behind.name, *[f"route add local {net} dev lo" for net in nets])
        return self.start()

    def pids_of(self, node):
        return [self.pids[j.name] for j in self.jobs if j.node == node.name]

    # ---- is it all there ----

    def missing(self):
        """A sentence on the first switch whose tables are not complete and of full width; None when all are."""
        held = self.watch.ask("dump")["spaces"]
        c = self.clos
        more = {"4": (self.prefixes + 1) // 2, "6": self.prefixes // 2}
        for node in c:
            for family in "46":
                widths = held[self.lab.ns(node.name)][family]
                one, full = widths.get("1", 0), widths.get(str(c.spines), 0)
                others = 2 * (c.leaves - 1)  # loopbacks and racks of the other leaves
                if node.spine:
                    want_full, want_one = 0, 2 * c.leaves + more[family]
                elif self.prefixes and node.name == "leaf2":
                    want_full, want_one = others, c.spines + more[family]
                else:
                    want_full, want_one = others + more[family], c.spines
                if c.spines == 1:
                    want_full, want_one = 0, want_full + want_one
                if (want_full and full < want_full) or one < want_one:
                    return f"{node.name} IPv{family}: {widths}, wanted {want_full} of width {c.spines}, {want_one} of 1"
        return None

    def settle(self, timeout, quiet=QUIET):
        """Waits for complete tables that have stopped to change: (watch's state, None) or (state, what is missing)."""
        deadline = now() + int(timeout * 1e9)
        while True:
            state = self.watch.ask("stat")
            last = max(s["last"] for s in state["spaces"].values())
            late = now() > deadline
            if (last and now() - last > quiet * 1e9) or late:
                lack = self.missing()
                if not lack or late:
                    return state, lack
                self.launcher.expect("end", 0.5)
            else:
                self.launcher.expect("end", 0.1)
            ended = [e for e in self.launcher.events if e["event"] == "end" and e["pid"] not in self.meant_to_end]
            if ended:
                return state, f"a daemon ended: {ended[-1]}: {self.log_tail(ended[-1])}"

    def rest(self, timeout=30):
        """Waits until nothing changes any more, whatever the tables hold."""
        deadline = now() + int(timeout * 1e9)
        begin = now()
        while now() < deadline:
            last = max(s["last"] for s in self.watch.ask("stat")["spaces"].values())
            if now() - max(last, begin) > QUIET * 1e9:
                return
            self.launcher.expect("end", 0.1)

    def idle(self, seconds):
        """CPU time by wall time, per switch."""
        pids = list(self.pids.values())
        before, t = sum(map(cpu_ns, pids)), now()
        self.launcher.expect("end", seconds)
        return (sum(map(cpu_ns, pids)) - before) / (now() - t) / len(self.clos.nodes)

    def log_tail(self, end):
        with open(self.lab.log_path(end["name"]), errors="replace") as f:
            return f.read()[-1500:]

    # ---- prefixes behind leaf2 ----

    def feed(self, count):
        """Announces count prefixes, half of them IPv6, and waits until every switch has them."""
        e, node = self.behind, self.clos["leaf2"]
        self.prefixes = count
        four, six = (count + 1) // 2, count // 2
        peer = f"{e.peer},{e.local},{e.asn},{node.asn},{e.peer6},{e.peer_link_local}"
        args = ["--netns", self.lab.ns(e.name), "--helper", "--churn", CHURN, "--count4", four, "--count6", six, "--feed", peer]
        self.feeder = self.tool("bgpload", *args)
        if not self.feeder.expect("up", 30):
            return "the feeder's session does not come up"
        self.watch.ask("mark")
        self.feeder.say("go")
        return self.settle(self.options.patience)[1]

    def starve(self):
        """Takes them away again."""
        self.feeder.say("withdraw")
        self.prefixes = 0
        self.rest(self.options.patience)
        self.feeder.close()
        self.tools.remove(self.feeder)

    def targets(self, count):
        """Addresses in the first, middle and last announced prefix of each family, so that order cannot hide the worst."""
        four, six = (count + 1) // 2, count // 2
        out = []
        for n in sorted({0, four // 2, four - 1}):
            m = (n * 0x9E3B1) & 0xFFFFF
            out.append(str(ipaddress.IPv4Address(0x0B000000 + (m * 7 << 8) + 77)))
        for n in sorted({0, six // 2, six - 1}):
            m = (n * 0x9E3B1) & 0xFFFFF
            out.append(str(ipaddress.IPv6Address((0x2A100000 << 96) + (m << 64) + 77)))
        return out

    def probe(self, seconds, spacing_us=SPACING_US, flows=2, via=0, targets=None):
        """Flows host1 -> prefixes behind leaf2; via: all of them through the spine of that cable, None: as they come."""
        args = ["--from", self.lab.ns("host1"), "--to", self.lab.ns(self.behind.name), "--flows", flows]
        if via is not None:
            args += ["--via", f"{self.lab.ns(f'spine{via + 1}')}/eth2"]
        args += ["--spacing-us", spacing_us, "--count", int(seconds * 1e6 / spacing_us)]
        for t in targets or self.targets(self.prefixes):
            args += ["--flow", t]
        return self.tool("probe", *args)

    def cut(self, seconds, how=patch_cut, cable=0, lead=0.5, **probing):
        """A cable cut under probes: gap of the worst flow in s, and details. lead: s of probes before."""
        spacing_us = probing.get("spacing_us", SPACING_US)
        probe = self.probe(seconds, via=cable, **probing)
        try:
            if not probe.expect("start", 20):
                return None, {"error": "probe"}
            probe.expect("none", lead)  # a stretch without a fault first
            self.watch.ask("mark")
            cut = now()
            how(self.lab, cable)
            result = probe.expect("result", seconds + 20)
        except ToolError as error:
            return None, {"error": str(error)}
        finally:
            probe.close()
            self.tools.remove(probe)
        flows = result["flows"]
        state = self.watch.ask("stat")["spaces"]
        down = max((s["down"] for s in state.values()), default=0)
        early = [f for f in flows if f["lost"] and f["first"] < cut]
        open_end = [f for f in flows if f["lost"] and f["last"] > cut + (seconds - lead - 0.1) * 1e9]
        worst = max(f["run"] for f in flows)
        detail = {"flows": flows, "carrier_down": down, "cut": cut, "last_fib": max(s["last"] for s in state.values())}
        if early or open_end or not any(f["lost"] for f in flows):
            detail["error"] = "lost before the cut" if early else "still losing at the end" if open_end else "nothing lost"
            return None, detail
        return worst * spacing_us / 1e6, detail

    def heal(self, how=patch_heal, cable=0, patience=30, quiet=3):
        """Cable back: s from the carrier of the later end to the last FIB change, when all is of full width again."""
        self.watch.ask("mark")
        how(self.lab, cable)
        state, lack = self.settle(patience, quiet=quiet)
        if lack:
            return None, lack
        spaces = state["spaces"].values()
        return (max(s["last"] for s in spaces) - max(s["up"] for s in spaces)) / 1e9, None

    def close(self):
        for t in reversed(self.tools):
            t.close()
        self.tools = []
        self.lab.close()

    def __exit__(self, *_):
        self.close()


def cold(options, stack_name):
    """One cold start, with the memory and the idle CPU of what came up."""
    leaves, spines = size(options.size)
    try:
        with Fabric(options, stack_name, leaves, spines) as f:
            first = f.start()
            state, lack = f.settle(options.patience)
            if lack:
                return {"error": lack}
            pids = list(f.pids.values())
            cpu = sum(map(cpu_ns, pids))
            last = max(s["last"] for s in state["spaces"].values())
            leaf = [[sum(x) for x in zip(*map(memory, f.pids_of(n)))] for n in f.clos if not n.spine]
            return {
                "wall": (last - first) / 1e9,
                "cpu": cpu / 1e9,
                "pss": summary([p for p, _ in leaf])["median"],
                "uss": summary([u for _, u in leaf])["median"],
                "idle_cpu": f.idle(options.idle),
            }
    except (Failed, ToolError) as e:
        return {"error": str(e)}


def gaps(options, stack_name):
    """For each number of prefixes one cut and one return of the cable; in one fabric as long as that gets whole again."""
    counts, out = list(map(int, options.gap_prefixes.split(","))), {"detail": {}}
    try:
        while counts:
            with Fabric(options, stack_name, *size(options.gap_size), behind=True) as f:
                f.start_with_local_prefixes()
                while counts and one_gap(options, f, counts.pop(0), out):
                    pass
    except (Failed, ToolError) as e:
        out["error"] = str(e)
    return out


def one_gap(options, f, count, out):
    """False when the fabric is not fit for another one."""
    lack = f.settle(60)[1] or f.feed(count)
    if lack:
        out["error"] = f"{count} prefixes: {lack}"
        return False
    seconds = 3 if count < 1000 else 6 if count <= 10000 else 12
    out[f"gap_{count}"], out["detail"][str(count)] = f.cut(seconds)
    f.rest()
    out[f"back_{count}"], lack = f.heal()
    if lack:
        out[f"short_{count}"] = lack
        return False
    f.starve()
    return True
