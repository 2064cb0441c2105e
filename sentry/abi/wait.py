"""Options of wait4(2) and waitid(2), and the status word."""

from typing import Final

WNOHANG: Final = 0x1
WUNTRACED: Final = 0x2
WSTOPPED: Final = 0x2
WEXITED: Final = 0x4
WCONTINUED: Final = 0x8
WNOWAIT: Final = 0x100_0000
# C spells these with two underscores before them.
WNOTHREAD: Final = 0x2000_0000
WALL: Final = 0x4000_0000
WCLONE: Final = 0x8000_0000

# waitid: idtype
P_ALL: Final = 0
P_PID: Final = 1
P_PGID: Final = 2
P_PIDFD: Final = 3


CONTINUED_STATUS: Final = 0xFFFF


def stopped_status(signal: int, event: int = 0) -> int:
    """Return the status of a process that `signal` (and a ptrace `event`) stopped."""
    return 0x7F | signal << 8 | event << 16
