"""arch_prctl(2) of x86-64."""

from typing import Final

from sentry.abi.errno import EINVAL, EPERM
from sentry.abi.types import Int, Ulong
from sentry.errors import SysError
from sentry.kernel.blocking import DONE
from sentry.kernel.task import Task
from sentry.mm.user import TASK_SIZE, write_u64

ARCH_SET_GS: Final = 0x1001
ARCH_SET_FS: Final = 0x1002
ARCH_GET_FS: Final = 0x1003
ARCH_GET_GS: Final = 0x1004


def sys_arch_prctl(task: Task, code: Int, address: Ulong) -> int:
    """arch_prctl(2): the bases of FS and GS; everything else is EINVAL."""
    if code in (ARCH_SET_FS, ARCH_SET_GS):
        if address >= TASK_SIZE:
            raise SysError(EPERM)
        regs = task.thread.registers()
        if code == ARCH_SET_FS:
            regs.fs_base = address
        else:
            regs.gs_base = address
        regs.rax = 0
        # Not passed on: a call that is made for the thread leaves its registers as they were.
        task.thread.set_registers(regs)
        return DONE
    if code in (ARCH_GET_FS, ARCH_GET_GS):
        regs = task.thread.registers()
        write_u64(task.memory, address, regs.fs_base if code == ARCH_GET_FS else regs.gs_base)
        return 0
    raise SysError(EINVAL)
