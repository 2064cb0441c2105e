"""poll(2), ppoll(2), select(2), pselect6(2).

All four keep their files and what is wanted of each in a `PollData`, so that
a woken call looks at the same files, whatever became of the numbers.
"""

from struct import Struct
from typing import Final

from sentry.abi.errno import (
    EBADF,
    EINTR,
    EINVAL,
    ERESTART_RESTARTBLOCK,
    ERESTARTNOHAND,
)
from sentry.abi.poll import POLLFD_SIZE, unpack_pollfd
from sentry.abi.resource import RLIMIT_NOFILE
from sentry.abi.types import NULL, Int, Size, Uint, UserPtr
from sentry.errors import SysError
from sentry.kernel.blocking import sleep
from sentry.kernel.call import CallData
from sentry.kernel.signal_wait import begin_with_mask, end_with_mask
from sentry.kernel.task import Task
from sentry.mm.user import read_timespec_ns, write_timespec_ns
from sentry.vfs.file import (
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLNVAL,
    POLLOUT,
    POLLPRI,
    POLLRDBAND,
    POLLRDNORM,
    POLLWRBAND,
    POLLWRNORM,
    File,
)

# What the three sets of select(2) stand for.
SELECT_READ: Final = POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR
SELECT_WRITE: Final = POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR
SELECT_EXCEPT: Final = POLLPRI
_SELECT_SETS: Final = (SELECT_READ, SELECT_WRITE, SELECT_EXCEPT)

_NS_PER_MS: Final = 1_000_000
_FOREVER: Final = -1
_TIMEVAL: Final = Struct("<qq")
_MASK_ARGUMENT: Final = Struct("<QQ")
_REVENTS: Final = Struct("<H")
_MAX_SECONDS: Final = 1 << 33


class PollItem:
    """One file that is polled, for which events, and which of them it has."""

    def __init__(self, index: int, file: File | None, events: int) -> None:
        self.index = index  # place in the array, or the descriptor for select(2)
        self.file = file
        self.events = events
        self.ready = 0


class PollData(CallData):
    """The files of a poll, held until the call is over."""

    def __init__(self) -> None:
        self.items: list[PollItem] = []
        self.raw = b""

    def add(self, index: int, file: File | None, events: int) -> None:
        """Poll `file` too; None is a descriptor that is not open."""
        if file is not None:
            file.acquire()
        self.items.append(PollItem(index, file, events))

    def scan(self) -> int:
        """Look at every file; return how many have something."""
        count = 0
        for item in self.items:
            file = item.file
            if file is None:
                item.ready = POLLNVAL
            else:
                item.ready = file.readiness() & item.events
            if item.ready:
                count += 1
        return count

    def wait(self, task: Task) -> None:
        """Put the task on the queue of every file."""
        for item in self.items:
            file = item.file
            if file is not None:
                task.add_wait(file.queue.add(task, item.events))

    def release(self) -> None:
        items = self.items
        self.items = []
        for item in items:
            if item.file is not None:
                item.file.drop()


def sys_poll(task: Task, fds: UserPtr, count: Uint, timeout_ms: Int) -> int:
    """poll(2): a negative timeout waits for ever."""
    if task.call.is_first_run:
        _note_deadline(task, timeout_ms * _NS_PER_MS if timeout_ms >= 0 else _FOREVER)
    data = _poll_data(task, fds, count)
    ready = _scan_or_sleep(task, data, timeout_ms != 0)
    if ready == -EINTR:
        raise SysError(ERESTART_RESTARTBLOCK)
    if ready >= 0:
        _write_revents(task, fds, data)
    return ready


def sys_ppoll(
    task: Task, fds: UserPtr, count: Uint, timeout: UserPtr, mask: UserPtr, mask_size: Size
) -> int:
    """ppoll(2): the time that is left is written back."""
    if task.call.is_first_run:
        _note_deadline(task, _read_timespec_ns(task, timeout))
    begin_with_mask(task, mask, mask_size)
    try:
        data = _poll_data(task, fds, count)
        ready = _scan_or_sleep(task, data, _may_sleep(task))
        if ready >= 0:
            _write_revents(task, fds, data)
    except SysError:
        end_with_mask(task, interrupted=False)
        raise
    return _finish(task, ready, timeout, is_timeval=False)


def sys_select(
    task: Task, count: Int, reads: UserPtr, writes: UserPtr, excepts: UserPtr, timeout: UserPtr
) -> int:
    """select(2): the time that is left is written back."""
    if task.call.is_first_run:
        _note_deadline(task, _read_timeval_ns(task, timeout))
    ready = _select(task, count, reads, writes, excepts)
    return _finish(task, ready, timeout, is_timeval=True)


def sys_pselect6(
    task: Task,
    count: Int,
    reads: UserPtr,
    writes: UserPtr,
    excepts: UserPtr,
    timeout: UserPtr,
    mask_argument: UserPtr,
) -> int:
    """pselect6(2): the sixth argument points to a mask's address and size."""
    if task.call.is_first_run:
        _note_deadline(task, _read_timespec_ns(task, timeout))
    if mask_argument != NULL and task.saved_mask < 0:
        mask, size = _MASK_ARGUMENT.unpack(task.memory.read(mask_argument, 16))
        begin_with_mask(task, mask, size)
    try:
        ready = _select(task, count, reads, writes, excepts)
    except SysError:
        end_with_mask(task, interrupted=False)
        raise
    return _finish(task, ready, timeout, is_timeval=False)


def _note_deadline(task: Task, timeout_ns: int) -> None:
    """Note when the call gives up: 0 never, 1 is at once."""
    if timeout_ns == 0:
        task.call.deadline_ns = 1
    elif timeout_ns > 0:
        task.call.deadline_ns = task.kernel.clock.monotonic_ns() + timeout_ns


def _may_sleep(task: Task) -> bool:
    return task.call.deadline_ns != 1


def _scan_or_sleep(task: Task, data: PollData, may_sleep: bool) -> int:  # noqa: FBT001
    """Return how many files are ready, 0 when the time is up, -EINTR for a signal, or BLOCKED."""
    ready = data.scan()
    if ready or not may_sleep:
        return ready
    deadline_ns = task.call.deadline_ns
    if task.has_signal:
        return -EINTR
    if (
        deadline_ns
        and not task.call.is_first_run
        and task.kernel.clock.monotonic_ns() >= deadline_ns
    ):
        return 0
    data.wait(task)
    return sleep(task, deadline_ns)


def _poll_data(task: Task, fds: int, count: int) -> PollData:
    """Return the files of a struct pollfd array, copied in on the first run."""
    kept = task.call.data
    if isinstance(kept, PollData):
        return kept
    if count > task.group.limits.soft[RLIMIT_NOFILE]:
        raise SysError(EINVAL)
    data = PollData()
    task.call.data = data
    if count == 0:
        return data
    raw = task.memory.read(fds, count * POLLFD_SIZE)
    data.raw = raw
    table = task.fds
    for index in range(count):
        fd, events = unpack_pollfd(raw, index * POLLFD_SIZE)
        if fd < 0:
            continue
        try:
            file: File | None = table.get(fd)
        except SysError:
            file = None
        data.add(index, file, events | POLLERR | POLLHUP)
    return data


def _write_revents(task: Task, fds: int, data: PollData) -> None:
    """Write the array back with what was found; only `revents` differ."""
    if not data.raw:
        return
    raw = bytearray(data.raw)
    for index in range(len(raw) // POLLFD_SIZE):
        raw[index * POLLFD_SIZE + 6] = 0
        raw[index * POLLFD_SIZE + 7] = 0
    for item in data.items:
        if item.ready:
            _REVENTS.pack_into(raw, item.index * POLLFD_SIZE + 6, item.ready)
    task.memory.write(fds, bytes(raw))


def _select(task: Task, count: int, reads: int, writes: int, excepts: int) -> int:
    if count < 0:
        raise SysError(EINVAL)
    kept = task.call.data
    if isinstance(kept, PollData):
        data = kept
    else:
        data = PollData()
        task.call.data = data
        _add_select_sets(task, data, count, (reads, writes, excepts))
    ready = _scan_or_sleep(task, data, _may_sleep(task))
    if ready < 0:
        return ready
    return _write_select_sets(task, data, count, (reads, writes, excepts))


def _add_select_sets(
    task: Task, data: PollData, count: int, addresses: tuple[int, int, int]
) -> None:
    """Copy the sets in; SysError(EBADF) if a descriptor in them is not open."""
    table = task.fds
    # Linux looks only at descriptors that the table has room for (max_fds).
    open_fds = table.open_fds()
    highest = (open_fds[-1] | 63) + 1 if open_fds else 64
    used = min(count, highest)
    size = (used + 63) // 64 * 8
    wanted: dict[int, int] = {}
    for which in range(3):
        if addresses[which] == 0 or size == 0:
            continue
        bits = int.from_bytes(task.memory.read(addresses[which], size), "little")
        bits &= (1 << used) - 1
        while bits:
            fd = (bits & -bits).bit_length() - 1
            bits &= bits - 1
            wanted[fd] = wanted.get(fd, 0) | 1 << which
    for fd in sorted(wanted):
        events = 0
        for which in range(3):
            if wanted[fd] >> which & 1:
                events |= _SELECT_SETS[which]
        try:
            file = table.get(fd)
        except SysError:
            raise SysError(EBADF) from None
        data.add(fd, file, events)
        # Which of the sets it is in, above the poll bits.
        data.items[-1].events |= wanted[fd] << 32
    data.raw = bytes(size)


def _write_select_sets(
    task: Task, data: PollData, count: int, addresses: tuple[int, int, int]
) -> int:
    """Write the sets of what is ready; return how many bits they have."""
    del count
    total = 0
    results = [0, 0, 0]
    for item in data.items:
        for which in range(3):
            if item.events >> (32 + which) & 1 and item.ready & _SELECT_SETS[which]:
                results[which] |= 1 << item.index
                total += 1
    size = len(data.raw)
    for which in range(3):
        if addresses[which] and size:
            task.memory.write(addresses[which], results[which].to_bytes(size, "little"))
    return total


def _read_timespec_ns(task: Task, address: int) -> int:
    return _FOREVER if address == 0 else read_timespec_ns(task.memory, address)


def _read_timeval_ns(task: Task, address: int) -> int:
    """Return the time limit of select(2); microseconds beyond a second are carried."""
    if address == 0:
        return _FOREVER
    seconds, microseconds = _TIMEVAL.unpack(task.memory.read(address, 16))
    seconds += microseconds // 1_000_000
    microseconds %= 1_000_000
    if seconds < 0:
        raise SysError(EINVAL)
    total: int = min(seconds, _MAX_SECONDS) * 1_000_000_000 + microseconds * 1000
    return total


def _finish(task: Task, ready: int, timeout: int, *, is_timeval: bool) -> int:
    """Put the mask back and write the time that is left, where the call is over."""
    if ready < 0 and ready != -EINTR:
        return ready
    interrupted = ready == -EINTR
    end_with_mask(task, interrupted=interrupted)
    if timeout:
        try:
            _write_time_left(task, timeout, is_timeval=is_timeval)
        except SysError:
            # A read-only timeout must not fail the call (poll_select_finish, fs/select.c).
            if interrupted:
                raise SysError(EINTR) from None
    if interrupted:
        raise SysError(ERESTARTNOHAND)
    return ready


def _write_time_left(task: Task, timeout: int, *, is_timeval: bool) -> None:
    deadline_ns = task.call.deadline_ns
    left_ns = 0
    if deadline_ns > 1:
        left_ns = max(0, deadline_ns - task.kernel.clock.monotonic_ns())
    if is_timeval:
        left_us = left_ns // 1000
        task.memory.write(timeout, _TIMEVAL.pack(left_us // 1_000_000, left_us % 1_000_000))
    else:
        write_timespec_ns(task.memory, timeout, left_ns)
