"""A kernel that was built without policy routing (IP_MULTIPLE_TABLES), as far as requests show."""

from runsc.sandbox import rtnetlink
from runsc.sandbox.rtnetlink import Netlink


class Ruleless(Netlink):
    """Speaks with a kernel that has no policy routing."""

    def request(self, kind: int, payload: bytes, flags: int = 0) -> None:
        if kind in (rtnetlink.RTM_NEWRULE, rtnetlink.RTM_DELRULE):
            raise OSError(95, "operation not supported", rtnetlink.NAMES[kind])
        super().request(kind, payload, flags)

    def dump(self, kind: int, family: int = 0) -> list[bytes]:
        if kind == rtnetlink.RTM_GETRULE:
            raise OSError(95, "operation not supported", rtnetlink.NAMES[kind])
        return super().dump(kind, family)
