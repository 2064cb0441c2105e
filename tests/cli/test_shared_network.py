"""Several containers in one network namespace: who gets it, and what the others are told."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.test_network import NETWORK, configure, connect, create
from tests.harness.bundle import Bundle, Runtime
from tests.harness.netns import Namespace, namespaces

pytestmark = [pytest.mark.root, pytest.mark.guest]

Make = Callable[..., Bundle]
REFUSED = "the interfaces of the network namespace are those of container"
INTERFACES = "cut -d: -f1 /proc/net/dev | tail -n +3 | xargs"


@pytest.fixture
def shared() -> Iterator[Namespace]:
    with namespaces(2) as (inner, outer):
        connect(inner.name, outer)
        configure(inner.ip)
        yield inner


@pytest.fixture
def make(make_bundle: Make, busybox_rootfs: Path, shared: Namespace) -> Make:
    """Return a function that makes bundles for the namespace."""

    def make(script: str, kind: str = "") -> Bundle:
        bundle = make_bundle(busybox_rootfs, ["/bin/sh", "-c", script])
        for namespace in bundle.config["linux"]["namespaces"]:
            if namespace["type"] == "network":
                namespace["path"] = shared.path
        if kind:
            bundle.config["annotations"] = {"io.kubernetes.cri.container-type": kind}
        bundle.write()
        return bundle

    return make


def run(runtime: Runtime, bundle: Bundle) -> str:
    done = runtime(NETWORK, "run", "--bundle", str(bundle.path), bundle.id)
    return done.out if done.status == 0 else done.err


def end(runtime: Runtime, bundle: Bundle, pid: int) -> None:
    runtime("delete", "--force", bundle.id).check()
    os.waitpid(pid, 0)


def test_the_second_joins_the_first_until_that_is_gone(
    runtime: Runtime, make: Make, shared: Namespace
) -> None:
    before = shared.snapshot()
    first, second = make("sleep 100"), make(INTERFACES)
    pid = create(runtime, first, NETWORK)
    runtime("start", first.id).check()
    taken = shared.snapshot()
    assert run(runtime, second) == "lo eth0\n"
    assert shared.snapshot() == taken
    assert runtime("exec", first.id, "cat", "/proc/net/dev").check().out.count("eth0") == 1
    end(runtime, first, pid)
    assert shared.snapshot() == before
    assert run(runtime, second) == "lo eth0\n"
    assert shared.snapshot() == before


def test_of_two_that_are_created_the_first_to_start_wins(
    runtime: Runtime, make: Make, shared: Namespace
) -> None:
    before = shared.snapshot()
    first, second = make("sleep 100"), make("sleep 100")
    pids = [create(runtime, bundle, NETWORK) for bundle in (first, second)]
    runtime("start", second.id).check()
    done = runtime("start", first.id)
    assert done.status != 0
    assert f"{REFUSED} '{second.id}'" in done.err
    shown = runtime("exec", second.id, "ip", "-4", "addr").check().out
    assert "10.9.0.2/24" in shown
    end(runtime, first, pids[0])
    assert shared.snapshot() != before
    end(runtime, second, pids[1])
    assert shared.snapshot() == before


def test_a_container_without_a_network_may_be_there_too(
    runtime: Runtime, make: Make, shared: Namespace
) -> None:
    first, second = make("sleep 100"), make(INTERFACES)
    pid = create(runtime, first, NETWORK)
    runtime("start", first.id).check()
    done = runtime("--network=none", "run", "--bundle", str(second.path), second.id).check()
    assert done.out == "lo\n"
    end(runtime, first, pid)


def test_what_stands_for_a_pod_has_the_network_of_all(
    runtime: Runtime, make: Make, shared: Namespace
) -> None:
    before = shared.snapshot()
    pause, first = make("sleep 100", "sandbox"), make(INTERFACES, "container")
    pid = create(runtime, pause, NETWORK)
    runtime("start", pause.id).check()
    assert run(runtime, first) == "lo eth0\n"
    end(runtime, pause, pid)
    assert shared.snapshot() == before
