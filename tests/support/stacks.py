"""The routing stacks as one kind of thing: give it a switch of a Clos, and it writes its configuration and says what to start.

    prepare(lab, clos, node, hosts)   files under lab.dir/<node>, and what the kernel must have beforehand
    jobs(lab, clos, node)             programs in the order of their start

Start them with start() (tests), or hand them to tests/bench/launch, which is faster and takes the times.
"""

import dataclasses
import os

from .wait import until


@dataclasses.dataclass
class Job:
    node: str
    name: str
    argv: list
    wait_for: str = "-"  # a path that must exist first


class Stack:
    name = ""
    foreign = True  # needs foreign_ports()

    def dir(self, lab, node):
        path = os.path.join(lab.dir, node.name)
        os.makedirs(path, exist_ok=True)
        return path

    def prepare(self, lab, clos, node, hosts=()):
        clos.foreign_ports(lab, node, hosts)
        self.configure(lab, clos, node)

    def configure(self, lab, clos, node):
        raise NotImplementedError

    def jobs(self, lab, clos, node):
        raise NotImplementedError


def write(path, text):
    """Whole or not at all: somebody may be reading an older one of the same name."""
    with open(path + ".new", "w") as f:
        f.write(text)
    os.replace(path + ".new", path)
    return path


def start(lab, stack, clos, node, hosts=(), prepare=True):
    """Prepares one switch and starts its programs one after the other; returns the processes."""
    if prepare:
        stack.prepare(lab, clos, node, hosts)
    processes = []
    for job in stack.jobs(lab, clos, node):
        if job.wait_for != "-":
            until(lambda: os.path.exists(job.wait_for), 10, f"{job.wait_for} (for {job.name})", 0.005)
        processes.append(lab.spawn(job.node, job.name, job.argv))
    return processes
