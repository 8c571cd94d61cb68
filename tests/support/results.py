"""Runs unit tests (cmocka) and pytest, and says of each single test what became of it."""

import os
import re
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NAME = re.compile(r"test_((?:[A-Z]\d\d_)+)")


def faults(text):
    """The ids of all faults that tests named in the text inject: test_B01_B03_dropped injects two."""
    return {i for ids in NAME.findall(text) for i in ids.rstrip("_").split("_")}


def cmocka(binary, timeout=300):
    """[(test, passed)], output. A program that ends early gives one failed test under its own name."""
    name = os.path.relpath(binary, ROOT)
    try:
        r = subprocess.run([binary], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, cwd=ROOT)
        out, code = r.stdout.decode(errors="replace"), r.returncode
    except subprocess.TimeoutExpired as e:
        out, code = (e.stdout or b"").decode(errors="replace") + f"\n{name}: no end after {timeout} s\n", -1
    tests = [(m.group(2), m.group(1) != "FAILED") for m in re.finditer(r"^\[\s+(OK|FAILED|SKIPPED)\s*\] (\w+)$", out, re.M)]
    skipped = {m.group(1) for m in re.finditer(r"^\[\s+SKIPPED\s*\] (\w+)$", out, re.M)}
    seen = {}
    for test, passed in tests:  # failed ones are listed a second time at the end
        seen[test] = seen.get(test, True) and passed
    if code != 0 and all(seen.values()):
        seen[f"{os.path.basename(name)} (exit {code})"] = False
    return [(test, None if test in skipped else passed) for test, passed in seen.items()], out


def pytest(args, timeout=3600, env=None):
    """[(test, passed)], output; passed None: skipped. A test is what pytest calls it (FILE::NAME), so that it can be run again."""
    argv = ["/usr/bin/python3", "-m", "pytest", "-p", "no:cacheprovider", "-v", "--no-header", "-rs", *args]
    try:
        r = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, cwd=ROOT,
                           env={**os.environ, **(env or {})})
        out, code = r.stdout.decode(errors="replace"), r.returncode
    except subprocess.TimeoutExpired as e:
        out, code = (e.stdout or b"").decode(errors="replace") + f"\npytest: no end after {timeout} s\n", -1
    found = re.findall(r"^(\S+::\S+(?: \S+)*?) (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)", out, re.M)
    verdict = {"PASSED": True, "XFAIL": True, "SKIPPED": None}
    tests = [(test, verdict.get(word, False)) for test, word in found]
    if code not in (0, 5) and all(passed is not False for _, passed in tests):
        tests.append((f"pytest {' '.join(args)} (exit {code})", False))
    return tests, out


def unit_binaries(build):
    folder = os.path.join(ROOT, build, "tests", "unit")
    found = []
    for at, _, names in os.walk(folder):
        for n in sorted(names):
            source = os.path.join(ROOT, "tests", "unit", os.path.relpath(at, folder), n + ".c")
            if n.endswith("_test") and os.path.exists(source):
                found.append(os.path.join(at, n))
    return sorted(found)


def pytest_folders():
    """Folders of tests/ that hold pytest files."""
    folders = [os.path.join("tests", d) for d in sorted(os.listdir(os.path.join(ROOT, "tests")))]
    return [d for d in folders
            if os.path.isdir(os.path.join(ROOT, d)) and any(n.startswith("test_") and n.endswith(".py")
                                                            for n in os.listdir(os.path.join(ROOT, d)))]
