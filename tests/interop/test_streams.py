"""TCP between Linux and a container, over a plain veth and over bad links.

Every conversation of guest/talk.py takes place eight times at once: with a container and with a
machine on Linux in its place, which proves the conversation; begun by either end; over IPv4 and
IPv6.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.harness.bundle import Runtime
from tests.harness.lossy import (
    LEFT4,
    LEFT6,
    RIGHT4,
    RIGHT6,
    LossyLink,
    can_compile,
    link,
    lossy_link,
)
from tests.harness.machine import Machine
from tests.harness.outcome import Outcome
from tests.interop.conftest import KERNELS, machines, wait_for_port

pytestmark = [
    pytest.mark.root,
    pytest.mark.guest,
    pytest.mark.skipif(not can_compile(), reason="no compiler"),
]

PORT = 7
MUCH = (
    "bulk=6000000 half=300000 half_back=300000 urgent=5 inline=5 slow=400000 small=100 many=60 "
    "reset reset_back idle=3"
)
LITTLE = (
    "bulk=200000 half=60000 half_back=60000 urgent=3 inline=3 slow=60000 small=20 many=15 "
    "reset reset_back"
)
LEAST = "bulk=40000 half=20000 half_back=20000 urgent=1 inline=1 small=5 many=5 reset reset_back"
BAD = {
    "all": (
        {"loss": 0.02, "reorder": 0.05, "hold": 8, "duplicate": 0.02, "delay": 20},
        f"{LITTLE} idle=3",
    ),
    "much loss": ({"loss": 0.1, "delay": 2}, LEAST),
    "no order": ({"reorder": 0.05, "hold": 8, "delay": 5, "duplicate": 0.1}, LITTLE),
    "far away": ({"loss": 0.01, "delay": 100}, LEAST),
    "narrow": ({"rate": 500_000, "queue": 15_000, "delay": 10}, LITTLE),
}
GOOD = dict.fromkeys(("loss", "delay", "reorder", "hold", "duplicate", "rate", "queue", "mtu"), 0.0)


class Pair:
    """Two machines, and what is between them."""

    def __init__(self, peer: Machine, box: Machine, bad: LossyLink | None) -> None:
        self.peer = peer
        self.box = box
        self._bad = bad

    @property
    def bad(self) -> LossyLink:
        assert self._bad
        return self._bad

    def ways(self) -> list[tuple[Machine, str]]:
        """Return who connects, and to what address."""
        return [(self.box, LEFT4), (self.peer, RIGHT4), (self.box, LEFT6), (self.peer, RIGHT6)]

    def talk(self, cases: str, timeout: float) -> list[Outcome]:
        """Have the conversations every way at once."""

        def have(way: tuple[Machine, str]) -> Outcome:
            machine, address = way
            script = f"python3 /talk.py client {address} {PORT} {cases}"
            return machine.run(script, timeout=timeout)

        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(have, self.ways()))

    def logs(self) -> str:
        return f"the peer's: {self.peer.log()}\nthe machine's: {self.box.log()}"


class Pairs:
    """A pair for each kernel, on a link of its own."""

    def __init__(self, pairs: dict[str, Pair]) -> None:
        self.pairs = pairs

    def all(self) -> list[Pair]:
        return list(self.pairs.values())

    def set(self, **settings: float) -> None:
        """Change all links."""
        for pair in self.all():
            pair.bad.set(**settings)

    def talk(self, cases: str, timeout: float = 60.0) -> dict[str, list[Outcome]]:
        """Have the conversations of all pairs at once."""
        with ThreadPoolExecutor(len(self.pairs)) as pool:
            found = pool.map(lambda pair: pair.talk(cases, timeout), self.all())
            return dict(zip(self.pairs, found, strict=True))

    def expect(self, cases: str) -> None:
        """Have conversations, all of which succeed."""
        wanted = sorted(f"{case.partition('=')[0]} ok" for case in cases.split())
        for kernel, outcomes in self.talk(cases).items():
            pair = self.pairs[kernel]
            for (_, address), outcome in zip(pair.ways(), outcomes, strict=True):
                said = sorted(outcome.out.splitlines())
                what = f"{kernel}, to {address}: {outcome.describe()}\n{pair.logs()}"
                assert said == wanted, what
                assert outcome.status == 0, what


def make_pair(stack: ExitStack, runtime: Runtime, tree: Path, kernel: str, bad: bool) -> Pair:
    middle = stack.enter_context(lossy_link(1)) if bad else None
    left, right = (middle.left, middle.right) if middle else stack.enter_context(link())
    make = stack.enter_context(machines())
    peer = make("native", runtime, tree, left)
    box = make(kernel, runtime, tree, right)
    for machine in (peer, box):
        machine.switch_on()
        machine.start(f"exec python3 /talk.py server {PORT}")
    wait_for_port(peer, RIGHT4, PORT, box)
    # From the machine's side; its own namespace has no addresses any more.
    box.run(f"until python3 /talk.py client {LEFT4} {PORT} echo; do sleep 0.1; done", timeout=20)
    return Pair(peer, box, middle)


@pytest.fixture(scope="module")
def plain(runtime: Runtime, network_rootfs: Path) -> Iterator[Pairs]:
    """Return machines with a veth between them."""
    with ExitStack() as stack:
        yield Pairs({k: make_pair(stack, runtime, network_rootfs, k, False) for k in KERNELS})


@pytest.fixture(scope="module")
def bad_pairs(runtime: Runtime, network_rootfs: Path) -> Iterator[Pairs]:
    """Return machines with bad links between them."""
    with ExitStack() as stack:
        yield Pairs({k: make_pair(stack, runtime, network_rootfs, k, True) for k in KERNELS})


@pytest.fixture
def lossy(bad_pairs: Pairs) -> Iterator[Pairs]:
    """Return them for one test, which sets what is wrong with the links."""
    for pair in bad_pairs.all():
        pair.bad.seed(1)
        pair.bad.stats()
    yield bad_pairs
    bad_pairs.set(**GOOD)


def test_over_a_veth(plain: Pairs) -> None:
    plain.expect(MUCH)


@pytest.mark.parametrize("name", BAD)
def test_over_a_bad_link(lossy: Pairs, name: str) -> None:
    settings, cases = BAD[name]
    lossy.set(**settings)
    lossy.expect(cases)
    for pair in lossy.all():
        both = pair.bad.stats()
        # The link was as bad as it should be.
        for vice, counter in (
            ("loss", "lost"),
            ("reorder", "reordered"),
            ("duplicate", "doubled"),
            ("queue", "overflowed"),
        ):
            for way in ("lr", "rl"):
                assert bool(both[way][counter]) == (vice in settings), (vice, both)


def test_a_hole_in_the_path_for_large_packets(lossy: Pairs) -> None:
    """Packets above 1200 bytes vanish: tcp_mtu_probing finds that out (RFC 4821)."""
    for pair in lossy.all():
        for machine in (pair.peer, pair.box):
            machine.namespace.sysctl("ipv4/tcp_mtu_probing", "1")
    lossy.set(mtu=1200)
    lossy.expect("bulk=100000")
    for pair in lossy.all():
        both = pair.bad.stats()
        assert both["lr"]["too_big"]
        assert both["rl"]["too_big"]


def test_keepalive_finds_a_dead_network(lossy: Pairs) -> None:
    with ThreadPoolExecutor(1) as pool:
        talks = pool.submit(lossy.talk, "dead", 30.0)
        # So long that keepalive has begun.
        time.sleep(2.5)
        lossy.set(loss=1)
        outcomes = talks.result()
    for kernel, found in outcomes.items():
        pair = lossy.pairs[kernel]
        said = [outcome.out for outcome in found]
        assert said == ["ready\ndead ok\n"] * 4, f"{kernel}: {found[0].describe()} {pair.logs()}"
        for machine in (pair.peer, pair.box):
            deadline = time.monotonic() + 5
            while machine.log().count("the server timed out") != 2:
                assert time.monotonic() < deadline, f"{kernel}: {machine.log()}"
                time.sleep(0.05)
