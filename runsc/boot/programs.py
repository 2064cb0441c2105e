"""Finds the program of a guest process, and says in the words that callers know why not.

Docker and podman tell "command not found" (127) from "cannot be executed"
(126) by these texts, so they are fixed.
"""

from typing import Final

from runsc.errors import RunscError
from sentry.abi.errno import EACCES, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOEXEC, ENOTDIR
from sentry.abi.stat import S_IFDIR, S_IFMT
from sentry.errors import SysError
from sentry.vfs.creds import Credentials
from sentry.vfs.mount import MNT_NOEXEC, FsContext, VfsPath
from sentry.vfs.path import resolve
from sentry.vfs.permission import MAY_EXEC, check

DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_REASONS: Final = {
    ENOENT: "no such file or directory",
    ENOTDIR: "not a directory",
    EACCES: "permission denied",
    # The second half is for Docker 20.10, which knows only that (status 126); newer ones know both.
    EISDIR: "is a directory: permission denied",
    ELOOP: "too many levels of symbolic links",
    ENAMETOOLONG: "file name too long",
    ENOEXEC: "exec format error",
}


class FoundProgram:
    """Where a program is, and by which name it is executed."""

    def __init__(self, place: VfsPath, name: bytes) -> None:
        self.place = place
        self.name = name


def reason_of(error: SysError) -> str:
    """Return what strerror(3) says, in lower case, or the number."""
    return _REASONS.get(error.errno, f"error {error.errno}")


def failure(name: str, reason: str) -> RunscError:
    """Return the error for a program that cannot be started."""
    return RunscError(f"unable to start container process: exec: {quote(name)}: {reason}")


def quote(text: str) -> str:
    """Return text in double quotes, without anything that would disturb a terminal."""
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
    return '"' + shown.replace("\\", "\\\\").replace('"', '\\"') + '"'


def search_path(env: list[str]) -> list[str]:
    """Return the directories of PATH; an empty one is the working directory."""
    for item in env:
        if item.startswith("PATH="):
            return [directory or "." for directory in item[5:].split(":")]
    return DEFAULT_PATH.split(":")


def find_program(context: FsContext, creds: Credentials, name: str, env: list[str]) -> FoundProgram:
    """Return where `name` is, searched as execvp(3) does; raise RunscError if it cannot run."""
    if "/" in name:
        try:
            place = resolve(context, creds, name.encode())
            check_program(creds, place)
        except SysError as error:
            reason = reason_of(error)
            if error.errno == ENOENT:
                reason = f"stat {name}: {reason}"
            raise failure(name, reason) from None
        return FoundProgram(place, name.encode())
    for directory in search_path(env):
        full = f"{directory}/{name}".encode()
        try:
            place = resolve(context, creds, full)
            check_program(creds, place)
        except SysError:
            # The next directory may have it: the search ends with the first that fits.
            continue
        return FoundProgram(place, full)
    raise failure(name, "executable file not found in $PATH")


def check_program(creds: Credentials, place: VfsPath) -> None:
    """SysError unless `place` is a file that may be executed."""
    inode = place.dentry.inode
    if inode is None:
        raise SysError(ENOENT)
    if inode.mode() & S_IFMT == S_IFDIR:
        raise SysError(EISDIR)
    if place.mount.flags & MNT_NOEXEC:
        raise SysError(EACCES)
    check(creds, inode, MAY_EXEC)
