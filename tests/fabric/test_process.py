"""fabricd as a process: what is done to its file while it reads it, and to the processors while it works."""

import json
import os
import signal
import subprocess
import threading

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BIN = os.environ.get("FABRIC_BUILD", os.path.join(ROOT, "build", "gcc", "bin"))
NOBODY = 65534
HOLD = 9  # s, of a file that does not say otherwise


class Daemon:
    """One fabricd that forwards in memory: no privileges, no ports."""

    def __init__(self, file, run, node="leaf1"):
        self.run = str(run)
        self.process = subprocess.Popen([f"{BIN}/fabricd", "--platform", "model", "--topology", str(file), "--node", node,
                                         "--run-dir", self.run], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def revision(self):
        """Of the file that it runs with; None: it has ended."""
        while self.process.poll() is None:
            r = subprocess.run([f"{BIN}/fabctl", "--run-dir", self.run, "status", "-j"], capture_output=True, text=True)
            if r.returncode in (0, 1):
                answer = json.loads(r.stdout)
                return answer["fabric"], answer["revision"]
        return None

    def end(self):
        """Exit status, and what it said."""
        self.process.send_signal(signal.SIGTERM)
        said = self.process.communicate(timeout=60)[1]
        return self.process.returncode, said


def version(name, size):
    """A file whose every part belongs to its version: JSON, so that no piece of it is a whole one."""
    notes = {f"x-{i}": name * 20 for i in range(size)}
    tiers = [{"name": "spine", "count": 2, "asn": 65000, "loopback": ["10.0.0.0/24"]},
             {"name": "leaf", "count": 4, "asn": {"base": 65000}, "loopback": ["10.0.1.0/24"],
              "up": {"to": "spine", "local": "eth[1-2]", "remote": "eth[1-4]"}}]
    return json.dumps({"schema": 1, "fabric": name, **notes, "tiers": tiers, "x-end": name})


@pytest.fixture
def versions(tmp_path):
    """{what status says: text} of two versions, each taken from a file that nobody touches."""
    out = {}
    for name, size in [("first", 200), ("second", 3000)]:
        path = tmp_path / name
        path.write_text(version(name, size))
        d = Daemon(path, tmp_path / f"run-{name}")
        out[d.revision()] = path
        assert d.end()[0] == 0
    assert len(out) == 2 and {fabric for fabric, _ in out} == {"first", "second"}
    return out


def keep_doing(step):
    """Calls step() over and over until the returned function is called."""
    stop = threading.Event()

    def loop():
        while not stop.is_set():
            step()

    thread = threading.Thread(target=loop)
    thread.start()
    return lambda: (stop.set(), thread.join())


def by_rename(live, paths):
    new = live.with_suffix(".new")
    for path in paths:
        new.write_bytes(path.read_bytes())
        os.replace(new, live)


def by_link(live, paths):
    new = live.with_suffix(".new")
    for path in paths:
        os.symlink(path, new)
        os.replace(new, live)


def in_place(live, paths):
    for path in paths:
        live.write_bytes(path.read_bytes())


@pytest.mark.parametrize("swap", [by_rename, by_link, in_place])
def test_C03_one_version_or_none(versions, tmp_path, swap):
    """The file is exchanged all the time: what is used is one version, whole; or nothing starts, and it is said why."""
    live = tmp_path / "live"
    paths = list(versions.values())
    by_rename(live, paths[:1])
    done = keep_doing(lambda: swap(live, paths))
    try:
        for i in range(15):
            d = Daemon(live, tmp_path / f"run{i}")
            seen = d.revision()
            code, said = d.end()
            if seen:
                assert seen in versions and code == 0
            else:
                assert code == 2 and "fabricd: " in said and swap is in_place, said
    finally:
        done()


@pytest.mark.parametrize("what,says", [
    ("folder", "Is a directory"), ("nothing", "No such file"), ("fifo", "cannot be read"), ("device", "cannot be read"),
    ("loop", "symbolic links"), ("closed", "Permission denied"), ("empty", "empty")])
def test_C03_what_is_no_file(tmp_path, what, says):
    path = tmp_path / "file"
    prefix = []
    if what == "folder":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "device":
        path = "/dev/zero"
    elif what == "loop":
        path.symlink_to(path)
    elif what == "closed":
        path.write_text(version("x", 1))
        path.chmod(0)
        if os.geteuid() == 0:
            prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all"]
            for folder in [tmp_path, *tmp_path.parents][:-2]:
                folder.chmod(folder.stat().st_mode | 0o055)
            if subprocess.run([*prefix, "test", "-x", f"{BIN}/fabricd"]).returncode:
                pytest.skip("the build is not readable for others")
    elif what == "empty":
        path.write_text("")
    r = subprocess.run([*prefix, f"{BIN}/fabricd", "--platform", "model", "--topology", str(path), "--node", "leaf1",
                        "--run-dir", str(tmp_path / "run")], capture_output=True, text=True, timeout=60)
    assert r.returncode == 2 and says in r.stderr, r.stderr
    assert not (tmp_path / "run").exists()  # nothing was begun


def test_P10_all_processors_busy(new_lab):
    """Twice as many hogs as processors, half of them forking all the time: no session is lost in more than the hold time."""
    lab = new_lab("4x2")
    before = {n["node"]: [r["flaps"] for r in lab.rows(n["node"], "bgp")] for n in lab.nodes("switch")}
    hogs = []
    try:
        for script in ["while :; do :; done", "while :; do /bin/true; done"] * (os.cpu_count() or 1):
            hogs.append(subprocess.Popen(["sh", "-c", script]))
        begun = int(lab.exec("leaf1", "cut", "-d.", "-f1", "/proc/uptime"))
        lab.until("longer than the hold time", lambda: int(
            lab.exec("leaf1", "cut", "-d.", "-f1", "/proc/uptime")) > begun + HOLD + 3, 120)
    finally:
        for p in hogs:
            p.kill()
            p.wait()
    for node, flaps in before.items():
        rows = lab.rows(node, "bgp")
        assert [r["state"] for r in rows] == ["Established"] * len(flaps) and [r["flaps"] for r in rows] == flaps, node
