"""The measuring programs as objects, and the clocks and counters of other processes.

All times are ns of CLOCK_MONOTONIC, which the C programs use as well, so they can be subtracted from each other.
"""

import json
import os
import selectors
import statistics
import subprocess
import time


def now():
    return time.monotonic_ns()


class ToolError(RuntimeError):
    pass


class Tool:
    """A measuring program that talks lines of JSON on its stdout and takes words on its stdin."""

    def __init__(self, path, *args):
        self.name = os.path.basename(path)
        self.process = subprocess.Popen(
            [path, *map(str, args)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self.pending = b""
        self.events = []
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)

    def say(self, word):
        self.process.stdin.write(word.encode() + b"\n")

    def line(self, timeout):
        """The next line, or None at the deadline; ToolError when the program ended."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self.pending:
            if not self.selector.select(max(0, deadline - time.monotonic())):
                return None
            more = os.read(self.process.stdout.fileno(), 1 << 20)
            if not more:
                raise ToolError(f"{self.name} ended with status {self.process.wait()}")
            self.pending += more
        first, _, self.pending = self.pending.partition(b"\n")
        return json.loads(first)

    def expect(self, event, timeout):
        """Waits for that event; None at the deadline. Other events are kept in .events."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            got = self.line(left)
            if got is None:
                return None
            self.events.append(got)
            if got.get("event") == event:
                return got
        return None

    def ask(self, word, timeout=60):
        """For programs that answer each word with one line."""
        self.say(word)
        got = self.line(timeout)
        if got is None:
            raise ToolError(f"{self.name}: no answer to {word!r}")
        return got

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.selector.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def cpu_ns(pid):
    """CPU time of a whole process, ended threads included, in ns: its CPU-time clock (clock_getcpuclockid)."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def memory(pid):
    """(PSS, USS) in bytes."""
    pss = uss = 0
    with open(f"/proc/{pid}/smaps_rollup") as f:
        for line in f:
            word = line.split()
            if word[0] == "Pss:":
                pss = int(word[1]) * 1024
            elif word[0] in ("Private_Clean:", "Private_Dirty:"):
                uss += int(word[1]) * 1024
    return pss, uss


def peak_rss(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM"))


def cpu_share(pids, seconds=1):
    """What the processes together use of a CPU, 1: all of it."""
    cpu, begin = sum(map(cpu_ns, pids)), now()
    time.sleep(seconds)  # the span that is measured
    return (sum(map(cpu_ns, pids)) - cpu) / (now() - begin)


def wait_idle(pids, timeout, quiet=0.5, rest=0.0):
    """Waits until the processes together have used less than 5 % of a CPU for `quiet` s, beside twice the share that they
    use at rest. Returns (time of their last work, True), or (now, False) at the deadline. Resolution: 10 ms."""
    deadline = now() + int(timeout * 1e9)
    last_busy, last_cpu, at = now(), sum(map(cpu_ns, pids)), now()
    while now() < deadline:
        time.sleep(0.01)  # the sampling period, not a wait for something
        cpu, t = sum(map(cpu_ns, pids)), now()
        if cpu - last_cpu > (t - at) * (0.05 + 2 * rest):
            last_busy = t
        last_cpu, at = cpu, t
        if t - last_busy > quiet * 1e9:
            return last_busy, True
    return now(), False


def summary(values):
    """Median and spread of the runs that have a figure; None where none has."""
    got = sorted(v for v in values if v is not None)
    if not got:
        return None
    return {"median": statistics.median(got), "min": got[0], "max": got[-1], "n": len(got), "missing": len(values) - len(got)}
