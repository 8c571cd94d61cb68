"""What fabsim says at the shell: answers, exit codes, and what is wrong with a question."""
import os
import subprocess

import pytest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
FABSIM = os.path.join(os.environ.get("FABRIC_BUILD", os.path.join(ROOT, "build/gcc/bin")), "fabsim")
TOPOLOGIES = os.path.join(ROOT, "tests/data/topology")
SMALL = os.path.join(TOPOLOGIES, "4x2.yaml")


def fabsim(*args):
    r = subprocess.run([FABSIM, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    return r.returncode, r.stdout, r.stderr


def test_cold_start():
    code, out, _ = fabsim("run", SMALL)
    assert code == 0
    assert "cold start of lab: 6 switches, 8 links" in out
    assert "intent is met: every switch uses the full set of shortest paths to every other" in out


@pytest.mark.parametrize("fail, words", [
    ("spine9", ['no node "spine9"', "did you mean spine1 or spine2?"]),
    ("leef1", ['no node "leef1"', "did you mean leaf1"]),
    ("leaf1:eth9", ['no port "eth9" on leaf1', "did you mean eth1, eth2"]),
    ("leaf1:eth3", ["port eth3 of leaf1 leads to no other switch", "did you mean eth1, eth2"]),
    ("leaf1:", ['no port "" on leaf1']),
])
def test_unknown_places_name_near_ones(fail, words):
    code, out, err = fabsim("run", SMALL, "--fail", fail)
    assert code == 2 and out == ""
    for w in words:
        assert w in err


@pytest.mark.parametrize("args", [
    ["run", "nowhere.yaml"],
    ["run", SMALL, "--fail", "spine1", "--at", "soon"],
    ["whatif", SMALL, "--any", "3"],
    ["melt", SMALL],
    [],
])
def test_wrong_questions(args):
    code, out, err = fabsim(*args)
    assert code == 2 and err


def test_a_failure_that_the_fabric_survives():
    code, out, _ = fabsim("run", SMALL, "--fail", "spine1", "--at", "5s", "--heal", "20s")
    assert code == 0
    assert "failed: @" in out and "healed: @" in out and "partition" not in out


def test_a_partition_is_said_and_is_no_bug():
    code, out, _ = fabsim("run", SMALL, "--fail", "leaf1:eth1", "--fail", "leaf1:eth2", "--at", "5s")
    assert code == 1
    assert "partition: 5 pairs of switches are not connected any more, by no path at all" in out
    assert "VIOLATION" not in out and "violation" not in out


def test_isolation_by_design_is_said_apart():
    code, out, _ = fabsim("run", SMALL, "--fail", "leaf1:eth1", "--fail", "leaf2:eth2", "--at", "5s")
    assert code == 1  # leaf1 and leaf2 are joined by a valley alone
    assert "isolated by design" in out and "partition" not in out and "violation" not in out.lower()


def test_who_does_not_get_out():
    code, out, _ = fabsim("run", os.path.join(TOPOLOGIES, "outside.yaml"), "--outside", "5", "--fail", "border1:eth1",
                          "--fail", "border1:eth2", "--fail", "border2:eth1", "--fail", "border2:eth2", "--at", "5s")
    assert code == 1 and "partition" in out


def test_nobody_gets_out_without_borders():
    code, out, _ = fabsim("run", os.path.join(TOPOLOGIES, "outside.yaml"), "--outside", "5", "--fail", "border1",
                          "--fail", "border2", "--at", "5s")
    assert code == 1 and "5 switches have no way out of the fabric any more" in out


def test_what_is_no_fabricd_does_not_fail():
    middle = os.path.join(TOPOLOGIES, "middle.yaml")
    for place in ("old1", "old1:eth1", "agg1:eth9"):
        code, _, err = fabsim("run", middle, "--fail", place)
        assert code == 2 and "old1" in err and "no part of the simulation" in err
    code, out, _ = fabsim("whatif", middle, "--any", "1")
    assert code == 0 and "\nold1" not in out and "20 failures tried" in out
    assert fabsim("chaos", middle, "--seed", "3", "--events", "20", "--hours", "1")[0] == 0


def test_a_sample_holds_nothing_twice():
    code, out, _ = fabsim("whatif", SMALL, "--any", "1", "--sample", "1000")
    rows = [line[:44] for line in out.splitlines() if line[:1] in "ls"]
    assert code == 0 and len(rows) == 14 and len(set(rows)) == 14


def test_a_file_that_isolates_racks(tmp_path):
    one = tmp_path / "one.yaml"
    with open(SMALL, encoding="utf-8") as f:
        one.write_text(f.read().replace("asn: {base: 65000}", "asn: 65001"))
    code, out, err = fabsim("run", str(one))
    assert code == 1 and "6 pairs are isolated by design of the file" in out
    assert "warning: tier `leaf`: one AS number" in err


def test_a_switch_alone(tmp_path):
    one = tmp_path / "one.yaml"
    one.write_text("schema: 1\nfabric: x\ntiers: [{name: leaf, count: 1, asn: 65001, loopback: 10.0.0.0/24}]\n")
    code, out, _ = fabsim("run", str(one))
    assert code == 0 and "converged after 0.000000 s virtual" in out
    assert fabsim("whatif", str(one), "--any", "1")[0] == 0
    assert "0 failures tried" in fabsim("whatif", str(one), "--any", "2")[1]


def test_a_trace_that_is_wrong(tmp_path):
    trace = tmp_path / "trace"
    trace.write_text(f"topology {SMALL}\n@101 melt leaf1\n")
    code, _, err = fabsim("replay", str(trace))
    assert code == 2 and "line 2: melt is no kind of fault" in err


def test_a_trace_that_came_from_elsewhere(tmp_path):
    with open(SMALL, encoding="utf-8") as f:
        (tmp_path / "small.yaml").write_text(f.read())
    trace = tmp_path / "trace"
    trace.write_text("topology small.yaml\nseed 3\n@101 cut leaf1:eth1 for 3\n")
    code, out, _ = fabsim("replay", str(trace), "--log")  # beside the trace, whatever directory this is
    assert code == 0
    assert fabsim("replay", str(trace), "--log", "--topologies", str(tmp_path))[1] == out
    code, _, err = fabsim("replay", str(trace), "--topologies", "/nowhere")
    assert code == 2 and "--topologies DIR" in err


def test_a_replay_is_the_same_every_time(tmp_path):
    trace = tmp_path / "trace"
    trace.write_text(f"topology {SMALL}\nseed 3\n@101 stop leaf1 for 3\n@110 upgrade spine1\n@110.002 cut leaf2:eth1 for 2\n")
    runs = [fabsim("replay", str(trace), "--log") for _ in range(2)]
    assert runs[0] == runs[1] and runs[0][0] == 0
    assert "spine1 upgrade" in runs[0][1]
