"""Home directories from the container's own /etc/passwd, as other runtimes find them."""

from typing import Final

from sentry.abi.stat import S_IFMT, S_IFREG
from sentry.errors import SysError
from sentry.loader.elf import read_at
from sentry.vfs.mount import FsContext
from sentry.vfs.namespace import privileged
from sentry.vfs.path import resolve

PASSWD: Final = b"/etc/passwd"
MAX_BYTES: Final = 1 << 20
_UID: Final = 2
_HOME: Final = 5


def home_of(context: FsContext, uid: int) -> bytes:
    """Return the home directory of a user, "/" for one that is not listed (passwd(5))."""
    wanted = b"%d" % uid
    for line in read_passwd(context).split(b"\n"):
        fields = line.split(b":")
        if len(fields) > _HOME and fields[_UID] == wanted:
            return fields[_HOME]
    return b"/"


def read_passwd(context: FsContext) -> bytes:
    """Return the beginning of the container's /etc/passwd, nothing where there is none.

    The file is the guest's: only a regular one is opened, and as much is read
    as a sane one has.
    """
    creds = privileged()
    try:
        place = resolve(context, creds, PASSWD)
        inode = place.dentry.inode
        if inode is None or inode.mode() & S_IFMT != S_IFREG:
            return b""
        file = inode.open(place, 0, creds).acquire()
    except SysError:
        return b""
    try:
        return read_at(file, MAX_BYTES, 0).partition(b"\0")[0]
    except SysError:
        return b""
    finally:
        file.drop()
