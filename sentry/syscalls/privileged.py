"""Calls that are not there, and that Linux refuses who has no privilege: EPERM comes first."""

from typing import Final

from sentry.abi.capability import (
    CAP_SYS_ADMIN,
    CAP_SYS_BOOT,
    CAP_SYS_PACCT,
    CAP_SYS_PTRACE,
)
from sentry.abi.errno import EINVAL, ENOSYS, EPERM
from sentry.abi.fcntl import AT_FDCWD
from sentry.abi.types import NULL, Int, Uint, Ulong, UserPtr
from sentry.errors import SysError
from sentry.kernel.lookup import place_at, read_path
from sentry.kernel.task import Task

UFFD_USER_MODE_ONLY: Final = 1
UMOUNT_KNOWN: Final = 0xF  # MNT_FORCE, MNT_DETACH, MNT_EXPIRE, UMOUNT_NOFOLLOW


def _refuse(task: Task, *capabilities: int) -> int:
    """SysError(EPERM) for who has none of the capabilities, and ENOSYS for all others."""
    if not any(task.creds.has_capability(number) for number in capabilities):
        raise SysError(EPERM)
    raise SysError(ENOSYS)


def sys_mount(
    task: Task, source: UserPtr, target: UserPtr, kind: UserPtr, flags: Ulong, data: UserPtr
) -> int:
    """mount(2)."""
    for address in (kind, source):
        if address != NULL:
            read_path(task, address)
    place_at(task, AT_FDCWD, target, follow=True)
    return _refuse(task, CAP_SYS_ADMIN)


def sys_umount2(task: Task, target: UserPtr, flags: Int) -> int:
    """umount2(2)."""
    if flags & ~UMOUNT_KNOWN:
        raise SysError(EINVAL)
    place_at(task, AT_FDCWD, target, follow=not flags & 8)
    return _refuse(task, CAP_SYS_ADMIN)


def sys_pivot_root(task: Task, new_root: UserPtr, put_old: UserPtr) -> int:
    """pivot_root(2)."""
    return _refuse(task, CAP_SYS_ADMIN)


def sys_fsopen(task: Task, name: UserPtr, flags: Uint) -> int:
    """fsopen(2)."""
    return _refuse(task, CAP_SYS_ADMIN)


def sys_swapon(task: Task, path: UserPtr, flags: Int) -> int:
    """swapon(2)."""
    return _refuse(task, CAP_SYS_ADMIN)


def sys_swapoff(task: Task, path: UserPtr) -> int:
    """swapoff(2)."""
    return _refuse(task, CAP_SYS_ADMIN)


def sys_reboot(task: Task, magic: Uint, second: Uint, command: Uint, argument: UserPtr) -> int:
    """reboot(2)."""
    return _refuse(task, CAP_SYS_BOOT)


def sys_acct(task: Task, path: UserPtr) -> int:
    """acct(2)."""
    return _refuse(task, CAP_SYS_PACCT)


def sys_userfaultfd(task: Task, flags: Int) -> int:
    """userfaultfd(2): without UFFD_USER_MODE_ONLY as with vm.unprivileged_userfaultfd 0."""
    if flags & UFFD_USER_MODE_ONLY:
        raise SysError(ENOSYS)
    return _refuse(task, CAP_SYS_PTRACE)
