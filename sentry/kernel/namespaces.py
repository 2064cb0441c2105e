"""Namespaces that are only a few values: UTS (uts_namespaces(7)); and the numbers of all."""

from typing import Final

FIRST_NUMBER: Final = 4026532200  # above those of Linux's own first namespaces (linux/proc_ns.h)


class NamespaceNumbers:
    """Hands out the inode numbers by which /proc/PID/ns tells namespaces apart."""

    def __init__(self) -> None:
        self._last = FIRST_NUMBER

    def next(self) -> int:
        """Return a number that was not used before."""
        self._last += 1
        return self._last


NUMBERS: Final = NamespaceNumbers()


class UtsNamespace:
    """Host and domain name."""

    def __init__(self, hostname: bytes, domainname: bytes) -> None:
        self.hostname = hostname
        self.domainname = domainname
        self.number = NUMBERS.next()
