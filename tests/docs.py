#!/usr/bin/python3
"""What the documents say that can be looked up: links lead somewhere, and tables name what the sources name.

    tests/docs.py

Each violation names the document and what is missing or stale in it.
"""

import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def text(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def texts(*patterns):
    return "".join(text(p) for pattern in patterns for p in sorted(glob.glob(pattern, root_dir=ROOT, recursive=True)))


def anchors(page):
    """As the usual renderers of Markdown make them out of headings."""
    return {re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-") for h in re.findall(r"^#+ (.*)$", page, re.M)}


def broken_links():
    for path in ["README.md", *glob.glob("docs/*.md", root_dir=ROOT), *glob.glob("tests/**/*.md", root_dir=ROOT, recursive=True)]:
        for link in re.findall(r"\]\(([^)\s]+)\)", text(path)):
            if link.startswith(("http:", "https:")):
                continue
            file, _, anchor = link.partition("#")
            target = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
            if not os.path.exists(os.path.join(ROOT, target)):
                yield f"{path}: {link}: there is no such file"
            elif anchor and anchor not in anchors(text(target)):
                yield f"{path}: {link}: there is no such heading"


def first_column(page):
    """The names in code font in the first column of all tables."""
    for row in re.findall(r"^\| (.*?) \|", page, re.M):
        yield from re.findall(r"`([^`]+)`", row)


def differ(path, said, there, what):
    yield from (f"{path}: {what} {name} is not in it" for name in sorted(there - said))
    yield from (f"{path}: {what} {name} does not exist (any more)" for name in sorted(said - there))


def events():
    """Types of events: what node_event(), the forwarding plane's sync_event() and export's event() are given."""
    sources = texts("fabricd/*.c", "fabricd/upgrade/*.c", "fabricd/bgp/export.c", "platform/*.c")
    there = set()
    for call in re.findall(r"(?:node_event|sync_event|->event)\(([^;]*);", sources):
        there |= set(re.findall(r'"([A-Z][A-Z_]+)"', call))
    there |= set(re.findall(r'\[BGP_EVENT_\w+\] = "([A-Z_]+)"', sources))
    there -= {"FIB_PROBLEM"}  # a node takes the platform's words itself, as PLATFORM
    yield from differ("docs/events.md", set(first_column(text("docs/events.md"))), there, "event")


def faults():
    there = set(re.findall(r'^\t\[FAULT_\w+\] = \{ "([a-z-]+)"', text("fabricd/sim/fault.c"), re.M))
    table = text("docs/simulator.md").partition("| kind | at |")[2].partition("\n\n")[0]
    said = {name for row in re.findall(r"^\| ([a-z, -]+) \|", table, re.M) for name in re.split(r",\s*", row)}
    yield from differ("docs/simulator.md", {s for s in said if s.strip("- ")}, there, "fault")


def commands():
    page = text("docs/fabctl.md")
    for name in re.findall(r'^\t\{ "([a-z ]+)", "', text("fabricd/ctl/command.c").partition("habits")[0], re.M):
        if not re.search(r"[`\s]" + re.escape(name) + r"\b", page):
            yield f"docs/fabctl.md: command {name} is not in it"


def schemas():
    there = {f"{n}.{v}.json" for n, v in re.findall(r'"(fabricd\.[a-z.]+)/(\d+)"', texts("fabricd/query/*.c", "fabricd/ctl/topo*.c"))}
    said = {os.path.basename(p) for p in glob.glob("docs/schema/*.json", root_dir=ROOT)}
    yield from (f"docs/schema/{name} is missing" for name in sorted(there - said))


def main():
    bad = [line for check in (broken_links, events, faults, commands, schemas) for line in check()]
    for line in bad:
        print(line)
    print(f"docs: {len(bad)} violations")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
