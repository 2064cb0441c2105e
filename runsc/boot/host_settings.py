"""/proc/sys/net of a container that uses the host's network, before the sandbox is confined."""

import os
import stat
from typing import Final

from config.oci import Spec
from runsc.errors import RunscError, describe

_ROOT: Final = "/proc/sys"
# Settings of single interfaces and neighbours are left out: they come and go.
_DIRECTORIES: Final = (
    "net/core",
    "net/ipv4",
    "net/ipv4/conf/all",
    "net/ipv4/conf/default",
    "net/ipv6",
    "net/ipv6/conf/all",
    "net/ipv6/conf/default",
)


def prepare_settings(spec: Spec) -> dict[bytes, bytes]:
    """Set what linux.sysctl says of the network; return all that there is to be seen.

    RunscError for a setting that does not exist.  `create` has seen to it that the
    namespace is not the host's own.
    """
    for name, value in spec.linux.sysctl.items():
        if name.startswith("net."):
            # As sysctl(8): a name with slashes already has dots for dots.
            _set(name, name if "/" in name else name.replace(".", "/"), value)
    settings: dict[bytes, bytes] = {}
    for directory in _DIRECTORIES:
        _read_directory(directory, settings)
    return settings


def _set(name: str, path: str, value: str) -> None:
    if ".." in path:
        raise RunscError(f"linux.sysctl: there is no setting {name!r}")
    try:
        with open(f"{_ROOT}/{path}", "wb") as file:
            file.write(value.encode())
    except OSError as error:
        raise RunscError(f"linux.sysctl: {name}: {describe(error)}") from None


def _read_directory(directory: str, settings: dict[bytes, bytes]) -> None:
    path = f"{_ROOT}/{directory}"
    try:
        names = os.listdir(path)
    except FileNotFoundError:
        return  # a kernel without IPv6
    for name in names:
        whole = f"{path}/{name}"
        status = os.stat(whole)
        # What only the superuser may read is a secret of the host's: keys.
        if not stat.S_ISREG(status.st_mode) or not status.st_mode & stat.S_IROTH:
            continue
        try:
            with open(whole, "rb") as file:
                settings[f"{directory}/{name}".encode()] = file.read()
        except OSError:
            continue  # some cannot be read as things are (EINVAL, EIO)
