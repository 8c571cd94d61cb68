"""Network namespaces, cables between them, and the processes in them.

A Lab owns all of it: namespaces are named <prefix>-<node>, with a prefix that holds the process id, so several runs
stand beside each other and a run removes only what it made. Cables are veth pairs created straight inside the two
namespaces, with MAC addresses given by the caller; nothing ever appears in the root namespace.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_count = 0


class Failed(RuntimeError):
    """A command that the laboratory needs did not work."""


def run(argv, stdin=None, check=True):
    """Runs a command to its end and returns its stdout; Failed with its stderr when it fails and check is set."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=120)
    if check and done.returncode:
        raise Failed(f"{' '.join(argv)}: exit {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def link_local(mac):
    """The EUI-64 link-local address of a MAC (RFC 4291, appendix A), in canonical text."""
    b = [int(x, 16) for x in mac.split(":")]
    b[0] ^= 2
    words = [b[0] << 8 | b[1], b[2] << 8 | 0xFF, 0xFE00 | b[3], b[4] << 8 | b[5]]
    return "fe80::" + ":".join(f"{w:x}" for w in words)


class Process:
    """One program in one namespace, with a log file; known by its pid."""

    def __init__(self, name, popen, log):
        self.name, self.popen, self.log = name, popen, log

    @property
    def pid(self):
        return self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def output(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def stop(self, sig=signal.SIGTERM, timeout=5):
        """Ends it; SIGKILL when it has not gone after timeout s. Returns its exit status (negative: by a signal)."""
        if self.alive():
            self.popen.send_signal(sig)
            try:
                self.popen.wait(timeout)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait(5)
        return self.popen.returncode


class Lab:
    """with Lab("name") as lab: ... ; lab.dir is a folder for configurations, sockets and logs."""

    def __init__(self, tag="t", keep=False):
        global _count
        _count += 1
        self.prefix = f"fb{os.getpid()}{tag}{_count}"
        self.dir = tempfile.mkdtemp(prefix=self.prefix + "-")
        os.chmod(self.dir, 0o755)
        self.keep = keep
        self.nodes = []
        self.processes = []
        self._index = 100
        if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:  # or nothing would be taken down
            signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- namespaces ----

    def ns(self, node):
        return f"{self.prefix}-{node}"

    def add(self, *nodes):
        """Makes namespaces, with lo up, forwarding on and no duplicate address detection (links are ours alone)."""
        batch = []
        for node in nodes:
            self.nodes.append(node)
            batch.append(f"netns add {self.ns(node)}")
        run(["ip", "-batch", "-"], stdin="\n".join(batch) + "\n")
        for node in nodes:
            with self.inside(node):
                for key, value in SYSCTLS.items():
                    _write_sysctl(key, value)
            self.ip(node, "link set lo up")

    @contextlib.contextmanager
    def inside(self, node):
        """The calling thread is in that namespace meanwhile: sockets, sysctls and child processes belong to it."""
        fd = os.open(f"/run/netns/{self.ns(node)}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._setns(fd)
            yield
        finally:
            self._setns(self._home)
            os.close(fd)

    @staticmethod
    def _setns(fd):
        if _libc.setns(fd, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")

    def ip(self, node, *commands):
        """Runs ip commands in a namespace, all in one process."""
        return run(["ip", "-n", self.ns(node), "-batch", "-"], stdin="\n".join(commands) + "\n")

    def sysctl(self, node, key, value):
        with self.inside(node):
            _write_sysctl(key, value)

    def run(self, node, argv, check=True, stdin=None):
        with self.inside(node):
            return run(argv, stdin=stdin, check=check)

    # ---- cables ----

    def cables(self, *ends):
        """Each end pair is ((node, port, mac), (node, port, mac)); MAC may be None. The links are left down.

        Every port of a Lab gets an interface index of its own. When both ends of a veth pair happen to have the same
        index in their namespaces, the kernel takes the port for one without a lower device, and reports a change of
        its carrier not at once but with the next batch, up to a second later (linkwatch_urgent_event)."""
        batch = []
        for (na, pa, ma), (nb, pb, mb) in ends:
            a = f" address {ma}" if ma else ""
            b = f" address {mb}" if mb else ""
            i, self._index = self._index, self._index + 2
            batch.append(
                f"link add name {pa} index {i}{a} netns {self.ns(na)} type veth "
                f"peer name {pb} index {i + 1}{b} netns {self.ns(nb)}"
            )
        if batch:
            run(["ip", "-batch", "-"], stdin="\n".join(batch) + "\n")

    def cut(self, node, port):
        self.ip(node, f"link set {port} down")

    def heal(self, node, port):
        self.ip(node, f"link set {port} up")

    # ---- processes ----

    def log_path(self, name):
        return os.path.join(self.dir, name + ".log")

    def spawn(self, node, name, argv, stdin=subprocess.DEVNULL, stdout=None):
        """Starts a program in a namespace; output goes to <dir>/<name>.log (stdout=PIPE: to the caller)."""
        log = self.log_path(name)
        with open(log, "a") as f, self.inside(node):
            popen = subprocess.Popen(argv, stdin=stdin, stdout=stdout or f, stderr=f, text=True)
        process = Process(name, popen, log)
        self.processes.append(process)
        return process

    # ---- the end ----

    def close(self):
        for p in reversed(self.processes):
            if p.alive():
                p.popen.terminate()
        deadline = time.monotonic() + 5
        for p in self.processes:
            try:
                p.popen.wait(max(0.01, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                p.popen.kill()
                p.popen.wait(5)
        for node in self.nodes:
            # Whatever still runs in a namespace of ours was started by us, or by what we started.
            for pid in run(["ip", "netns", "pids", self.ns(node)], check=False).split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        batch = "".join(f"netns del {self.ns(node)}\n" for node in self.nodes)
        run(["ip", "-force", "-batch", "-"], stdin=batch, check=False)
        self.nodes = []
        os.close(self._home)
        if not self.keep:
            shutil.rmtree(self.dir, ignore_errors=True)


SYSCTLS = {
    "net/ipv4/ip_forward": 1,
    "net/ipv6/conf/all/forwarding": 1,
    "net/ipv6/conf/all/accept_dad": 0,
    "net/ipv6/conf/default/accept_dad": 0,
    "net/ipv6/conf/default/accept_ra": 0,
    "net/ipv6/conf/default/autoconf": 0,
    "net/ipv4/conf/all/rp_filter": 0,
    "net/ipv4/conf/default/rp_filter": 0,
    "net/ipv4/fib_multipath_hash_policy": 1,
    "net/ipv6/fib_multipath_hash_policy": 1,
    # thousands of routes per switch must not run into the defaults
    "net/ipv6/route/max_size": 16777216,
    "net/ipv6/route/gc_thresh": 16777216,
}


def _write_sysctl(key, value):
    with contextlib.suppress(FileNotFoundError, PermissionError):  # not in every kernel, not in a user namespace
        with open("/proc/sys/" + key, "w") as f:
            f.write(str(value))
