"""Links between two network namespaces: a plain veth, or one that loses, delays and reorders.

    with link() as (left, right): ...                      a veth
    with lossy_link(7, loss=0.01, delay=20) as bad: ...    lossy.c between two veths

`left` has 10.9.0.1 and fd09::1, `right` has 10.9.0.2 and fd09::2, both on `eth0`.  Neither end
offloads anything on a lossy link: what crosses it are packets as on a wire.
"""

import array
import fcntl
import functools
import hashlib
import json
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.rootfs import ROOT
from tests.harness.netns import Namespace, namespaces

SOURCE = Path(__file__).with_name("lossy.c")
PROGRAMS = ROOT / ".cache" / "programs"

LEFT4, RIGHT4 = "10.9.0.1", "10.9.0.2"
LEFT6, RIGHT6 = "fd09::1", "fd09::2"

_SIOCETHTOOL = 0x8946
# ETHTOOL_SRXCSUM, STXCSUM, SSG, STSO, SGSO, SGRO of linux/ethtool.h; the order matters.
_OFFLOADS = (0x15, 0x17, 0x19, 0x1F, 0x24, 0x2C)

# Linux's own defaults; the machine may have been tuned.  (The algorithm of congestion control may
# not be chosen here when the host's administrator has not allowed it; TCP_CONGESTION can.)
_SYSCTLS = {
    "ipv4/tcp_rmem": "4096 131072 6291456",
    "ipv4/tcp_wmem": "4096 16384 4194304",
    "ipv4/tcp_no_metrics_save": "1",  # one connection's ssthresh is not the next one's
}


@functools.cache
def forwarder() -> Path:
    """Return the compiled lossy.c; made once for each text of it."""
    text = SOURCE.read_bytes()
    program = PROGRAMS / f"lossy-{hashlib.sha256(text).hexdigest()[:12]}"
    if not program.exists():
        PROGRAMS.mkdir(parents=True, exist_ok=True)
        partial = program.with_suffix(f".{os.getpid()}")
        argv = ["gcc", "-O2", "-Wall", "-Wextra", "-o", str(partial), str(SOURCE)]
        subprocess.run(argv, check=True, timeout=60)
        partial.rename(program)
    return program


def can_compile() -> bool:
    """Return whether there is what `forwarder` needs."""
    return shutil.which("gcc") is not None


def stop_offloads(namespace: Namespace, interface: str) -> None:
    """Do what `ethtool -K INTERFACE rx off tx off sg off tso off gso off gro off` does."""
    with namespace.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for command in _OFFLOADS:
            value = array.array("B", struct.pack("=II", command, 0))
            address = value.buffer_info()[0]
            request = struct.pack("=16sQ8x", interface.encode(), address)
            fcntl.ioctl(control, _SIOCETHTOOL, request)


def configure(left: Namespace, right: Namespace) -> None:
    """Give both ends addresses, and the settings that Linux has by itself."""
    for end, ip4, ip6 in ((left, LEFT4, LEFT6), (right, RIGHT4, RIGHT6)):
        for name, value in _SYSCTLS.items():
            end.sysctl(name, value)
        end.ip(f"addr add {ip4}/24 dev eth0")
        end.ip(f"-6 addr add {ip6}/64 dev eth0 nodad")
        end.ip("link set eth0 up")


@contextmanager
def link() -> Iterator[tuple[Namespace, Namespace]]:
    """Make two namespaces with a veth between them."""
    with namespaces(2) as (left, right):
        left.ip("link add eth0 type veth peer name wire")
        left.ip(f"link set wire netns {right.name}")
        right.ip("link set wire name eth0")
        configure(left, right)
        yield left, right


class LossyLink:
    """Two namespaces, and the forwarder between them."""

    def __init__(self, left: Namespace, right: Namespace, process: "subprocess.Popen[str]") -> None:
        self.left = left
        self.right = right
        self.process = process

    def command(self, line: str) -> Any:
        """Have the forwarder obey one line; return its answer."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, (line, answer)
        return answer

    def set(self, direction: str = "both", **settings: float) -> None:
        """Change settings of lossy.c: `set("lr", loss=0.01, delay=20)`."""
        for name, value in settings.items():
            self.command(f"set {direction} {name} {value:.9g}")

    def seed(self, number: int) -> None:
        """Start the random numbers anew."""
        self.command(f"seed {number}")

    def stats(self) -> dict[str, dict[str, int]]:
        """Return the counters of both directions, "lr" and "rl", since the last call."""
        answer: dict[str, dict[str, int]] = self.command("stats")
        return answer


def _plug(end: Namespace, middle: Namespace, name: str) -> None:
    """Put a veth between a namespace's eth0 and `name` of the forwarder's."""
    end.ip("link add eth0 type veth peer name peer")
    end.ip(f"link set peer netns {middle.name}")
    middle.ip(f"link set peer name {name}")
    stop_offloads(end, "eth0")
    stop_offloads(middle, name)
    middle.ip(f"link set {name} up")


@contextmanager
def lossy_link(seed: int, *, bare: bool = False, **settings: float) -> Iterator[LossyLink]:
    """Make two namespaces with a bad link between them; `settings` hold for both directions.

    A bare one has no addresses, and nothing crosses it but what the test sends.
    """
    with namespaces(3) as (left, middle, right):
        for silent in (left, middle, right) if bare else (middle,):
            silent.sysctl("ipv6/conf/all/disable_ipv6", "1")
            silent.sysctl("ipv6/conf/default/disable_ipv6", "1")
        _plug(left, middle, "left")
        _plug(right, middle, "right")
        argv = [str(forwarder()), "left", "right", str(seed)]
        with subprocess.Popen(
            ["ip", "netns", "exec", middle.name, *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stdout
                assert process.stdout.readline(), "the forwarder did not start"
                bad = LossyLink(left, right, process)
                bad.set(**settings)
                if bare:
                    left.ip("link set eth0 up")
                    right.ip("link set eth0 up")
                else:
                    configure(left, right)
                yield bad
            finally:
                assert process.stdin
                process.stdin.close()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
