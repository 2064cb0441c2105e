"""What the platform asks of the host once it is made, for the sandbox's own filter.

Names as libseccomp knows them.  What the Python interpreter and the C library
need beside (memory, the end of a thread) is not here.
"""

from typing import Final

HOST_CALLS: Final = (
    "close",  # of /proc files
    "epoll_ctl",
    "epoll_pwait",
    "epoll_wait",
    "futex",  # between the kernel's thread and the helper
    "kill",  # SIGKILL for stubs
    "lseek",
    "openat",  # relative to the procfs: PID/maps
    "poll",
    "pread64",
    "ptrace",
    "pwrite64",
    "process_vm_readv",
    "process_vm_writev",
    "read",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sched_setaffinity",  # placement
    "tgkill",  # SIGURG of the helper
    "timerfd_settime",
    "wait4",
    "write",
)
