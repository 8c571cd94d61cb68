"""A switch with many BFD sessions, and who hears them at the far end.

    load namespace: bfdd with a watcher ==== 128 cables ==== leaf1: the BFD of the stack

The far end is our bfdd for every stack. It counts a fall whichever end called it: an end that misses the other says so
in its next packet (RFC 5880 6.8.6).
"""

import os
import select
import shutil
import signal

from support.bfd import Bfdd
from support.frr import SBIN
from support.netns import Failed, link_local
from support.stacks import Job, write
from support.wait import until
from tables import Bed

SESSIONS, INTERVAL_MS, MULTIPLIER = 128, 50, 3


class WatchedBed(Bed):
    """A Bed with the cables for BFD; its BFD is configured with the stack, the far end's is started last by watch()."""

    def __init__(self, options, stack_name, feeders):
        self.numbers = range(1, SESSIONS // (8 if options.quick else 1) + 1)
        super().__init__(options, stack_name, feeders, 0, fib=True)

    def wire(self):
        super().wire()
        lab = self.lab
        macs = [(f"02:fd:00:00:01:{n:02x}", f"02:fd:00:00:02:{n:02x}") for n in self.numbers]
        self.ends = [(f"b{n}", link_local(a), link_local(b)) for n, (a, b) in zip(self.numbers, macs)]
        lab.cables(*[(("leaf1", f"b{n}", a), ("load", f"b{n}", b)) for n, (a, b) in zip(self.numbers, macs)])
        for node in ("leaf1", "load"):
            lab.ip(node, *[f"link set b{n} up" for n in self.numbers])
        if self.stack.name == "bird":
            path = f"{lab.dir}/leaf1/bird.conf"
            with open(path) as f:
                text = f.read()
            lines = [f'interface "b*" {{ interval {INTERVAL_MS} ms; multiplier {MULTIPLIER}; }};']
            lines += [f'neighbor {far} dev "{port}";' for port, _, far in self.ends]
            write(path, text + "protocol bfd { " + "\n".join(lines) + " }\n")

    def watch(self):
        """Both ends begin; .far is the far end's watcher, .near that of fabricd's own end."""
        self.near, self.bfdd = None, None
        if self.stack.name == "fabricd":
            self.bfdd = Bfdd(self.lab, "leaf1", "--keep")
            self.near = self.bfdd.client()
            for i, (port, own, far) in zip(self.numbers, self.ends):
                self.near.watch(i, port, own, far, INTERVAL_MS * 1000, MULTIPLIER)
        elif self.stack.name == "frr":
            self.job = self.frr_bfdd()
            self.process = self.lab.spawn(self.job.node, self.job.name, self.job.argv)
        else:
            self.job, self.process = self.stack.jobs(self.lab, self.clos, self.node)[-1], self.processes[-1]
        self.far = Bfdd(self.lab, "load").client()
        for i, (port, own, far) in zip(self.numbers, self.ends):
            self.far.watch(i, port, far, own, INTERVAL_MS * 1000, MULTIPLIER)

    def frr_bfdd(self):
        d = f"{self.lab.dir}/leaf1"
        lines = ["bfd", f" profile p\n  detect-multiplier {MULTIPLIER}\n  transmit-interval {INTERVAL_MS}",
                 f"  receive-interval {INTERVAL_MS}\n exit"]  # fmt: skip
        lines += [f" peer {far} local-address {own} interface {port}\n  profile p\n exit" for port, own, far in self.ends]
        write(f"{d}/bfdd.conf", "\n".join(lines) + "\nexit\n")
        shutil.chown(f"{d}/bfdd.conf", "frr", "frr")
        argv = [f"{SBIN}/bfdd", "-f", f"{d}/bfdd.conf", "-i", f"{d}/bfdd.pid", "--bfdctl", f"{d}/bfdd.sock",
                "-z", f"{d}/zserv.api", "--vty_socket", d, "-P", "0"]  # fmt: skip
        return Job("leaf1", "leaf1-bfdd", argv)

    def victim(self):
        """The process that has the sessions."""
        return until(self.bfdd.worker, 5, "a worker of bfdd") if self.bfdd else self.process.pid

    def kill(self):
        """kill -9, and another one: at once where nobody else sees to it."""
        fd = os.pidfd_open(self.victim())
        try:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
            if not select.select([fd], [], [], 10)[0]:
                raise Failed("the BFD process does not end")
        finally:
            os.close(fd)
        if not self.bfdd:
            self.process = self.lab.spawn(self.job.node, self.job.name, self.job.argv)

    def hand_over(self):
        """fabricd's: a planned change of the process (SIGHUP to the keeper)."""
        self.bfdd.process.popen.send_signal(signal.SIGHUP)

    def wait_up(self):
        """All sessions are up, at their own pace and not at that of those that just came up (RFC 5880 6.8.3)."""
        if self.near:
            until(lambda: self.near.links[-1]["connected"], 10, "the watcher of the near end is back")
        until(lambda: all(self.far.state(n) == "Up" for n in self.numbers), 60, "all BFD sessions are up")
        until(lambda: all(r["detect_us"] <= INTERVAL_MS * MULTIPLIER * 1000 for r in self.far.list()), 30, "intervals agreed")

    def falls(self):
        """How often a session fell so far, all together."""
        return sum(self.far.downs(n) for n in self.numbers)
