"""Flags of timerfd_create(2) and timerfd_settime(2), and its ioctl."""

from typing import Final

TFD_NONBLOCK: Final = 0o4000
TFD_CLOEXEC: Final = 0o2000000

TFD_TIMER_ABSTIME: Final = 0x1
TFD_TIMER_CANCEL_ON_SET: Final = 0x2
TFD_IOC_SET_TICKS: Final = 0x4008_5400
