"""The smallest laboratory: two nodes and one cable between them."""

import contextlib

import pytest

from support.netns import Failed, Lab, link_local
from support.wait import until


@contextlib.contextmanager
def cabled(name, macs, *addresses):
    """Two nodes a and b, one cable: eth1. macs, and each of addresses (their network is a /24), are by node."""
    try:
        lab = Lab(name)
        lab.add(*macs)
    except (Failed, PermissionError) as e:
        pytest.skip(f"no namespaces here: {e}")
    with lab:
        lab.cables([(n, "eth1", mac) for n, mac in macs.items()])
        for n in macs:
            lab.ip(n, "link set eth1 up", *(f"addr add {a[n]}/24 dev eth1" for a in addresses))
        until(lambda: all(link_local(mac) in lab.run(n, ["ip", "-6", "addr", "show", "eth1"]) for n, mac in macs.items()),
              5, "addresses")
        yield lab
