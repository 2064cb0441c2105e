"""Sizes that the ABI promises (linux/limits.h, uio.h, binfmts.h)."""

from typing import Final

NAME_MAX: Final = 255
PATH_MAX: Final = 4096
PIPE_BUF: Final = 4096
NGROUPS_MAX: Final = 65536
ARG_MAX: Final = 131072
XATTR_NAME_MAX: Final = 255
XATTR_SIZE_MAX: Final = 65536
XATTR_LIST_MAX: Final = 65536

PAGE_SIZE: Final = 4096
PAGE_SHIFT: Final = 12
IOV_MAX: Final = 1024
UIO_MAXIOV: Final = 1024
TASK_COMM_LEN: Final = 16
MAX_ARG_STRLEN: Final = 131_072
MAX_ARG_STRINGS: Final = 0x7FFF_FFFF
SYMLOOP_MAX: Final = 40

# The most one read(2) or write(2) transfers: INT_MAX down to a page
MAX_RW_COUNT: Final = 0x7FFF_F000

# pipe(7), and the interpreter line of a script (execve(2))
PIPE_DEFAULT_SIZE: Final = 65_536
PIPE_MAX_SIZE: Final = 1_048_576
BINPRM_BUF_SIZE: Final = 256

# The end of user addresses with four-level page tables, and the least address of mmap_min_addr
TASK_SIZE: Final = 0x7FFF_FFFF_F000
MMAP_MIN_ADDR: Final = 0x1_0000

# Ends of the C types
INT_MAX: Final = 0x7FFF_FFFF
UINT_MAX: Final = 0xFFFF_FFFF
LONG_MAX: Final = 0x7FFF_FFFF_FFFF_FFFF
ULONG_MAX: Final = 0xFFFF_FFFF_FFFF_FFFF

# proc(5): pid_max, nr_open, file-max
PID_MAX_DEFAULT: Final = 32_768
PID_MAX_LIMIT: Final = 4_194_304
NR_OPEN: Final = 1_048_576
