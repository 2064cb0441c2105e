"""Containers that share a network namespace, and so a sandbox."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_network import configure, connect, create
from tests.harness.bundle import Bundle, Runtime
from tests.harness.netns import Namespace, namespaces

Make = Callable[..., Bundle]
SERVE = "while :; do echo from $HOSTNAME | nc -l -p 7000; done"


class Running:
    """A container in the background."""

    def __init__(self, runtime: Runtime, bundle: Bundle) -> None:
        self.runtime = runtime
        self.bundle = bundle
        self.id = bundle.id
        self.pid = create(runtime, bundle)
        runtime("start", bundle.id).check()

    def status(self) -> str:
        """Return what `state` says."""
        return str(self.runtime.inspect(self.id)["status"])

    def printed(self) -> str:
        """Return what it has written so far."""
        return (self.bundle.path / "out").read_text()

    def wait(self) -> int:
        """Return the status that whoever started it sees."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def exec(self, script: str) -> str:
        """Return what a shell in it prints."""
        return self.runtime("exec", self.id, "/bin/sh", "-c", script).check().out

    def delete(self) -> None:
        """End and remove it."""
        self.runtime("delete", "--force", self.id).check()
        os.waitpid(self.pid, 0)


@pytest.fixture
def shared() -> Iterator[Namespace]:
    """Return a network namespace with an interface."""
    with namespaces(2) as (inner, outer):
        connect(inner.name, outer)
        configure(inner.ip)
        yield inner


@pytest.fixture
def make(make_bundle: Make, busybox_rootfs: Path, shared: Namespace) -> Make:
    """Return a function that makes bundles for the namespace."""

    def make(script: str, tree: Path = busybox_rootfs, **changes: Any) -> Bundle:
        bundle = make_bundle(tree, ["/bin/sh", "-c", script])
        for namespace in bundle.config["linux"]["namespaces"]:
            path = changes.pop(namespace["type"], "")
            if path:
                namespace["path"] = path
            elif namespace["type"] == "network":
                namespace["path"] = shared.path
        bundle.config.update(changes)
        bundle.write()
        return bundle

    return make


@pytest.fixture
def first(runtime: Runtime, make: Make) -> Iterator[Running]:
    """Return a running container that the others join."""
    made = Running(runtime, make(SERVE, hostname="first"))
    yield made
    if made.id in runtime.leftovers():
        made.delete()
