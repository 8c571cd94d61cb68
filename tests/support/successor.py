"""Programs that a fabricd is told to give way to, and that are not up to it. Each is a script with one of these lives:

    exits, hangs             says nothing at all
    garbage                  says what is no word of the channel
    format, node, file       introduces itself as something that cannot take over
    silent                   introduces itself properly, and no more
    damaged, cut, empty      is a real fabricd that gets another snapshot than was sent: a bit, the second half, all
    dies                     is a real fabricd that is killed when it is ready
    stops                    is a real fabricd that hears of no COMMIT
    kills-starts, kills-reads, kills-commits
                             kills the one that runs: at once, when a real fabricd is ready, when that is to take over,
    kills-runs               and when that is in charge, before the one that runs has heard of it
    claims                   tells systemd that it is the main process when it is to take over, and ends

main() plays the life; write() makes the script. The channel is spoken of in fabricd/upgrade/channel.h.
"""

import array
import fcntl
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys

HELLO, SNAPSHOT, DESCRIPTORS, PROGRESS, READY, COMMIT = 1, 2, 3, 4, 5, 6
F_ADD_SEALS, SEALS = 1033, 0xF


def write(path, life, fabricd):
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"#!/usr/bin/python3\nimport sys\nsys.path.insert(0, {os.path.dirname(os.path.dirname(__file__))!r})\n"
                f"from support import successor\nsuccessor.main({life!r}, {fabricd!r})\n")
    os.chmod(path, 0o755)
    return str(path)


def text(s):
    return struct.pack("!H", len(s)) + s.encode()


def receive(s):
    """(kind, body, descriptors); kind 0: the end."""
    data, ancillary, _, _ = s.recvmsg(1024, socket.CMSG_SPACE(128 * 4))
    fds = array.array("i")
    for level, kind, what in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(what[:len(what) - len(what) % 4])
    return (data[0], data[2:], list(fds)) if data else (0, b"", [])


def send(s, kind, body=b"", fds=()):
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    s.sendmsg([bytes([kind, 0]) + body], rights)
    for fd in fds:
        os.close(fd)


def spoiled(fd, life):
    size = os.fstat(fd).st_size
    data = bytearray(os.pread(fd, size, 0))
    os.close(fd)
    if life == "damaged":
        data[random.randrange(size)] ^= 1 << random.randrange(8)
    data = data[:size // 2] if life == "cut" else b"" if life == "empty" else data
    new = os.memfd_create("snapshot", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(new, data)
    fcntl.fcntl(new, F_ADD_SEALS, SEALS)
    return new


def relay(old, life, fabricd):
    """Between the one that runs and a real one, whose words come through until its life ends them."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    argv = [fabricd, *sys.argv[1:sys.argv.index("--takeover")], "--takeover", str(theirs.fileno())]
    new = subprocess.Popen(argv, pass_fds=[theirs.fileno()])
    theirs.close()
    send(old, *receive(ours))  # HELLO
    count, master = 0, os.getppid()
    while True:
        kind, body, fds = receive(old)
        if kind == SNAPSHOT:
            count = struct.unpack("!I", body[:4])[0]
            fds = [spoiled(fds[0], life)] if life in ("damaged", "cut", "empty") else fds
        elif kind == DESCRIPTORS:
            count -= len(fds)
        send(ours, kind, body, fds)
        if kind == DESCRIPTORS and count == 0:
            break
    while True:
        kind, body, fds = receive(ours)
        if kind == READY and life == "dies":
            new.kill()
            new.wait()
            send(old, kind, body)
            sys.exit(0)
        if not kind:
            sys.exit(1)
        if kind == READY and life.startswith("kills-"):
            word = b""
            if life != "kills-reads":
                send(old, kind, body)
                word = receive(old)
            if life == "kills-runs":
                send(ours, *word)
                receive(ours)  # RUNNING
                os.kill(master, signal.SIGKILL)
                sys.exit(0)
            os.kill(master, signal.SIGKILL)
            new.send_signal(signal.SIGSTOP)  # it finds the word and the end together, as when the one that was killed had sent it
            os.waitpid(new.pid, os.WUNTRACED)
            if word:
                send(ours, *word)
            ours.close()
            new.send_signal(signal.SIGCONT)
            sys.exit(new.wait())
        send(old, kind, body, fds)
        if kind == READY and life == "claims":
            receive(old)
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
                s.sendto(f"MAINPID={os.getpid()}\n".encode(), os.environ["NOTIFY_SOCKET"])
            sys.exit(0)
        if kind == READY:
            receive(old)  # COMMIT, which goes no further
            new.wait()


def format_of(fabricd):
    """What the real one would say: `fabricd 0.1 (hands over: protocol 1, format 2)`."""
    told = subprocess.run([fabricd, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return int(re.search(r"format (\d+)", told).group(1))


def introduce(s, life, fabricd):
    node = sys.argv[sys.argv.index("--node") + 1]
    form, name, digest = (99 if life == "format" else format_of(fabricd)), ("somebody" if life == "node" else node), "0" * 7
    send(s, HELLO, struct.pack("!HH", 1, form) + text("9.9") + text(name) + text(digest))


def main(life, fabricd):
    s = socket.socket(fileno=int(sys.argv[sys.argv.index("--takeover") + 1]))
    if life == "exits":
        sys.exit(7)
    if life == "kills-starts":
        os.kill(os.getppid(), signal.SIGKILL)
        sys.exit(1)
    if life == "garbage":
        s.send(b"\xff" * 200)
    elif life in ("format", "node", "file"):
        introduce(s, life, fabricd)
    elif life in ("damaged", "cut", "empty", "dies", "stops", "claims") or life.startswith("kills-"):
        relay(s, life, fabricd)
    elif life == "silent":
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        argv = [fabricd, *sys.argv[1:sys.argv.index("--takeover")], "--takeover", str(theirs.fileno())]
        with subprocess.Popen(argv, pass_fds=[theirs.fileno()]) as new:
            send(s, *receive(ours))
            new.kill()
    while True:  # until it is ended
        socket.socketpair()[0].recv(1)
