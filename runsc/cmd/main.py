"""Where `bin/runsc` begins."""

import posix
import sys
from posix import _exit

from runsc.cmd.perform import perform
from runsc.cmd.walker import walk


def main() -> None:
    """Carry out the command line and end the process; never returns."""
    open_standard_descriptors()
    words = sys.argv[1:]
    call = walk(words)
    if call is not None:
        status = perform(call)
    else:
        from runsc.cmd.people import run_click

        status = run_click(words)
    # No tidying up of modules and objects: the process is over.
    _exit(status)


def open_standard_descriptors() -> None:
    """Put /dev/null behind 0, 1 and 2 where the caller closed them."""
    for standard in (0, 1, 2):
        try:
            posix.fstat(standard)
        except OSError:
            posix.open("/dev/null", posix.O_RDWR)  # the lowest free number is this one
            posix.set_inheritable(standard, True)
