"""Measure this runtime beside a plain chroot, runc and gVisor's runsc, whichever are installed.

Options go to tests/bench/bench.py; GVISOR names gVisor's program when it is not in PATH.
"""

import os
import shutil
import sys
from pathlib import Path

from scripts.rootfs import ROOT, apt_mirror, os_release

CACHE = ROOT / ".cache" / "bench"
SEARCH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")

# gVisor of 2024 and before takes every network namespace for the initial one where this directory
# looks the same in all of them, as it does since Linux 6.9, and refuses to start.
HIDE_SYSCTLS = 'mount -t tmpfs none /proc/sys/net && exec "$@"'


def gvisor() -> str | None:
    """Return gVisor's runsc: a program called so that is machine code, as ours is not."""
    candidates = [os.environ.get("GVISOR", ""), *(f"{where}/runsc" for where in SEARCH)]
    for candidate in candidates:
        path = Path(candidate)
        if candidate and path.is_file():
            with path.open("rb") as file:
                if file.read(4) == b"\x7fELF":
                    return candidate
    return None


def runtimes() -> list[str]:
    """Return what is compared, as options of bench.py."""
    found = ["native=@native", f"ours={ROOT / 'bin' / 'runsc'} --network=sandbox"]
    if runc := shutil.which("runc"):
        found.append(f"runc={runc}")
    if peer := gvisor():
        found.append(f"systrap={peer} --platform=systrap --network=sandbox")
        found.append(f"ptrace={peer} --platform=ptrace --network=sandbox")
    return [part for runtime in found for part in ("--runtime", runtime)]


def main(options: list[str]) -> int:
    """Replace this process by the harness."""
    release = os_release()
    suite = release["VERSION_CODENAME"]
    bench = ROOT / "tests" / "bench" / "bench.py"
    argv = [sys.executable, str(bench), "--cache", str(CACHE), "--suite", suite]
    if mirror := apt_mirror(suite):
        argv += ["--mirror", mirror]
    if "--load" not in options and "--list" not in options and "--runtime" not in options:
        argv += [*runtimes(), "--base", "native"]
    if gvisor():
        view = ["unshare", "--mount", "--propagation", "slave", "sh", "-c", HIDE_SYSCTLS, "sh"]
        argv = [*view, *argv]
    print(" ".join([*argv, *options]), file=sys.stderr, flush=True)
    os.execvp(argv[0], [*argv, *options])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
