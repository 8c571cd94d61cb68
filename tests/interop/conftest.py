"""Each test has namespaces of its own; a failed one says what the daemons said."""

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from support import fabricd, netns  # noqa: E402


def pytest_collection_modifyitems(items):
    why = None
    if os.geteuid():
        why = "needs root: FRR does not run in a user namespace"
    elif not fabricd.built():
        why = f"{fabricd.BUILD}/fabricd is not built: run make"
    for item in items if why else ():
        item.add_marker(pytest.mark.skip(reason=why))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    setattr(item, "report_" + outcome.get_result().when, outcome.get_result())


@pytest.fixture
def lab(request):
    with netns.Lab("i") as the_lab:
        yield the_lab
        report = getattr(request.node, "report_call", None)
        if report and report.failed:
            for p in the_lab.processes:
                state = "runs" if p.alive() else f"ended with {p.popen.returncode}"
                print(f"---- {p.name} ({state})\n{p.output()[-3000:]}")
