"""Command lines that cannot be used: exit code 2, the reason in one line, and where to read on; nothing is begun."""

import os
import re
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BIN = os.environ.get("FABRIC_BUILD", os.path.join(ROOT, "build", "gcc", "bin"))
FILE = os.path.join(ROOT, "tests", "data", "topology", "4x2.yaml")

WRONG = [
    # program and its words; what must be said
    ("fabricd", "--topology FILE --node NAME is missing"),
    ("fabricd --node leaf1", "--topology FILE is missing"),
    (f"fabricd --topology {FILE}", "--node NAME is missing"),
    (f"fabricd --topology {FILE} --node leaf1 more", '"more"'),
    ("fabricd --frob", "--frob"),
    ("fabricd --topology", "requires an argument"),
    (f"fabricd --topology {FILE} --node leaf1 --platform foo", 'no platform "foo"; there are linux, model and null'),
    (f"fabricd --topology {FILE} --node leaf1 --takeover x", "--takeover x"),
    (f"fabricd --topology {FILE} --node leaf1 --takeover 999", "--takeover 999"),
    (f"fabricd --topology {FILE} --node lefa1 --platform model --run-dir DIR", "did you mean leaf1"),
    (f"fabricd --topology {FILE} --node other --platform model --run-dir DIR", "fabctl topo expand"),
    ("bfdd more", '"?more'),
    ("bfdd --frob", "--frob"),
    ("bfdd --socket", "requires an argument"),
    ("fabsim run", "no file"),
    ("fabsim --log", "no command"),
    ("fabsim run a b", "b;"),
    (f"fabsim frob {FILE}", "there are run, whatif, chaos, replay and seeds"),
    ("fabsim whatf", "did you mean whatif"),
    ("fabsim --frob", "--frob"),
    (f"fabsim run {FILE} --at 5x", "--at 5x"),
    (f"fabsim run {FILE} --fail leaf9", "did you mean leaf1"),
    (f"fabsim whatif {FILE}", "--any 1"),
    ("fabsim run /none", "No such file"),
    ("fabctl frob", 'no command "frob"'),
    ("fabctl b", "bfd, bgp"),
    ("fabctl --frob", "--frob"),
    ("fabctl -x", "-x"),
    ("fabctl -o xml bgp", "table wide json jsonl csv"),
    ("fabctl --color=blue bgp", "always never auto"),
    ("fabctl --watch=x bgp", "500ms"),
    ("fabctl --timeout", "needs a value"),
    ("fabctl --filter state bgp", "KEY=VALUE"),
    ("fabctl bgp neighbor", "takes PORT"),
    ("fabctl lab cut", "NODE:PORT"),
    ("fabctl lab up", "4x2"),
    ("fabctl lab up 0x2", "1x1 to"),
    ("fabctl lab up 9999x2", "topology file"),
    ("fabctl lab up 4x2 --frob", "no option --frob"),
    ("fabctl lab up 4x2 --fabricd", "--fabricd needs a value"),
    ("fabctl lab up /none --lab none", "No such file"),
    ("fabctl topo check /none", "No such file"),
    (f"fabctl topo export frob {FILE}", "dot containerlab csv mermaid"),
    (f"fabctl topo expand {FILE} leaf99", '"leaf99"'),
]


@pytest.mark.parametrize("line,says", WRONG, ids=[line.replace(FILE, "FILE") for line, _ in WRONG])
def test_wrong_command_line(tmp_path, line, says):
    run = tmp_path / "run"
    words = [str(run) if w == "DIR" else w for w in line.split()]
    r = subprocess.run([f"{BIN}/{words[0]}", *words[1:]], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert r.returncode == 2, r.stderr
    assert re.search(says, r.stderr) and r.stdout == "", r.stderr
    assert len(r.stderr.splitlines()) <= 3, r.stderr  # the reason is not lost below a page of usage
    assert words[0] != "fabctl" or "\n  next: " in r.stderr, r.stderr


@pytest.mark.parametrize("program", ["fabricd", "bfdd", "fabctl", "fabsim"])
def test_help_and_version(program):
    for option, says in [("--help", program), ("--version", program + " ")]:
        r = subprocess.run([f"{BIN}/{program}", option], capture_output=True, text=True, timeout=60)
        assert r.returncode == 0 and says in r.stdout and r.stderr == "", (option, r)
