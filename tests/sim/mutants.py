#!/usr/bin/python3
"""Do the tests notice? Breaks one place of the code at a time, and counts how often a test fails.

    mutants.py [--seed N] [--mutants N] [--jobs N] [--only FILE:LINE] [--list]

Sites are drawn by the seed from the files below, an operator at a time, so that each operator gets its share:

    negate      if (x)      -> if (!(x))
    bound       a < b       -> a <= b, and the other three
    drop        a statement, or a line of a table, goes away
    swap        f(a, b)     -> f(b, a)
    constant    7           -> 8 or 6

Each job has a copy of the tree under build/mutants, in which only the changed file is built again. What does not build
(with warnings as errors), or gives the same object code, is no mutant, and another is drawn. The unit tests of the
file's own library are run first, then the other engines', then the simulator's; a test that runs for much longer than
it does without a mutant has noticed, too. Mutants that nothing notices are listed with their place and their change;
docs/mutants.md explains those of the runs that were looked at. Exit 1 when fewer than 90 % are noticed.
"""

import argparse
import glob
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COPIED = ("Makefile", "fabricd", "topology", "platform", "bfd", "tests/unit", "tests/data")
FILES = {
    "rib": ["fabricd/rib/*.c"],
    "bgp": [f"fabricd/bgp/{n}.c" for n in ("fsm", "session", "receive", "export")],
    "bfd": ["bfd/*.c"],
}
SUITES = ("rib", "bgp", "bfd", "sim")
WARN = ("WARN=-Wall -Wextra -Werror -Wno-unused-function -Wno-unused-variable -Wno-unused-parameter "
        "-Wno-unused-but-set-variable -Wno-unused-value -Wno-type-limits")
GOAL = 0.9
EITHER_WAY = ("mono_min", "ip_equal", "prefix_equal")  # the order of their arguments means nothing
MEMORY = 4 << 30

# ---- sites ----


def blank(text):
    """The text with comments, strings and preprocessor lines as spaces, so that places stay what they are."""
    def spaces(m):
        return re.sub(r"[^\n]", " ", m.group())
    return re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", spaces,
                  text, flags=re.S | re.M)


def closing(text, at):
    """The place of the bracket that closes the one at `at`."""
    depth = 0
    for i in range(at, len(text)):
        depth += (text[i] in "([{") - (text[i] in ")]}")
        if not depth:
            return i
    return -1


def arguments(text, opening):
    """Places of the arguments of a call: (from, to), spaces left out."""
    end, depth, start, found = closing(text, opening), 0, opening + 1, []
    for i in range(opening + 1, end + 1):
        if (text[i] == "," and not depth) or i == end:
            piece = text[start:i]
            found.append((start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())))
            start = i + 1
        depth += (text[i] in "([{") - (text[i] in ")]}")
    return found


def negations(code):
    for m in re.finditer(r"\bif (\()", code):
        end = closing(code, m.start(1))
        yield m.start(1), end + 1, lambda s: f"(!{s})"


def bounds(code):
    other = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
    for m in re.finditer(r"(?<= )(<=|>=|<|>)(?= )", code):
        yield m.start(1), m.end(1), lambda s: other[s]


def drops(code):
    for m in re.finditer(r"^\t+((?!return\b|break\b|continue\b|goto\b|case\b|else\b)(?:[a-z_]+\(|\*?[a-z_]+"
                         r"(?:(?:->|\.)[a-z_]+|\[[^\]\n]*\])* ?(?:[-+|&*]?= |\+\+|--)|(?:\+\+|--))[^\n{}]*);$",
                         code, re.M):
        yield m.start(1), m.end(1), lambda s: ""
    for m in re.finditer(r"^\t+(\[[A-Z_]+\]\s*= [A-Z_]+\([^\n]*\),)$", code, re.M):
        yield m.start(1), m.end(1), lambda s: ""


def swaps(code):
    for m in re.finditer(r"(?<=[=(,!] |.[\t(!])([a-z_]+)(\()", code):
        if m.group(1) in EITHER_WAY:
            continue
        places = arguments(code, m.start(2))
        for (a, b), (c, d) in zip(places, places[1:]):
            if a < b and c < d and code[a:b] != code[c:d]:
                yield a, d, lambda s, a=a, b=b, c=c, d=d: s[c - a:d - a] + s[b - a:c - a] + s[:b - a]


def constants(code):
    for m in re.finditer(r"(?<![\w.])(\d+)(?![\w.])", code):
        yield m.start(1), m.end(1), lambda s: str(int(s) + 1)
        if int(m.group(1)):
            yield m.start(1), m.end(1), lambda s: str(int(s) - 1)


OPERATORS = {"negate": negations, "bound": bounds, "drop": drops, "swap": swaps, "constant": constants}


class Mutant:
    def __init__(self, library, path, text, operator, start, end, change):
        self.library, self.path, self.operator = library, path, operator
        self.text = text[:start] + change(text[start:end]) + text[end:]
        self.line = text.count("\n", 0, start) + 1
        first, last = text.rfind("\n", 0, start) + 1, text.find("\n", end)
        self.before = " ".join(text[first:last].split())
        self.after = " ".join(self.text[first:last - len(text) + len(self.text)].split())
        self.noticed = None

    def __str__(self):
        return f"{self.path}:{self.line}: {self.operator}: {self.before}  ->  {self.after or '(nothing)'}"


def all_mutants(root):
    """By operator."""
    found = {name: [] for name in OPERATORS}
    for library, patterns in FILES.items():
        for path in sorted(p for pattern in patterns for p in glob.glob(pattern, root_dir=root)):
            with open(os.path.join(root, path), encoding="utf-8") as f:
                text = f.read()
            code = blank(text)
            for name, operator in OPERATORS.items():
                found[name] += [Mutant(library, path, text, name, *site) for site in operator(code)]
    return found


def draw(found, seed):
    """All of them in the order of the seed, one of each operator after the other."""
    dice = random.Random(seed)
    for mutants in found.values():
        dice.shuffle(mutants)
    while any(found.values()):
        for mutants in found.values():
            if mutants:
                yield mutants.pop()


# ---- trees ----


class Tree:
    """A copy of the sources with its build, in which one mutant after the other is tried."""

    def __init__(self, path):
        self.path = path
        self.limits = {}

    def make(self, *targets):
        return subprocess.run(["make", "-s", "--no-print-directory", "O=build/m", "CFLAGS=-O1 -g0", WARN, *targets],
                              cwd=self.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def binaries(self, suite):
        folder = os.path.join(self.path, "tests/unit", suite)
        return [f"build/m/tests/unit/{suite}/{n[:-2]}" for n in sorted(os.listdir(folder)) if n.endswith("_test.c")]

    def build(self, targets):
        r = self.make(*targets)
        return r.returncode == 0, r.stdout.decode(errors="replace")

    def run(self, binary):
        """What is wrong, or None."""
        begun = time.monotonic()
        try:
            r = subprocess.run([binary], cwd=self.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               timeout=self.limits.get(binary, 600),
                               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)))
        except subprocess.TimeoutExpired:
            return "takes too long"
        if binary not in self.limits:
            self.limits[binary] = 4 * (time.monotonic() - begun) + 5
        return None if r.returncode == 0 else "fails" if r.returncode > 0 else f"dies of signal {-r.returncode}"

    def object(self, path):
        with open(os.path.join(self.path, "build/m", path[:-2] + ".o"), "rb") as f:
            return f.read()

    def write(self, path, text):
        with open(os.path.join(self.path, path), "w", encoding="utf-8") as f:
            f.write(text)

    def read(self, path):
        with open(os.path.join(self.path, path), encoding="utf-8") as f:
            return f.read()

    def attempt(self, mutant):
        """Whether it is a mutant; mutant.noticed: by whom."""
        whole, was = self.read(mutant.path), self.object(mutant.path)
        self.write(mutant.path, mutant.text)
        try:
            built, _ = self.build([f"build/m/{mutant.path[:-2]}.o"])
            if not built or self.object(mutant.path) == was:
                return False
            for suite in sorted(SUITES, key=lambda s: (s == "sim", s != mutant.library)):
                built, out = self.build(self.binaries(suite))
                if not built:
                    raise RuntimeError(out)
                for binary in self.binaries(suite):
                    wrong = self.run(binary)
                    if wrong:
                        mutant.noticed = f"{os.path.relpath(binary, 'build/m/tests/unit')} {wrong}"
                        return True
            return True
        finally:
            self.write(mutant.path, whole)
            self.build([f"build/m/{mutant.path[:-2]}.o"])


def copy_tree(path):
    shutil.rmtree(path, ignore_errors=True)
    for name in COPIED:
        source, target = os.path.join(ROOT, name), os.path.join(path, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.isdir(source):
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)


def trees(jobs):
    top = os.path.join(ROOT, "build", "mutants")
    first = Tree(os.path.join(top, "1"))
    copy_tree(first.path)
    built, out = first.build([f"-j{jobs}", *(b for s in SUITES for b in first.binaries(s))])
    if not built:
        sys.exit(f"mutants: the sources do not build as they are:\n{out[-2000:]}")
    for suite in SUITES:
        for binary in first.binaries(suite):
            wrong = first.run(binary)
            if wrong:
                sys.exit(f"mutants: {binary} {wrong} without any mutant; make it right first")
    made = [first]
    for k in range(2, jobs + 1):
        tree = Tree(os.path.join(top, str(k)))
        shutil.rmtree(tree.path, ignore_errors=True)
        shutil.copytree(first.path, tree.path, copy_function=shutil.copy2)
        tree.limits = dict(first.limits)
        made.append(tree)
    return made


# ---- the run ----


def work(tree, drawn, lock, wanted, tried, errors):
    while not errors:
        with lock:
            if len(tried) >= wanted:
                return
            mutant = next(drawn, None)
            if not mutant:
                return
            mutant.noticed = None
            tried.append(mutant)
        try:
            real = tree.attempt(mutant)
        except (OSError, RuntimeError) as e:
            errors.append(f"{mutant}: {e}")
            return
        with lock:
            if not real:
                tried.remove(mutant)
                continue
            print(f"{'noticed ' if mutant.noticed else 'SURVIVES'} {mutant}"
                  f"{f'   [{mutant.noticed}]' if mutant.noticed else ''}", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--mutants", type=int, default=200)
    p.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    p.add_argument("--only", help="every mutant of one line, FILE:LINE")
    p.add_argument("--list", action="store_true", help="what would be drawn, not tried")
    args = p.parse_args()
    found = all_mutants(ROOT)
    total = sum(map(len, found.values()))
    print(f"{total} places: " + ", ".join(f"{len(m)} {name}" for name, m in found.items()), flush=True)
    drawn = draw(found, args.seed)
    if args.only:
        drawn = (m for m in list(drawn) if f"{m.path}:{m.line}" == args.only)
        args.mutants = total
    if args.list:
        for _, mutant in zip(range(args.mutants), drawn):
            print(mutant)
        return 0
    lock, tried, errors, begun = threading.Lock(), [], [], time.monotonic()
    threads = [threading.Thread(target=work, args=(t, drawn, lock, args.mutants, tried, errors))
               for t in trees(args.jobs)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        sys.exit(f"mutants: {errors[0]}")
    left = [m for m in tried if not m.noticed]
    for m in left:
        print(f"survivor: {m}")
    share = 1 - len(left) / len(tried) if tried else 0
    print(f"seed {args.seed}: {len(tried)} mutants, {len(tried) - len(left)} noticed ({100 * share:.0f} %), "
          f"{len(left)} survive; {time.monotonic() - begun:.0f} s")
    return 0 if share >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
