"""poll(2), ppoll(2), select(2), pselect6(2).

All four keep their files and what is wanted of each in a `PollData`, so that
a woken call looks at the same files, whatever became of the numbers.
"""

from struct import Struct
from typing import Final

from sentry.abi.errno import (
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
from sentry.mm.io import Segment
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
# Which sets a descriptor is in, above the bits of poll(2) in `PollItem.events`.
IN_READS: Final = 1 << 32
IN_WRITES: Final = 1 << 33
IN_EXCEPTS: Final = 1 << 34

SetAddresses = tuple[int, int, int]

_NS_PER_MS: Final = 1_000_000
_FOREVER: Final = -1
_TWO_LONGS: Final = Struct("<qq")  # struct timespec, struct timeval
TIME_SIZE: Final = 16
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


class SelectData(PollData):
    """The files of a select(2), and where its sets are."""

    def __init__(self, addresses: SetAddresses) -> None:
        super().__init__()
        self.addresses = addresses  # of the sets to read, to write, for exceptions; 0: none
        self.used = 0  # descriptors below it are looked at
        self.size = 0  # of each set
        self.is_copied = False  # the sets, into `raw`
        self.is_open = False  # the files are found

    def parts(self) -> list[Segment]:
        """Return where the sets are."""
        if not self.size:
            return []
        return [(address, self.size) for address in self.addresses if address]


class TimeLimit:
    """The last argument of these calls: how long to wait, and how much of it is left."""

    def __init__(self, address: int, *, is_timeval: bool) -> None:
        self.address = address  # 0: for ever
        self.is_timeval = is_timeval  # microseconds, not nanoseconds

    def parse(self, raw: bytes) -> int:
        """Return the time in nanoseconds; SysError(EINVAL) if it is none."""
        seconds, rest = _TWO_LONGS.unpack(raw)
        if self.is_timeval:
            # Microseconds beyond a second are carried.
            seconds += rest // 1_000_000
            rest = rest % 1_000_000 * 1000
        if seconds < 0 or not 0 <= rest < 1_000_000_000:
            raise SysError(EINVAL)
        total: int = min(seconds, _MAX_SECONDS) * 1_000_000_000 + rest
        return total

    def pack_left(self, task: Task) -> bytes:
        """Return what is left of it now."""
        deadline_ns = task.call.deadline_ns
        left_ns = 0
        if deadline_ns > 1:
            left_ns = max(0, deadline_ns - task.kernel.clock.monotonic_ns())
        rest = left_ns % 1_000_000_000
        return _TWO_LONGS.pack(left_ns // 1_000_000_000, rest // 1000 if self.is_timeval else rest)


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
    time = TimeLimit(timeout, is_timeval=False)
    if task.call.is_first_run:
        raw = task.memory.read(timeout, TIME_SIZE) if timeout != NULL else b""
        _note_deadline(task, time.parse(raw) if raw else _FOREVER)
    begin_with_mask(task, mask, mask_size)
    try:
        data = _poll_data(task, fds, count)
        ready = _scan_or_sleep(task, data, _may_sleep(task))
        if ready >= 0:
            _write_revents(task, fds, data)
    except SysError:
        end_with_mask(task, interrupted=False)
        raise
    return _finish(task, ready, time)


def sys_select(
    task: Task, count: Int, reads: UserPtr, writes: UserPtr, excepts: UserPtr, timeout: UserPtr
) -> int:
    """select(2): the time that is left is written back."""
    time = TimeLimit(timeout, is_timeval=True)
    data = _select_data(task, count, (reads, writes, excepts), time)
    return _finish_select(task, data, _select(task, count, data), time)


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
    time = TimeLimit(timeout, is_timeval=False)
    data = _select_data(task, count, (reads, writes, excepts), time)
    if mask_argument != NULL and task.saved_mask < 0:
        mask, size = _MASK_ARGUMENT.unpack(task.memory.read(mask_argument, 16))
        begin_with_mask(task, mask, size)
    try:
        ready = _select(task, count, data)
    except SysError:
        end_with_mask(task, interrupted=False)
        raise
    return _finish_select(task, data, ready, time)


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


def _select_data(task: Task, count: int, addresses: SetAddresses, time: TimeLimit) -> SelectData:
    """Return what a select is about; on the first run its time limit and sets are copied in."""
    kept = task.call.data
    if isinstance(kept, SelectData):
        return kept
    data = SelectData(addresses)
    task.call.data = data
    # Linux looks only at descriptors that the table has room for (max_fds).
    data.used = max(min(count, (max(task.fds.highest_fd(), 0) | 63) + 1), 0)
    data.size = (data.used + 63) // 64 * 8
    parts = data.parts()
    if time.address:
        parts.insert(0, (time.address, TIME_SIZE))
    try:
        raw = task.memory.read_parts(parts)
        data.raw = raw[TIME_SIZE:] if time.address else raw
        data.is_copied = True
    except SysError:
        # A bad time limit comes before a bad mask, and that before bad sets.
        raw = task.memory.read(time.address, TIME_SIZE) if time.address else b""
    _note_deadline(task, time.parse(raw[:TIME_SIZE]) if time.address else _FOREVER)
    return data


def _select(task: Task, count: int, data: SelectData) -> int:
    """As `_scan_or_sleep`."""
    if count < 0:
        raise SysError(EINVAL)
    if not data.is_open:
        if not data.is_copied:
            data.raw = task.memory.read_parts(data.parts())
        _open_select_sets(task, data)
        data.is_open = True
    return _scan_or_sleep(task, data, _may_sleep(task))


def _open_select_sets(task: Task, data: SelectData) -> None:
    """Find the files of all sets; SysError(EBADF) if a descriptor in them is not open."""
    size = data.size
    limit = (1 << data.used) - 1
    sets = [0, 0, 0]
    start = 0
    for which in range(3):
        if data.addresses[which] and size:
            sets[which] = int.from_bytes(data.raw[start : start + size], "little") & limit
            start += size
    reads, writes, excepts = sets
    left = reads | writes | excepts
    table = task.fds
    while left:
        bit = left & -left
        left ^= bit
        fd = bit.bit_length() - 1
        events = 0
        if reads & bit:
            events |= SELECT_READ | IN_READS
        if writes & bit:
            events |= SELECT_WRITE | IN_WRITES
        if excepts & bit:
            events |= SELECT_EXCEPT | IN_EXCEPTS
        data.add(fd, table.get(fd), events)


def _write_select_sets(task: Task, data: SelectData, time: TimeLimit) -> int:
    """Write the sets of what is ready and the time that is left; return how many bits are set."""
    total = 0
    results = [0, 0, 0]
    for item in data.items:
        ready = item.ready
        if not ready:
            continue
        events = item.events
        bit = 1 << item.index
        if events & IN_READS and ready & SELECT_READ:
            results[0] |= bit
            total += 1
        if events & IN_WRITES and ready & SELECT_WRITE:
            results[1] |= bit
            total += 1
        if events & IN_EXCEPTS and ready & SELECT_EXCEPT:
            results[2] |= bit
            total += 1
    size = data.size
    sets = b""
    for which in range(3):
        if data.addresses[which] and size:
            sets += results[which].to_bytes(size, "little")
    parts = data.parts()
    if time.address:
        try:
            left = time.pack_left(task)
            task.memory.write_parts([*parts, (time.address, TIME_SIZE)], sets + left)
        except SysError:
            # A read-only timeout must not fail the call (poll_select_finish, fs/select.c).
            task.memory.write_parts(parts, sets)
    else:
        task.memory.write_parts(parts, sets)
    return total


def _finish_select(task: Task, data: SelectData, ready: int, time: TimeLimit) -> int:
    """Write what there is to tell, where the call is over, and return its result."""
    if ready < 0:
        return _finish(task, ready, time)
    try:
        return _write_select_sets(task, data, time)
    finally:
        end_with_mask(task, interrupted=False)


def _finish(task: Task, ready: int, time: TimeLimit) -> int:
    """Put the mask back and write the time that is left, where the call is over."""
    if ready < 0 and ready != -EINTR:
        return ready
    interrupted = ready == -EINTR
    end_with_mask(task, interrupted=interrupted)
    if time.address:
        try:
            task.memory.write(time.address, time.pack_left(task))
        except SysError:
            # A read-only timeout must not fail the call (poll_select_finish, fs/select.c).
            if interrupted:
                raise SysError(EINTR) from None
    if interrupted:
        raise SysError(ERESTARTNOHAND)
    return ready
