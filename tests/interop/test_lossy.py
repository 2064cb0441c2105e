"""The bad link itself: it does what it was told, and the same again with the same seed."""

import itertools
import select
import socket
import struct
import time
from collections.abc import Iterator

import pytest

from tests.harness.lossy import LEFT4, RIGHT4, LossyLink, can_compile, lossy_link
from tests.harness.netns import Namespace

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not can_compile(), reason="no compiler"),
]

ETHERTYPE = 0x88B5  # for local experiments (IEEE 802)
QUIET_S = 0.15  # after so long nothing more is on its way
COUNT = 2000


@pytest.fixture(scope="module")
def bare() -> Iterator[LossyLink]:
    """Return a link that only our frames cross."""
    with lossy_link(1, bare=True) as bad:
        wait_for_carrier(bad)
        yield bad


CLEAN = dict.fromkeys(
    ("loss", "duplicate", "reorder", "delay", "hold", "rate", "queue", "mtu", "drop_next"), 0.0
)


@pytest.fixture
def bad(bare: LossyLink) -> LossyLink:
    """Return the link without any vice, and with its first random numbers before it."""
    bare.set(**CLEAN)
    bare.seed(1)
    bare.stats()
    return bare


def packet_socket(end: Namespace) -> socket.socket:
    with end.entered():
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    wire.setsockopt(263, 23, 1)  # SOL_PACKET, PACKET_IGNORE_OUTGOING
    wire.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
    wire.bind(("eth0", ETHERTYPE))
    return wire


def wait_for_carrier(bad: LossyLink) -> None:
    """Wait until a frame crosses the link each way."""
    with packet_socket(bad.left) as left, packet_socket(bad.right) as right:
        for sender, receiver in ((left, right), (right, left)):
            deadline = time.monotonic() + 5
            while not select.select([receiver], [], [], 0.05)[0]:
                assert time.monotonic() < deadline
                sender.send(frame(0, 60))


def frame(number: int, length: int) -> bytes:
    head = b"\xff" * 6 + b"\x02\0\0\0\0\1" + struct.pack("!HI", ETHERTYPE, number)
    return head.ljust(length, b"\0")


class Arrivals:
    """The numbers of the frames that came, and the seconds since the first was sent."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.times: list[float] = []

    def take(self, wire: socket.socket, begun: float, timeout: float) -> bool:
        if not select.select([wire], [], [], timeout)[0]:
            return False
        data = wire.recv(65536)
        self.times.append(time.monotonic() - begun)
        self.numbers.append(struct.unpack_from("!I", data, 14)[0])
        return True


def pass_frames(
    bad: LossyLink, count: int, length: int = 60, quiet: float = QUIET_S, back: bool = False
) -> Arrivals:
    """Send numbered frames from left to right (or back); return what arrived."""
    ends = (bad.right, bad.left) if back else (bad.left, bad.right)
    found = Arrivals()
    with packet_socket(ends[0]) as sender, packet_socket(ends[1]) as receiver:
        begun = time.monotonic()
        for number in range(count):
            sender.send(frame(number, length))
            if number % 100 == 99:
                while found.take(receiver, begun, 0.0):
                    pass
        while found.take(receiver, begun, quiet):
            pass
    return found


def likely(found: int, count: int, share: float) -> bool:
    """Return whether a binomial number is within five standard deviations (1 in 1.7 million)."""
    return bool(abs(found - count * share) <= 5 * (count * share * (1 - share)) ** 0.5)


def test_a_good_link_changes_nothing(bad: LossyLink) -> None:
    for back in (False, True):
        assert pass_frames(bad, COUNT, back=back).numbers == list(range(COUNT))
    stats = bad.stats()
    for direction in ("lr", "rl"):
        got = stats[direction]
        assert (got["received"], got["sent"], got["bytes"]) == (COUNT, COUNT, COUNT * 60)
        assert not any(got[name] for name in ("lost", "overflowed", "missed", "refused", "doubled"))


@pytest.mark.parametrize("loss", [0.01, 0.1])
def test_so_many_are_lost(bad: LossyLink, loss: float) -> None:
    bad.set("lr", loss=loss)
    there = pass_frames(bad, COUNT).numbers
    assert pass_frames(bad, 100, back=True).numbers == list(range(100))
    lost = bad.stats()["lr"]["lost"]
    assert len(there) == COUNT - lost
    assert likely(lost, COUNT, loss)
    assert there == sorted(set(there))


def test_the_seed_decides_what_is_lost(bad: LossyLink) -> None:
    bad.set(loss=0.1)
    runs = []
    for seed in (5, 5, 6):
        bad.seed(seed)
        runs.append(pass_frames(bad, 500).numbers)
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    bad.seed(5)
    assert pass_frames(bad, 500, back=True).numbers != runs[0]


def test_the_same_frames_are_lost_whatever_else_happens(bad: LossyLink) -> None:
    bad.set(loss=0.1)
    alone = pass_frames(bad, 500).numbers
    bad.seed(1)
    bad.set(duplicate=0.1, reorder=0.1, hold=5)
    assert sorted(set(pass_frames(bad, 500).numbers)) == alone


def test_losses_do_not_follow_one_another(bad: LossyLink) -> None:
    """As often as by chance a frame is lost after another one that was."""
    bad.set(loss=0.1)
    arrived = set(pass_frames(bad, 4000).numbers)
    lost = [number not in arrived for number in range(4000)]
    pairs = sum(a and b for a, b in itertools.pairwise(lost))
    assert likely(pairs, sum(lost), 0.1)


def test_the_next_ones_are_lost(bad: LossyLink) -> None:
    bad.set("lr", drop_next=3)
    assert pass_frames(bad, 10).numbers == list(range(3, 10))


@pytest.mark.parametrize("delay", [10, 200])
def test_all_are_delayed(bad: LossyLink, delay: int) -> None:
    bad.set("lr", delay=delay)
    late = []
    for _ in range(4):
        got = pass_frames(bad, 1, quiet=delay / 1000 + 0.05)
        assert got.numbers == [0]
        late.append(got.times[0] - delay / 1000)
    assert 0 <= min(late) < 0.01, late


def test_some_come_twice(bad: LossyLink) -> None:
    bad.set("lr", duplicate=0.05)
    numbers = pass_frames(bad, COUNT).numbers
    doubled = bad.stats()["lr"]["doubled"]
    assert sorted(set(numbers)) == list(range(COUNT))
    assert len(numbers) == COUNT + doubled
    assert likely(doubled, COUNT, 0.05)


def test_some_are_overtaken(bad: LossyLink) -> None:
    bad.set("lr", reorder=0.05, hold=3, rate=2_000_000)
    numbers = pass_frames(bad, COUNT, 100).numbers
    held = bad.stats()["lr"]["reordered"]
    assert sorted(numbers) == list(range(COUNT))
    assert likely(held, COUNT, 0.05)
    # 3 ms are 60 frames; one is overtaken unless it was sent among the last.
    overtaken = sum(b < a for a, b in itertools.pairwise(numbers))
    assert 0.6 * held <= overtaken <= held


def test_no_more_pass_than_the_rate_allows(bad: LossyLink) -> None:
    bad.set("lr", rate=500_000)
    got = pass_frames(bad, 300, 1000)
    assert got.numbers == list(range(300))
    taken = got.times[-1] - got.times[0]
    assert 0.598 - 0.02 <= taken < 1.0
    # And evenly, not in one burst.
    assert abs(got.times[150] - got.times[0] - taken / 2) < 0.15


def test_a_full_queue_drops(bad: LossyLink) -> None:
    bad.set("lr", rate=100_000, queue=10_000)
    got = pass_frames(bad, 100, 1000)
    dropped = bad.stats()["lr"]["overflowed"]
    # Ten wait; some of those after them find that one has left meanwhile.
    assert got.numbers[:10] == list(range(10))
    assert len(got.numbers) == 100 - dropped
    assert dropped >= 80


def test_what_is_too_large_vanishes(bad: LossyLink) -> None:
    bad.set("lr", mtu=1000)
    assert pass_frames(bad, 5, 1014).numbers == list(range(5))
    assert pass_frames(bad, 5, 1015).numbers == []
    assert bad.stats()["lr"]["too_big"] == 5


def test_commands_that_make_no_sense(bad: LossyLink) -> None:
    for line in ("set up loss 1", "set lr nothing 1", "set lr loss", "do it", ""):
        with pytest.raises(AssertionError, match="bad command"):
            bad.command(line)


def internet_checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) // 2 * 2]))
    total += data[-1] << 8 if len(data) % 2 else 0
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def test_what_crosses_it_are_whole_packets() -> None:
    """No larger than the MTU, and with checksums; and the forwarder ends with the link."""
    with lossy_link(1, delay=1) as bad:
        with bad.right.entered():
            wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            wire.bind(("eth0", 0x0800))
            server = socket.create_server((RIGHT4, 0))
        with bad.left.entered():
            client = socket.create_connection((RIGHT4, server.getsockname()[1]), 5)
        accepted, peer = server.accept()
        assert peer[0] == LEFT4
        with wire, server, client, accepted:
            client.sendall(bytes(100_000))
            got = 0
            while got < 100_000:
                got += len(accepted.recv(65536))
            sizes = []
            while select.select([wire], [], [], 0.05)[0]:
                packet, sender = wire.recvfrom(70000)
                if sender[2] == socket.PACKET_OUTGOING:
                    continue
                length = int.from_bytes(packet[16:18], "big")
                segment = packet[34 : 14 + length]
                pseudo = packet[26:34] + struct.pack("!HH", 6, len(segment))
                assert internet_checksum(pseudo + segment) == 0
                sizes.append(len(packet))
        process = bad.process
    assert max(sizes) == 1514
    assert process.returncode == 0
