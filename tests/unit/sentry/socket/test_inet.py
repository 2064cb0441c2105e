"""Internet sockets without a guest: handlers over the loopback device, tables, errors."""

from struct import pack

import pytest

from netstack import errors
from netstack.tcp.info import TcpInfo
from sentry.abi import errno
from sentry.abi import socket as abi
from sentry.abi.types import Fd, Int, Size, UserPtr
from sentry.errors import SysError
from sentry.socket.net_errors import ERRNOS, errno_of
from sentry.socket.net_setup import make_network
from sentry.socket.option_table import OPTIONS
from sentry.socket.tcp_info import pack_tcp_info
from sentry.syscalls.socket import (
    sys_accept4,
    sys_bind,
    sys_connect,
    sys_listen,
    sys_recvfrom,
    sys_sendto,
    sys_setsockopt,
    sys_socket,
)
from tests.fake_task import BASE, FakeTask, Running, call
from tests.unit.sentry.syscalls.test_read_write import BUFFER

NULL = UserPtr(0)
AT = UserPtr(BASE + 0x100)


@pytest.fixture(name="task")
def task_with_network() -> FakeTask:
    task = FakeTask(pid=2)
    make_network(task.kernel, allows_raw=False)
    return task


def opened(task: FakeTask, kind: int = 1, family: int = 2, protocol: int = 0) -> Fd:
    return Fd(call(task, lambda: sys_socket(task, Int(family), Int(kind), Int(protocol))))


def at(task: FakeTask, port: int) -> Int:
    task.memory.write(AT, abi.pack_sockaddr_in(b"\x7f\0\0\1", port))
    return Int(16)


def listening(task: FakeTask, port: int) -> Fd:
    fd = opened(task)
    assert call(task, lambda: sys_bind(task, fd, AT, at(task, port))) == 0
    assert call(task, lambda: sys_listen(task, fd, Int(1))) == 0
    return fd


def test_connect_send_and_receive(task: FakeTask) -> None:
    listener = listening(task, 4000)
    client = opened(task)
    assert call(task, lambda: sys_connect(task, client, AT, at(task, 4000))) == 0
    server = Fd(call(task, lambda: sys_accept4(task, listener, NULL, NULL, Int(0))))
    task.memory.write(BUFFER, b"hello")
    sent = call(task, lambda: sys_sendto(task, client, BUFFER, Size(5), Int(0), NULL, Int(0)))
    assert sent == 5
    task.memory.write(BUFFER, bytes(5))
    got = call(task, lambda: sys_recvfrom(task, server, BUFFER, Size(9), Int(0), NULL, NULL))
    assert got == 5
    assert task.memory.read(BUFFER, 5) == b"hello"
    reading = Running(task, lambda: sys_recvfrom(task, server, BUFFER, Size(9), Int(0), NULL, NULL))
    assert reading.is_blocked
    task.fds.close(client, task)
    assert reading.resume() == 0


def test_refused_and_what_is_not_there(task: FakeTask) -> None:
    client = opened(task)
    assert call(task, lambda: sys_connect(task, client, AT, at(task, 1))) == -errno.ECONNREFUSED
    assert opened(task, 3, 2, 1) == -errno.EPERM
    assert opened(task, 2, 2, 1) == -errno.EACCES
    assert opened(task, 5) == -errno.ESOCKTNOSUPPORT
    assert opened(task, 1, 2, 17) == -errno.EPROTONOSUPPORT
    assert opened(task, 3, 17) == -errno.EPERM


def test_a_socket_that_found_no_descriptor_leaves_nothing(task: FakeTask) -> None:
    network = task.kernel.network
    while (fd := opened(task, 3, 16)) >= 0:
        last = fd
    assert fd == -errno.EMFILE
    before = len(network.watchers)
    assert opened(task, 3, 16) == -errno.EMFILE
    assert len(network.watchers) == before
    task.fds.close(last, task)
    assert len(network.watchers) == before - 1


def test_options_too_short_or_unknown(task: FakeTask) -> None:
    fd = opened(task)
    task.memory.write(AT, pack("<i", 1))
    for level, option, size, expected in (
        (1, 2, 4, 0),
        (1, 2, 3, -errno.EINVAL),
        (6, 1, 4, 0),
        (6, 999, 4, -errno.ENOPROTOOPT),
        (6, 999, 1, -errno.EINVAL),
        (0, 1, 1, 0),
        (99, 1, 4, -errno.ENOPROTOOPT),
    ):
        done = call(
            task,
            lambda level=level, option=option, size=size: sys_setsockopt(
                task, fd, Int(level), Int(option), AT, Int(size)
            ),
        )
        assert done == expected, (level, option, size)


def test_every_error_of_the_stack_has_an_errno() -> None:
    codes = [
        value for name, value in vars(errors).items() if name.isupper() and isinstance(value, int)
    ]
    assert sorted(ERRNOS) == sorted(codes)
    assert errno_of(0) == 0


def test_rows_of_the_option_table_are_consistent() -> None:
    for (level, number), row in OPTIONS.items():
        assert (row.level, row.number) == (level, number)
        assert row.low <= row.high
        assert row.checked(max(row.low, min(row.high, 1))) is not None


def test_tcp_info_has_the_size_of_the_struct() -> None:
    assert len(pack_tcp_info(TcpInfo())) == 240


@pytest.mark.parametrize(
    ("path", "good", "shown", "bad"),
    [
        (b"net/ipv4/ip_forward", b"1\n", b"1\n", b"2"),
        (b"net/ipv4/ip_local_port_range", b"100 200", b"100\t200\n", b"9 1"),
        (b"net/ipv4/ping_group_range", b"7 3", b"1\t0\n", b"1"),
        (b"net/ipv4/ip_local_reserved_ports", b"5,7-9\n", b"5,7-9\n", b"9-7"),
        (b"net/ipv4/tcp_congestion_control", b"reno\n", b"reno\n", None),
        (b"net/core/somaxconn", b"7", b"7\n", b"x"),
        (b"net/ipv4/tcp_fin_timeout", b"30", b"30\n", b"-1"),
        (b"net/ipv4/tcp_rmem", b"1 2 3", b"1\t2\t3\n", b"1 2"),
        (b"net/ipv4/conf/lo/rp_filter", b"2", b"2\n", b""),
        (b"net/ipv6/conf/lo/disable_ipv6", b"1", b"1\n", b"2"),
    ],
)
def test_settings(
    task: FakeTask, path: bytes, good: bytes, shown: bytes, bad: bytes | None
) -> None:
    network = task.kernel.network
    network.write_sysctl(path, good, None)
    assert network.read_sysctl(path) == shown
    if bad is not None:
        with pytest.raises(SysError) as caught:
            network.write_sysctl(path, bad, None)
        assert caught.value.errno == errno.EINVAL
