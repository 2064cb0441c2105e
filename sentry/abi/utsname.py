"""struct new_utsname of uname(2)."""

from typing import Final

UTSNAME_FIELD_SIZE: Final = 65
UTSNAME_SIZE: Final = 390
HOST_NAME_MAX: Final = 64


def pack_utsname(
    sysname: bytes, nodename: bytes, release: bytes, version: bytes, machine: bytes, domain: bytes
) -> bytes:
    """Return a struct new_utsname; each field is cut at 64 bytes."""
    fields = [sysname, nodename, release, version, machine, domain]
    return b"".join([field[:HOST_NAME_MAX].ljust(UTSNAME_FIELD_SIZE, b"\0") for field in fields])
