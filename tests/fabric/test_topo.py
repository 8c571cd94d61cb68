"""Topology files as people handle them: plan against a running switch, import, and the filters of answers."""

import csv
import fcntl
import json
import os
import pty
import shutil
import struct
import subprocess
import termios
import xml.etree.ElementTree

import pytest

from support import schema

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FILE = os.path.join(ROOT, "tests", "data", "topology", "4x2.yaml")


@pytest.fixture
def edited(tmp_path):
    """A copy of the laboratory's file with one text in place of another."""

    def edit(find, put):
        with open(FILE, encoding="utf-8") as f:
            text = f.read()
        assert find in text
        path = tmp_path / "next.yaml"
        path.write_text(text.replace(find, put), encoding="utf-8")
        return str(path)

    return edit


def test_plan_against_the_running_file(fab, edited):
    answer = fab.ask("leaf1", "topo", "plan", FILE)
    assert answer["data"] == [] and answer["summary"]["changes"] == 0
    assert answer["summary"]["running"] == fab.ask("leaf1", "status")["revision"]

    rows = fab.rows("leaf1", "topo", "plan", edited("count: 4,", "count: 5,"), want=1)
    assert {(r["node"], r["what"], r["effect"]) for r in rows} == {
        ("spine1", "port", "session"), ("spine2", "port", "session"), ("leaf5", "switch", "session")}  # fmt: skip
    assert not any(r["renumbered"] for r in rows)


def test_plan_refuses_to_renumber_unawares(fab, edited):
    path = edited("asn: {base: 65000}", "asn: {base: 65200}")
    refused = fab.run("--at", "leaf1", "topo", "plan", path, want=5)
    assert "4 switches would be renumbered" in refused.stderr and "--allow-renumber" in refused.stderr
    rows = fab.rows("leaf1", "topo", "plan", path, "--allow-renumber", want=1)
    assert [(r["node"], r["from"], r["to"]) for r in rows] == [(f"leaf{n}", f"6500{n}", f"6520{n}") for n in range(1, 5)]


def test_plan_of_two_files_needs_no_daemon(fab, edited, tmp_path):
    path = edited("count: 4,", "count: 3,")
    assert fab.run("--run-dir", str(tmp_path), "topo", "plan", path, FILE, want=1).stdout.count("leaf4") == 3
    silent = fab.run("--run-dir", str(tmp_path), "topo", "plan", path, want=4)
    assert "topo plan FILE RUNNING" in silent.stderr
    assert "next:" in fab.run("topo", "plan", str(tmp_path / "none"), FILE, want=2).stderr


def test_check_with_a_filter_is_a_table(fab, edited):
    """What passes counts, as with every other answer; without a filter the file's lines stand beside the findings."""
    path = edited("count: 4,", "count: 4, colour: red,")
    assert "colour: red" in fab.run("topo", "check", path, want=2).stderr
    found = fab.run("topo", "check", path, "--filter", "severity=error", want=2)
    assert "colour" in found.stdout and "SEVERITY" in found.stdout
    left_out = fab.run("topo", "check", path, "--filter", "severity=warning", want=2)
    assert "colour" not in left_out.stdout and "none of 1 row passes" in left_out.stderr


@pytest.mark.parametrize("form", ["dot", "containerlab", "csv"])
def test_import_gives_back_what_export_gave(fab, tmp_path, form):
    cables = tmp_path / "plan.txt"
    cables.write_text(fab.run("topo", "export", form, FILE).stdout)
    again = tmp_path / "again.yaml"
    again.write_text(fab.run("topo", "import", form, str(cables)).stdout)
    fab.run("topo", "check", str(again))
    assert fab.run("topo", "export", "csv", str(again)).stdout == fab.run("topo", "export", "csv", FILE).stdout
    assert ("fabric: plan" if form == "csv" else "fabric: lab") in again.read_text()


def test_exports_are_what_their_tools_read(fab):
    """By the readers that are here: Python's for XML and CSV, Graphviz where it is installed."""
    drawing = xml.etree.ElementTree.fromstring(fab.run("topo", "export", "svg", FILE).stdout)
    assert len(drawing.findall("{*}line")) == 8 and len(drawing.findall("{*}rect")) == 6
    cables = list(csv.DictReader(fab.run("topo", "export", "csv", FILE).stdout.splitlines()))
    assert len(cables) == 8 and {c["status"] for c in cables} == {"connected"}
    plan = fab.run("topo", "export", "dot", FILE).stdout
    if shutil.which("dot"):
        drawn = subprocess.run(["dot", "-Tplain"], input=plan, capture_output=True, text=True, timeout=60, check=True).stdout
        assert drawn.count("\nnode ") == 6 and drawn.count("\nedge ") == 8


def test_expand_as_rows(fab, edited):
    answer = json.loads(fab.run("topo", "expand", FILE, "-j").stdout)
    schema.check(answer)
    assert len(answer["data"]) == 6 and answer["summary"] == {"switches": 6, "links": 8}
    leaf = next(r for r in answer["data"] if r["node"] == "leaf3")
    assert leaf["as"] == 65003 and leaf["loopbacks"] == ["10.0.1.3/32", "fd00:0:0:1::3/128"]
    assert [(c["port"], c["peer"], c["peer_port"]) for c in leaf["links"]] == [
        ("eth1", "spine1", "eth3"), ("eth2", "spine2", "eth3")]  # fmt: skip
    one = fab.run("topo", "expand", FILE, "leaf3", "-o", "jsonl").stdout.splitlines()
    assert [json.loads(line)["node"] for line in one] == ["leaf3"]
    assert "did you mean leaf3?" in fab.run("topo", "expand", FILE, "laef3", want=2).stderr


def test_files_that_are_no_files(fab, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen([f"{fab.bin}/fabctl", "topo", "check", str(pipe)], stdout=subprocess.PIPE, text=True)
    with open(FILE, encoding="utf-8") as f, open(pipe, "w", encoding="utf-8") as p:
        p.write(f.read())
    assert reader.communicate(timeout=30)[0].startswith("lab: 6 switches") and reader.returncode == 0
    assert "is a folder" in fab.run("topo", "check", str(tmp_path), want=2).stderr
    assert "larger than 4 MiB" in fab.run("topo", "check", "/dev/zero", want=2).stderr
    assert "the file is empty" in fab.run("topo", "check", "/dev/null", want=2).stderr


def test_an_answer_that_cannot_be_written(fab):
    with open("/dev/full", "w", encoding="utf-8") as full:
        r = subprocess.run([f"{fab.bin}/fabctl", "topo", "fmt", FILE], stdout=full, stderr=subprocess.PIPE, text=True, timeout=30)
    assert r.returncode == 3 and "could not be written" in r.stderr
    head = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$0" topo expand "$1" | head -1', f"{fab.bin}/fabctl", FILE],
        capture_output=True, text=True, timeout=30)  # fmt: skip
    assert head.returncode == 0 and head.stderr == "" and head.stdout == "- node: spine1\n"


def test_import_says_what_it_does_not_understand(fab, tmp_path):
    path = tmp_path / "x.dot"
    for text, says in [('graph x { "Leaf A":"e1" -- "spine1":"e2" }', "no name of this language"), ("{", "is no dot file")]:
        path.write_text(text)
        r = fab.run("topo", "import", "dot", str(path), want=2)
        assert says in r.stderr and r.stdout == ""


def test_devices_of_a_table(fab, tmp_path):
    table = tmp_path / "devices.csv"
    table.write_text('name,site,serial,mac,state\r\nleaf3,"a, b",MT2041X00203,52:54:00:12:34:56,planned\r\nspine1,x,7,,\r\n')
    section = fab.run("topo", "import", "devices", str(table)).stdout
    assert section == ('devices:\n  leaf3: {serial: "MT2041X00203", mac: "52:54:00:12:34:56", state: planned}\n'
                       '  spine1: {serial: "7"}\n')  # fmt: skip
    with open(FILE, encoding="utf-8") as f:
        (tmp_path / "all.yaml").write_text(f.read() + section, encoding="utf-8")
    fab.run("topo", "check", str(tmp_path / "all.yaml"))
    table.write_text("serial\n7\n")
    assert "there is no column `name`" in fab.run("topo", "import", "devices", str(table), want=2).stderr


def test_upgrade_keeps_the_newest(fab):
    r = fab.run("topo", "upgrade", FILE)
    with open(FILE, encoding="utf-8") as f:
        assert r.stdout == f.read()
    assert "nothing to do" in r.stderr


def test_filters(fab):
    every = fab.rows("leaf1", "routes")
    local = fab.rows("leaf1", "routes", "--filter", "state=local")
    assert local == [r for r in every if r["state"] == "local"] and local
    assert fab.rows("leaf1", "routes", "--filter", "state=local", "--filter", "width=2") == []
    assert fab.rows("leaf1", "routes", "--filter", "as_path=") == [r for r in every if "as_path" not in r]
    lines = fab.run("--at", "leaf1", "bgp", "--filter", "port=eth2", "-o", "csv").stdout.splitlines()
    assert len(lines) == 2 and lines[1].startswith("eth2,")
    assert "KEY=VALUE" in fab.run("--at", "leaf1", "bgp", "--filter", "port", want=2).stderr


def test_exit_codes_are_of_what_is_shown(fab):
    """A session that is down is no finding about another one, and no fault of the answer that nobody asked for it."""
    fab.run("lab", "cut", "leaf1:eth1")
    fab.until("the session is down", lambda: fab.rows("leaf1", "bgp", "--filter", "state=Established", want=(0, 1))[0]["port"] == "eth2")
    for verb in ("bgp", "ports"):
        for form in ("table", "json", "csv"):
            for words, want in [((), 1), (("port=eth1",), 1), (("port=eth2",), 0), (("port=eth9",), 0), (("prot=eth2",), 2)]:
                sifted = [w for f in words for w in ("--filter", f)]
                fab.run("--at", "leaf1", verb, "-o", form, *sifted, want=want)
    assert "did you mean port" in fab.run("--at", "leaf1", "bgp", "--filter", "prot=eth2", want=2).stderr
    fab.run("lab", "heal")
    fab.run("lab", "wait", "--timeout", "60s")


def test_narrow_terminals(fab, edited):
    """On a terminal of 40 columns a table is folded: all that is in it is there. In a pipe no line is broken."""
    words = ["topo", "plan", edited("asn: {base: 65000}", "asn: {base: 65200}"), FILE, "--allow-renumber"]
    wide = subprocess.run([f"{fab.bin}/fabctl", *words], capture_output=True, text=True, timeout=30, check=False).stdout
    env = {**os.environ, "TERM": "dumb", "FABCTL_PAGER": ""}
    narrow = {}
    for columns in (40, 200):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        fabctl = subprocess.Popen([f"{fab.bin}/fabctl", *words], stdin=subprocess.DEVNULL, stdout=theirs, env=env)
        os.close(theirs)
        narrow[columns] = read_all(ours)
        assert fabctl.wait(30) == 1
    assert narrow[200] == wide
    head = len(wide.splitlines()) - len(wide[wide.index("SWITCH"):].splitlines())  # the heading is no table
    lines = narrow[40].splitlines()[head:]
    assert max(map(len, lines)) <= 40 < max(map(len, wide.splitlines()[head:]))
    assert {w for w in narrow[40].split() if w != "-"} == {w for w in wide.split() if w != "-"}


def read_all(terminal):
    got = b""
    try:
        while more := os.read(terminal, 65536):
            got += more
    except OSError:  # EIO: nobody has its other end any more
        pass
    os.close(terminal)
    return got.decode().replace("\r\n", "\n")


def test_since(fab):
    assert fab.rows("leaf1", "log", "--since", "1h") == fab.rows("leaf1", "log")
    fab.run("lab", "cut", "leaf1:eth1")
    fab.until("the cut is seen", lambda: fab.rows("leaf1", "log", "--filter", "event=LINK_DOWN"))
    fab.run("lab", "heal")
    fab.run("lab", "wait", "--timeout", "60s")
    begun = len(fab.rows("leaf1", "log"))
    fab.until("old events are left out", lambda: len(fab.rows("leaf1", "log", "--since", "300ms")) == 0)
    assert len(fab.rows("leaf1", "log")) >= begun


def test_a_pipe_that_closes_is_no_failure_of_the_daemon(fab):
    argv = f"{fab.bin}/fabctl --lab {fab.name} --at leaf1 routes -j | head -c 10"
    assert subprocess.run(["sh", "-c", argv], capture_output=True, timeout=20).stdout == b'{"schema":'
    assert json.loads(fab.run("--at", "leaf1", "status", "-j").stdout)["complete"]
