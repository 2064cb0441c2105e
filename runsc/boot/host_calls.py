"""Which host calls the parts of the sandbox declare, merged into one allow-list."""

from typing import Final

from runsc.boot.host_network_rules import host_network_calls
from runsc.boot.hostfilter import HostCall, merge_calls
from sentry.fs.host.host_calls import HOST_CALLS as HOST_FILE_CALLS
from sentry.platform.ptrace.host_calls import HOST_CALLS as PTRACE_CALLS
from sentry.socket.host_calls import HOST_CALLS as PACKET_CALLS

# Of the sandbox's own making: the container's standard streams, resource usage.
STREAM_CALLS: Final = ("ioctl", "poll", "readv", "writev", "sendfile", "dup3", "sysinfo")


def sandbox_calls(*, uses_host_network: bool = False, allows_raw: bool = False) -> list[HostCall]:
    """Return the allow-list of the whole sandbox: wider with --network=host, --net-raw besides."""
    special = host_network_calls(allows_raw=allows_raw) if uses_host_network else ()
    return merge_calls(
        (
            ("the ptrace platform", PTRACE_CALLS),
            ("host files", HOST_FILE_CALLS),
            ("packet sockets", PACKET_CALLS),
            ("the container's streams", STREAM_CALLS),
        ),
        special,
    )
