"""Waiting on conditions. Nothing here or in its callers sleeps for a fixed time in the hope that something is done."""

import time


class Late(AssertionError):
    """A condition did not come true before its deadline."""


def until(condition, timeout, what, interval=0.02):
    """Calls condition() until it gives something true, and returns that. Late, with the last value seen, after timeout s.

    what: words for the error, or a function that finds them then."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            what = what() if callable(what) else what
            raise Late(f"not within {timeout} s: {what}; last seen: {value!r}")
        time.sleep(interval)


def holds(condition, duration, what, interval=0.05):
    """The opposite: condition() must stay true for `duration` seconds."""
    deadline = time.monotonic() + duration
    while time.monotonic() < deadline:
        value = condition()
        if not value:
            raise Late(f"did not stay so for {duration} s: {what}; seen: {value!r}")
        time.sleep(interval)
