"""BFD sessions of a switch that is loading a table into its kernel: how many of them fall although nothing failed.

    bfdd with a watcher ==== 128 cables ==== leaf1 ---- a feeder of 1,000,000 routes

The processes of a stack share the two ends' CPUs with the load, as they do in life.
"""

from bfd_bed import WatchedBed
from measure import cpu_share, now, wait_idle
from support.netns import Failed
from support.wait import Late
from tables import LOADS, logs, start


def run(options, stack_name):
    """Figures: false_downs (sessions that fell), routes that were loaded meanwhile, seconds that took."""
    count = LOADS["kernel_fib"][2] // (10 if options.quick else 1)
    try:
        with WatchedBed(options, stack_name, 1) as bed:
            bed.watch()
            bed.wait_up()
            rest = cpu_share(bed.pids)  # the BFD of the stack may be in one of them
            with bed.load(count, 0, False, count) as load:
                error = start(bed, load, rest)
                if error:
                    return {"error": error}
                before = bed.falls()
                begin = now()
                load.say("go")
                if not load.expect("sent", options.patience):
                    return {"error": "the feed was not taken" + logs(bed)}
                last, good = wait_idle(bed.pids, options.patience, rest=rest)
                fell = bed.falls() - before
                return {"false_downs": fell, "load_s": (last - begin) / 1e9 if good else None, "routes": routes(bed)}
    except (Failed, Late) as e:
        return {"error": str(e)}


def routes(bed):
    """What the kernel holds now of the load: without it, nothing was shown."""
    text = bed.lab.run("leaf1", ["sh", "-c", "ip -4 route show table all | wc -l"])
    return int(text)
