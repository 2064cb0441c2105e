"""Machines at both ends of a link: the peer on Linux, the one that is tested on either kernel."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from scripts import rootfs
from tests.harness.bundle import Runtime
from tests.harness.machine import Machine, NativeMachine, SandboxMachine
from tests.harness.netns import Namespace

GUESTS = Path(__file__).with_name("guest")
KERNELS = ("native", "sandbox")
MakeMachine = Callable[..., Machine]


@pytest.fixture(scope="session")
def network_rootfs() -> Path:
    """Return a Debian (or Ubuntu) system with servers and clients; only to be read."""
    return rootfs.network()


@contextmanager
def machines() -> Iterator[Callable[[str, Runtime, Path, Namespace], Machine]]:
    """Yield a function that makes machines, which are closed at the end."""
    with ExitStack() as stack:

        def make(kernel: str, runtime: Runtime, tree: Path, namespace: Namespace) -> Machine:
            machine = (
                stack.enter_context(NativeMachine(tree, namespace))
                if kernel == "native"
                else stack.enter_context(SandboxMachine(runtime, tree, namespace, ("--net-raw",)))
            )
            for guest in GUESTS.iterdir():
                (machine.root / guest.name).write_bytes(guest.read_bytes())
            return machine

        yield make


def wait_for_port(seen_from: Machine, address: str, port: int, server: Machine) -> None:
    """Wait until a server accepts connections."""
    deadline = time.monotonic() + 20
    while True:
        with seen_from.namespace.entered():
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_STREAM)
        with sock:
            sock.settimeout(2)
            if sock.connect_ex((address, port)) == 0:
                return
        assert time.monotonic() < deadline, f"{address} port {port}: {server.log()}"
        time.sleep(0.05)
