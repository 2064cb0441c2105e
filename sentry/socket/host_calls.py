"""The host calls of the network, for the allow-list of the sandbox."""

from typing import Final

HOST_CALLS: Final = (
    "recvmmsg",  # frames, each with its virtio header and where it was addressed to
    "sendmsg",  # frames; never waits, by the rule of the filter
    "shutdown",  # the end of a forwarded stream
)

# With --network=host only; `runsc/boot/host_network_rules.py` says with which arguments.
HOST_NETWORK_CALLS: Final = (
    "socket",
    "bind",
    "connect",
    "listen",
    "accept4",
    "shutdown",
    "getsockname",
    "getpeername",
    "getsockopt",
    "setsockopt",
    "ioctl",
    "recvmsg",
    "sendmsg",
)
