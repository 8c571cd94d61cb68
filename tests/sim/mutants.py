#!/usr/bin/python3
"""Do the tests notice? Breaks one place of the code at a time, and counts how often a test fails.

    mutants.py [--seed N] [--mutants N] [--jobs N] [--only FILE[:LINE]] [--again LOG] [--list]

Sites are drawn by the seed from the files below, an operator at a time, so that each operator gets its share:

    negate      if (x)      -> if (!(x))
    bound       a < b       -> a <= b, and the other three
    drop        a statement, or a line of a table, goes away
    swap        f(a, b)     -> f(b, a)
    constant    7           -> 8 or 6

The tree is copied to build/mutants and built there twice: as it is shipped (-O2), and with sanitizers. Of a mutant, only
the changed file is compiled; the tests are linked with that object before the libraries. What does not compile (with
warnings as errors), or gives the same object code by one of several compilers and levels, is no mutant, and another is
drawn. Then run, until one fails: the unit tests of the file's own library, the same under sanitizers, the unit tests
of what is built on it, and the simulator (kept seeds, random faults, a failure on a timeline). A test that takes several
times the processor time that it takes without a mutant has noticed, too. Mutants that nothing notices are listed with
their place and their change; docs/mutants.md explains those of the runs that were looked at. --again tries those once
more that a log of an earlier run lists as survivors. Exit 1 when fewer than 90 % are noticed.
"""

import argparse
import atexit
import glob
import os
import random
import re
import resource
import shlex
import shutil
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COPIED = ("Makefile", "fabricd", "topology", "platform", "bfd", "tests/unit", "tests/data", "tests/sim", "tests/support")
FILES = {
    "rib": ["fabricd/rib/*.c"],
    "bgp": [f"fabricd/bgp/{n}.c" for n in ("fsm", "session", "receive", "export", "restart")],
    "platform": ["platform/sync_group.c"],
    "bfd": ["bfd/*.c"],
}
ABOVE = {"rib": ("bgp", "node"), "bgp": ("node",), "platform": ("node",), "bfd": ("bfd_client", "bfd_daemon")}
# of the unit tests, those that run in virtual time: what waits for a real clock would notice a busy machine
LEFT_OUT = ("platform/contract_test",)
FABSIM = "build/m/bin/fabsim"
SIMULATIONS = [
    ("seeds", "tests/sim/seeds", "--topologies", "tests/data/topology"),
    ("chaos", "tests/data/topology/4x2.yaml", "--seed", "3", "--events", "40", "--hours", "1", "--bfd"),
    ("chaos", "tests/data/topology/border.yaml", "--seed", "7", "--events", "40", "--hours", "1"),
]
WARN = ("-Wall -Wextra -Werror -Wno-unused-function -Wno-unused-variable -Wno-unused-parameter "
        "-Wno-unused-but-set-variable -Wno-unused-value -Wno-type-limits")
BUILDS = {"m": ["CFLAGS=-O2 -g0"], "san": ["CFLAGS=-O1 -g0", "SAN=1"]}
OTHERS = (("gcc", "-O3"), ("clang", "-O2"), ("clang", "-O3"))  # who else may show that a survivor changes nothing
GOAL = 0.9
EITHER_WAY = ("mono_min", "ip_equal", "prefix_equal")  # the order of their arguments means nothing
MEMORY = 4 << 30
STUCK = 300  # seconds of the clock after which a test waits for something that will not come

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


# ---- building and running ----


def sh(command, cwd, **more):
    return subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **more)


class Tree:
    """A copy of the sources, built as they are; every job reads it, none writes to it."""

    def __init__(self, path, libraries, jobs):
        self.path = path
        shutil.rmtree(path, ignore_errors=True)
        for name in COPIED:
            source, target = os.path.join(ROOT, name), os.path.join(path, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            (shutil.copytree if os.path.isdir(source) else shutil.copy)(source, target)
        self.flags, self.links, self.limits = {}, {}, {}
        suites = sorted({s for library in libraries for s in self.suites(library)} | {"sim"})
        self.build("m", jobs, [t for s in suites for t in self.tests("m", s)] + [FABSIM])
        self.build("san", jobs, [t for library in libraries for t in self.tests("san", library)])

    @staticmethod
    def suites(library):
        return (library, *ABOVE[library])

    def tests(self, build, suite):
        """The test programs of a suite, the quickest first once that is known."""
        names = (f"{suite}/{os.path.basename(p)[:-2]}"
                 for p in glob.glob(os.path.join(self.path, "tests/unit", suite, "*_test.c")))
        paths = [f"build/{build}/tests/unit/{n}" for n in sorted(names) if n not in LEFT_OUT]
        return sorted(paths, key=lambda p: self.limits.get(p, 0))

    def plan(self, library):
        """Commands of one mutant, in order: (program, arguments)."""
        plan = [(t, ()) for build in ("m", "san") for t in self.tests(build, library)]
        plan += [(t, ()) for s in ABOVE[library] for t in self.tests("m", s)]
        plan += [(t, ()) for t in self.tests("m", "sim") if not t.endswith("scenario_test")]
        return plan + [(FABSIM, s) for s in SIMULATIONS]

    def make(self, build, *targets):
        return sh(["make", "-s", "--no-print-directory", f"O=build/{build}", *BUILDS[build], *targets], self.path)

    def build(self, build, jobs, targets):
        r = self.make(build, f"-j{jobs}", *targets)
        if r.returncode:
            sys.exit(f"mutants: the sources do not build as they are:\n{r.stdout.decode(errors='replace')[-2000:]}")
        for t in targets:  # what make would do to link it again, and to compile its sources
            o = f"build/{build}/fabricd/sim/main.o" if t == FABSIM else t + ".o"
            link = self.make(build, "-n", "-W", o, t).stdout.decode().strip().splitlines()
            self.links[t] = shlex.split([line for line in link if f"-o {t}" in line][-1])
        one = self.make(build, "-n", "-W", "fabricd/rib/attrs.c", f"build/{build}/fabricd/rib/attrs.o")
        line = [x for x in one.stdout.decode().splitlines() if "-c -o" in x][-1]
        self.flags[build] = [f for f in shlex.split(line)[1:] if not f.endswith((".c", ".o"))
                             and f not in ("-MMD", "-MP", "-c", "-o") and not f.startswith("-W")]

    def compile(self, source, output, build, cc="gcc", level=()):
        return sh([cc, *self.flags[build], *level, *WARN.split(), "-c", "-o", output, source], self.path).returncode == 0

    def run(self, program, arguments, binary):
        """What is wrong, or None. Without a limit, sets it."""
        key = (program, arguments)
        limit = self.limits.get(key)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        memory = resource.RLIM_INFINITY if "/san/" in program else MEMORY  # shadow memory is large

        def bound():
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if limit:
                resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))

        for _ in range(2):  # the clock goes on while this process is stopped: a test that seems stuck is tried again
            try:
                r = subprocess.run([binary, *arguments], cwd=self.path, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, timeout=STUCK, preexec_fn=bound, check=False)
                break
            except subprocess.TimeoutExpired:
                r = None
        if not limit:
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            self.limits[key] = int(4 * took + 3)
            self.limits[program] = max(self.limits.get(program, 0), took)
        if r is None:
            return "waits for ever"
        if r.returncode in (-9, -24):
            return "takes too long"
        return None if r.returncode == 0 else "fails" if r.returncode > 0 else f"dies of signal {-r.returncode}"

    def measure(self, libraries):
        for key in {step for library in libraries for step in self.plan(library)}:
            wrong = self.run(*key, os.path.join(self.path, key[0]))
            if wrong:
                sys.exit(f"mutants: {' '.join((key[0], *key[1]))} {wrong} without any mutant; make it right first")


class Job:
    """Tries one mutant after the other, in a folder of its own."""

    def __init__(self, tree, path):
        self.tree, self.path = tree, path
        self.original = {}
        os.makedirs(path, exist_ok=True)

    def at(self, name):
        return os.path.join(self.path, name)

    def same(self, mutant, cc, level, build):
        """Whether the compiler makes the same of both; None: it makes nothing of the mutant."""
        key = (mutant.path, cc, level)
        source, output = self.at("mutant.c"), self.at("mutant.o")
        if key not in self.original:
            shutil.copy(os.path.join(self.tree.path, mutant.path), source)
            if not self.tree.compile(source, output, build, cc, level):
                raise RuntimeError(f"{cc} does not compile {mutant.path} as it is")
            with open(output, "rb") as f:
                self.original[key] = f.read()
        with open(source, "w", encoding="utf-8") as f:
            f.write(mutant.text)
        if not self.tree.compile(source, output, build, cc, level):
            return None
        with open(output, "rb") as f:
            return f.read() == self.original[key]

    def link(self, program, build):
        """The program with the mutant's object, which comes before the library that holds the original."""
        command = list(self.tree.links[program])
        out = command.index("-o") + 1
        command[out] = self.at("program")
        command.insert(out + 1, self.at(f"{build}.o"))
        r = sh(command, self.tree.path)
        if r.returncode:
            raise RuntimeError(r.stdout.decode(errors="replace"))

    def attempt(self, mutant):
        """Whether it is a mutant; mutant.noticed: by whom."""
        if self.same(mutant, "gcc", (), "m") is not False:
            return False
        os.rename(self.at("mutant.o"), self.at("m.o"))
        sanitized, linked = False, None
        for program, arguments in self.tree.plan(mutant.library):
            build = program.split("/")[1]
            if build == "san" and not sanitized:
                sanitized = self.tree.compile(self.at("mutant.c"), self.at("san.o"), "san")
                if not sanitized:
                    return False
            if linked != program:
                self.link(program, build)
                linked = program
            wrong = self.tree.run(program, arguments, self.at("program"))
            if wrong:
                what = program.split("/tests/unit/")[-1] if arguments == () else f"fabsim {arguments[0]}"
                mutant.noticed = f"{what}{' (sanitizers)' if build == 'san' else ''} {wrong}"
                return True
        return not any(self.same(mutant, cc, (level,), "m") for cc, level in OTHERS)


# ---- the run ----


def work(job, drawn, lock, wanted, tried, errors):
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
            real = job.attempt(mutant)
        except (OSError, RuntimeError) as e:
            errors.append(f"{mutant}: {e}")
            return
        with lock:
            if not real:
                tried.remove(mutant)
                continue
            print(f"{'noticed ' if mutant.noticed else 'SURVIVES'} {mutant}"
                  f"{f'   [{mutant.noticed}]' if mutant.noticed else ''}", flush=True)


def survivors(path):
    """What a log of an earlier run says of its survivors, without the line, which may have moved."""
    with open(path, encoding="utf-8") as f:
        return {re.sub(r":\d+:", ":", line[9:].strip(), count=1) for line in f if line.startswith("SURVIVES ")}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--mutants", type=int, default=200)
    p.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    p.add_argument("--only", help="mutants of one folder, file or line alone: FOLDER/, FILE or FILE:LINE")
    p.add_argument("--again", help="those alone that survived in this log")
    p.add_argument("--list", action="store_true", help="what would be drawn, not tried")
    args = p.parse_args()
    found = all_mutants(ROOT)
    total = sum(map(len, found.values()))
    print(f"{total} places: " + ", ".join(f"{len(m)} {name}" for name, m in found.items()), flush=True)
    drawn = draw(found, args.seed)
    if args.only:
        drawn = iter([m for m in drawn if m.path.startswith(args.only) or f"{m.path}:{m.line}" == args.only])
    if args.again:
        wanted = survivors(args.again)
        drawn = iter([m for m in drawn if re.sub(r":\d+:", ":", str(m), count=1) in wanted])
        args.mutants = len(wanted)
    if args.only and "--mutants" not in sys.argv:
        args.mutants = total
    if args.list:
        for _, mutant in zip(range(args.mutants), drawn):
            print(mutant)
        return 0
    top = os.path.join(ROOT, "build", "mutants", str(os.getpid()))
    atexit.register(shutil.rmtree, top, ignore_errors=True)
    if args.only or args.again:
        drawn = list(drawn)
        libraries, drawn = sorted({m.library for m in drawn}), iter(drawn)
    else:
        libraries = list(FILES)
    tree = Tree(os.path.join(top, "tree"), libraries, args.jobs)
    tree.measure(libraries)
    lock, tried, errors, begun = threading.Lock(), [], [], time.monotonic()
    threads = [threading.Thread(target=work, args=(Job(tree, os.path.join(top, str(k))), drawn, lock, args.mutants,
                                                   tried, errors)) for k in range(args.jobs)]
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
    print(f"seed {args.seed}: {len(tried)} mutants, {len(tried) - len(left)} noticed ({100 * share:.1f} %), "
          f"{len(left)} survive; {time.monotonic() - begun:.0f} s")
    return 0 if share >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
