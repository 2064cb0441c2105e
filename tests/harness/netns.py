"""Network namespaces of a test's own, with interfaces made by ip(8)."""

import itertools
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_numbers = itertools.count(1)


def run_ip(*arguments: str, namespace: str = "") -> str:
    """Run ip(8) and return what it prints."""
    where = ["-n", namespace] if namespace else []
    done = subprocess.run(
        ["ip", *where, *arguments], check=False, capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 0, f"ip {arguments}: {done.stderr}"
    return done.stdout


class Namespace:
    """A network namespace with a name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = f"/var/run/netns/{name}"

    def ip(self, command: str) -> str:
        """Run an ip(8) command, words with blanks between, in the namespace."""
        return run_ip(*command.split(), namespace=self.name)

    def ip_json(self, command: str) -> Any:
        """Return what `ip -j` says."""
        return json.loads(run_ip("-j", *command.split(), namespace=self.name) or "[]")

    def snapshot(self) -> list[str]:
        """Return all of addresses, routes, rules and link settings, as text."""
        lines = []
        for command in ("-d addr", "route show table all", "-6 route show table all"):
            lines += sorted(self.ip(command).splitlines()) if "route" in command else []
            lines += self.ip(command).splitlines() if "addr" in command else []
        for command in ("rule", "-6 rule", "neigh show nud permanent"):
            lines += self.ip(command).splitlines()
        with self.entered():
            for path in ("ipv4/conf/*/arp_ignore", "ipv6/conf/*/accept_ra"):
                for found in sorted(Path("/proc/sys/net").glob(path)):
                    lines.append(f"{found}: {found.read_text()}")
        return lines

    def wait_until_gone(self, interface: str) -> None:
        """Wait for the kernel to remove the interfaces of a dead namespace that are called so."""
        deadline = time.monotonic() + 30
        while interface in self.ip("link"):
            assert time.monotonic() < deadline, self.ip("link")
            time.sleep(0.05)

    def settle(self) -> None:
        """Wait until duplicate address detection is done."""
        deadline = time.monotonic() + 10
        while "tentative" in self.ip("-6 addr"):
            assert time.monotonic() < deadline, self.ip("-6 addr")
            time.sleep(0.05)

    def sysctl(self, path: str, value: str) -> None:
        """Set a value below /proc/sys/net."""
        with self.entered(), open(f"/proc/sys/net/{path}", "w") as file:
            file.write(value)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Have this thread in the namespace."""
        from runsc.sandbox.network import Entered

        with Entered(self.path):
            yield


@contextmanager
def namespaces(count: int, *, dad: bool = False) -> Iterator[list[Namespace]]:
    """Make namespaces with their `lo` up, and remove them.

    Without `dad` no second is spent on finding out that an IPv6 address is unique.
    """
    made = []
    try:
        for _ in range(count):
            namespace = Namespace(f"runsc-test-{os.getpid()}-{next(_numbers)}")
            run_ip("netns", "add", namespace.name)
            made.append(namespace)
            namespace.ip("link set lo up")
            if not dad:
                namespace.sysctl("ipv6/conf/default/accept_dad", "0")
        yield made
    finally:
        for namespace in made:
            run_ip("netns", "del", namespace.name)
