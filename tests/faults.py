#!/usr/bin/python3
"""Every fault that is injected, the test that does it, and what came of it.

    scripts/faults [--unit] [ID...]

A test belongs to a fault when its name begins with its id: test_W07_collision. Exit 1 when one failed.
"""

import argparse
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from support import results  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/faults", description="Runs the tests of the faults that are injected, and tells what came of each.")
    parser.add_argument("--unit", action="store_true", help="only the unit tests: no root, no namespaces")
    parser.add_argument("ids", metavar="ID", nargs="*", help="only these faults, as W07; all if none is named")
    return parser.parse_args()


def main():
    args = arguments()
    only, unit = set(args.ids), args.unit
    rows = []

    def wanted(text):
        return results.faults(text) & only if only else results.faults(text)

    def add(where, tests):
        for test, passed in tests:
            for fault in wanted(test):
                rows.append((fault, where + test, {True: "passed", None: "skipped"}.get(passed, "FAILED")))

    build = subprocess.run(["make", "-s", "-j2", "all", "unit-bins"], cwd=ROOT, capture_output=True, text=True)
    if build.returncode:
        print(build.stdout + build.stderr, file=sys.stderr)
        return 1
    for binary in results.unit_binaries("build/gcc"):
        name = os.path.relpath(binary, os.path.join(ROOT, "build/gcc/tests/unit"))
        with open(os.path.join(ROOT, "tests/unit", name + ".c"), encoding="utf-8") as f:
            some = wanted(f.read())
        if some:
            add(name + ": ", results.cmocka(binary)[0])
    for folder in [] if unit else results.pytest_folders():
        names = []
        for n in os.listdir(os.path.join(ROOT, folder)):
            if n.startswith("test_") and n.endswith(".py"):
                with open(os.path.join(ROOT, folder, n), encoding="utf-8") as f:
                    names += re.findall(r"def (test_\w+)", f.read())
        some = [n for n in names if wanted(n)]
        if some:
            add("", results.pytest([folder, "-k", " or ".join(some)])[0])
    for fault, test, result in sorted(rows):
        print(f"{fault}  {result:8} {test}")
    unknown = only - {r[0] for r in rows}
    for fault in sorted(unknown):
        print(f"{fault}  no test begins with this id; without an id all are listed")
    failed = sum(r[2] == "FAILED" for r in rows)
    print(f"{len({r[0] for r in rows})} faults, {len(rows)} tests, {failed} failed")
    return 1 if failed or unknown else 0


if __name__ == "__main__":
    sys.exit(main())
