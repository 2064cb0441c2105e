"""Which programs run: their files must not be written (open(2), ETXTBSY)."""

from typing import Final

from sentry.abi.errno import ETXTBSY
from sentry.abi.stat import S_IFMT, S_IFREG
from sentry.errors import SysError
from sentry.kernel.task import Task
from sentry.vfs.inode import Inode

_EXECUTABLE: Final = 0o111


def refuse_if_running(task: Task, inode: Inode) -> None:
    """SysError(ETXTBSY) if some process executes the file."""
    mode = inode.mode()
    if not mode & _EXECUTABLE or mode & S_IFMT != S_IFREG:
        return
    key = inode.key()
    for group in task.kernel.all_groups():
        if group.tasks:
            place = group.tasks[0].mm.executable
            program = None if place is None else place.dentry.inode
            if program is not None and program.key() == key:
                raise SysError(ETXTBSY)
