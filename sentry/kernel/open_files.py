"""Who has an inode open, found by looking at everybody (for what is rare)."""

from sentry.kernel.kernel import Kernel
from sentry.vfs.file import O_PATH
from sentry.vfs.notify import InodeKey, OpenFiles


class KernelOpenFiles(OpenFiles):
    """Looks at the descriptors and the programs of all tasks."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def is_open(self, key: InodeKey) -> bool:
        seen: set[int] = set()
        for task in self._kernel.all_tasks():
            if task.is_dead():
                continue
            program = task.mm.executable
            if program is not None and program.dentry.inode is not None:
                if program.dentry.inode.key() == key:
                    return True
            fds = task.fds
            if id(fds) in seen:
                continue
            seen.add(id(fds))
            for fd in fds.open_fds():
                file = fds.get_raw(fd)
                if file.inode is not None and not file.flags & O_PATH and file.inode.key() == key:
                    return True
        return False
