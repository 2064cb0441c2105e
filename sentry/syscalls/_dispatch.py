"""Decodes registers for the handlers.  Made by gen.py: do not edit."""

from collections.abc import Callable
from typing import Final

from sentry.abi.types import Fd, Int, Long, Mode, Off, Pid, Size, Uint, Ulong, UserPtr, s32, s64, u16, u32
from sentry.kernel.task import Task
from sentry.platform.interface import GuestThread
from sentry.syscalls import (
    aio,
    arch,
    attributes,
    clone,
    compare,
    copy,
    dirs,
    epoll,
    event_fds,
    exec,
    exit,
    fds,
    futex,
    identity,
    inotify,
    locks,
    memory,
    mqueue,
    open,
    pidfd,
    pipe,
    poll,
    posix_timers,
    privileged,
    process_memory,
    read_write,
    sched,
    seccomp,
    signal,
    socket,
    splice,
    stat,
    system,
    sysv_msg,
    sysv_sem,
    sysv_shm,
    time,
    timers,
    wait,
    xattr,
)


def _read(task: Task, t: GuestThread) -> int:
    return read_write.sys_read(task, Fd(s32(t.a0)), UserPtr(t.a1), Size(t.a2))


def _write(task: Task, t: GuestThread) -> int:
    return read_write.sys_write(task, Fd(s32(t.a0)), UserPtr(t.a1), Size(t.a2))


def _open(task: Task, t: GuestThread) -> int:
    return open.sys_open(task, UserPtr(t.a0), Int(s32(t.a1)), Mode(u16(t.a2)))


def _close(task: Task, t: GuestThread) -> int:
    return open.sys_close(task, Fd(s32(t.a0)))


def _stat(task: Task, t: GuestThread) -> int:
    return stat.sys_stat(task, UserPtr(t.a0), UserPtr(t.a1))


def _fstat(task: Task, t: GuestThread) -> int:
    return stat.sys_fstat(task, Fd(s32(t.a0)), UserPtr(t.a1))


def _lstat(task: Task, t: GuestThread) -> int:
    return stat.sys_lstat(task, UserPtr(t.a0), UserPtr(t.a1))


def _poll(task: Task, t: GuestThread) -> int:
    return poll.sys_poll(task, UserPtr(t.a0), Uint(u32(t.a1)), Int(s32(t.a2)))


def _lseek(task: Task, t: GuestThread) -> int:
    return fds.sys_lseek(task, Fd(s32(t.a0)), Off(s64(t.a1)), Uint(u32(t.a2)))


def _mmap(task: Task, t: GuestThread) -> int:
    return memory.sys_mmap(task, Ulong(t.a0), Size(t.a1), Ulong(t.a2), Ulong(t.a3), Fd(s32(t.a4)), Ulong(t.a5))


def _mprotect(task: Task, t: GuestThread) -> int:
    return memory.sys_mprotect(task, Ulong(t.a0), Size(t.a1), Ulong(t.a2))


def _munmap(task: Task, t: GuestThread) -> int:
    return memory.sys_munmap(task, Ulong(t.a0), Size(t.a1))


def _brk(task: Task, t: GuestThread) -> int:
    return memory.sys_brk(task, Ulong(t.a0))


def _rt_sigaction(task: Task, t: GuestThread) -> int:
    return signal.sys_rt_sigaction(task, Int(s32(t.a0)), UserPtr(t.a1), UserPtr(t.a2), Size(t.a3))


def _rt_sigprocmask(task: Task, t: GuestThread) -> int:
    return signal.sys_rt_sigprocmask(task, Int(s32(t.a0)), UserPtr(t.a1), UserPtr(t.a2), Size(t.a3))


def _rt_sigreturn(task: Task, t: GuestThread) -> int:  # noqa: ARG001
    return signal.sys_rt_sigreturn(task)


def _ioctl(task: Task, t: GuestThread) -> int:
    return fds.sys_ioctl(task, Fd(s32(t.a0)), Uint(u32(t.a1)), Ulong(t.a2))


def _pread64(task: Task, t: GuestThread) -> int:
    return read_write.sys_pread64(task, Fd(s32(t.a0)), UserPtr(t.a1), Size(t.a2), Off(s64(t.a3)))


def _pwrite64(task: Task, t: GuestThread) -> int:
    return read_write.sys_pwrite64(task, Fd(s32(t.a0)), UserPtr(t.a1), Size(t.a2), Off(s64(t.a3)))


def _readv(task: Task, t: GuestThread) -> int:
    return read_write.sys_readv(task, Fd(s32(t.a0)), UserPtr(t.a1), Long(s64(t.a2)))


def _writev(task: Task, t: GuestThread) -> int:
    return read_write.sys_writev(task, Fd(s32(t.a0)), UserPtr(t.a1), Long(s64(t.a2)))


def _access(task: Task, t: GuestThread) -> int:
    return stat.sys_access(task, UserPtr(t.a0), Int(s32(t.a1)))


def _pipe(task: Task, t: GuestThread) -> int:
    return pipe.sys_pipe(task, UserPtr(t.a0))


def _select(task: Task, t: GuestThread) -> int:
    return poll.sys_select(task, Int(s32(t.a0)), UserPtr(t.a1), UserPtr(t.a2), UserPtr(t.a3), UserPtr(t.a4))


def _sched_yield(task: Task, t: GuestThread) -> int:  # noqa: ARG001
    return sched.sys_sched_yield(task)


def _mremap(task: Task, t: GuestThread) -> int:
    return memory.sys_mremap(task, Ulong(t.a0), Size(t.a1), Size(t.a2), Ulong(t.a3), Ulong(t.a4))


def _msync(task: Task, t: GuestThread) -> int:
    return memory.sys_msync(task, Ulong(t.a0), Size(t.a1), Int(s32(t.a2)))


def _mincore(task: Task, t: GuestThread) -> int:
    return memory.sys_mincore(task, Ulong(t.a0), Size(t.a1), UserPtr(t.a2))


def _madvise(task: Task, t: GuestThread) -> int:
    return memory.sys_madvise(task, Ulong(t.a0), Size(t.a1), Int(s32(t.a2)))


def _shmget(task: Task, t: GuestThread) -> int:
    return sysv_shm.sys_shmget(task, Int(s32(t.a0)), Size(t.a1), Int(s32(t.a2)))


def _shmat(task: Task, t: GuestThread) -> int:
    return sysv_shm.sys_shmat(task, Int(s32(t.a0)), UserPtr(t.a1), Int(s32(t.a2)))


def _shmctl(task: Task, t: GuestThread) -> int:
    return sysv_shm.sys_shmctl(task, Int(s32(t.a0)), Int(s32(t.a1)), UserPtr(t.a2))


def _dup(task: Task, t: GuestThread) -> int:
    return fds.sys_dup(task, Fd(s32(t.a0)))


def _dup2(task: Task, t: GuestThread) -> int:
    return fds.sys_dup2(task, Fd(s32(t.a0)), Fd(s32(t.a1)))


def _pause(task: Task, t: GuestThread) -> int:  # noqa: ARG001
    return signal.sys_pause(task)


def _nanosleep(task: Task, t: GuestThread) -> int:
    return time.sys_nanosleep(task, UserPtr(t.a0), UserPtr(t.a1))


def _getitimer(task: Task, t: GuestThread) -> int:
    return timers.sys_getitimer(task, Int(s32(t.a0)), UserPtr(t.a1))


def _alarm(task: Task, t: GuestThread) -> int:
    return timers.sys_alarm(task, Uint(u32(t.a0)))


def _setitimer(task: Task, t: GuestThread) -> int:
    return timers.sys_setitimer(task, Int(s32(t.a0)), UserPtr(t.a1), UserPtr(t.a2))


def _getpid(task: Task, t: GuestThread) -> int:  # noqa: ARG001
    return identity.sys_getpid(task)


def _sendfile(task: Task, t: GuestThread) -> int:
    return copy.sys_sendfile(task, Fd(s32(t.a0)), Fd(s32(t.a1)), UserPtr(t.a2), Size(t.a3))


def _socket(task: Task, t: GuestThread) -> int:
    return socket.sys_socket(task, Int(s32(t.a0)), Int(s32(t.a1)), Int(s32(t.a2)))


def _connect(task: Task, t: GuestThread) -> int:
    return socket.sys_connect(task, Fd(s32(t.a0)), UserPtr(t.a1), Int(s32(t.a2)))


def _accept(task: Task, t: GuestThread) -> int:
    return socket.sys_accept(task, Fd(s32(t.a0)), UserPtr(t.a1), UserPtr(t.a2))


def _sendto(task: Task, t: GuestThread) -> int:
    return socket.sys_sendto(task, Fd(s32(t.a0)), UserPtr(t.a1), Size(t.a2), Int(s32(t.a3)), UserPtr(t.a4), Int(s32(t.a5)))


def _recvfrom(task: Task, t: GuestThread) -> int:
    return socket.sys_recvfrom(task, Fd(s32(t.a0)), UserPtr(t.a1), Size(t.a2), Int(s32(t.a3)), UserPtr(t.a4), UserPtr(t.a5))


def _sendmsg(task: Task, t: GuestThread) -> int:
    return socket.sys_sendmsg(task, Fd(s32(t.a0)), UserPtr(t.a1), Int(s32(t.a2)))


def _recvmsg(task: Task, t: GuestThread) -> int:
    return socket.sys_recvmsg(task, Fd(s32(t.a0)), UserPtr(t.a1), Int(s32(t.a2)))


def _shutdown(task: Task, t: GuestThread) -> int:
    return socket.sys_shutdown(task, Fd(s32(t.a0)), Int(s32(t.a1)))


def _bind(task: Task, t: GuestThread) -> int:
    return socket.sys_bind(task, Fd(s32(t.a0)), UserPtr(t.a1), Int(s32(t.a2)))


def _listen(task: Task, t: GuestThread) -> int:
    return socket.sys_listen(task, Fd(s32(t.a0)), Int(s32(t.a1)))


def _getsockname(task: Task, t: GuestThread) -> int:
    return socket.sys_getsockname(task, Fd(s32(t.a0)), UserPtr(t.a1), UserPtr(t.a2))


def _getpeername(task: Task, t: GuestThread) -> int:
    return socket.sys_getpeername(task, Fd(s32(t.a0)), UserPtr(t.a1), UserPtr(t.a2))


def _socketpair(task: Task, t: GuestThread) -> int:
    return socket.sys_socketpair(task, Int(s32(t.a0)), Int(s32(t.a1)), Int(s32(t.a2)), UserPtr(t.a3))


def _setsockopt(task: Task, t: GuestThread) -> int:
    return socket.sys_setsockopt(task, Fd(s32(t.a0)), Int(s32(t.a1)), Int(s32(t.a2)), UserPtr(t.a3), Int(s32(t.a4)))


def _getsockopt(task: Task, t: GuestThread) -> int:
    return socket.sys_getsockopt(task, Fd(s32(t.a0)), Int(s32(t.a1)), Int(s32(t.a2)), UserPtr(t.a3), UserPtr(t.a4))


def _clone(task: Task, t: GuestThread) -> int:
    return clone.sys_clone(task, Ulong(t.a0), UserPtr(t.a1), UserPtr(t.a2), UserPtr(t.a3), Ulong(t.a4))


def _fork(task: Task, t: GuestThread) -> int:  # noqa: ARG001
    return clone.sys_fork(task)


def _vfork(task: Task, t: GuestThread) -> int:  # noqa: ARG001
    return clone.sys_vfork(task)


def _execve(task: Task, t: GuestThread) -> int:
    return exec.sys_execve(task, UserPtr(t.a0), UserPtr(t.a1), UserPtr(t.a2))


def _exit(task: Task, t: GuestThread) -> int:
    return exit.sys_exit(task, Int(s32(t.a0)))


def _wait4(task: Task, t: GuestThread) -> int:
    return wait.sys_wait4(task, Pid(s32(t.a0)), UserPtr(t.a1), Int(s32(t.a2)), UserPtr(t.a3))


def _kill(task: Task, t: GuestThread) -> int:
    return signal.sys_kill(task, Pid(s32(t.a0)), Int(s32(t.a1)))


def _uname(task: Task, t: GuestThread) -> int:
    return system.sys_uname(task, UserPtr(t.a0))


def _semget(task: Task, t: GuestThread) -> int:
    return sysv_sem.sys_semget(task, Int(s32(t.a0)), Int(s32(t.a1)), Int(s32(t.a2)))


def _semop(task: Task, t: GuestThread) -> int:
    return sysv_sem.sys_semop(task, Int(s32(t.a0)), UserPtr(t.a1), Size(t.a2))


def _semctl(task: Task, t: GuestThread) -> int:
    return sysv_sem.sys_semctl(task, Int(s32(t.a0)), Int(s32(t.a1)), Int(s32(t.a2)), Ulong(t.a3))


def _shmdt(task: Task, t: GuestThread) -> int:
    return sysv_shm.sys_shmdt(task, UserPtr(t.a0))


def _msgget(task: Task, t: GuestThread) -> int:
    return sysv_msg.sys_msgget(task, Int(s32(t.a0)), Int(s32(t.a1)))


def _msgsnd(task: Task, t: GuestThread) -> int:
    return sysv_msg.sys_msgsnd(task, Int(s32(t.a0)), UserPtr(t.a1), Size(t.a2), Int(s32(t.a3)))


def _msgrcv(task: Task, t: GuestThread) -> int:
    return sysv_msg.sys_msgrcv(task, Int(s32(t.a0)), UserPtr(t.a1), Size(t.a2), Long(s64(t.a3)), Int(s32(t.a4)))


def _msgctl(task: Task, t: GuestThread) -> int:
    return sysv_msg.sys_msgctl(task, Int(s32(t.a0)), Int(s32(t.a1)), UserPtr(t.a2))


def _fcntl(task: Task, t: GuestThread) -> int:
    return fds.sys_fcntl(task, Fd(s32(t.a0)), Int(s32(t.a1)), Ulong(t.a2))


def _flock(task: Task, t: GuestThread) -> int:
    return locks.sys_flock(task, Fd(s32(t.a0)), Int(s32(t.a1)))


def _fsync(task: Task, t: GuestThread) -> int:
    return fds.sys_fsync(task, Fd(s32(t.a0)))


def _fdatasync(task: Task, t: GuestThread) -> int:
    return fds.sys_fdatasync(task, Fd(s32(t.a0)))


def _truncate(task: Task, t: GuestThread) -> int:
    return attributes.sys_truncate(task, UserPtr(t.a0), Off(s64(t.a1)))


def _ftruncate(task: Task, t: GuestThread) -> int:
    return fds.sys_ftruncate(task, Fd(s32(t.a0)), Off(s64(t.a1)))


def _getdents(task: Task, t: GuestThread) -> int:
    return dirs.sys_getdents(task, Fd(s32(t.a0)), UserPtr(t.a1), Uint(u32(t.a2)))


def _getcwd(task: Task, t: GuestThread) -> int:
    return dirs.sys_getcwd(task, UserPtr(t.a0), Uint(u32(t.a1)))


def _chdir(task: Task, t: GuestThread) -> int:
    return dirs.sys_chdir(task, UserPtr(t.a0))


def _fchdir(task: Task, t: GuestThread) -> int:
    return dirs.sys_fchdir(task, Fd(s32(t.a0)))


def _rename(task: Task, t: GuestThread) -> int:
    return dirs.sys_rename(task, UserPtr(t.a0), UserPtr(t.a1))


def _mkdir(task: Task, t: GuestThread) -> int:
    return dirs.sys_mkdir(task, UserPtr(t.a0), Mode(u16(t.a1)))


def _rmdir(task: Task, t: GuestThread) -> int:
    return dirs.sys_rmdir(task, UserPtr(t.a0))


def _creat(task: Task, t: GuestThread) -> int:
    return open.sys_creat(task, UserPtr(t.a0), Mode(u16(t.a1)))


def _link(task: Task, t: GuestThread) -> int:
    return dirs.sys_link(task, UserPtr(t.a0), UserPtr(t.a1))


def _unlink(task: Task, t: GuestThread) -> int:
    return dirs.sys_unlink(task, UserPtr(t.a0))


def _symlink(task: Task, t: GuestThread) -> int:
    return dirs.sys_symlink(task, UserPtr(t.a0), UserPtr(t.a1))


def _readlink(task: Task, t: GuestThread) -> int:
    return dirs.sys_readlink(task, UserPtr(t.a0), UserPtr(t.a1), Int(s32(t.a2)))


def _chmod(task: Task, t: GuestThread) -> int:
    return attributes.sys_chmod(task, UserPtr(t.a0), Mode(u16(t.a1)))


def _fchmod(task: Task, t: GuestThread) -> int:
    return attributes.sys_fchmod(task, Fd(s32(t.a0)), Mode(u16(t.a1)))


def _chown(task: Task, t: GuestThread) -> int:
    return attributes.sys_chown(task, UserPtr(t.a0), Uint(u32(t.a1)), Uint(u32(t.a2)))


def _fchown(task: Task, t: GuestThread) -> int:
    return attributes.sys_fchown(task, Fd(s32(t.a0)), Uint(u32(t.a1)), Uint(u32(t.a2)))


def _lchown(task: Task, t: GuestThread) -> int:
    return attributes.sys_lchown(task, UserPtr(t.a0), Uint(u32(t.a1)), Uint(u32(t.a2)))


def _umask(task: Task, t: GuestThread) -> int:
    return dirs.sys_umask(task, Int(s32(t.a0)))


def _gettimeofday(task: Task, t: GuestThread) -> int:
    return time.sys_gettimeofday(task, UserPtr(t.a0), UserPtr(t.a1))


def _getrlimit(task: Task, t: GuestThread) -> int:
    return system.sys_getrlimit(task, Uint(u32(t.a0)), UserPtr(t.a1))


def _getrusage(task: Task, t: GuestThread) -> int:
    return time.sys_getrusage(task, Int(s32(t.a0)), UserPtr(t.a1))


def _sysinfo(task: Task, t: GuestThread) -> int:
    return system.sys_sysinfo(task, UserPtr(t.a0))


def _times(task: Task, t: GuestThread) -> int:
    return time.sys_times(task, UserPtr(t.a0))


def _getuid(task: Task, t: GuestThread) -> int:  # noqa: ARG001
    return identity.sys_getuid(task)


def _syslog(task: Task, t: GuestThread) -> int:
    return system.sys_syslog(task, Int(s32(t.a0)), UserPtr(t.a1), Int(s32(t.a2)))


def _getgid(task: Task, t: GuestThread) -> int:  # noqa: ARG001
    return identity.sys_getgid(task)


def _setuid(task: Task, t: GuestThread) -> int:
    return identity.sys_setuid(task, Uint(u32(t.a0)))


def _setgid(task: Task, t: GuestThread) -> int:
    return identity.sys_setgid(task, Uint(u32(t.a0)))


def _geteuid(task: Task, t: GuestThread) -> int:  # noqa: ARG001
    return identity.sys_geteuid(task)


def _getegid(task: Task, t: GuestThread) -> int:  # noqa: ARG001
    return identity.sys_getegid(task)


def _setpgid(task: Task, t: GuestThread) -> int:
    return identity.sys_setpgid(task, Pid(s32(t.a0)), Pid(s32(t.a1)))


def _getppid(task: Task, t: GuestThread) -> int:  # noqa: ARG001
    return identity.sys_getppid(task)


def _getpgrp(task: Task, t: GuestThread) -> int:  # noqa: ARG001
    return identity.sys_getpgrp(task)


def _setsid(task: Task, t: GuestThread) -> int:  # noqa: ARG001
    return identity.sys_setsid(task)


def _setreuid(task: Task, t: GuestThread) -> int:
    return identity.sys_setreuid(task, Uint(u32(t.a0)), Uint(u32(t.a1)))


def _setregid(task: Task, t: GuestThread) -> int:
    return identity.sys_setregid(task, Uint(u32(t.a0)), Uint(u32(t.a1)))


def _getgroups(task: Task, t: GuestThread) -> int:
    return identity.sys_getgroups(task, Int(s32(t.a0)), UserPtr(t.a1))


def _setgroups(task: Task, t: GuestThread) -> int:
    return identity.sys_setgroups(task, Int(s32(t.a0)), UserPtr(t.a1))


def _setresuid(task: Task, t: GuestThread) -> int:
    return identity.sys_setresuid(task, Uint(u32(t.a0)), Uint(u32(t.a1)), Uint(u32(t.a2)))


def _getresuid(task: Task, t: GuestThread) -> int:
    return identity.sys_getresuid(task, UserPtr(t.a0), UserPtr(t.a1), UserPtr(t.a2))


def _setresgid(task: Task, t: GuestThread) -> int:
    return identity.sys_setresgid(task, Uint(u32(t.a0)), Uint(u32(t.a1)), Uint(u32(t.a2)))


def _getresgid(task: Task, t: GuestThread) -> int:
    return identity.sys_getresgid(task, UserPtr(t.a0), UserPtr(t.a1), UserPtr(t.a2))


def _getpgid(task: Task, t: GuestThread) -> int:
    return identity.sys_getpgid(task, Pid(s32(t.a0)))


def _setfsuid(task: Task, t: GuestThread) -> int:
    return identity.sys_setfsuid(task, Uint(u32(t.a0)))


def _setfsgid(task: Task, t: GuestThread) -> int:
    return identity.sys_setfsgid(task, Uint(u32(t.a0)))


def _getsid(task: Task, t: GuestThread) -> int:
    return identity.sys_getsid(task, Pid(s32(t.a0)))


def _capget(task: Task, t: GuestThread) -> int:
    return identity.sys_capget(task, UserPtr(t.a0), UserPtr(t.a1))


def _capset(task: Task, t: GuestThread) -> int:
    return identity.sys_capset(task, UserPtr(t.a0), UserPtr(t.a1))


def _rt_sigpending(task: Task, t: GuestThread) -> int:
    return signal.sys_rt_sigpending(task, UserPtr(t.a0), Size(t.a1))


def _rt_sigtimedwait(task: Task, t: GuestThread) -> int:
    return signal.sys_rt_sigtimedwait(task, UserPtr(t.a0), UserPtr(t.a1), UserPtr(t.a2), Size(t.a3))


def _rt_sigqueueinfo(task: Task, t: GuestThread) -> int:
    return signal.sys_rt_sigqueueinfo(task, Pid(s32(t.a0)), Int(s32(t.a1)), UserPtr(t.a2))


def _rt_sigsuspend(task: Task, t: GuestThread) -> int:
    return signal.sys_rt_sigsuspend(task, UserPtr(t.a0), Size(t.a1))


def _sigaltstack(task: Task, t: GuestThread) -> int:
    return signal.sys_sigaltstack(task, UserPtr(t.a0), UserPtr(t.a1))


def _utime(task: Task, t: GuestThread) -> int:
    return attributes.sys_utime(task, UserPtr(t.a0), UserPtr(t.a1))


def _mknod(task: Task, t: GuestThread) -> int:
    return dirs.sys_mknod(task, UserPtr(t.a0), Mode(u16(t.a1)), Uint(u32(t.a2)))


def _personality(task: Task, t: GuestThread) -> int:
    return system.sys_personality(task, Uint(u32(t.a0)))


def _statfs(task: Task, t: GuestThread) -> int:
    return stat.sys_statfs(task, UserPtr(t.a0), UserPtr(t.a1))


def _fstatfs(task: Task, t: GuestThread) -> int:
    return stat.sys_fstatfs(task, Fd(s32(t.a0)), UserPtr(t.a1))


def _getpriority(task: Task, t: GuestThread) -> int:
    return system.sys_getpriority(task, Int(s32(t.a0)), Pid(s32(t.a1)))


def _setpriority(task: Task, t: GuestThread) -> int:
    return system.sys_setpriority(task, Int(s32(t.a0)), Pid(s32(t.a1)), Int(s32(t.a2)))


def _sched_setparam(task: Task, t: GuestThread) -> int:
    return sched.sys_sched_setparam(task, Pid(s32(t.a0)), UserPtr(t.a1))


def _sched_getparam(task: Task, t: GuestThread) -> int:
    return sched.sys_sched_getparam(task, Pid(s32(t.a0)), UserPtr(t.a1))


def _sched_setscheduler(task: Task, t: GuestThread) -> int:
    return sched.sys_sched_setscheduler(task, Pid(s32(t.a0)), Int(s32(t.a1)), UserPtr(t.a2))


def _sched_getscheduler(task: Task, t: GuestThread) -> int:
    return sched.sys_sched_getscheduler(task, Pid(s32(t.a0)))


def _sched_get_priority_max(task: Task, t: GuestThread) -> int:
    return sched.sys_sched_get_priority_max(task, Int(s32(t.a0)))


def _sched_get_priority_min(task: Task, t: GuestThread) -> int:
    return sched.sys_sched_get_priority_min(task, Int(s32(t.a0)))


def _sched_rr_get_interval(task: Task, t: GuestThread) -> int:
    return sched.sys_sched_rr_get_interval(task, Pid(s32(t.a0)), UserPtr(t.a1))


def _mlock(task: Task, t: GuestThread) -> int:
    return memory.sys_mlock(task, Ulong(t.a0), Size(t.a1))


def _munlock(task: Task, t: GuestThread) -> int:
    return memory.sys_munlock(task, Ulong(t.a0), Size(t.a1))


def _mlockall(task: Task, t: GuestThread) -> int:
    return memory.sys_mlockall(task, Int(s32(t.a0)))


def _munlockall(task: Task, t: GuestThread) -> int:  # noqa: ARG001
    return memory.sys_munlockall(task)


def _vhangup(task: Task, t: GuestThread) -> int:  # noqa: ARG001
    return fds.sys_vhangup(task)


def _pivot_root(task: Task, t: GuestThread) -> int:
    return privileged.sys_pivot_root(task, UserPtr(t.a0), UserPtr(t.a1))


def _prctl(task: Task, t: GuestThread) -> int:
    return system.sys_prctl(task, Int(s32(t.a0)), Ulong(t.a1), Ulong(t.a2), Ulong(t.a3), Ulong(t.a4))


def _arch_prctl(task: Task, t: GuestThread) -> int:
    return arch.sys_arch_prctl(task, Int(s32(t.a0)), Ulong(t.a1))


def _adjtimex(task: Task, t: GuestThread) -> int:
    return time.sys_adjtimex(task, UserPtr(t.a0))


def _setrlimit(task: Task, t: GuestThread) -> int:
    return system.sys_setrlimit(task, Uint(u32(t.a0)), UserPtr(t.a1))


def _chroot(task: Task, t: GuestThread) -> int:
    return dirs.sys_chroot(task, UserPtr(t.a0))


def _sync(task: Task, t: GuestThread) -> int:  # noqa: ARG001
    return fds.sys_sync(task)


def _acct(task: Task, t: GuestThread) -> int:
    return privileged.sys_acct(task, UserPtr(t.a0))


def _settimeofday(task: Task, t: GuestThread) -> int:
    return time.sys_settimeofday(task, UserPtr(t.a0), UserPtr(t.a1))


def _mount(task: Task, t: GuestThread) -> int:
    return privileged.sys_mount(task, UserPtr(t.a0), UserPtr(t.a1), UserPtr(t.a2), Ulong(t.a3), UserPtr(t.a4))


def _umount2(task: Task, t: GuestThread) -> int:
    return privileged.sys_umount2(task, UserPtr(t.a0), Int(s32(t.a1)))


def _swapon(task: Task, t: GuestThread) -> int:
    return privileged.sys_swapon(task, UserPtr(t.a0), Int(s32(t.a1)))


def _swapoff(task: Task, t: GuestThread) -> int:
    return privileged.sys_swapoff(task, UserPtr(t.a0))


def _reboot(task: Task, t: GuestThread) -> int:
    return privileged.sys_reboot(task, Uint(u32(t.a0)), Uint(u32(t.a1)), Uint(u32(t.a2)), UserPtr(t.a3))


def _sethostname(task: Task, t: GuestThread) -> int:
    return system.sys_sethostname(task, UserPtr(t.a0), Int(s32(t.a1)))


def _setdomainname(task: Task, t: GuestThread) -> int:
    return system.sys_setdomainname(task, UserPtr(t.a0), Int(s32(t.a1)))


def _gettid(task: Task, t: GuestThread) -> int:  # noqa: ARG001
    return identity.sys_gettid(task)


def _readahead(task: Task, t: GuestThread) -> int:
    return fds.sys_readahead(task, Fd(s32(t.a0)), Off(s64(t.a1)), Size(t.a2))


def _setxattr(task: Task, t: GuestThread) -> int:
    return xattr.sys_setxattr(task, UserPtr(t.a0), UserPtr(t.a1), UserPtr(t.a2), Size(t.a3), Int(s32(t.a4)))


def _lsetxattr(task: Task, t: GuestThread) -> int:
    return xattr.sys_lsetxattr(task, UserPtr(t.a0), UserPtr(t.a1), UserPtr(t.a2), Size(t.a3), Int(s32(t.a4)))


def _fsetxattr(task: Task, t: GuestThread) -> int:
    return xattr.sys_fsetxattr(task, Fd(s32(t.a0)), UserPtr(t.a1), UserPtr(t.a2), Size(t.a3), Int(s32(t.a4)))


def _getxattr(task: Task, t: GuestThread) -> int:
    return xattr.sys_getxattr(task, UserPtr(t.a0), UserPtr(t.a1), UserPtr(t.a2), Size(t.a3))


def _lgetxattr(task: Task, t: GuestThread) -> int:
    return xattr.sys_lgetxattr(task, UserPtr(t.a0), UserPtr(t.a1), UserPtr(t.a2), Size(t.a3))


def _fgetxattr(task: Task, t: GuestThread) -> int:
    return xattr.sys_fgetxattr(task, Fd(s32(t.a0)), UserPtr(t.a1), UserPtr(t.a2), Size(t.a3))


def _listxattr(task: Task, t: GuestThread) -> int:
    return xattr.sys_listxattr(task, UserPtr(t.a0), UserPtr(t.a1), Size(t.a2))


def _llistxattr(task: Task, t: GuestThread) -> int:
    return xattr.sys_llistxattr(task, UserPtr(t.a0), UserPtr(t.a1), Size(t.a2))


def _flistxattr(task: Task, t: GuestThread) -> int:
    return xattr.sys_flistxattr(task, Fd(s32(t.a0)), UserPtr(t.a1), Size(t.a2))


def _removexattr(task: Task, t: GuestThread) -> int:
    return xattr.sys_removexattr(task, UserPtr(t.a0), UserPtr(t.a1))


def _lremovexattr(task: Task, t: GuestThread) -> int:
    return xattr.sys_lremovexattr(task, UserPtr(t.a0), UserPtr(t.a1))


def _fremovexattr(task: Task, t: GuestThread) -> int:
    return xattr.sys_fremovexattr(task, Fd(s32(t.a0)), UserPtr(t.a1))


def _tkill(task: Task, t: GuestThread) -> int:
    return signal.sys_tkill(task, Pid(s32(t.a0)), Int(s32(t.a1)))


def _time(task: Task, t: GuestThread) -> int:
    return time.sys_time(task, UserPtr(t.a0))


def _futex(task: Task, t: GuestThread) -> int:
    return futex.sys_futex(task, UserPtr(t.a0), Int(s32(t.a1)), Uint(u32(t.a2)), Ulong(t.a3), UserPtr(t.a4), Uint(u32(t.a5)))


def _sched_setaffinity(task: Task, t: GuestThread) -> int:
    return sched.sys_sched_setaffinity(task, Pid(s32(t.a0)), Uint(u32(t.a1)), UserPtr(t.a2))


def _sched_getaffinity(task: Task, t: GuestThread) -> int:
    return sched.sys_sched_getaffinity(task, Pid(s32(t.a0)), Uint(u32(t.a1)), UserPtr(t.a2))


def _io_setup(task: Task, t: GuestThread) -> int:
    return aio.sys_io_setup(task, Uint(u32(t.a0)), UserPtr(t.a1))


def _io_destroy(task: Task, t: GuestThread) -> int:
    return aio.sys_io_destroy(task, Ulong(t.a0))


def _io_getevents(task: Task, t: GuestThread) -> int:
    return aio.sys_io_getevents(task, Ulong(t.a0), Long(s64(t.a1)), Long(s64(t.a2)), UserPtr(t.a3), UserPtr(t.a4))


def _io_submit(task: Task, t: GuestThread) -> int:
    return aio.sys_io_submit(task, Ulong(t.a0), Long(s64(t.a1)), UserPtr(t.a2))


def _io_cancel(task: Task, t: GuestThread) -> int:
    return aio.sys_io_cancel(task, Ulong(t.a0), UserPtr(t.a1), UserPtr(t.a2))


def _epoll_create(task: Task, t: GuestThread) -> int:
    return epoll.sys_epoll_create(task, Int(s32(t.a0)))


def _getdents64(task: Task, t: GuestThread) -> int:
    return dirs.sys_getdents64(task, Fd(s32(t.a0)), UserPtr(t.a1), Uint(u32(t.a2)))


def _set_tid_address(task: Task, t: GuestThread) -> int:
    return clone.sys_set_tid_address(task, UserPtr(t.a0))


def _restart_syscall(task: Task, t: GuestThread) -> int:  # noqa: ARG001
    return signal.sys_restart_syscall(task)


def _semtimedop(task: Task, t: GuestThread) -> int:
    return sysv_sem.sys_semtimedop(task, Int(s32(t.a0)), UserPtr(t.a1), Size(t.a2), UserPtr(t.a3))


def _fadvise64(task: Task, t: GuestThread) -> int:
    return fds.sys_fadvise64(task, Fd(s32(t.a0)), Off(s64(t.a1)), Size(t.a2), Int(s32(t.a3)))


def _timer_create(task: Task, t: GuestThread) -> int:
    return posix_timers.sys_timer_create(task, Int(s32(t.a0)), UserPtr(t.a1), UserPtr(t.a2))


def _timer_settime(task: Task, t: GuestThread) -> int:
    return posix_timers.sys_timer_settime(task, Int(s32(t.a0)), Int(s32(t.a1)), UserPtr(t.a2), UserPtr(t.a3))


def _timer_gettime(task: Task, t: GuestThread) -> int:
    return posix_timers.sys_timer_gettime(task, Int(s32(t.a0)), UserPtr(t.a1))


def _timer_getoverrun(task: Task, t: GuestThread) -> int:
    return posix_timers.sys_timer_getoverrun(task, Int(s32(t.a0)))


def _timer_delete(task: Task, t: GuestThread) -> int:
    return posix_timers.sys_timer_delete(task, Int(s32(t.a0)))


def _clock_settime(task: Task, t: GuestThread) -> int:
    return time.sys_clock_settime(task, Int(s32(t.a0)), UserPtr(t.a1))


def _clock_gettime(task: Task, t: GuestThread) -> int:
    return time.sys_clock_gettime(task, Int(s32(t.a0)), UserPtr(t.a1))


def _clock_getres(task: Task, t: GuestThread) -> int:
    return time.sys_clock_getres(task, Int(s32(t.a0)), UserPtr(t.a1))


def _clock_nanosleep(task: Task, t: GuestThread) -> int:
    return time.sys_clock_nanosleep(task, Int(s32(t.a0)), Int(s32(t.a1)), UserPtr(t.a2), UserPtr(t.a3))


def _exit_group(task: Task, t: GuestThread) -> int:
    return exit.sys_exit_group(task, Int(s32(t.a0)))


def _epoll_wait(task: Task, t: GuestThread) -> int:
    return epoll.sys_epoll_wait(task, Fd(s32(t.a0)), UserPtr(t.a1), Int(s32(t.a2)), Int(s32(t.a3)))


def _epoll_ctl(task: Task, t: GuestThread) -> int:
    return epoll.sys_epoll_ctl(task, Fd(s32(t.a0)), Int(s32(t.a1)), Fd(s32(t.a2)), UserPtr(t.a3))


def _tgkill(task: Task, t: GuestThread) -> int:
    return signal.sys_tgkill(task, Pid(s32(t.a0)), Pid(s32(t.a1)), Int(s32(t.a2)))


def _utimes(task: Task, t: GuestThread) -> int:
    return attributes.sys_utimes(task, UserPtr(t.a0), UserPtr(t.a1))


def _mq_open(task: Task, t: GuestThread) -> int:
    return mqueue.sys_mq_open(task, UserPtr(t.a0), Int(s32(t.a1)), Mode(u16(t.a2)), UserPtr(t.a3))


def _mq_unlink(task: Task, t: GuestThread) -> int:
    return mqueue.sys_mq_unlink(task, UserPtr(t.a0))


def _mq_timedsend(task: Task, t: GuestThread) -> int:
    return mqueue.sys_mq_timedsend(task, Fd(s32(t.a0)), UserPtr(t.a1), Size(t.a2), Uint(u32(t.a3)), UserPtr(t.a4))


def _mq_timedreceive(task: Task, t: GuestThread) -> int:
    return mqueue.sys_mq_timedreceive(task, Fd(s32(t.a0)), UserPtr(t.a1), Size(t.a2), UserPtr(t.a3), UserPtr(t.a4))


def _mq_notify(task: Task, t: GuestThread) -> int:
    return mqueue.sys_mq_notify(task, Fd(s32(t.a0)), UserPtr(t.a1))


def _mq_getsetattr(task: Task, t: GuestThread) -> int:
    return mqueue.sys_mq_getsetattr(task, Fd(s32(t.a0)), UserPtr(t.a1), UserPtr(t.a2))


def _waitid(task: Task, t: GuestThread) -> int:
    return wait.sys_waitid(task, Int(s32(t.a0)), Pid(s32(t.a1)), UserPtr(t.a2), Int(s32(t.a3)), UserPtr(t.a4))


def _ioprio_set(task: Task, t: GuestThread) -> int:
    return sched.sys_ioprio_set(task, Int(s32(t.a0)), Pid(s32(t.a1)), Int(s32(t.a2)))


def _ioprio_get(task: Task, t: GuestThread) -> int:
    return sched.sys_ioprio_get(task, Int(s32(t.a0)), Pid(s32(t.a1)))


def _inotify_init(task: Task, t: GuestThread) -> int:  # noqa: ARG001
    return inotify.sys_inotify_init(task)


def _inotify_add_watch(task: Task, t: GuestThread) -> int:
    return inotify.sys_inotify_add_watch(task, Fd(s32(t.a0)), UserPtr(t.a1), Uint(u32(t.a2)))


def _inotify_rm_watch(task: Task, t: GuestThread) -> int:
    return inotify.sys_inotify_rm_watch(task, Fd(s32(t.a0)), Int(s32(t.a1)))


def _openat(task: Task, t: GuestThread) -> int:
    return open.sys_openat(task, Fd(s32(t.a0)), UserPtr(t.a1), Int(s32(t.a2)), Mode(u16(t.a3)))


def _mkdirat(task: Task, t: GuestThread) -> int:
    return dirs.sys_mkdirat(task, Fd(s32(t.a0)), UserPtr(t.a1), Mode(u16(t.a2)))


def _mknodat(task: Task, t: GuestThread) -> int:
    return dirs.sys_mknodat(task, Fd(s32(t.a0)), UserPtr(t.a1), Mode(u16(t.a2)), Uint(u32(t.a3)))


def _fchownat(task: Task, t: GuestThread) -> int:
    return attributes.sys_fchownat(task, Fd(s32(t.a0)), UserPtr(t.a1), Uint(u32(t.a2)), Uint(u32(t.a3)), Int(s32(t.a4)))


def _futimesat(task: Task, t: GuestThread) -> int:
    return attributes.sys_futimesat(task, Fd(s32(t.a0)), UserPtr(t.a1), UserPtr(t.a2))


def _newfstatat(task: Task, t: GuestThread) -> int:
    return stat.sys_newfstatat(task, Fd(s32(t.a0)), UserPtr(t.a1), UserPtr(t.a2), Int(s32(t.a3)))


def _unlinkat(task: Task, t: GuestThread) -> int:
    return dirs.sys_unlinkat(task, Fd(s32(t.a0)), UserPtr(t.a1), Int(s32(t.a2)))


def _renameat(task: Task, t: GuestThread) -> int:
    return dirs.sys_renameat(task, Fd(s32(t.a0)), UserPtr(t.a1), Fd(s32(t.a2)), UserPtr(t.a3))


def _linkat(task: Task, t: GuestThread) -> int:
    return dirs.sys_linkat(task, Fd(s32(t.a0)), UserPtr(t.a1), Fd(s32(t.a2)), UserPtr(t.a3), Int(s32(t.a4)))


def _symlinkat(task: Task, t: GuestThread) -> int:
    return dirs.sys_symlinkat(task, UserPtr(t.a0), Fd(s32(t.a1)), UserPtr(t.a2))


def _readlinkat(task: Task, t: GuestThread) -> int:
    return dirs.sys_readlinkat(task, Fd(s32(t.a0)), UserPtr(t.a1), UserPtr(t.a2), Int(s32(t.a3)))


def _fchmodat(task: Task, t: GuestThread) -> int:
    return attributes.sys_fchmodat(task, Fd(s32(t.a0)), UserPtr(t.a1), Mode(u16(t.a2)))


def _faccessat(task: Task, t: GuestThread) -> int:
    return stat.sys_faccessat(task, Fd(s32(t.a0)), UserPtr(t.a1), Int(s32(t.a2)))


def _pselect6(task: Task, t: GuestThread) -> int:
    return poll.sys_pselect6(task, Int(s32(t.a0)), UserPtr(t.a1), UserPtr(t.a2), UserPtr(t.a3), UserPtr(t.a4), UserPtr(t.a5))


def _ppoll(task: Task, t: GuestThread) -> int:
    return poll.sys_ppoll(task, UserPtr(t.a0), Uint(u32(t.a1)), UserPtr(t.a2), UserPtr(t.a3), Size(t.a4))


def _unshare(task: Task, t: GuestThread) -> int:
    return clone.sys_unshare(task, Int(s32(t.a0)))


def _set_robust_list(task: Task, t: GuestThread) -> int:
    return system.sys_set_robust_list(task, UserPtr(t.a0), Size(t.a1))


def _get_robust_list(task: Task, t: GuestThread) -> int:
    return system.sys_get_robust_list(task, Pid(s32(t.a0)), UserPtr(t.a1), UserPtr(t.a2))


def _splice(task: Task, t: GuestThread) -> int:
    return splice.sys_splice(task, Fd(s32(t.a0)), UserPtr(t.a1), Fd(s32(t.a2)), UserPtr(t.a3), Size(t.a4), Uint(u32(t.a5)))


def _tee(task: Task, t: GuestThread) -> int:
    return splice.sys_tee(task, Fd(s32(t.a0)), Fd(s32(t.a1)), Size(t.a2), Uint(u32(t.a3)))


def _sync_file_range(task: Task, t: GuestThread) -> int:
    return fds.sys_sync_file_range(task, Fd(s32(t.a0)), Off(s64(t.a1)), Off(s64(t.a2)), Uint(u32(t.a3)))


def _vmsplice(task: Task, t: GuestThread) -> int:
    return splice.sys_vmsplice(task, Fd(s32(t.a0)), UserPtr(t.a1), Ulong(t.a2), Uint(u32(t.a3)))


def _utimensat(task: Task, t: GuestThread) -> int:
    return attributes.sys_utimensat(task, Fd(s32(t.a0)), UserPtr(t.a1), UserPtr(t.a2), Int(s32(t.a3)))


def _epoll_pwait(task: Task, t: GuestThread) -> int:
    return epoll.sys_epoll_pwait(task, Fd(s32(t.a0)), UserPtr(t.a1), Int(s32(t.a2)), Int(s32(t.a3)), UserPtr(t.a4), Size(t.a5))


def _signalfd(task: Task, t: GuestThread) -> int:
    return event_fds.sys_signalfd(task, Fd(s32(t.a0)), UserPtr(t.a1), Size(t.a2))


def _timerfd_create(task: Task, t: GuestThread) -> int:
    return event_fds.sys_timerfd_create(task, Int(s32(t.a0)), Int(s32(t.a1)))


def _eventfd(task: Task, t: GuestThread) -> int:
    return event_fds.sys_eventfd(task, Uint(u32(t.a0)))


def _fallocate(task: Task, t: GuestThread) -> int:
    return fds.sys_fallocate(task, Fd(s32(t.a0)), Int(s32(t.a1)), Off(s64(t.a2)), Off(s64(t.a3)))


def _timerfd_settime(task: Task, t: GuestThread) -> int:
    return event_fds.sys_timerfd_settime(task, Fd(s32(t.a0)), Int(s32(t.a1)), UserPtr(t.a2), UserPtr(t.a3))


def _timerfd_gettime(task: Task, t: GuestThread) -> int:
    return event_fds.sys_timerfd_gettime(task, Fd(s32(t.a0)), UserPtr(t.a1))


def _accept4(task: Task, t: GuestThread) -> int:
    return socket.sys_accept4(task, Fd(s32(t.a0)), UserPtr(t.a1), UserPtr(t.a2), Int(s32(t.a3)))


def _signalfd4(task: Task, t: GuestThread) -> int:
    return event_fds.sys_signalfd4(task, Fd(s32(t.a0)), UserPtr(t.a1), Size(t.a2), Int(s32(t.a3)))


def _eventfd2(task: Task, t: GuestThread) -> int:
    return event_fds.sys_eventfd2(task, Uint(u32(t.a0)), Int(s32(t.a1)))


def _epoll_create1(task: Task, t: GuestThread) -> int:
    return epoll.sys_epoll_create1(task, Int(s32(t.a0)))


def _dup3(task: Task, t: GuestThread) -> int:
    return fds.sys_dup3(task, Fd(s32(t.a0)), Fd(s32(t.a1)), Int(s32(t.a2)))


def _pipe2(task: Task, t: GuestThread) -> int:
    return pipe.sys_pipe2(task, UserPtr(t.a0), Int(s32(t.a1)))


def _inotify_init1(task: Task, t: GuestThread) -> int:
    return inotify.sys_inotify_init1(task, Int(s32(t.a0)))


def _preadv(task: Task, t: GuestThread) -> int:
    return read_write.sys_preadv(task, Fd(s32(t.a0)), UserPtr(t.a1), Long(s64(t.a2)), Long(s64(t.a3)), Long(s64(t.a4)))


def _pwritev(task: Task, t: GuestThread) -> int:
    return read_write.sys_pwritev(task, Fd(s32(t.a0)), UserPtr(t.a1), Long(s64(t.a2)), Long(s64(t.a3)), Long(s64(t.a4)))


def _rt_tgsigqueueinfo(task: Task, t: GuestThread) -> int:
    return signal.sys_rt_tgsigqueueinfo(task, Pid(s32(t.a0)), Pid(s32(t.a1)), Int(s32(t.a2)), UserPtr(t.a3))


def _recvmmsg(task: Task, t: GuestThread) -> int:
    return socket.sys_recvmmsg(task, Fd(s32(t.a0)), UserPtr(t.a1), Uint(u32(t.a2)), Int(s32(t.a3)), UserPtr(t.a4))


def _prlimit64(task: Task, t: GuestThread) -> int:
    return system.sys_prlimit64(task, Pid(s32(t.a0)), Uint(u32(t.a1)), UserPtr(t.a2), UserPtr(t.a3))


def _clock_adjtime(task: Task, t: GuestThread) -> int:
    return time.sys_clock_adjtime(task, Int(s32(t.a0)), UserPtr(t.a1))


def _syncfs(task: Task, t: GuestThread) -> int:
    return fds.sys_syncfs(task, Fd(s32(t.a0)))


def _sendmmsg(task: Task, t: GuestThread) -> int:
    return socket.sys_sendmmsg(task, Fd(s32(t.a0)), UserPtr(t.a1), Uint(u32(t.a2)), Int(s32(t.a3)))


def _getcpu(task: Task, t: GuestThread) -> int:
    return system.sys_getcpu(task, UserPtr(t.a0), UserPtr(t.a1))


def _process_vm_readv(task: Task, t: GuestThread) -> int:
    return process_memory.sys_process_vm_readv(task, Pid(s32(t.a0)), UserPtr(t.a1), Ulong(t.a2), UserPtr(t.a3), Ulong(t.a4), Ulong(t.a5))


def _process_vm_writev(task: Task, t: GuestThread) -> int:
    return process_memory.sys_process_vm_writev(task, Pid(s32(t.a0)), UserPtr(t.a1), Ulong(t.a2), UserPtr(t.a3), Ulong(t.a4), Ulong(t.a5))


def _kcmp(task: Task, t: GuestThread) -> int:
    return compare.sys_kcmp(task, Pid(s32(t.a0)), Pid(s32(t.a1)), Int(s32(t.a2)), Ulong(t.a3), Ulong(t.a4))


def _sched_setattr(task: Task, t: GuestThread) -> int:
    return sched.sys_sched_setattr(task, Pid(s32(t.a0)), UserPtr(t.a1), Uint(u32(t.a2)))


def _sched_getattr(task: Task, t: GuestThread) -> int:
    return sched.sys_sched_getattr(task, Pid(s32(t.a0)), UserPtr(t.a1), Uint(u32(t.a2)), Uint(u32(t.a3)))


def _renameat2(task: Task, t: GuestThread) -> int:
    return dirs.sys_renameat2(task, Fd(s32(t.a0)), UserPtr(t.a1), Fd(s32(t.a2)), UserPtr(t.a3), Uint(u32(t.a4)))


def _seccomp(task: Task, t: GuestThread) -> int:
    return seccomp.sys_seccomp(task, Uint(u32(t.a0)), Uint(u32(t.a1)), UserPtr(t.a2))


def _getrandom(task: Task, t: GuestThread) -> int:
    return system.sys_getrandom(task, UserPtr(t.a0), Size(t.a1), Uint(u32(t.a2)))


def _memfd_create(task: Task, t: GuestThread) -> int:
    return event_fds.sys_memfd_create(task, UserPtr(t.a0), Uint(u32(t.a1)))


def _execveat(task: Task, t: GuestThread) -> int:
    return exec.sys_execveat(task, Fd(s32(t.a0)), UserPtr(t.a1), UserPtr(t.a2), UserPtr(t.a3), Int(s32(t.a4)))


def _userfaultfd(task: Task, t: GuestThread) -> int:
    return privileged.sys_userfaultfd(task, Int(s32(t.a0)))


def _membarrier(task: Task, t: GuestThread) -> int:
    return sched.sys_membarrier(task, Int(s32(t.a0)), Uint(u32(t.a1)), Int(s32(t.a2)))


def _mlock2(task: Task, t: GuestThread) -> int:
    return memory.sys_mlock2(task, Ulong(t.a0), Size(t.a1), Int(s32(t.a2)))


def _copy_file_range(task: Task, t: GuestThread) -> int:
    return copy.sys_copy_file_range(task, Fd(s32(t.a0)), UserPtr(t.a1), Fd(s32(t.a2)), UserPtr(t.a3), Size(t.a4), Uint(u32(t.a5)))


def _preadv2(task: Task, t: GuestThread) -> int:
    return read_write.sys_preadv2(task, Fd(s32(t.a0)), UserPtr(t.a1), Long(s64(t.a2)), Long(s64(t.a3)), Long(s64(t.a4)), Int(s32(t.a5)))


def _pwritev2(task: Task, t: GuestThread) -> int:
    return read_write.sys_pwritev2(task, Fd(s32(t.a0)), UserPtr(t.a1), Long(s64(t.a2)), Long(s64(t.a3)), Long(s64(t.a4)), Int(s32(t.a5)))


def _statx(task: Task, t: GuestThread) -> int:
    return stat.sys_statx(task, Fd(s32(t.a0)), UserPtr(t.a1), Int(s32(t.a2)), Uint(u32(t.a3)), UserPtr(t.a4))


def _io_pgetevents(task: Task, t: GuestThread) -> int:
    return aio.sys_io_pgetevents(task, Ulong(t.a0), Long(s64(t.a1)), Long(s64(t.a2)), UserPtr(t.a3), UserPtr(t.a4), UserPtr(t.a5))


def _pidfd_send_signal(task: Task, t: GuestThread) -> int:
    return pidfd.sys_pidfd_send_signal(task, Fd(s32(t.a0)), Int(s32(t.a1)), UserPtr(t.a2), Uint(u32(t.a3)))


def _fsopen(task: Task, t: GuestThread) -> int:
    return privileged.sys_fsopen(task, UserPtr(t.a0), Uint(u32(t.a1)))


def _pidfd_open(task: Task, t: GuestThread) -> int:
    return pidfd.sys_pidfd_open(task, Pid(s32(t.a0)), Uint(u32(t.a1)))


def _clone3(task: Task, t: GuestThread) -> int:
    return clone.sys_clone3(task, UserPtr(t.a0), Size(t.a1))


def _close_range(task: Task, t: GuestThread) -> int:
    return open.sys_close_range(task, Uint(u32(t.a0)), Uint(u32(t.a1)), Uint(u32(t.a2)))


def _openat2(task: Task, t: GuestThread) -> int:
    return open.sys_openat2(task, Fd(s32(t.a0)), UserPtr(t.a1), UserPtr(t.a2), Size(t.a3))


def _pidfd_getfd(task: Task, t: GuestThread) -> int:
    return pidfd.sys_pidfd_getfd(task, Fd(s32(t.a0)), Int(s32(t.a1)), Uint(u32(t.a2)))


def _faccessat2(task: Task, t: GuestThread) -> int:
    return stat.sys_faccessat2(task, Fd(s32(t.a0)), UserPtr(t.a1), Int(s32(t.a2)), Int(s32(t.a3)))


def _process_madvise(task: Task, t: GuestThread) -> int:
    return pidfd.sys_process_madvise(task, Fd(s32(t.a0)), UserPtr(t.a1), Size(t.a2), Int(s32(t.a3)), Uint(u32(t.a4)))


def _epoll_pwait2(task: Task, t: GuestThread) -> int:
    return epoll.sys_epoll_pwait2(task, Fd(s32(t.a0)), UserPtr(t.a1), Int(s32(t.a2)), UserPtr(t.a3), UserPtr(t.a4), Size(t.a5))


def _fchmodat2(task: Task, t: GuestThread) -> int:
    return attributes.sys_fchmodat2(task, Fd(s32(t.a0)), UserPtr(t.a1), Mode(u16(t.a2)), Uint(u32(t.a3)))


Handler = Callable[[Task, GuestThread], int]

HANDLERS: Final[dict[int, Handler]] = {
    0: _read,
    1: _write,
    2: _open,
    3: _close,
    4: _stat,
    5: _fstat,
    6: _lstat,
    7: _poll,
    8: _lseek,
    9: _mmap,
    10: _mprotect,
    11: _munmap,
    12: _brk,
    13: _rt_sigaction,
    14: _rt_sigprocmask,
    15: _rt_sigreturn,
    16: _ioctl,
    17: _pread64,
    18: _pwrite64,
    19: _readv,
    20: _writev,
    21: _access,
    22: _pipe,
    23: _select,
    24: _sched_yield,
    25: _mremap,
    26: _msync,
    27: _mincore,
    28: _madvise,
    29: _shmget,
    30: _shmat,
    31: _shmctl,
    32: _dup,
    33: _dup2,
    34: _pause,
    35: _nanosleep,
    36: _getitimer,
    37: _alarm,
    38: _setitimer,
    39: _getpid,
    40: _sendfile,
    41: _socket,
    42: _connect,
    43: _accept,
    44: _sendto,
    45: _recvfrom,
    46: _sendmsg,
    47: _recvmsg,
    48: _shutdown,
    49: _bind,
    50: _listen,
    51: _getsockname,
    52: _getpeername,
    53: _socketpair,
    54: _setsockopt,
    55: _getsockopt,
    56: _clone,
    57: _fork,
    58: _vfork,
    59: _execve,
    60: _exit,
    61: _wait4,
    62: _kill,
    63: _uname,
    64: _semget,
    65: _semop,
    66: _semctl,
    67: _shmdt,
    68: _msgget,
    69: _msgsnd,
    70: _msgrcv,
    71: _msgctl,
    72: _fcntl,
    73: _flock,
    74: _fsync,
    75: _fdatasync,
    76: _truncate,
    77: _ftruncate,
    78: _getdents,
    79: _getcwd,
    80: _chdir,
    81: _fchdir,
    82: _rename,
    83: _mkdir,
    84: _rmdir,
    85: _creat,
    86: _link,
    87: _unlink,
    88: _symlink,
    89: _readlink,
    90: _chmod,
    91: _fchmod,
    92: _chown,
    93: _fchown,
    94: _lchown,
    95: _umask,
    96: _gettimeofday,
    97: _getrlimit,
    98: _getrusage,
    99: _sysinfo,
    100: _times,
    102: _getuid,
    103: _syslog,
    104: _getgid,
    105: _setuid,
    106: _setgid,
    107: _geteuid,
    108: _getegid,
    109: _setpgid,
    110: _getppid,
    111: _getpgrp,
    112: _setsid,
    113: _setreuid,
    114: _setregid,
    115: _getgroups,
    116: _setgroups,
    117: _setresuid,
    118: _getresuid,
    119: _setresgid,
    120: _getresgid,
    121: _getpgid,
    122: _setfsuid,
    123: _setfsgid,
    124: _getsid,
    125: _capget,
    126: _capset,
    127: _rt_sigpending,
    128: _rt_sigtimedwait,
    129: _rt_sigqueueinfo,
    130: _rt_sigsuspend,
    131: _sigaltstack,
    132: _utime,
    133: _mknod,
    135: _personality,
    137: _statfs,
    138: _fstatfs,
    140: _getpriority,
    141: _setpriority,
    142: _sched_setparam,
    143: _sched_getparam,
    144: _sched_setscheduler,
    145: _sched_getscheduler,
    146: _sched_get_priority_max,
    147: _sched_get_priority_min,
    148: _sched_rr_get_interval,
    149: _mlock,
    150: _munlock,
    151: _mlockall,
    152: _munlockall,
    153: _vhangup,
    155: _pivot_root,
    157: _prctl,
    158: _arch_prctl,
    159: _adjtimex,
    160: _setrlimit,
    161: _chroot,
    162: _sync,
    163: _acct,
    164: _settimeofday,
    165: _mount,
    166: _umount2,
    167: _swapon,
    168: _swapoff,
    169: _reboot,
    170: _sethostname,
    171: _setdomainname,
    186: _gettid,
    187: _readahead,
    188: _setxattr,
    189: _lsetxattr,
    190: _fsetxattr,
    191: _getxattr,
    192: _lgetxattr,
    193: _fgetxattr,
    194: _listxattr,
    195: _llistxattr,
    196: _flistxattr,
    197: _removexattr,
    198: _lremovexattr,
    199: _fremovexattr,
    200: _tkill,
    201: _time,
    202: _futex,
    203: _sched_setaffinity,
    204: _sched_getaffinity,
    206: _io_setup,
    207: _io_destroy,
    208: _io_getevents,
    209: _io_submit,
    210: _io_cancel,
    213: _epoll_create,
    217: _getdents64,
    218: _set_tid_address,
    219: _restart_syscall,
    220: _semtimedop,
    221: _fadvise64,
    222: _timer_create,
    223: _timer_settime,
    224: _timer_gettime,
    225: _timer_getoverrun,
    226: _timer_delete,
    227: _clock_settime,
    228: _clock_gettime,
    229: _clock_getres,
    230: _clock_nanosleep,
    231: _exit_group,
    232: _epoll_wait,
    233: _epoll_ctl,
    234: _tgkill,
    235: _utimes,
    240: _mq_open,
    241: _mq_unlink,
    242: _mq_timedsend,
    243: _mq_timedreceive,
    244: _mq_notify,
    245: _mq_getsetattr,
    247: _waitid,
    251: _ioprio_set,
    252: _ioprio_get,
    253: _inotify_init,
    254: _inotify_add_watch,
    255: _inotify_rm_watch,
    257: _openat,
    258: _mkdirat,
    259: _mknodat,
    260: _fchownat,
    261: _futimesat,
    262: _newfstatat,
    263: _unlinkat,
    264: _renameat,
    265: _linkat,
    266: _symlinkat,
    267: _readlinkat,
    268: _fchmodat,
    269: _faccessat,
    270: _pselect6,
    271: _ppoll,
    272: _unshare,
    273: _set_robust_list,
    274: _get_robust_list,
    275: _splice,
    276: _tee,
    277: _sync_file_range,
    278: _vmsplice,
    280: _utimensat,
    281: _epoll_pwait,
    282: _signalfd,
    283: _timerfd_create,
    284: _eventfd,
    285: _fallocate,
    286: _timerfd_settime,
    287: _timerfd_gettime,
    288: _accept4,
    289: _signalfd4,
    290: _eventfd2,
    291: _epoll_create1,
    292: _dup3,
    293: _pipe2,
    294: _inotify_init1,
    295: _preadv,
    296: _pwritev,
    297: _rt_tgsigqueueinfo,
    299: _recvmmsg,
    302: _prlimit64,
    305: _clock_adjtime,
    306: _syncfs,
    307: _sendmmsg,
    309: _getcpu,
    310: _process_vm_readv,
    311: _process_vm_writev,
    312: _kcmp,
    314: _sched_setattr,
    315: _sched_getattr,
    316: _renameat2,
    317: _seccomp,
    318: _getrandom,
    319: _memfd_create,
    322: _execveat,
    323: _userfaultfd,
    324: _membarrier,
    325: _mlock2,
    326: _copy_file_range,
    327: _preadv2,
    328: _pwritev2,
    332: _statx,
    333: _io_pgetevents,
    424: _pidfd_send_signal,
    430: _fsopen,
    434: _pidfd_open,
    435: _clone3,
    436: _close_range,
    437: _openat2,
    438: _pidfd_getfd,
    439: _faccessat2,
    440: _process_madvise,
    441: _epoll_pwait2,
    452: _fchmodat2,
}
