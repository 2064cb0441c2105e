"""Prefix lengths of IPv4 addresses and masks."""

from sentry.abi.errno import EINVAL
from sentry.errors import SysError


def class_prefix(host: bytes) -> int:
    """Return the prefix length of an address without a mask (inet_abc_len)."""
    if not any(host):
        return 0
    if host[0] < 128:
        return 8
    return 16 if host[0] < 192 else 24


def mask_length(mask: bytes) -> int:
    """Return the prefix length of a mask; SysError(EINVAL) if it has holes."""
    bits = f"{int.from_bytes(mask, 'big'):032b}"
    length = len(bits.rstrip("0"))
    if "0" in bits[:length]:
        raise SysError(EINVAL)
    return length
