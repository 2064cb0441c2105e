"""Docker's resolver: noticing it in a network namespace, and starting the relay to it.

On networks of the user's own dockerd listens inside the container's namespace,
on ports of 127.0.0.11 that rules of iptables translate port 53 to.  From sockets
in that namespace it also asks the servers outside, which take-over would keep
it from.  So what the namespace itself sends to port 53, to whatever address, is
delivered there: a rule leads it to a table that calls all addresses local, as
for transparent proxies (Documentation/networking/tproxy.rst).  Nothing that
comes in from outside meets that rule, and nothing else can leave.
"""

import _socket
import posix

from config.relay import DNS_PORT, RESOLVER
from runsc.errors import RunscError, describe
from runsc.log import LOG, one_line
from runsc.sandbox import hostcalls, rtnetlink, signals
from runsc.sandbox.procfs import open_process, read_file
from runsc.sandbox.rtnetlink import AF_INET, AF_INET6, Netlink
from runsc.sandbox.takeover import request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from runsc.sandbox.state import Container

RELAY_MODULE: "Final" = "runsc.boot.relay"
_LEAN_MODULE = "runsc.boot.lean"

# After the table of local addresses, which is at 0 or has moved to 1.
_PRIORITY = 2
_TABLE = 53053
_PROTOCOLS = (_socket.IPPROTO_UDP, _socket.IPPROTO_TCP)
_BACKLOG = 64
_MAX_MESSAGE = 4096
_BUFFER_SIZE = 1 << 20

# ip(7), ipv6(7), linux/in6.h
_IP_PKTINFO = 8
_IP_TRANSPARENT = 19
_IPV6_TRANSPARENT = 75


class Handed:
    """What the relay gets from the process that forks it."""

    def __init__(self, link: _socket.socket) -> None:
        self.link = link
        self.udp: list[_socket.socket] = []
        self.tcp: list[_socket.socket] = []

    def sockets(self) -> list[_socket.socket]:
        """Return all there are."""
        return [self.link, *self.udp, *self.tcp]

    def close(self) -> None:
        """Close all of them here."""
        for sock in self.sockets():
            sock.close()


def is_present() -> bool:
    """Return whether Docker's resolver listens in this process's network namespace."""
    # Four bytes as the machine reads them (proc_pid_net(5)).
    host = int.from_bytes(_socket.inet_aton(RESOLVER), "little" if _is_little() else "big")
    wanted = f"{host:08X}"
    for line in read_file("/proc/self/net/udp").decode("ascii", "replace").splitlines()[1:]:
        fields = line.split()
        if len(fields) > 1 and fields[1].partition(":")[0] == wanted:
            return True
    return False


def _is_little() -> bool:
    from sys import byteorder

    return byteorder == "little"


def _families(netlink: Netlink) -> list[int]:
    """Return the families that `lo` has: containers often have no IPv6."""
    has_ipv6 = any(
        link.flags & rtnetlink.IFF_LOOPBACK and link.has_ipv6 for link in netlink.links()
    )
    return [AF_INET, AF_INET6] if has_ipv6 else [AF_INET]


def _route(family: int, loopback: int) -> bytes:
    return rtnetlink.local_route_request(family, _TABLE, loopback)


def _rules(family: int) -> list[bytes]:
    # `iif lo` is what this namespace sends itself (ip-rule(8)).
    return [
        rtnetlink.rule_request(
            family,
            _PRIORITY,
            table=_TABLE,
            interface="lo",
            transport=protocol,
            port=DNS_PORT,
        )
        for protocol in _PROTOCOLS
    ]


def _loopback(netlink: Netlink) -> int:
    for link in netlink.links():
        if link.flags & rtnetlink.IFF_LOOPBACK:
            return link.index
    return 1


def catch_queries(netlink: Netlink) -> None:
    """Have queries of this namespace to any server delivered to it; OSError."""
    loopback = _loopback(netlink)
    flags = rtnetlink.NLM_F_CREATE | rtnetlink.NLM_F_EXCL
    for family in _families(netlink):
        route = _route(family, loopback)
        request(netlink, rtnetlink.RTM_NEWROUTE, route, flags, "EEXIST")
        for rule in _rules(family):
            request(netlink, rtnetlink.RTM_NEWRULE, rule, flags, "EEXIST")


def release_queries(netlink: Netlink) -> None:
    """Undo `catch_queries`; OSError."""
    loopback = _loopback(netlink)
    for family in _families(netlink):
        for rule in _rules(family):
            request(netlink, rtnetlink.RTM_DELRULE, rule, 0, "ENOENT")
        request(netlink, rtnetlink.RTM_DELROUTE, _route(family, loopback), 0, "ESRCH")


def _listen(family: int, kind: int) -> _socket.socket:
    """Return a socket for all that goes to port 53, whatever its address; OSError."""
    flags = kind | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK
    made = _socket.socket(family, flags, 0)
    try:
        if family == AF_INET:
            made.setsockopt(_socket.IPPROTO_IP, _IP_TRANSPARENT, 1)
            made.setsockopt(_socket.IPPROTO_IP, _IP_PKTINFO, 1)
        else:
            made.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
            made.setsockopt(_socket.IPPROTO_IPV6, _IPV6_TRANSPARENT, 1)
            made.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_RECVPKTINFO, 1)
        made.bind(("" if family == AF_INET else "::", DNS_PORT))
        if kind == _socket.SOCK_STREAM:
            made.listen(_BACKLOG)
    except OSError:
        made.close()
        raise
    return made


def _open_sockets(handed: Handed) -> None:
    """Open the sockets for queries to servers outside; without them these fail."""
    netlink = Netlink()
    try:
        for family in _families(netlink):
            handed.udp.append(_listen(family, _socket.SOCK_DGRAM))
            handed.tcp.append(_listen(family, _socket.SOCK_STREAM))
    except OSError as error:
        LOG.warning(f"Docker's resolver: queries to servers outside fail: {describe(error)}")
    finally:
        netlink.close()


def start_relay(container: "Container") -> int:
    """Start the relay in this process's network namespace; return the sandbox's end of its pair.

    RunscError if that is not possible.
    """
    kind = _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, kind)
    for sock in (ours, theirs):
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDBUF, _BUFFER_SIZE)
    handed = Handed(theirs)
    try:
        _open_sockets(handed)
        _fork(container, handed)
    except BaseException:
        ours.close()
        raise
    finally:
        handed.close()
    return ours.detach()


def _fork(container: "Container", handed: Handed) -> None:
    """Fork the relay: as a child of the sandbox, so that nobody else has to wait for its end."""
    own_fd = posix.open("/proc/self/ns/pid", posix.O_RDONLY | posix.O_CLOEXEC)
    go_read, go_write = posix.pipe2(posix.O_CLOEXEC)
    told_read, told_write = posix.pipe2(posix.O_CLOEXEC)
    try:
        pid_fd = open_process(container.pid, container.started_at)
        try:
            hostcalls.setns(pid_fd, hostcalls.CLONE_NEWPID)
        finally:
            posix.close(pid_fd)
        host_pid = posix.fork()
        if host_pid == 0:
            posix.close(go_write)
            _run_between(handed, go_read, told_write)
        # Whatever it forks is in the cgroup as well.
        try:
            if container.cgroups:
                from runsc.sandbox.cgroup import Cgroup

                Cgroup(container.cgroups).add(host_pid)
            posix.write(go_write, b"g")
        except BaseException:
            posix.kill(host_pid, signals.SIGKILL)
            raise
        finally:
            posix.waitpid(host_pid, 0)
        posix.close(told_write)
        told_write = -1
        message = posix.read(told_read, _MAX_MESSAGE)
        if message != b"g":
            reason = message.decode("utf-8", "replace") or "it ended at its start"
            raise RunscError(f"the relay of Docker's resolver: {one_line(reason)}")
    except OSError as error:
        # Also when the container has ended: no forks into its pid namespace then.
        raise RunscError(
            f"cannot start the relay of Docker's resolver: {describe(error)}"
        ) from None
    finally:
        hostcalls.setns(own_fd, hostcalls.CLONE_NEWPID)
        for host_fd in {own_fd, go_read, go_write, told_read, told_write} - {-1}:
            posix.close(host_fd)


def _run_between(handed: Handed, go_fd: int, told_fd: int) -> None:
    """Fork again and end: the first process of the pid namespace inherits the relay."""
    try:
        if posix.read(go_fd, 1) == b"g" and posix.fork() == 0:
            _run_relay(handed, told_fd)
    finally:
        posix._exit(0)


def _run_relay(handed: Handed, told_fd: int) -> None:
    """Become the relay."""
    try:
        from runsc.sandbox import attributes
        from runsc.sandbox.launch import close_others, null_stdio

        signals.reset()
        posix.setsid()
        attributes.set_name("runsc-resolver")
        null_stdio()
        close_others({told_fd, *(sock.fileno() for sock in handed.sockets())})
        posix.chdir("/")
        __import__(_LEAN_MODULE, fromlist=["install"]).install()
        run = __import__(RELAY_MODULE, fromlist=["run"]).run
    except BaseException as error:  # noqa: BLE001 - a forked child has nobody above it
        posix.write(told_fd, f"{type(error).__name__}: {error}".encode())
        posix._exit(0)
    try:
        run(handed, told_fd)
    finally:
        posix._exit(0)
