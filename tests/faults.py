#!/usr/bin/python3
"""Every fault that is injected, the test that does it, and what came of it.

    scripts/faults [--unit] [ID...]

A test belongs to a fault when its name begins with its id: test_W07_collision. Exit 1 when one failed.
"""

import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from support import results  # noqa: E402


def main():
    only = {a for a in sys.argv[1:] if not a.startswith("-")}
    unit = "--unit" in sys.argv
    rows = []

    def add(where, tests):
        for test, passed in tests:
            m = results.FAULT.search(test)
            if m and (not only or m.group(1) in only):
                rows.append((m.group(1), f"{where}: {test}", {True: "passed", None: "skipped"}.get(passed, "FAILED")))

    build = subprocess.run(["make", "-s", "-j2", "all", "unit-bins"], cwd=ROOT, capture_output=True, text=True)
    if build.returncode:
        print(build.stdout + build.stderr, file=sys.stderr)
        return 1
    for binary in results.unit_binaries("build/gcc"):
        name = os.path.relpath(binary, os.path.join(ROOT, "build/gcc/tests/unit"))
        with open(os.path.join(ROOT, "tests/unit", name + ".c"), encoding="utf-8") as f:
            ids = set(results.FAULT.findall(f.read()))
        if ids and (not only or ids & only):
            add(name, results.cmocka(binary)[0])
    for folder in [] if unit else results.pytest_folders():
        names = []
        for n in os.listdir(os.path.join(ROOT, folder)):
            if n.startswith("test_") and n.endswith(".py"):
                with open(os.path.join(ROOT, folder, n), encoding="utf-8") as f:
                    names += re.findall(r"def (test_[A-Z]\d\d_\w+)", f.read())
        wanted = [n for n in names if not only or results.FAULT.match(n).group(1) in only]
        if wanted:
            add(folder, results.pytest([folder, "-k", " or ".join(wanted)])[0])
    for fault, test, result in sorted(rows):
        print(f"{fault}  {result:8} {test}")
    failed = sum(r[2] == "FAILED" for r in rows)
    print(f"{len({r[0] for r in rows})} faults, {len(rows)} tests, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
