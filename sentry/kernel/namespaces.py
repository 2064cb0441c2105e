"""Namespaces that are only a few values: UTS (uts_namespaces(7))."""


class UtsNamespace:
    """Host and domain name."""

    def __init__(self, hostname: bytes, domainname: bytes) -> None:
        self.hostname = hostname
        self.domainname = domainname
