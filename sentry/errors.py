"""The one exception that is meant for the guest."""


class SysError(Exception):
    """A system call failed with `errno` (a positive number of `sentry.abi.errno`).

    Raised anywhere below a handler; becomes `-errno` in the guest's RAX in one
    place, `sentry/syscalls/invoke.py`.
    """

    def __init__(self, errno: int) -> None:
        super().__init__(errno)
        self.errno = errno
