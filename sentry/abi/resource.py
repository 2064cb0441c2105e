"""Limits and usage of getrlimit(2), getrusage(2) and getpriority(2)."""

from struct import Struct
from typing import Final

RLIMIT_CPU: Final = 0
RLIMIT_FSIZE: Final = 1
RLIMIT_DATA: Final = 2
RLIMIT_STACK: Final = 3
RLIMIT_CORE: Final = 4
RLIMIT_RSS: Final = 5
RLIMIT_NPROC: Final = 6
RLIMIT_NOFILE: Final = 7
RLIMIT_MEMLOCK: Final = 8
RLIMIT_AS: Final = 9
RLIMIT_LOCKS: Final = 10
RLIMIT_SIGPENDING: Final = 11
RLIMIT_MSGQUEUE: Final = 12
RLIMIT_NICE: Final = 13
RLIMIT_RTPRIO: Final = 14
RLIMIT_RTTIME: Final = 15
RLIM_NLIMITS: Final = 16

RLIM_INFINITY: Final = 0xFFFF_FFFF_FFFF_FFFF

# getrusage
RUSAGE_SELF: Final = 0
RUSAGE_CHILDREN: Final = -1
RUSAGE_THREAD: Final = 1

# getpriority
PRIO_PROCESS: Final = 0
PRIO_PGRP: Final = 1
PRIO_USER: Final = 2
PRIO_MIN: Final = -20
PRIO_MAX: Final = 20


NAMES: Final[tuple[str, ...]] = (
    "RLIMIT_CPU",
    "RLIMIT_FSIZE",
    "RLIMIT_DATA",
    "RLIMIT_STACK",
    "RLIMIT_CORE",
    "RLIMIT_RSS",
    "RLIMIT_NPROC",
    "RLIMIT_NOFILE",
    "RLIMIT_MEMLOCK",
    "RLIMIT_AS",
    "RLIMIT_LOCKS",
    "RLIMIT_SIGPENDING",
    "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE",
    "RLIMIT_RTPRIO",
    "RLIMIT_RTTIME",
)
"""The name of each limit, by number."""

RLIMIT_SIZE: Final = 16

RUSAGE_SIZE: Final = 144
_RUSAGE: Final = Struct("<18q")


def pack_rusage(
    user_ns: int,
    system_ns: int,
    *,
    max_rss_kb: int = 0,
    minor_faults: int = 0,
    major_faults: int = 0,
    voluntary_switches: int = 0,
    involuntary_switches: int = 0,
) -> bytes:
    """Return a struct rusage; the fields that Linux does not maintain are 0."""
    user_us = user_ns // 1000
    system_us = system_ns // 1000
    return _RUSAGE.pack(
        user_us // 1_000_000,
        user_us % 1_000_000,
        system_us // 1_000_000,
        system_us % 1_000_000,
        max_rss_kb,
        0,  # ixrss, idrss, isrss: not maintained
        0,
        0,
        minor_faults,
        major_faults,
        0,  # nswap
        0,  # inblock, oublock
        0,
        0,  # msgsnd, msgrcv, nsignals: not maintained
        0,
        0,
        voluntary_switches,
        involuntary_switches,
    )
