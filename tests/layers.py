#!/usr/bin/python3
"""Who includes whom, what is pure, and what is mutable: the architecture's table, held against the sources.

    tests/layers.py [BUILD]      BUILD: folder of compiled libraries (build/gcc)

Three checks, each of which names file and line (or symbol): an include that points the wrong way or is not the table's;
a system header of sockets, clocks, files or netlink in a pure folder; static data that can be written outside main.c.
"""

import functools
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# folder: which others of ours it may include. The longest folder that holds a file counts.
MAY = {
    "fabricd/lib": [],
    "topology": ["fabricd/lib"],
    "fabricd/runtime": ["fabricd/lib"],
    "fabricd/runtime/event": ["fabricd/runtime", "fabricd/lib"],
    "fabricd/runtime/sim": ["fabricd/runtime", "fabricd/lib"],
    # bfd: the pure engine, and bfd.h, what others see; host: the engine on a runtime, shared by daemon and client
    "bfd": ["fabricd/lib"],
    "bfd/host": ["bfd", "fabricd/lib", "fabricd/runtime"],
    "bfd/client": ["bfd", "bfd/host", "fabricd/lib", "fabricd/runtime"],
    "bfd/daemon": ["bfd", "bfd/host", "bfd/client", "fabricd/lib", "fabricd/runtime"],
    "platform": ["fabricd/lib", "fabricd/runtime"],
    "platform/linux": ["platform", "fabricd/lib", "fabricd/runtime"],
    "platform/model": ["platform", "fabricd/lib", "fabricd/runtime"],
    "platform/null": ["platform", "fabricd/lib", "fabricd/runtime"],
    "platform/fpm": ["platform", "fabricd/lib", "fabricd/runtime"],
    "fabricd/rib": ["fabricd/lib"],
    "fabricd/bgp": ["fabricd/rib", "fabricd/lib"],
    "fabricd/link": ["fabricd/lib"],
    "fabricd/policy": ["topology", "fabricd/rib", "fabricd/lib"],
    "fabricd/channel": ["fabricd/lib"],
    # fabricd/node*.c and node.h: one switch, wired together
    "fabricd": ["fabricd/bgp", "fabricd/rib", "fabricd/link", "fabricd/policy", "fabricd/channel", "fabricd/lib",
                "fabricd/runtime", "platform", "topology", "bfd", "bfd/client"],
    "fabricd/query": ["fabricd", "fabricd/bgp", "fabricd/rib", "fabricd/link", "fabricd/policy", "fabricd/lib",
                      "fabricd/runtime", "platform", "topology"],
    # a node's state on its way to another process
    "fabricd/upgrade": ["fabricd", "fabricd/bgp", "fabricd/rib", "fabricd/link", "fabricd/policy", "fabricd/lib",
                        "fabricd/runtime", "platform", "topology", "bfd"],
    "fabricd/web": ["fabricd/query", "fabricd/lib", "fabricd/runtime"],
    "fabricd/ctl": ["fabricd/query", "topology", "fabricd/lib"],
    "fabricd/sim": ["fabricd", "fabricd/runtime", "fabricd/runtime/sim", "platform", "platform/model", "fabricd/bgp",
                    "fabricd/rib", "fabricd/link", "fabricd/policy", "fabricd/upgrade", "fabricd/lib", "topology"],
}
# main.c ties everything together; of query, ctl sees only the client's side.
MAIN_MAY = ["fabricd", "fabricd/query", "fabricd/runtime/event", "platform/linux", "platform/model", "platform/null",
            "platform/fpm", "fabricd/web", "fabricd/upgrade"]
CTL_QUERY = {"fabricd/query/client.h", "fabricd/query/protocol.h"}

PURE = ["fabricd/lib", "topology", "fabricd/rib", "fabricd/bgp", "fabricd/link", "fabricd/policy", "fabricd/channel",
        "bfd", "fabricd/runtime/sim", "platform/model"]
IMPURE_HEADER = re.compile(
    r"^(sys/(socket|un|time|timerfd|epoll|select|ioctl|random|signalfd|eventfd|mman|file|stat|uio|wait|resource)|"
    r"net/|netinet/|netpacket/|arpa/|netdb|linux/|netlink/|event2?/|event\.h|time|poll|unistd|fcntl|signal|pthread|"
    r"dirent|syslog|sched)")
IMPURE_CALL = re.compile(r"\b(clock_gettime|gettimeofday|getenv|fopen|getrandom|rand|random|srand|localtime)\s*\(")

# third-party headers: where they may be met
THIRD = [
    (r"^xxhash\.h$", ["fabricd/lib"]),
    (r"^(yaml|sodium)\.h$", ["topology"]),
    (r"^event", ["fabricd/runtime/event", "fabricd/web"]),
    (r"^(netlink/|linux/(rtnetlink|netlink|nexthop))", ["platform/linux", "platform/fpm", "fabricd/ctl"]),
    (r"^protobuf-c/", ["fabricd/query", "fabricd/channel", "bfd/daemon", "bfd/client"]),
    (r"^jansson\.h$", ["fabricd/query", "fabricd/ctl", "fabricd/web", "fabricd/main.c"]),
    (r"^libsmartcols", ["fabricd/ctl"]),
]

# inet_pton and inet_ntop alone: text, no socket
EXCEPTIONS = {("fabricd/lib/ip.c", "arpa/inet.h")}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def sources():
    for top in ("fabricd", "topology", "platform", "bfd"):
        for folder, _, names in os.walk(os.path.join(ROOT, top)):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(folder, name), ROOT)


def layer(path):
    """The folder of the table that a file belongs to."""
    folder = os.path.dirname(path)
    while folder and folder not in MAY:
        folder = os.path.dirname(folder)
    return folder


def check_include(path, system, name, complain):
    home = layer(path)
    main = os.path.basename(path) == "main.c"
    if not system:
        if name.endswith(".pb-c.h"):
            if home not in ("fabricd/query", "fabricd/channel", "bfd/daemon", "bfd/client"):
                complain(f"{name}: protobuf messages are met only in query and channel")
            return
        if not os.path.exists(os.path.join(ROOT, name)):
            complain(f"{name}: own headers are named from the top folder")
            return
        target = layer(name)
        allowed = MAY.get(home, []) + (MAIN_MAY if main else [])
        if target != home and target not in allowed and not (main and home == "fabricd"):
            complain(f"{name}: {home} may not include {target}")
        if home == "fabricd/ctl" and target == "fabricd/query" and name not in CTL_QUERY:
            complain(f"{name}: ctl sees only the client's side of query")
        return
    for pattern, where in THIRD:
        if re.match(pattern, name) and home not in where and path not in where:
            complain(f"<{name}> is met only in {', '.join(where)}")
    if home in PURE and IMPURE_HEADER.match(name) and (path, name) not in EXCEPTIONS:
        complain(f"<{name}> in the pure folder {home}")


def check_sources():
    bad = []
    for path in sources():
        home = layer(path)
        if not home:
            bad.append(f"{path}: stands in no folder of the table")
            continue
        with open(os.path.join(ROOT, path), encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                def complain(text, at=f"{path}:{number}"):
                    bad.append(f"{at}: {text}")

                m = INCLUDE.match(line)
                if m:
                    check_include(path, m.group(1) == "<", m.group(2), complain)
                elif home in PURE and not line.lstrip().startswith(("*", "/*", "//")):
                    call = IMPURE_CALL.search(line.split('"')[0])
                    if call and not re.search(r"[.>]\s*" + call.group(1) + r"\s*\(", line) \
                            and not re.search(r"\(\*\s*" + call.group(1), line):
                        complain(f"{call.group(1)}() in the pure folder {home}")
    return bad


def check_symbols(build):
    """Symbols of kinds b, d, B, D (written data) in objects that do not come from a main.c."""
    bad, objects = [], []
    for top in ("fabricd", "topology", "platform", "bfd"):
        for folder, _, names in os.walk(os.path.join(build, top)):
            objects += [os.path.join(folder, n) for n in names if n.endswith(".o") and n != "main.o"]
    # Objects of sources that are gone are no news.
    objects = [o for o in objects if os.path.exists(os.path.join(ROOT, os.path.relpath(o, build)[:-2] + ".c"))]
    if not objects:
        return [f"{build}: no objects; build first"]
    out = subprocess.run(["nm", "-A", *objects], capture_output=True, text=True, check=True).stdout
    for line in out.splitlines():
        where, _, rest = line.partition(":")
        kind, _, symbol = rest[17:].partition(" ")
        # relative read-only data (tables of pointers) is placed in .data.rel.ro, which nm calls d as well
        if kind in "bBdDsSgGC" and symbol not in relocated_constants(where):
            bad.append(f"{os.path.relpath(where, build)}: mutable static data: {symbol}")
    return bad


@functools.cache
def relocated_constants(path):
    """Symbols in .data.rel.ro*: constant but for relocation."""
    out = subprocess.run(["objdump", "-t", path], capture_output=True, text=True, check=True).stdout
    lines = [line.split() for line in out.splitlines()]
    return {words[-1] for words in lines if any(w.startswith(".data.rel.ro") for w in words)}


def main():
    build = os.path.join(ROOT, sys.argv[1] if len(sys.argv) > 1 else "build/gcc")
    bad = check_sources() + check_symbols(build)
    for line in bad:
        print(line)
    print(f"layers: {len(bad)} violations")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
