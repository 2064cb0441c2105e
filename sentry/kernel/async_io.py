"""Signal-driven I/O: SIGIO when a file with O_ASYNC becomes ready (fcntl(2), F_SETOWN)."""

from typing import Final

from sentry.kernel.kernel import Kernel
from sentry.kernel.signal import (
    SignalInfo,
    kernel_info,
    poll_info,
    send_to_group,
    send_to_task,
)
from sentry.kernel.thread_group import ThreadGroup
from sentry.vfs.file import (
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLOUT,
    POLLPRI,
    POLLRDNORM,
    POLLWRNORM,
    File,
    FileObserver,
    FileOwner,
)
from sentry.waitqueue import Waiter

F_OWNER_TID: Final = 0
F_OWNER_PID: Final = 1
F_OWNER_PGRP: Final = 2
SIGURG: Final = 23
SIGIO: Final = 29
# si_code and si_band by what happened (sigaction(2), "POLL_IN").
_CODES: Final = (
    (POLLERR, 4, POLLERR),
    (POLLHUP, 6, POLLHUP | POLLERR),
    (POLLPRI, 5, POLLPRI),
    (POLLIN, 1, POLLIN | POLLRDNORM),
    (POLLOUT, 2, POLLOUT | POLLWRNORM),
)


class AsyncNotice(Waiter):
    """Sends the signal whenever something happens to the file."""

    def __init__(self, kernel: Kernel, fd: int, file: File, owner: FileOwner) -> None:
        self._kernel = kernel
        self._fd = fd
        self._owner = owner
        events = POLLHUP | POLLERR | POLLPRI
        if file.can_read():
            events |= POLLIN
        if file.can_write():
            events |= POLLOUT
        self._entry = file.queue.add(self, events)

    def stop(self) -> None:
        """Send no more."""
        self._entry.cancel()

    def wake(self, events: int) -> None:
        found = events & self._entry.events
        for bit, code, band in _CODES:
            if found & bit:
                number = self._owner.signal
                info = poll_info(number, code, band, self._fd) if number else kernel_info(SIGIO)
                send_to_owner(self._kernel, self._owner, info)
                return


def send_to_owner(kernel: Kernel, owner: FileOwner, info: SignalInfo) -> None:
    """Send a signal to the thread, process or group that owns a file, if that is allowed."""
    pids = kernel.pid_namespaces.get(owner.pid_namespace)
    if pids is None:
        return  # its container has ended
    if owner.kind == F_OWNER_TID:
        task = pids.tasks.get(owner.number)
        if task is not None and _may_signal(owner, task.group):
            send_to_task(task, info)
        return
    if owner.kind == F_OWNER_PID:
        group = pids.groups.get(owner.number)
        groups = [] if group is None else [group]
    else:
        members = pids.process_groups.get(owner.number)
        groups = [] if members is None else list(members.members)
    for group in groups:
        if _may_signal(owner, group):
            send_to_group(group, info)


def _may_signal(owner: FileOwner, group: ThreadGroup) -> bool:
    """Return whether who named the owner may signal it (sigio_perm of Linux)."""
    if not group.tasks:
        return False
    creds = group.tasks[0].creds
    ids = (creds.uid, creds.suid)
    return owner.euid == 0 or owner.euid in ids or owner.uid in ids


def tell_urgent(kernel: Kernel, file: File) -> None:
    """Send SIGURG to the owner of a socket, with or without O_ASYNC (fcntl(2), F_SETOWN)."""
    if file.owner is not None:
        send_to_owner(kernel, file.owner, kernel_info(SIGURG))


class _EndOfFile(FileObserver):
    """Ends the notices when the file is closed."""

    def __init__(self, notice: AsyncNotice) -> None:
        self._notice = notice

    def on_file_released(self) -> None:
        self._notice.stop()


def watch(kernel: Kernel, fd: int, file: File, *, is_on: bool) -> None:
    """Begin or end to tell the owner of `file`, of which `fd` goes into siginfo_t."""
    owner = owner_of(file)
    notice = owner.notice
    if is_on and notice is None:
        made = AsyncNotice(kernel, fd, file, owner)
        owner.notice = made
        if file.observers is None:
            file.observers = []
        file.observers.append(_EndOfFile(made))
    elif not is_on and isinstance(notice, AsyncNotice):
        notice.stop()
        owner.notice = None


def owner_of(file: File) -> FileOwner:
    """Return the owner of a file, made when nobody was named yet."""
    owner = file.owner
    if owner is None:
        owner = file.owner = FileOwner()
    return owner
