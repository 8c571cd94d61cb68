"""A laboratory as users have it: raised and asked by fabctl alone. One per module; its name holds the process id."""

import json
import os
import subprocess
import sys
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from support import schema  # noqa: E402

BIN = os.environ.get("FABRIC_BUILD", os.path.join(ROOT, "build", "gcc", "bin"))


class Fab:
    """fabctl for one laboratory."""

    def __init__(self, name, prefix=()):
        self.name, self.prefix, self.bin = name, list(prefix), BIN

    def run(self, *words, want=0, timeout=90):
        argv = [*self.prefix, f"{BIN}/fabctl", "--lab", self.name, *words]
        r = subprocess.run(argv, capture_output=True, text=True, timeout=timeout)
        wanted = want if isinstance(want, tuple) else (want,)
        assert r.returncode in wanted, f"{' '.join(words)}: exit {r.returncode}, not {want}\n{r.stdout}{r.stderr}"
        return r

    def ask(self, node, *words, want=0):
        """The answer of one switch as JSON, held against its schema."""
        answer = json.loads(self.run("--at", node, *words, "-j", want=want).stdout)
        schema.check(answer)
        assert answer["complete"] and answer["missing"] == []
        return answer

    def rows(self, node, *words, want=0):
        return self.ask(node, *words, want=want)["data"]

    def exec(self, node, *argv, want=0):
        return self.run("lab", "exec", node, *argv, want=want).stdout

    def nodes(self, kind=None):
        data = json.loads(self.run("lab", "status", "-j", want=(0, 1)).stdout)["data"]
        return [n for n in data if kind in (None, n["kind"])]

    def run_dir(self, node):
        return next(n["run_dir"] for n in self.nodes() if n["node"] == node)

    def until(self, what, condition, timeout=20):
        """Waits until condition() is true, and gives that value back."""
        end = time.monotonic() + timeout
        while not (value := condition()):
            assert time.monotonic() < end, f"{what}: not within {timeout} s"
            time.sleep(0.01)
        return value


def may_raise():
    """Whether this kernel and this user allow a laboratory at all."""
    r = subprocess.run([f"{BIN}/fabctl", "lab", "up", "1x1", "--bare", "--name", f"probe-{os.getpid()}"],
                       capture_output=True, text=True)
    subprocess.run([f"{BIN}/fabctl", "lab", "down", "--name", f"probe-{os.getpid()}"], capture_output=True)
    return r.returncode == 0, r.stderr


@pytest.fixture(scope="session")
def allowed():
    good, why = may_raise()
    if not good:
        pytest.skip(f"no laboratory here: {why}")


@pytest.fixture
def new_lab(allowed, request):
    """Makes laboratories that are gone after the test."""
    made = []

    def make(*words, prefix=(), wait=True):
        fab = Fab(f"t{os.getpid()}-{len(made)}-{request.node.name[:8].replace('_', '')}", prefix)
        made.append(fab)
        fab.run("lab", "up", *words)
        if wait and "--bare" not in words:
            fab.run("lab", "wait", "--timeout", "60s")
        return fab

    yield make
    for fab in made:
        fab.run("lab", "down")


@pytest.fixture(scope="module")
def module_lab(allowed, request):
    """Raises one laboratory, converged, for a whole module."""
    lab = Fab(f"t{os.getpid()}-{request.module.__name__.split('.')[-1][5:]}")

    def make(*words):
        lab.run("lab", "up", *words)
        lab.run("lab", "wait", "--timeout", "60s")
        return lab

    yield make
    lab.run("lab", "down")


@pytest.fixture(scope="module")
def fab(module_lab):
    """One converged 4x2 for a whole module; each test leaves it as it found it."""
    return module_lab("4x2")
