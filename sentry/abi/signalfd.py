"""Flags of signalfd4(2) and struct signalfd_siginfo."""

from typing import Final

SFD_NONBLOCK: Final = 0o4000
SFD_CLOEXEC: Final = 0o2000000

SIGNALFD_SIGINFO_SIZE: Final = 128
