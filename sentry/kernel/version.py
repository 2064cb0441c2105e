"""What kernel the guest sees (uname(2))."""

from typing import Final

SYSNAME: Final = b"Linux"
RELEASE: Final = b"6.1.0-runsc"
VERSION: Final = b"#1 SMP runsc 0.1.0"
MACHINE: Final = b"x86_64"
