"""The oracle: the same program in a chroot on the host's kernel."""

from pathlib import Path

from scripts.rootfs import GUEST_ENV
from tests.harness.outcome import Outcome, run
from tests.harness.tree import Overlay

# $1 is the root; what follows it is the program.  Namespaces of its own, as a container has.
ENTER = """
set -e
root=$1 cwd=$2
shift 2
hostname runsc-test
ip link set lo up
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/zero" c 1 5
mknod -m 666 "$root/dev/full" c 1 7
mknod -m 666 "$root/dev/random" c 1 8
mknod -m 666 "$root/dev/urandom" c 1 9
mknod -m 666 "$root/dev/tty" c 5 0
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"
ln -s fd/1 "$root/dev/stdout"
ln -s fd/2 "$root/dev/stderr"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
umask 022
cd "$root"
exec chroot . /bin/sh -c 'cd "$0" && exec "$@"' "$cwd" "$@"
"""


def native(
    rootfs: Path,
    argv: list[str],
    stdin: bytes = b"",
    env: dict[str, str] | None = None,
    cwd: str = "/",
    timeout: float = 60.0,
) -> Outcome:
    """Run a program over a throw-away copy of `rootfs`, without any sandbox."""
    with Overlay(rootfs) as root:
        # As in a container: whoever runs the tests in the background ignores SIGINT.
        unshare = [
            "env",
            "--default-signal",
            "unshare",
            "--mount",
            "--pid",
            "--ipc",
            "--uts",
            "--net",
            "--fork",
        ]
        enter = ["--kill-child", "--propagation=private", "/bin/sh", "-c", ENTER, "sh"]
        whole = [*unshare, *enter, str(root), cwd, *argv]
        return run(whole, stdin, timeout, {**GUEST_ENV, **(env or {})})
