"""Links that fail: silently, with BFD as the only witness, or by loss of carrier; and what BFD costs while nothing happens.

    leaf2:eth<k> ==== a<k-1> bridge b<k-1> ==== spine<k>     bfdtap hears what the bridge still hands out at either end

A silent cut is a bridge port that swallows the frames of both directions while both ends keep their carrier. It comes
at a random phase of the BFD timers. One fabric serves many cuts, over one uplink of leaf2 after the other, and each
number of prefixes behind leaf2; between two cuts everything is whole again.

The repair is counted from the moment that was promised, the last BFD packet that an end was given plus its detection
time (RFC 5880 6.8.4), to the FIB change there. So it holds the lateness of the timer, the way to fabricd and the
kernel, and none of the detection time itself.
"""

import random

from fabric import Fabric, size
from measure import ToolError, now
from support.bird import Bird
from support.clos import patch_cut, patch_heal, patch_mute, patch_speak
from support.fabricd import Fabricd
from support.frr import Frr
from support.netns import Failed

STACKS = {"fabricd": lambda: Fabricd(bfd=True), "frr": Frr, "bird": Bird}
UP = 3  # RFC 5880 4.1, Sta
CARRIER_SPACING_US = 100
MS = 1000000


def run(options, stack_name, bench, reps):
    """Figures are lists of reps values: {"silent": n, "carrier": n}. One fabric serves them all, unless it does not get
    whole again after a cut: what is left then goes on in another."""
    bfd, counts, large = {"silent": (100, [10], False), "silent_fast": (10, [10], False), "idle_bfd": (100, [10], False),
                          "silent_load": (100, options.load_prefixes, True)}[bench]  # fmt: skip
    leaves, spines = size(options.load_size if large else options.size)
    todo = [(kind, count, n) for kind in reps for count in counts for n in range(reps[kind])]
    out = {"detail": []}
    for _ in range(1 + len(todo)):
        if not todo or "error" in out:
            break
        try:
            with Fabric(options, STACKS[stack_name](), leaves, spines, behind=True, bfd=bfd, cables=spines) as f:
                f.start_with_local_prefixes()
                one_fabric(options, f, todo, out)
        except (Failed, ToolError) as e:
            out["error"] = str(e)
    return out


def one_fabric(options, f, todo, out):
    """Does as much of todo as this fabric is good for. An error says how often BFD fell, both ends and the cuts counted."""
    lack, fed, used = f.settle(60)[1], 0, set()
    while not lack and todo:
        kind, count, n = todo[0]
        if count != fed:
            if fed:
                f.starve()
            lack, fed = f.feed(count) or watched(f), count
            if lack:
                break
        todo.pop(0)
        cable = n % len(f.patched)
        if kind == "idle":
            out.setdefault("idle_cpu", []).append(f.idle(options.idle))
            continue
        if kind == "silent":
            short = silent_cut(options, f, count, cable, out)
        else:
            short = carrier_cut(f, cable, out)
        if short:  # (FRR's zebra takes a group for whole that the kernel has made smaller: other cables still do)
            out[f"short_{kind}"] = short
            used.add(cable)
            if kind == "silent" or len(used) > f.clos.spines - 2:
                return
    if lack:
        falls = sum(t["falls"] for t in f.tap.ask("stat")["ports"].values())
        out["error"] = lack + f"; BFD of {len(f.patched)} cables fell {falls} times" * bool(falls)


def watched(f, patience=60):
    """Waits until BFD is up at both ends of every cable that may be cut, at its own pace; else a sentence."""
    deadline = now() + patience * 1000 * MS
    while True:
        ports = f.tap.ask("stat")["ports"]
        slow = [p for p, t in ports.items() if t["state"] != UP or t["tx_us"] > f.clos.bfd * 1010]
        if not slow:
            return None
        if now() > deadline:
            return f"BFD does not come up: {slow[0]}: {ports[slow[0]]}"
        f.launcher.expect("end", 0.1)


def silent_cut(options, f, count, cable, out):
    """One cut and its end. A sentence when the fabric does not get whole again."""
    f.launcher.expect("end", random.random() * 3 * f.clos.bfd / 1000)
    seconds = 1.2 + 4.5 * f.clos.bfd / 1000 + (0 if count < 1000 else 1 if options.quick else 5)
    few = {} if count >= 1000 else ends_of(f)
    gap, detail = f.cut(seconds, patch_mute, cable, 0.2, **few)
    late, ends = repair(f, cable)
    early = any(v is not None and v < -0.001 for v in late.values())
    if early:
        detail.setdefault("error", "a FIB changed before BFD could have told")
    if early or ("error" in detail and detail["error"] != "still losing at the end"):
        late = dict.fromkeys(late)  # it was not this cut that was seen
    late["gap"] = gap
    for figure, value in late.items():
        out.setdefault(f"{figure}_{count}", []).append(value)
    out["detail"].append({"count": count, "cable": cable, "ends": ends, **detail})
    if count >= 1000:
        f.rest()
    return f.heal(patch_speak, cable, 60, 1)[1] or watched(f)


def repair(f, cable):
    """How late the FIBs changed after the promised moment, in s: of both ends of the cable, of the sender's leaf."""
    state = f.watch.ask("stat")["spaces"]
    tap = f.tap.ask("stat")["ports"]
    a, b = tap[f"a{cable}"], tap[f"b{cable}"]  # what leaf2, what the spine was given

    def promised(got, sent):
        return got["last"] + got["multiplier"] * max(got["tx_us"], sent["rx_us"]) * 1000

    lower, upper = promised(a, b), promised(b, a)
    leaf, spine, far = (state[f.lab.ns(n)] for n in ("leaf2", f"spine{cable + 1}", "leaf1"))

    def late(t, due):
        return (t - due) / 1e9 if t else None

    ends = {"leaf2": {"due": lower, **leaf}, "spine": {"due": upper, **spine}, "leaf1": {"due": upper, **far}, "tap": tap}
    return {
        "repair": worse(late(leaf["first"], lower), late(spine["first"], upper)),
        "whole": worse(late(leaf["last"], lower), late(spine["last"], upper)),
        "remote": late(far["last"], upper),
    }, ends


def worse(a, b):
    return None if a is None or b is None else max(a, b)


def ends_of(f):
    """One flow of each family: where few prefixes move at once, more of them tell nothing, and cost half of a processor."""
    targets = f.targets(f.prefixes)
    return {"flows": 1, "targets": [targets[0], targets[-1]]}


def carrier_cut(f, cable, out):
    gap, detail = f.cut(1.0, patch_cut, cable, 0.2, spacing_us=CARRIER_SPACING_US, **ends_of(f))
    out.setdefault("carrier", []).append(gap)
    out["detail"].append({"carrier": cable, **detail})
    return f.heal(patch_heal, cable, 12, 1)[1] or watched(f)
