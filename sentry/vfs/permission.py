"""Who may do what to an inode (path_resolution(7), inode(7), capabilities(7))."""

from typing import Final

from sentry.abi.capability import (
    CAP_CHOWN,
    CAP_DAC_OVERRIDE,
    CAP_DAC_READ_SEARCH,
    CAP_FOWNER,
    CAP_FSETID,
)
from sentry.abi.errno import EACCES, EPERM, EROFS
from sentry.abi.stat import S_IFDIR, S_IFMT, S_IFREG, S_ISGID, S_ISUID, S_ISVTX
from sentry.errors import SysError
from sentry.vfs.creds import Credentials
from sentry.vfs.inode import AttributeChange, Inode
from sentry.vfs.mount import Mount

MAY_EXEC: Final = 1
MAY_WRITE: Final = 2
MAY_READ: Final = 4

S_IXGRP: Final = 0o010
_SEARCH_MASK: Final = 1 << CAP_DAC_OVERRIDE | 1 << CAP_DAC_READ_SEARCH


def may(creds: Credentials, inode: Inode, want: int) -> bool:
    """Return whether `creds` may do all of `want` (MAY_) to `inode`."""
    mode, uid, gid = inode.permissions()
    if creds.fsuid == uid:
        granted = mode >> 6
    elif creds.fsgid == gid or gid in creds.groups:
        granted = mode >> 3
    else:
        granted = mode
    if want & ~granted & 7 == 0:
        return True
    effective = creds.effective
    if mode & S_IFMT == S_IFDIR:
        if effective >> CAP_DAC_OVERRIDE & 1:
            return True
        return not want & MAY_WRITE and bool(effective >> CAP_DAC_READ_SEARCH & 1)
    if effective >> CAP_DAC_OVERRIDE & 1 and (not want & MAY_EXEC or mode & 0o111):
        return True
    return want == MAY_READ and bool(effective >> CAP_DAC_READ_SEARCH & 1)


def check(creds: Credentials, inode: Inode, want: int) -> None:
    """SysError(EACCES) unless `creds` may do all of `want`."""
    if not may(creds, inode, want):
        raise SysError(EACCES)


def searches_everywhere(creds: Credentials) -> bool:
    """Return whether every directory may be searched, so that no check is needed."""
    return bool(creds.effective & _SEARCH_MASK)


def check_writable(mount: Mount) -> None:
    """SysError(EROFS) if nothing may be written through `mount`."""
    if mount.is_read_only():
        raise SysError(EROFS)


def is_owner(creds: Credentials, uid: int) -> bool:
    """Return whether `creds` own what belongs to `uid`, or may act as if."""
    return creds.fsuid == uid or creds.has_capability(CAP_FOWNER)


def check_owner(creds: Credentials, inode: Inode) -> None:
    """SysError(EPERM) unless `creds` own the inode or have CAP_FOWNER."""
    if not is_owner(creds, inode.permissions()[1]):
        raise SysError(EPERM)


def check_delete(creds: Credentials, parent: Inode, child: Inode) -> None:
    """Check that a name may be removed from a directory; EACCES, or EPERM by the sticky bit."""
    check(creds, parent, MAY_WRITE | MAY_EXEC)
    mode, uid, _ = parent.permissions()
    if mode & S_ISVTX and creds.fsuid != uid:
        if not is_owner(creds, child.permissions()[1]):
            raise SysError(EPERM)


def check_chown(creds: Credentials, inode: Inode, uid: int, gid: int) -> None:
    """SysError(EPERM) unless the owner and group may become these (-1: stays), chown(2)."""
    if creds.has_capability(CAP_CHOWN):
        return
    _, old_uid, old_gid = inode.permissions()
    if uid not in (-1, old_uid) or creds.fsuid != old_uid:
        raise SysError(EPERM)
    if gid not in (-1, old_gid) and not creds.in_group(gid):
        raise SysError(EPERM)


def keeps_setgid(creds: Credentials, gid: int) -> bool:
    """Return whether S_ISGID may be set on what belongs to group `gid` (chmod(2))."""
    return creds.in_group(gid) or creds.has_capability(CAP_FSETID)


def drop_set_ids(creds: Credentials, inode: Inode) -> None:
    """Take set-user-ID and set-group-ID from a file that `creds` write to or cut (inode(7))."""
    if creds.has_capability(CAP_FSETID):
        return
    mode = inode.mode()
    kept = mode & ~S_ISUID
    if mode & S_IXGRP or not creds.in_group(inode.permissions()[2]):
        kept &= ~S_ISGID
    if kept != mode and mode & S_IFMT == S_IFREG:
        change = AttributeChange()
        change.mode = kept & 0o7777
        inode.set_attributes(change)


def new_owner(creds: Credentials, parent: Inode, mode: int) -> tuple[int, int, int]:
    """Return mode, owner and group of a new child: a set-group-ID directory hands on its group."""
    parent_mode, _, parent_gid = parent.permissions()
    gid = creds.fsgid
    if parent_mode & S_ISGID:
        gid = parent_gid
        if mode & S_IFMT == S_IFDIR:
            mode |= S_ISGID
        elif mode & (S_ISGID | 0o010) == S_ISGID | 0o010 and not keeps_setgid(creds, gid):
            mode &= ~S_ISGID
    return mode, creds.fsuid, gid
