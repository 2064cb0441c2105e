"""Netlink: hostile requests are answered with errors, and nothing else happens."""

from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netstack.endpoint import Address
from sentry.abi.errno import EBUSY, EINVAL, ENOBUFS, EPERM
from sentry.errors import SysError
from sentry.mm.io import KernelSink, KernelSource
from sentry.socket import diag_filter
from sentry.socket.base import Message
from sentry.socket.net_setup import make_network
from sentry.socket.netlink import NetlinkSocket
from sentry.socket.netlink_wire import parse_attributes, parse_messages
from sentry.socket.socket_rows import SocketRow
from tests.fake_task import FakeTask

GETS = (18, 22, 26, 30, 34, 38)
CHANGES = (16, 19, 20, 21, 24, 25, 28, 29, 32, 33)


@pytest.fixture(name="task")
def task_with_network() -> FakeTask:
    task = FakeTask(pid=2)
    make_network(task.kernel, allows_raw=True)
    task.creds.effective = 1 << 12
    return task


def opened(task: FakeTask, protocol: int = 0) -> NetlinkSocket:
    return NetlinkSocket(task, task.kernel.network, 3, protocol)


def request(kind: int, payload: bytes, flags: int = 1) -> bytes:
    return pack("<IHHII", 16 + len(payload), kind, flags, 9, 0) + payload


def send(task: FakeTask, sock: NetlinkSocket, data: bytes) -> None:
    assert sock.try_send(task, KernelSource(data), Message(b""), b"", 0) == len(data)


def drain(sock: NetlinkSocket) -> list[bytes]:
    found = []
    while True:
        sink = KernelSink(1 << 16)
        try:
            if sock.try_receive(sink, Message(b""), 0) is None:
                return found
        except SysError as error:
            if error.errno != ENOBUFS:
                raise
            continue
        found.append(bytes(sink.data))


def error_of(answers: list[bytes]) -> int:
    return -int.from_bytes(answers[-1][16:20], "little", signed=True)


ATTRIBUTES = st.lists(
    st.tuples(st.integers(0, 40), st.binary(max_size=20)).map(
        lambda item: (pack("<HH", 4 + len(item[1]), item[0]) + item[1]).ljust(
            (4 + len(item[1]) + 3) & ~3, b"\0"
        )
    ),
    max_size=5,
).map(b"".join)
HEADS = st.one_of(
    st.binary(max_size=60),
    st.tuples(
        st.sampled_from((0, 2, 10)),
        st.integers(0, 130),
        st.binary(min_size=2, max_size=2),
        st.sampled_from((0, 1, 2)),
        ATTRIBUTES,
    ).map(lambda item: bytes(item[:2]) + item[2] + pack("<I", item[3]) + bytes(4) + item[4]),
)


@settings(max_examples=400, deadline=None)
@given(
    kind=st.sampled_from((*GETS, *CHANGES, 250)),
    flags=st.integers(0, 0xFFF),
    payload=HEADS,
    cut=st.integers(0, 80),
)
def test_hostile_route_requests(kind: int, flags: int, payload: bytes, cut: int) -> None:
    task = FakeTask(pid=2)
    make_network(task.kernel, allows_raw=True)
    task.creds.effective = 1 << 12
    sock = opened(task)
    send(task, sock, request(kind, payload, flags | 1))
    send(task, sock, request(kind, payload, flags | 1)[:cut])
    drain(sock)


@settings(max_examples=300, deadline=None)
@given(
    payload=st.binary(max_size=120), family=st.sampled_from((1, 2, 10)), flags=st.integers(0, 0xFFF)
)
def test_hostile_diag_requests(payload: bytes, family: int, flags: int) -> None:
    task = FakeTask(pid=2)
    make_network(task.kernel, allows_raw=True)
    sock = opened(task, 4)
    send(task, sock, request(20, bytes((family, 6)) + payload, flags | 1))
    drain(sock)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_parsing_never_fails_otherwise(data: bytes) -> None:
    for found in parse_messages(data):
        assert len(found.whole) >= 16
    row = SocketRow(2, 1, Address(b"\x7f\0\0\1", 1), Address(b"", 0))
    for call in (lambda: parse_attributes(data, 0), lambda: diag_filter.matches(data, row)):
        try:
            call()
        except SysError as error:
            if error.errno != EINVAL:
                raise


def test_a_dump_ends_with_done(task: FakeTask) -> None:
    sock = opened(task)
    send(task, sock, request(18, bytes(16), 0x301))
    link, done = drain(sock)
    assert link[4:8] == pack("<HH", 16, 2)
    assert b"lo\0" in link
    assert done[4:8] == pack("<HH", 3, 2)


def test_a_second_dump_waits_for_the_first(task: FakeTask) -> None:
    sock = opened(task)
    send(task, sock, request(18, bytes(16), 0x301))
    send(task, sock, request(18, bytes(16), 0x301))
    answers = drain(sock)
    assert error_of(answers) == EBUSY
    send(task, sock, request(18, bytes(16), 0x301))
    assert len(drain(sock)) == 2


def test_changes_need_the_capability(task: FakeTask) -> None:
    task.creds.effective = 0
    sock = opened(task)
    for kind in CHANGES:
        send(task, sock, request(kind, bytes(32)))
        assert error_of(drain(sock)) == EPERM


def test_what_nobody_reads_is_bounded(task: FakeTask) -> None:
    sock = opened(task)
    for _ in range(2000):
        send(task, sock, request(18, pack("<BxHiII", 0, 0, 1, 0, 0)))
    with pytest.raises(SysError) as caught:
        sock.try_receive(KernelSink(100), Message(b""), 0)
    assert caught.value.errno == ENOBUFS
    assert sum(len(answer) for answer in drain(sock)) < sock.receive_buffer


def test_news_goes_to_members_only(task: FakeTask) -> None:
    member, other, sender = opened(task), opened(task), opened(task)
    member.bind(task, pack("<HHII", 16, 0, 0, 1 << 4))
    address = pack("<BBBBI", 2, 24, 0, 0, 1) + pack("<HH4s", 8, 2, b"\x0a\0\0\1")
    send(task, sender, request(20, address, 0x605))
    assert [answer[4:6] for answer in drain(member)] == [b"\x14\0"]
    assert drain(other) == []
    member.release()
    assert member not in task.kernel.network.watchers
