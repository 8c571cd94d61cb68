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
    ("spine9", ["no node spine9", "did you mean spine1, spine2"]),
    ("leef1", ["no node leef1", "did you mean leaf1"]),
    ("leaf1:eth9", ["no port eth9 on leaf1", "did you mean eth1, eth2"]),
    ("leaf1:eth3", ["port eth3 of leaf1 leads to no other switch", "did you mean eth1, eth2"]),
    ("leaf1:", ["no port  on leaf1"]),
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
    assert "partition: 10 pairs of switches are not connected any more, by no path at all" in out
    assert "VIOLATION" not in out and "violation" not in out


def test_isolation_by_design_is_said_apart():
    code, out, _ = fabsim("run", SMALL, "--fail", "leaf1:eth1", "--fail", "leaf2:eth2", "--at", "5s")
    assert code == 1  # leaf1 and leaf2 are joined by a valley alone
    assert "isolated by design" in out and "partition" not in out and "violation" not in out.lower()


def test_who_does_not_get_out():
    code, out, _ = fabsim("run", os.path.join(TOPOLOGIES, "outside.yaml"), "--outside", "5", "--fail", "border1:eth1",
                          "--fail", "border1:eth2", "--fail", "border2:eth1", "--fail", "border2:eth2", "--at", "5s")
    assert code == 1 and "partition" in out


def test_a_trace_that_is_wrong(tmp_path):
    trace = tmp_path / "trace"
    trace.write_text(f"topology {SMALL}\n@101 melt leaf1\n")
    code, _, err = fabsim("replay", str(trace))
    assert code == 2 and "line 2: melt is no kind of fault" in err


def test_a_replay_is_the_same_every_time(tmp_path):
    trace = tmp_path / "trace"
    trace.write_text(f"topology {SMALL}\nseed 3\n@101 stop leaf1 for 3\n@110 upgrade spine1\n@110.002 cut leaf2:eth1 for 2\n")
    runs = [fabsim("replay", str(trace), "--log") for _ in range(2)]
    assert runs[0] == runs[1] and runs[0][0] == 0
    assert "spine1 upgrade" in runs[0][1]
