"""Table loads: one switch, BGP peers that feed it and count what it passes on; no forwarding plane unless said.

    feeders and sinks (bgpload, one process, one namespace) ---- numbered sessions, one cable each ---- the switch

The switch is leaf1 of a 1x1 Clos whose spine is dark, so for fabricd it is an ordinary topology file with `external`
sessions. All stacks get the same addresses, the same prefixes and the same attributes.
"""

from measure import Tool, cpu_ns, now, peak_rss, wait_idle
from support import stacks
from support.bird import Bird
from support.clos import Clos
from support.fabricd import Fabricd
from support.frr import Frr
from support.netns import Failed, Lab

FEED_AS, SINK_AS = 64600, 64900  # + number; private, outside of the fabric's own ranges

STACKS = {
    "fabricd": lambda fib: Fabricd(platform="linux" if fib else "null"),
    "frr": lambda fib: Frr(fib=fib),
    "bird": lambda fib: Bird(fib=fib),
}

# name: feeders, sinks, prefixes per feeder (4, 6), the same prefixes from all feeders
LOADS = {
    "one_million": (1, 1, 1000000, 0, False),
    "ten_feeders": (10, 1, 100000, 0, False),
    "many_sinks": (1, 64, 100000, 0, False),
    "many_peers": (64, 1, 10000, 10000, True),
    "kernel_fib": (1, 0, 1000000, 0, False),
}


class Bed:
    """One switch under load, with its peers; with Bed(...) as bed."""

    def __init__(self, options, stack_name, feeders, sinks, fib):
        self.options = options
        self.stack = STACKS[stack_name](fib)
        self.lab = Lab("l")
        self.clos = Clos(1, 1)
        self.node = self.clos["leaf1"]
        for i in range(feeders):
            self.clos.external("leaf1", FEED_AS + i, take=True, give=False, name=f"feed{i + 1}")
        for i in range(sinks):
            self.clos.external("leaf1", SINK_AS + i, take=False, give=True, name=f"sink{i + 1}")
        if self.stack.foreign:
            self.node.ports.clear()
        self.feeders, self.sinks = feeders, sinks

    def wire(self):
        lab, node = self.lab, self.node
        lab.add("leaf1", "load")
        lab.cables(*[((node.name, e.port, e.local_mac), ("load", f"p{i}", e.mac)) for i, e in enumerate(node.externals)])
        inner, outer = [], []
        for i, e in enumerate(node.externals):
            inner += [f"link set {e.port} up", f"addr add {e.local6}/127 dev {e.port} nodad"]
            outer += [f"link set p{i} up", f"addr add {e.peer}/31 dev p{i}", f"addr add {e.peer6}/127 dev p{i} nodad"]
            if isinstance(self.stack, Fabricd) and self.stack.platform != "linux":
                inner.append(f"addr add {e.local}/31 dev {e.port}")  # nobody else sets it then
        lab.ip(node.name, *inner)
        lab.ip("load", *outer)
        if isinstance(self.stack, Fabricd):
            self.stack.configure(lab, self.clos, node)
        else:
            self.stack.prepare(lab, self.clos, node)

    def __enter__(self):
        try:
            self.wire()
            self.processes = stacks.start(self.lab, self.stack, self.clos, self.node, prepare=False)
        except BaseException:
            self.lab.close()
            raise
        self.pids = [p.pid for p in self.processes]
        return self

    def __exit__(self, *_):
        self.lab.close()

    def load(self, count4, count6, same, expect):
        args = ["--netns", self.lab.ns("load"), "--count4", count4, "--count6", count6, "--expect", expect]
        args += ["--same"] if same else []
        for e in self.node.externals:
            kind = "--feed" if e.take else "--sink"
            hop = f"{e.peer6},{e.peer_link_local}"
            if self.stack.name == "frr" and not self.stack.fib:
                hop = e.peer6  # without zebra it knows no port that a link-local next hop could belong to
            args += [kind, f"{e.peer},{e.local},{e.asn},{self.node.asn},{hop}"]
        return Tool(f"{self.options.tools}/bgpload", *args)


def rss(bed):
    return sum(map(peak_rss, bed.pids))


def logs(bed):
    return "\n".join(p.output()[-2000:] for p in bed.processes)


def start(bed, load, rest=0.0):
    """Sessions up and the switch at rest, where it uses that share of a CPU; a sentence when that does not come about."""
    if not load.expect("ready", 60):
        return "the peers did not get ready"
    if not load.expect("up", 60):
        return "not all sessions came up: " + repr(load.ask("stat")) + logs(bed)
    if not wait_idle(bed.pids, 30, 0.3, rest)[1]:
        return "the switch is never idle"
    return None


def run(options, stack_name, name):
    """One run of one load: a dictionary of figures (s, bytes), or {"error": ...}."""
    feeders, sinks, count4, count6, same = LOADS[name]
    if options.quick:
        count4, count6 = max(1000, count4 // 10), count6 // 10
    total = (count4 + count6) * (1 if same else feeders)
    try:
        with Bed(options, stack_name, feeders, sinks, name == "kernel_fib") as bed:
            with bed.load(count4, count6, same, total) as load:
                error = start(bed, load)
                if error:
                    return {"error": error}
                if name == "kernel_fib":
                    return kernel_fib(options, bed, load, total)
                return through(options, bed, load, name, total)
    except Failed as e:
        return {"error": str(e)}


def through(options, bed, load, name, total):
    before = sum(map(cpu_ns, bed.pids))
    load.say("go")
    go = load.expect("go", 10)
    full = load.expect("full", options.patience)
    if not full:
        return {"error": f"the prefixes did not arrive: {load.ask('stat')}" + logs(bed)}
    idle, good = wait_idle(bed.pids, options.patience)
    load.say("stat")
    state = load.expect("stat", 10)
    out = {
        "prefixes": total,
        "wall": (full["t"] - go["t"]) / 1e9,
        "until_idle": (idle - go["t"]) / 1e9 if good else None,
        "cpu": (sum(map(cpu_ns, bed.pids)) - before) / 1e9,
        "peak_rss": rss(bed),
        "updates_out": state["updates"],
        "bad": state["bad"],
    }
    word = "drop" if name == "many_peers" else "withdraw"
    load.say(word)
    begin = load.expect(word, 10)
    empty = load.expect("empty", options.patience)
    idle, good = wait_idle(bed.pids, options.patience)
    out[word] = (empty["t"] - begin["t"]) / 1e9 if empty else None
    out[word + "_idle"] = (idle - begin["t"]) / 1e9 if good else None
    out["peak_rss"] = max(out["peak_rss"], rss(bed))
    return out


def kernel_fib(options, bed, load, total):
    """First to last route message of the load, as a listener sees them; and the bare probe under the same listener."""
    with Tool(f"{options.tools}/fibwatch", bed.lab.ns("leaf1")) as watch:
        if not watch.line(10):
            return {"error": "fibwatch"}
        watch.ask("mark")
        load.say("go")
        go = load.expect("go", 10)
        seen, settled, deadline = None, 0, now() + options.patience * 1000000000
        while settled < 10 and now() < deadline:
            load.expect("none", 0.1)  # keeps the pipe empty while the table fills
            state = watch.ask("stat")["spaces"][bed.lab.ns("leaf1")]
            settled = settled + 1 if state["last"] == seen and state["last"] else 0
            seen = state["last"]
        held = sum(watch.ask("dump")["spaces"][bed.lab.ns("leaf1")]["4"].values())
        if held < total:
            return {"error": f"{held} of {total} routes in the kernel" + logs(bed)}
        out = {
            "prefixes": total,
            "fill": (state["last"] - state["first"]) / 1e9,
            "wall": (state["last"] - go["t"]) / 1e9,
            "peak_rss": rss(bed),
            "lost": state["lost"],
        }
    return out


def bare_fib(options):
    """The floor: the same routes put into the kernel by fibload, with the same listener beside it, and with the
    addresses of fabricd's namespace: one of them in the upper half of the address space makes the root of the kernel's
    trie a wider one, whose growth costs a tenth of the whole load."""
    count = LOADS["kernel_fib"][2] // (10 if options.quick else 1)
    with Lab("b") as lab:
        lab.add("leaf1", "load")
        lab.cables((("leaf1", "eth81", None), ("load", "p0", None)))
        lab.ip("leaf1", "link set eth81 up", "link set lo up", "addr add 10.255.0.1/32 dev lo", "addr add 172.31.1.0/31 dev eth81")
        lab.ip("load", "link set p0 up")
        with Tool(f"{options.tools}/fibwatch", lab.ns("leaf1")) as watch:
            watch.line(10)
            with Tool(f"{options.tools}/fibload", lab.ns("leaf1"), "eth81", count, "10.255.0.1") as probe:
                got = probe.line(120)
    return {"prefixes": count, "fill": got["add_ns"] / 1e9} if got else {"error": "fibload"}
