"""The network as lower layers know it: texts below /proc and /sys, and nothing of how it works."""

from mypy_extensions import mypyc_attr

from sentry.abi.errno import EINVAL
from sentry.errors import SysError
from sentry.vfs.creds import Credentials


@mypyc_attr(allow_interpreted_subclasses=True)
class Network:
    """The network of the sandbox; `sentry/socket` has the real one."""

    def proc_names(self) -> list[bytes]:
        """Return the names of the files of /proc/net."""
        return []

    def proc_text(self, name: bytes) -> bytes:
        """Return the contents of a file of /proc/net."""
        return b""

    def sysctl_names(self) -> list[bytes]:
        """Return the paths of settings below /proc/sys, such as `net/ipv4/ip_forward`."""
        return []

    def read_sysctl(self, path: bytes) -> bytes:
        """Return the text of a setting."""
        return b""

    def write_sysctl(self, path: bytes, data: bytes, creds: Credentials | None) -> None:
        """Change a setting (creds None: the runtime itself); SysError(EINVAL, EPERM)."""
        raise SysError(EINVAL)

    def interface_names(self) -> list[bytes]:
        """Return the names of the interfaces, as /sys/class/net shows them."""
        return []

    def interface_texts(self, name: bytes) -> dict[bytes, bytes]:
        """Return the attributes of an interface; empty if there is none of that name."""
        return {}
