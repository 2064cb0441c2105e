"""Numbers and structures of asynchronous input and output (linux/aio_abi.h)."""

from struct import Struct
from typing import Final

IOCB_CMD_PREAD: Final = 0
IOCB_CMD_PWRITE: Final = 1
IOCB_CMD_FSYNC: Final = 2
IOCB_CMD_FDSYNC: Final = 3
IOCB_CMD_POLL: Final = 5
IOCB_CMD_PREADV: Final = 7
IOCB_CMD_PWRITEV: Final = 8

IOCB_FLAG_RESFD: Final = 1
IOCB_FLAG_IOPRIO: Final = 2

# struct iocb: data, key, rw_flags, opcode, priority, fd, buffer, size, offset, reserved, flags,
# resfd
IOCB: Final = Struct("<QIiHhIQQqQII")
IOCB_KEY_AT: Final = 8
# struct io_event: data, obj, res, res2
IO_EVENT: Final = Struct("<QQqq")
