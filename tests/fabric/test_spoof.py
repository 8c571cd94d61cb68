"""W19: forged RST and FIN in the stream of a session, from the other end of the cable.

    leaf1:eth1 -- spine1:eth1      what is forged leaves spine1 for leaf1
"""

import os

import pytest

SPOOF = os.path.join(os.path.dirname(os.path.abspath(__file__)), "spoof.py")


@pytest.fixture(scope="module")
def pair(module_lab):
    return module_lab("1x1")


def forge(lab, flags, hop_limit, offset=0, count=1):
    lab.exec("spine1", "/usr/bin/python3", SPOOF, "eth1", flags, str(hop_limit), str(offset), str(count))


def counter(lab, name):
    names, values = [line.split() for line in lab.exec("leaf1", "cat", "/proc/net/netstat").splitlines()
                     if line.startswith("TcpExt:")]
    return int(values[names.index(name)])


def session(lab):
    return lab.rows("leaf1", "bgp", want=(0, 1))[0]


@pytest.mark.parametrize("flags", ["R", "RA", "FA"])
def test_W19_from_further_away_it_is_dropped(pair, flags):
    """The right sequence number, but a hop limit that says it came through a router (RFC 5082)."""
    before, dropped = session(pair), counter(pair, "TCPMinTTLDrop")
    forge(pair, flags, 254, count=100)
    pair.until("all were dropped for their hop limit", lambda: counter(pair, "TCPMinTTLDrop") >= dropped + 100, 60)
    assert (session(pair)["state"], session(pair)["flaps"]) == ("Established", before["flaps"])


def test_W19_in_the_window_it_is_challenged(pair):
    """On the link, in the window, but not the number that comes next: RFC 5961 3.2."""
    before, challenged = session(pair), counter(pair, "TCPChallengeACK")
    forge(pair, "R", 255, offset=1000)
    pair.until("a challenge ACK", lambda: counter(pair, "TCPChallengeACK") > challenged, 60)
    assert (session(pair)["state"], session(pair)["flaps"]) == ("Established", before["flaps"])


def test_W19_on_the_link_it_ends_the_session_as_tcp_demands(pair):
    """Whoever holds the cable can do that. The session is counted as lost, and comes back by itself."""
    before = session(pair)["flaps"]

    def reset():
        forge(pair, "R", 255)
        return session(pair)["flaps"] > before

    pair.until("the session was reset", reset, 60)
    pair.until("it is back", lambda: session(pair)["state"] == "Established", 60)
    pair.run("lab", "wait", "--timeout", "60s")
    pair.run("--at", "leaf1", "fib", "check")
