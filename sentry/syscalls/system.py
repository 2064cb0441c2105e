"""The machine and its limits: uname(2), sysinfo(2), prlimit(2), getrandom(2), prctl(2)."""

from struct import pack
from typing import Final

from sentry.abi.errno import EACCES, EFAULT, EINVAL, EPERM, ESRCH
from sentry.abi.prctl import (
    PR_CAP_AMBIENT,
    PR_CAP_AMBIENT_CLEAR_ALL,
    PR_CAP_AMBIENT_IS_SET,
    PR_CAP_AMBIENT_LOWER,
    PR_CAP_AMBIENT_RAISE,
    PR_SET_SECUREBITS,
    SECBIT_NO_CAP_AMBIENT_RAISE,
    SECURE_ALL_BITS,
    SECURE_ALL_LOCKS,
)
from sentry.abi.resource import RLIM_NLIMITS, RLIMIT_CPU, RLIMIT_NOFILE
from sentry.abi.seccomp import SECCOMP_MODE_DISABLED, SECCOMP_MODE_FILTER, SECCOMP_MODE_STRICT
from sentry.abi.types import NULL, Int, Pid, Size, Uint, Ulong, UserPtr
from sentry.errors import SysError
from sentry.kernel import version
from sentry.kernel.cpu_timer import watch_cpu_limit
from sentry.kernel.task import Task
from sentry.syscalls.seccomp import add_filter, set_strict
from sentry.vfs.creds import Credentials

UTS_FIELD: Final = 65  # __NEW_UTS_LEN + 1, linux/utsname.h
HOST_NAME_MAX: Final = 64
CAP_SETPCAP: Final = 8
CAP_SYS_ADMIN: Final = 21
CAP_SYS_RESOURCE: Final = 24
NR_OPEN: Final = 1048576
RANDOM_CHUNK: Final = 65536
GRND_KNOWN: Final = 7
GRND_EITHER: Final = 6  # GRND_RANDOM and GRND_INSECURE exclude each other
# prctl(2)
PR_SET_PDEATHSIG: Final = 1
PR_GET_PDEATHSIG: Final = 2
PR_GET_DUMPABLE: Final = 3
PR_SET_DUMPABLE: Final = 4
PR_GET_KEEPCAPS: Final = 7
PR_SET_KEEPCAPS: Final = 8
PR_SET_NAME: Final = 15
PR_GET_NAME: Final = 16
PR_GET_SECCOMP: Final = 21
PR_SET_SECCOMP: Final = 22
PR_CAPBSET_READ: Final = 23
PR_CAPBSET_DROP: Final = 24
PR_GET_SECUREBITS: Final = 27
PR_SET_TIMERSLACK: Final = 29
PR_GET_TIMERSLACK: Final = 30
PR_SET_CHILD_SUBREAPER: Final = 36
PR_GET_CHILD_SUBREAPER: Final = 37
PR_SET_NO_NEW_PRIVS: Final = 38
PR_GET_NO_NEW_PRIVS: Final = 39
KEEP_CAPS: Final = 1 << 4
LAST_CAPABILITY: Final = 40


def sys_uname(task: Task, out: UserPtr) -> int:
    """uname(2)."""
    names = (
        version.SYSNAME,
        task.uts.hostname,
        version.RELEASE,
        version.VERSION,
        version.MACHINE,
        task.uts.domainname,
    )
    task.memory.write(
        out, b"".join([name[: UTS_FIELD - 1].ljust(UTS_FIELD, b"\0") for name in names])
    )
    return 0


def _new_name(task: Task, address: int, size: int) -> bytes:
    if not task.creds.has_capability(CAP_SYS_ADMIN):
        raise SysError(EPERM)
    if not 0 <= size <= HOST_NAME_MAX:
        raise SysError(EINVAL)
    return task.memory.read(address, size).partition(b"\0")[0]


def sys_sethostname(task: Task, name: UserPtr, size: Int) -> int:
    """sethostname(2)."""
    task.uts.hostname = _new_name(task, name, size)
    return 0


def sys_setdomainname(task: Task, name: UserPtr, size: Int) -> int:
    """setdomainname(2)."""
    task.uts.domainname = _new_name(task, name, size)
    return 0


def sys_sysinfo(task: Task, out: UserPtr) -> int:
    """sysinfo(2)."""
    kernel = task.kernel
    uptime = (kernel.clock.monotonic_ns() - kernel.boot_ns) // 1_000_000_000
    total = kernel.memory_total
    processes = min(kernel.task_count(), 65535)
    packed = pack(
        "<q3Q6QHHIQQI", uptime, 0, 0, 0, total, total, 0, 0, 0, 0, processes, 0, 0, 0, 0, 1
    )
    task.memory.write(out, packed.ljust(112, b"\0"))
    return 0


def sys_getrandom(task: Task, buffer: UserPtr, count: Size, flags: Uint) -> int:
    """getrandom(2)."""
    if flags & ~GRND_KNOWN or flags & GRND_EITHER == GRND_EITHER:
        raise SysError(EINVAL)
    done = 0
    wanted = min(count, 32 << 20)
    while done < wanted:
        piece = min(wanted - done, RANDOM_CHUNK)
        try:
            done += task.memory.write_upto(buffer + done, task.kernel.random_bytes(piece))
        except SysError:
            if done == 0:
                raise SysError(EFAULT) from None
            break
    return done


def sys_getcpu(task: Task, cpu: UserPtr, node: UserPtr) -> int:
    """getcpu(2)."""
    if cpu != NULL:
        task.memory.write(cpu, bytes(4))
    if node != NULL:
        task.memory.write(node, bytes(4))
    return 0


def sys_personality(task: Task, wanted: Uint) -> int:
    """personality(2)."""
    old = task.personality
    if wanted != 0xFFFF_FFFF:
        task.personality = wanted
    return old


def sys_syslog(task: Task, kind: Int, buffer: UserPtr, size: Int) -> int:
    """syslog(2): the log is empty."""
    if kind not in (3, 10) and not task.creds.has_capability(CAP_SYS_ADMIN):
        raise SysError(EPERM)
    if not 0 <= kind <= 10:
        raise SysError(EINVAL)
    return 0


def sys_set_robust_list(task: Task, head: UserPtr, size: Size) -> int:
    """set_robust_list(2)."""
    if size != 24:
        raise SysError(EINVAL)
    task.robust_list = head
    task.robust_list_size = size
    return 0


def sys_get_robust_list(task: Task, pid: Pid, head: UserPtr, size: UserPtr) -> int:
    """get_robust_list(2)."""
    target = _task(task, pid)
    task.memory.write(head, target.robust_list.to_bytes(8, "little"))
    task.memory.write(size, (24).to_bytes(8, "little"))
    return 0


def _task(task: Task, pid: int) -> Task:
    found = task if pid == 0 else task.group.pids.tasks.get(pid)
    if found is None:
        raise SysError(ESRCH)
    return found


# Limits.


def sys_prlimit64(task: Task, pid: Pid, resource: Uint, new: UserPtr, old: UserPtr) -> int:
    """prlimit(2)."""
    if resource >= RLIM_NLIMITS:
        raise SysError(EINVAL)
    target = _task(task, pid)
    if target.group is not task.group and not task.creds.has_capability(CAP_SYS_RESOURCE):
        if target.creds.uid != task.creds.uid or target.creds.euid != task.creds.uid:
            raise SysError(EPERM)
    limits = target.group.limits
    before = pack("<QQ", limits.soft[resource], limits.hard[resource])
    if new != NULL:
        raw = task.memory.read(new, 16)
        soft = int.from_bytes(raw[:8], "little")
        hard = int.from_bytes(raw[8:], "little")
        _set_limit(task, target, resource, soft, hard)
    if old != NULL:
        task.memory.write(old, before)
    return 0


def _set_limit(task: Task, target: Task, resource: int, soft: int, hard: int) -> None:
    limits = target.group.limits
    if soft > hard:
        raise SysError(EINVAL)
    if hard > limits.hard[resource] and not task.creds.has_capability(CAP_SYS_RESOURCE):
        raise SysError(EPERM)
    if resource == RLIMIT_NOFILE and hard > NR_OPEN:
        raise SysError(EPERM)
    limits.soft[resource], limits.hard[resource] = soft, hard
    if resource == RLIMIT_CPU:
        watch_cpu_limit(task.kernel, target.group)
    if resource == RLIMIT_NOFILE:
        for thread in target.group.tasks:
            thread.fds.limit = soft


def sys_getrlimit(task: Task, resource: Uint, out: UserPtr) -> int:
    """getrlimit(2)."""
    return sys_prlimit64(task, Pid(0), resource, NULL, out)


def sys_setrlimit(task: Task, resource: Uint, given: UserPtr) -> int:
    """setrlimit(2)."""
    return sys_prlimit64(task, Pid(0), resource, given, NULL)


def sys_getpriority(task: Task, which: Int, who: Pid) -> int:
    """getpriority(2) of a process: the kernel's answer is 20 - nice."""
    if which != 0:
        raise SysError(EINVAL)
    return 20 - _task(task, who).nice


def sys_setpriority(task: Task, which: Int, who: Pid, nice: Int) -> int:
    """setpriority(2) of a process."""
    if which != 0:
        raise SysError(EINVAL)
    target = _task(task, who)
    nice_now = max(min(int(nice), 19), -20)
    if nice_now < target.nice and not task.creds.has_capability(23):  # CAP_SYS_NICE
        raise SysError(EACCES)
    target.nice = nice_now
    return 0


# prctl(2).


def sys_prctl(task: Task, option: Int, a2: Ulong, a3: Ulong, a4: Ulong, a5: Ulong) -> int:
    """prctl(2)."""
    if option == PR_SET_NAME:
        task.comm = task.memory.read_upto(a2, 16)[:15].partition(b"\0")[0]
        return 0
    if option == PR_GET_NAME:
        task.memory.write(a2, task.comm.ljust(16, b"\0"))
        return 0
    if option == PR_SET_PDEATHSIG:
        if a2 > 64:
            raise SysError(EINVAL)
        task.death_signal = a2
        return 0
    if option == PR_GET_PDEATHSIG:
        task.memory.write(a2, task.death_signal.to_bytes(4, "little"))
        return 0
    if option == PR_SET_CHILD_SUBREAPER:
        task.group.is_subreaper = bool(a2)
        return 0
    if option == PR_GET_CHILD_SUBREAPER:
        task.memory.write(a2, int(task.group.is_subreaper).to_bytes(4, "little"))
        return 0
    if option == PR_GET_TIMERSLACK:
        return 50000
    if option == PR_SET_TIMERSLACK:
        return 0
    return _privileges(task, option, a2, a3)


def _privileges(task: Task, option: int, value: int, number: int) -> int:
    """The options of prctl(2) on credentials."""
    creds = task.creds
    if option == PR_GET_DUMPABLE:
        return int(task.mm.is_dumpable)
    if option == PR_SET_DUMPABLE:
        if value > 1:
            raise SysError(EINVAL)
        task.mm.is_dumpable = bool(value)
        return 0
    if option == PR_GET_SECCOMP:
        return SECCOMP_MODE_DISABLED if task.seccomp is None else task.seccomp.mode()
    if option == PR_SET_SECCOMP:
        if value == SECCOMP_MODE_STRICT:
            return set_strict(task)
        if value != SECCOMP_MODE_FILTER:
            raise SysError(EINVAL)
        return add_filter(task, 0, number)
    if option == PR_GET_NO_NEW_PRIVS:
        return int(creds.no_new_privs)
    if option == PR_GET_KEEPCAPS:
        return int(bool(creds.securebits & KEEP_CAPS))
    if option == PR_GET_SECUREBITS:
        return creds.securebits
    if option == PR_CAPBSET_READ:
        if value > LAST_CAPABILITY:
            raise SysError(EINVAL)
        return creds.bounding >> value & 1
    new = creds.copy()
    if option == PR_SET_NO_NEW_PRIVS:
        if value != 1:
            raise SysError(EINVAL)
        new.no_new_privs = True
    elif option == PR_SET_KEEPCAPS:
        new.securebits = creds.securebits & ~KEEP_CAPS | (KEEP_CAPS if value else 0)
    elif option == PR_CAPBSET_DROP:
        if not creds.has_capability(CAP_SETPCAP):
            raise SysError(EPERM)
        if value > LAST_CAPABILITY:
            raise SysError(EINVAL)
        new.bounding &= ~(1 << value)
    elif option == PR_SET_SECUREBITS:
        _set_securebits(creds, new, value)
    elif option == PR_CAP_AMBIENT:
        if value == PR_CAP_AMBIENT_IS_SET:
            _check_capability(number)
            return creds.ambient >> number & 1
        _change_ambient(creds, new, value, number)
    else:
        raise SysError(EINVAL)
    task.creds = new
    return 0


def _check_capability(number: int) -> None:
    if number > LAST_CAPABILITY:
        raise SysError(EINVAL)


def _change_ambient(old: Credentials, new: Credentials, change: int, number: int) -> None:
    """Do PR_CAP_AMBIENT (capabilities(7), "Ambient")."""
    if change == PR_CAP_AMBIENT_CLEAR_ALL:
        new.ambient = 0
        return
    _check_capability(number)
    bit = 1 << number
    if change == PR_CAP_AMBIENT_LOWER:
        new.ambient &= ~bit
    elif change != PR_CAP_AMBIENT_RAISE:
        raise SysError(EINVAL)
    elif old.securebits & SECBIT_NO_CAP_AMBIENT_RAISE or not old.permitted & old.inheritable & bit:
        raise SysError(EPERM)
    else:
        new.ambient |= bit


def _set_securebits(old: Credentials, new: Credentials, value: int) -> None:
    """Do PR_SET_SECUREBITS: a lock is never undone (capabilities(7))."""
    locked = (old.securebits & SECURE_ALL_LOCKS) >> 1
    if (
        not old.has_capability(CAP_SETPCAP)
        or value & ~(SECURE_ALL_BITS | SECURE_ALL_LOCKS)
        or (old.securebits ^ value) & locked
        or old.securebits & SECURE_ALL_LOCKS & ~value
    ):
        raise SysError(EPERM)
    new.securebits = value
