"""What is to be said about single system calls.

The number comes from `sentry/abi/syscalls.py`, the handler is the function
`sys_<name>` in a module of this package.  A call with a handler and no note
is complete; one without a handler answers ENOSYS.  `gen.py` makes
`_dispatch.py` from the handlers, and docs/syscalls.md from handlers and notes.
"""

from typing import Final

# What is missing in calls that are not complete.
NOTES: Final[dict[str, str]] = {
    "acct": "not there; EPERM for who has no privilege, as on Linux",
    "clock_gettime": "a thread's processor time is that of its process",
    "fsopen": "not there; EPERM for who has no privilege, as on Linux",
    "getrusage": "threads are not told apart; faults and switches are not counted",
    "inotify_add_watch": "what others change on the host, behind the container's back, is not seen",
    "io_submit": "everything but IOCB_CMD_POLL is done while it is submitted",
    "ioprio_set": "taken, without effect",
    "membarrier": "global and private expedited only",
    "memfd_create": "no huge pages",
    "mount": "not there; EPERM for who has no privilege, as on Linux",
    "mq_notify": "no threads that are started (SIGEV_THREAD)",
    "mq_open": "queues are not shown in a file system",
    "pidfd_send_signal": "no flags",
    "pivot_root": "not there; EPERM for who has no privilege, as on Linux",
    "prctl": "names, death signals, subreaper, dumpable, privileges, seccomp",
    "process_madvise": "hints only, which are taken and have no effect",
    "reboot": "not there; EPERM for who has no privilege, as on Linux",
    "sched_setaffinity": "kept, without effect on where a thread runs",
    "sched_setattr": "no real-time policies, no utilisation",
    "sched_setscheduler": "no real-time policies",
    "seccomp": "nobody can be asked (SECCOMP_FILTER_FLAG_NEW_LISTENER)",
    "sendmmsg": "returns early when a message after the first would have to wait",
    "sendmsg": "unix sockets that only hold each other in flight are bounded, not collected",
    "setsockopt": "no programs of bpf(2), no TPACKET_V3, no rings for sending",
    "socket": "AF_UNIX, AF_INET, AF_INET6, AF_NETLINK (three protocols), AF_PACKET",
    "swapoff": "not there; EPERM for who has no privilege, as on Linux",
    "swapon": "not there; EPERM for who has no privilege, as on Linux",
    "timer_create": "the clock of a thread's processor time is that of its process",
    "timerfd_settime": "never cancelled: the guest cannot set the clock",
    "umount2": "not there; EPERM for who has no privilege, as on Linux",
    "userfaultfd": "not there; EPERM for who has no privilege, as on Linux",
}
