"""The real systemd as the service manager of one switch of a laboratory: our unit files, unedited, and nothing of the machine.

It is an instance of `systemd --user`, since the other kind is for process 1 of a machine. It gets namespaces of its own:

    network     the switch's
    processes   all of them end with the first, a shell that waits for the end of its stdin: nothing outlives a test
    mounts      /run is its own, so the paths of the units are those of a real switch: /run/fabricd, /run/bfdd; in place of
                /usr/sbin and /etc/default stand sbin/ and default/ of a folder of the test
    cgroups     one of version 2 below ours, which systemd takes for the root; removed at the end

There is no journal and no bus, and the log of systemd itself, which it writes to consoles alone, is lost.
"""

import os
import shutil
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SYSTEMD = "/lib/systemd/systemd"
UNITS = os.path.join(ROOT, "scripts", "systemd")
TARGETS = ("default.target", "basic.target", "shutdown.target")  # what any unit of a user needs
COUNT = 0
SCRIPT = r"""
set -e
folder=$2
if [ "$1" = outside ]; then
	mount --make-rprivate /
	mkdir "$folder/cgroup"
	mount -t cgroup2 cgroup2 "$folder/cgroup"
	group=$folder/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)/$3
	mkdir "$group"
	sh -c 'echo $$ > "$1/cgroup.procs"; exec unshare --cgroup --pid --fork --kill-child sh "$0" inside "$2"' \
	    "$0" "$group" "$folder" || echo "it ended with $?" >&2
	find "$group" -depth -type d -exec rmdir {} \;
	exit
fi
read -r pid rest < /proc/self/stat # as those outside call this process
mount -t proc proc /proc
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind "$folder/sbin" /usr/sbin
mount --bind "$folder/default" /etc/default
[ ! -e /dev/console ] || mount --bind /dev/null /dev/console # where it would write its log
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system # sd_booted(3)
env -i PATH=/usr/bin:/bin HOME=/ XDG_RUNTIME_DIR=/run SYSTEMD_UNIT_PATH="$folder/units" \
    "$4" --user --log-target=console --log-level=info < /dev/null > "$folder/said" 2>&1 &
until [ -S /run/systemd/private ]; do
	kill -0 $! || { tail -n 3 "$folder/said" >&2; exit 1; }
	sleep 0.02
done
echo "$pid"
read -r rest || true
"""


class Cannot(RuntimeError):
    """Why no systemd runs here."""


class Systemd:
    """enter: the words that run a command in the network namespace; folder: an empty one; programs: paths of what is to be
    in /usr/sbin; defaults: what is to be in /etc/default, text by name."""

    def __init__(self, enter, folder, programs, defaults):
        global COUNT
        if not os.access(SYSTEMD, os.X_OK):
            raise Cannot(f"there is no {SYSTEMD}")
        COUNT += 1
        self.folder, self.inside = str(folder), None
        for name in ("sbin", "default", "units"):
            os.mkdir(os.path.join(self.folder, name))
        for path in programs:
            self.install(path)
        for name, text in defaults.items():
            with open(os.path.join(self.folder, "default", name), "w", encoding="utf-8") as f:
                f.write(text)
        for name in os.listdir(UNITS):
            os.symlink(os.path.join(UNITS, name), os.path.join(self.folder, "units", name))
        for name in TARGETS:
            os.symlink(f"/usr/lib/systemd/user/{name}", os.path.join(self.folder, "units", name))
        script = os.path.join(self.folder, "start")
        with open(script, "w", encoding="utf-8") as f:
            f.write(SCRIPT.replace("$4", SYSTEMD))
        with open(os.path.join(self.folder, "why"), "w", encoding="utf-8") as why:
            self.process = subprocess.Popen(
                [*enter, "unshare", "--mount", "sh", script, "outside", self.folder, f"fabricd-test-{os.getpid()}-{COUNT}"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=why, text=True)
        pid = self.process.stdout.readline().strip()
        if not pid:
            self.process.communicate()
            with open(os.path.join(self.folder, "why"), encoding="utf-8") as why:
                raise Cannot((why.read().strip() or "it does not start").splitlines()[0])
        self.inside = ["nsenter", "--target", pid, "--mount", "--net", "--pid", "--cgroup"]

    def install(self, path):
        """As a package does it: the new program has the name, and who runs the old one keeps that."""
        target = os.path.join(self.folder, "sbin", os.path.basename(path))
        shutil.copy2(path, target + ".new")
        os.replace(target + ".new", target)

    def end(self):
        """All of it; its cgroup is removed."""
        self.process.communicate(timeout=30)

    def run(self, *argv, want=0, timeout=60):
        """A command beside the services."""
        r = subprocess.run([*self.inside, *argv], capture_output=True, text=True, timeout=timeout,
                           env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "XDG_RUNTIME_DIR": "/run", "LC_ALL": "C.UTF-8"})
        wanted = want if isinstance(want, tuple) else (want,)
        assert r.returncode in wanted, f"{' '.join(argv)}: exit {r.returncode}, not {want}\n{r.stdout}{r.stderr}"
        return r

    def ctl(self, *words, want=0):
        return self.run("systemctl", "--user", "--no-ask-password", *words, want=want).stdout

    def show(self, unit):
        """All properties of a unit."""
        return dict(line.split("=", 1) for line in self.ctl("show", "--all", unit).splitlines() if "=" in line)
