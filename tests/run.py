#!/usr/bin/python3
"""Builds, and runs all tests. The last line is "N passed, N failed".

    scripts/test [--quick] [STEP...]        --help names the steps

--quick leaves out sanitizers, clang and the tests on real kernels. Output of each step is kept
in build/test/STEP.log; that of a failed one is shown. Tests on real kernels need root or an unprivileged user namespace.
Those of fabric and interop race real processes on a machine that others use too: one that fails is run once more, and is
named as unsteady, with what it said at first, when it passes then. More than three failures of a step stand as they are.
"""

import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOGS = os.path.join(ROOT, "build", "test")
sys.path.insert(0, os.path.join(ROOT, "tests"))

from support import results  # noqa: E402

PARALLEL = f"-j{min(os.cpu_count() or 1, 8)}"
TOPS = [d for d in ("fabricd", "topology", "platform", "bfd") if os.path.isdir(os.path.join(ROOT, d))]
SLOW = {"clang", "unit-san", "sim-same", "fuzz-seeds", "fabric", "interop"}


REPEATED = 3  # so many failures of a step may be chance; more are not
UNSTEADY = "unsteady"  # in place of True or False: it failed, and passed when it was repeated


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = self.unsteady = 0

    def step(self, name, function):
        begun = time.monotonic()
        tests, out = function()
        if not tests:  # a step that tried nothing has shown nothing
            tests, out = [("nothing was run", False)], out + "no test was found: run the step build first\n"
        with open(os.path.join(LOGS, name + ".log"), "w", encoding="utf-8") as f:
            f.write(out)
        bad = [t for t, passed in tests if passed is False]
        unsteady = [t for t, passed in tests if passed is UNSTEADY]
        skipped = sum(passed is None for _, passed in tests)
        good = len(tests) - len(bad) - skipped
        self.passed, self.failed, self.skipped = self.passed + good, self.failed + len(bad), self.skipped + skipped
        self.unsteady += len(unsteady)
        print(f"{'FAILED' if bad else 'ok':7} {name:13} {good:5} passed {len(bad):3} failed"
              f"{f' {skipped:3} skipped' if skipped else '':12} {time.monotonic() - begun:7.1f} s", flush=True)
        if bad or unsteady:
            print("".join([f"          {t}\n" for t in bad] + [f"          unsteady: {t}\n" for t in unsteady]), end="")
            print("\n".join("    | " + line for line in out.splitlines()[-60:]), flush=True)
        return not bad


def command(*argv):
    """A step that is one check: right when the command is."""
    def run():
        r = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return [(" ".join(argv[:4]), r.returncode == 0)], r.stdout.decode(errors="replace")
    return run


def make(*targets):
    return command("make", "--no-print-directory", "-s", PARALLEL, *targets)


def unit(build):
    def run():
        tests, good, bad = [], "", ""
        for binary in results.unit_binaries(build):
            name = os.path.relpath(binary, os.path.join(ROOT, build, "tests", "unit"))
            more, out = results.cmocka(binary)
            tests += [(f"{name}: {t}", passed) for t, passed in more]
            if all(passed is not False for _, passed in more):
                good += f"== {name}\n{out}\n"
            else:  # at the end, where it is shown
                lines = [line for line in out.splitlines() if not line.startswith(("[ RUN", "[       OK"))]
                bad += f"== {name}\n" + "\n".join(lines) + "\n"
        return tests, good + bad
    return run


def kernel(folder):
    def run():
        if not os.path.isdir(os.path.join(ROOT, folder)) or folder not in results.pytest_folders():
            return [], ""
        return results.pytest([folder], env={"FABRIC_BUILD": os.path.join(ROOT, "build/gcc/bin")})
    return run


def again(step):
    """The step, and once more those of its tests that failed, if they are few; what they said at first stays in the output."""
    def run():
        tests, out = step()
        bad = [t for t, passed in tests if passed is False]
        if not 0 < len(bad) <= REPEATED or not all("::" in t for t in bad):
            return tests, out
        second, more = results.pytest(bad, env={"FABRIC_BUILD": os.path.join(ROOT, "build/gcc/bin")})
        passed_now = {t for t, passed in second if passed}
        return [(t, UNSTEADY if t in passed_now else p) for t, p in tests], f"== repeated\n{more}\n== at first\n{out}"
    return run


def sources(*endings):
    found = []
    for top in [*TOPS, "tests"]:
        for at, _, names in os.walk(os.path.join(ROOT, top)):
            found += [os.path.relpath(os.path.join(at, n), ROOT) for n in names if n.endswith(endings)]
    return sorted(found)


STEPS = {
    "build": lambda: make("all", "unit-bins"),
    "layers": lambda: command("/usr/bin/python3", "tests/layers.py", "build/gcc"),
    "docs": lambda: command("/usr/bin/python3", "tests/docs.py"),
    "unit": lambda: unit("build/gcc"),
    "format": lambda: command("clang-format", "--dry-run", "-Werror", *sources(".c", ".h")),
    "cppcheck": lambda: command(
        "cppcheck", "-q", PARALLEL, "--error-exitcode=1", "--std=c11", "--enable=warning,portability", "--inline-suppr",
        "--suppressions-list=tests/cppcheck.suppress", "-D_GNU_SOURCE", "--include=tests/cppcheck.h", "-I.", *TOPS),
    "clang": lambda: make("CC=clang", "all", "unit-bins"),
    "unit-san": lambda: both(make("SAN=1", "unit-bins"), unit("build/gcc-san")),
    "fabsim": lambda: kernel("tests/sim"),
    "sim-seeds": lambda: make("sim-seeds"),
    "sim-chaos": lambda: make("sim-chaos"),
    "sim-same": lambda: make("sim-same", "SAME=4x2.yaml"),
    "fuzz-seeds": lambda: make("fuzz-seeds"),
    "fabric": lambda: again(kernel("tests/fabric")),
    "interop": lambda: again(kernel("tests/interop")),
}


def both(first, second):
    def run():
        tests, out = first()
        if tests[0][1]:
            tests, more = second()
            out += more
        return tests, out
    return run


def main():
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(f"{__doc__}\nSteps: {' '.join(STEPS)}")
        return 0
    unknown = [a for a in sys.argv[1:] if a not in STEPS and a != "--quick"]
    if unknown:
        print(f"there is no step {unknown[0]}; there are: {' '.join(STEPS)}", file=sys.stderr)
        return 2
    wanted = [a for a in sys.argv[1:] if a in STEPS]
    os.makedirs(LOGS, exist_ok=True)
    tally = Tally()
    for name, step in STEPS.items():
        if (wanted and name not in wanted) or ("--quick" in sys.argv and name in SLOW and name not in wanted):
            continue
        tally.step(name, step())
    if tally.skipped:
        print(f"{tally.skipped} skipped (the logs in build/test say why)")
    if tally.unsteady:
        print(f"{tally.unsteady} unsteady: failed, and passed when repeated; what they said at first is above")
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
