"""fabricd as a Clos switch: one topology file, one name; everything else is its own business."""

import json
import os

from .stacks import Job, Stack, write

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("FABRIC_BUILD", os.path.join(ROOT, "build", "gcc", "bin"))


def built():
    return os.access(os.path.join(BUILD, "fabricd"), os.X_OK)


class Fabricd(Stack):
    name = "fabricd"
    foreign = False

    def __init__(self, platform="linux", bfd=False):
        self.platform, self.bfd = platform, bfd

    def prepare(self, lab, clos, node, hosts=()):
        self.configure(lab, clos, node)

    def file(self, lab, clos, node):
        """A tier is of another vendor as a whole: where fabricd runs one switch of it, that has a file of its own."""
        mixed = ("spine" if node.spine else "leaf") in clos.foreign
        return f"{self.dir(lab, node) if mixed else lab.dir}/fabric.yaml"

    def configure(self, lab, clos, node):
        own = "spine" if node.spine else "leaf"
        write(self.file(lab, clos, node), clos.topology([t for t in clos.foreign if t != own]))

    def jobs(self, lab, clos, node):
        d = self.dir(lab, node)
        argv = [f"{BUILD}/fabricd", "--topology", self.file(lab, clos, node), "--node", node.name, "--run-dir", d,
                "--platform", self.platform]  # fmt: skip
        if not self.bfd:
            return [Job(node.name, f"{node.name}-fabricd", argv)]
        bfdd = [f"{BUILD}/bfdd", "--socket", f"{d}/bfdd.sock"]
        return [Job(node.name, f"{node.name}-bfdd", bfdd), Job(node.name, f"{node.name}-fabricd", argv, bfdd[-1])]

    def again(self, lab, clos, node):
        """fabricd as it is started a second time."""
        return self.jobs(lab, clos, node)[-1]

    def ctl(self, lab, node, *words, check=False):
        """fabctl's answer in JSON; {} while the daemon does not answer. Exit 1 (findings) is no error of the call."""
        text = lab.run(node.name, [f"{BUILD}/fabctl", "--run-dir", self.dir(lab, node), *words, "-j"], check=check)
        return json.loads(text) if text.strip().startswith(("{", "[")) else {}

    def established(self, lab, node):
        """Names of the ports whose session is up."""
        rows = self.ctl(lab, node, "bgp").get("data", [])
        return {r["port"] for r in rows if r.get("state") == "Established"}
