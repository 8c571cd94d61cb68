"""The BFD process of a switch dies, or hands over to another, while many sessions are up: how long their neighbours hear
nothing, and which sessions fall.

    bfdd with a watcher, and an ear ==== 128 cables ==== leaf1: the BFD of the stack

Two ways to go, each at a random moment: `kill -9` of the process that has the sessions (fabricd's keeper starts another
by itself; FRR's bfdd and BIRD are started again here, at once), and fabricd's planned handover. Between two repetitions
all sessions are up again, at their own pace.
"""

import random

from bfd_bed import INTERVAL_MS, WatchedBed
from measure import now
from support.bfd import Ear
from support.netns import Failed
from support.wait import Late, until

WAYS = {"fabricd": ["kill", "handover"], "frr": ["kill"], "bird": ["kill"]}
PATIENCE = 60  # s, until all sessions are heard again


def run(options, stack_name, reps):
    """Figures, lists of reps values: first_<way>, s from the signal to the first packet of any session; silence_<way>, s,
    the longest between two packets of one session; fell_<way>, falls of all sessions."""
    out = {}
    try:
        with WatchedBed(options, stack_name, 0) as bed:
            bed.watch()
            with Ear(bed.lab, "load") as ear:
                for way in WAYS[stack_name] * reps:
                    for figure, value in one(bed, ear, way).items():
                        out.setdefault(f"{figure}_{way}", []).append(value)
    except (Failed, Late) as e:
        out["error"] = str(e)
    return out


def one(bed, ear, way):
    bed.wait_up()
    falls = bed.falls()
    ear.forget()
    heard(bed, ear, now() + int(random.random() * INTERVAL_MS * 1e6), 1)
    begin = now()
    if way == "kill":
        bed.kill()
    else:
        bed.hand_over()
    heard(bed, ear, begin, 3)
    bed.wait_up()
    return {
        "first": (min(t for times in ear.times.values() for t in times if t > begin) - begin) / 1e9,
        "silence": max(b - a for times in ear.times.values() for a, b in zip(times, times[1:])) / 1e9,
        "fell": bed.falls() - falls,
    }


def heard(bed, ear, since, packets):
    """Waits for so many packets of each session after that moment."""

    def all_of_them():
        ear.hear()
        return all(sum(t > since for t in ear.times.get(port, ())) >= packets for port, _, _ in bed.ends)

    until(all_of_them, PATIENCE, "all sessions are heard")
