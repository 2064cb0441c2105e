"""The host calls of the links over packet sockets, for the allow-list of the sandbox."""

from typing import Final

HOST_CALLS: Final = (
    "recvmmsg",  # frames, each with its virtio header and where it was addressed to
    "sendmsg",  # frames; never waits, by the rule of the filter
)
