"""BFD sessions of a switch that is loading a table into its kernel: how many of them fall although nothing failed.

    load namespace: bfdd with a watcher ==== 128 cables ==== leaf1: the BFD of the stack, and 1,000,000 routes from a feeder

The far end is our bfdd for every stack. It counts a fall whichever end called it: an end that misses the other says so
in its next packet (RFC 5880 6.8.6). The processes of a stack share the two ends' CPUs with the load, as they do in life.
"""

import shutil

from measure import cpu_share, now, wait_idle
from support.bfd import Bfdd
from support.frr import SBIN
from support.netns import Failed, link_local
from support.stacks import Job, write
from support.wait import Late, until
from tables import LOADS, Bed, logs, start

SESSIONS, INTERVAL_MS, MULTIPLIER = 128, 50, 3


class WatchedBed(Bed):
    """A Bed with the cables for BFD; its BFD is configured with the stack, the far end's is started last."""

    def __init__(self, options, stack_name, sessions):
        self.sessions = sessions
        super().__init__(options, stack_name, 1, 0, fib=True)

    def wire(self):
        super().wire()
        lab, numbers = self.lab, range(1, self.sessions + 1)
        macs = [(f"02:fd:00:00:01:{n:02x}", f"02:fd:00:00:02:{n:02x}") for n in numbers]
        self.ends = [(f"b{n}", link_local(a), link_local(b)) for n, (a, b) in zip(numbers, macs)]
        lab.cables(*[(("leaf1", f"b{n}", a), ("load", f"b{n}", b)) for n, (a, b) in zip(numbers, macs)])
        for node in ("leaf1", "load"):
            lab.ip(node, *[f"link set b{n} up" for n in numbers])
        if self.stack.name == "bird":
            path = f"{lab.dir}/leaf1/bird.conf"
            with open(path) as f:
                text = f.read()
            lines = [f'interface "b*" {{ interval {INTERVAL_MS} ms; multiplier {MULTIPLIER}; }};']
            lines += [f'neighbor {far} dev "{port}";' for port, _, far in self.ends]
            write(path, text + "protocol bfd { " + "\n".join(lines) + " }\n")

    def watch(self):
        """Both ends begin. Returns the far end's watcher."""
        if self.stack.name == "fabricd":
            near = Bfdd(self.lab, "leaf1").client()
            for i, (port, own, far) in enumerate(self.ends):
                near.watch(i + 1, port, own, far, INTERVAL_MS * 1000, MULTIPLIER)
        elif self.stack.name == "frr":
            d = f"{self.lab.dir}/leaf1"
            lines = ["bfd", f" profile p\n  detect-multiplier {MULTIPLIER}\n  transmit-interval {INTERVAL_MS}",
                     f"  receive-interval {INTERVAL_MS}\n exit"]  # fmt: skip
            lines += [f" peer {far} local-address {own} interface {port}\n  profile p\n exit" for port, own, far in self.ends]
            write(f"{d}/bfdd.conf", "\n".join(lines) + "\nexit\n")
            shutil.chown(f"{d}/bfdd.conf", "frr", "frr")
            argv = [f"{SBIN}/bfdd", "-f", f"{d}/bfdd.conf", "-i", f"{d}/bfdd.pid", "--bfdctl", f"{d}/bfdd.sock",
                    "-z", f"{d}/zserv.api", "--vty_socket", d, "-P", "0"]  # fmt: skip
            job = Job("leaf1", "leaf1-bfdd", argv)
            self.lab.spawn(job.node, job.name, job.argv)
        far_end = Bfdd(self.lab, "load").client()
        for i, (port, own, far) in enumerate(self.ends):
            far_end.watch(i + 1, port, far, own, INTERVAL_MS * 1000, MULTIPLIER)
        return far_end


def run(options, stack_name):
    """Figures: false_downs (sessions that fell), routes that were loaded meanwhile, seconds that took."""
    count = LOADS["kernel_fib"][2] // (10 if options.quick else 1)
    sessions = SESSIONS // (8 if options.quick else 1)
    try:
        with WatchedBed(options, stack_name, sessions) as bed:
            far = bed.watch()
            numbers = range(1, sessions + 1)
            with bed.load(count, 0, False, count) as load:
                error = start(bed, load)
                if error:
                    return {"error": error}
                until(lambda: all(far.state(n) == "Up" for n in numbers), 60, "all BFD sessions are up")
                # at their own pace, and not at that of sessions that just came up (RFC 5880 6.8.3)
                until(lambda: all(r["detect_us"] <= INTERVAL_MS * MULTIPLIER * 1000 for r in far.list()), 30, "intervals agreed")
                before = sum(far.downs(n) for n in numbers)
                rest = cpu_share(bed.pids)  # the BFD of the stack may be in one of them
                begin = now()
                load.say("go")
                if not load.expect("sent", options.patience):
                    return {"error": "the feed was not taken" + logs(bed)}
                last, good = wait_idle(bed.pids, options.patience, rest=rest)
                fell = sum(far.downs(n) for n in numbers) - before
                return {"false_downs": fell, "load_s": (last - begin) / 1e9 if good else None, "routes": routes(bed)}
    except (Failed, Late) as e:
        return {"error": str(e)}


def routes(bed):
    """What the kernel holds now of the load: without it, nothing was shown."""
    text = bed.lab.run("leaf1", ["sh", "-c", "ip -4 route show table all | wc -l"])
    return int(text)
