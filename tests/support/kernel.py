"""What the kernel of a namespace really holds, read by iproute2."""

import json

from .netns import run


DROP = "fabric-drop"  # where a next hop leads that no packet takes: it keeps groups of one when their port goes dark


def _json(argv):
    text = run(argv)
    return json.loads(text) if text.strip() else []


def groups(lab, node):
    """Next-hop objects by id: a list of (gateway, port), members of groups resolved."""
    objects = {n["id"]: n for n in _json(["ip", "-j", "-n", lab.ns(node), "nexthop", "show"])}
    legs = {}
    for number, n in objects.items():
        members = [objects[m["id"]] for m in n["group"]] if "group" in n else [n]
        legs[number] = sorted((m.get("gateway", ""), m.get("dev", "")) for m in members if m.get("dev") != DROP)
    return legs


def routes(lab, node, family=4, table="main", kinds=("unicast",)):
    """{prefix: sorted [(gateway, port)]} of all routes that are not the kernel's own."""
    legs = None
    out = {}
    for r in _json(["ip", f"-{family}", "-j", "-n", lab.ns(node), "route", "show", "table", table]):
        if r.get("protocol") in ("kernel", "boot", "ra") or r.get("type", "unicast") not in kinds:
            continue
        dst = r["dst"] if r["dst"] != "default" else ("0.0.0.0/0" if family == 4 else "::/0")
        if "/" not in dst:
            dst += "/32" if family == 4 else "/128"
        if "nhid" in r:
            if legs is None:
                legs = groups(lab, node)
            out[dst] = legs.get(r["nhid"], [])
        elif "nexthops" in r:
            out[dst] = sorted(_leg(n) for n in r["nexthops"] if "dead" not in n.get("flags", []))
        else:
            # one IPv6 route of several lines is one per leg with older tools: collect them
            out[dst] = sorted(out.get(dst, []) + [_leg(r)])
    return out


def _leg(n):
    via = n.get("via", {}).get("host") or n.get("gateway", "")
    return via, n.get("dev", "")


def ports_of(legs):
    return sorted(port for _, port in legs)
