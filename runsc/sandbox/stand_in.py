"""Host processes that stand for guest processes: signals in, the exit status out.

A stand-in lives in the sandbox's pid namespace, so that the host's kernel ends
it before the sandbox.  Its connection to the control server is the guest
process's life: when the stand-in is killed, that is, too.

It is the caller's child, who has to reap it: until then the host's kernel does
not let the sandbox end (zap_pid_ns_processes, kernel/pid_namespace.c).
"""

import posix
import select

from runsc.errors import NotRunningError, RunscError, describe
from runsc.sandbox import hostcalls, signals
from runsc.sandbox.procfs import open_process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runsc.sandbox.client import Connection
    from runsc.sandbox.foreground import SignalPipe
    from runsc.sandbox.state import Container

KILLED = 128 + signals.SIGKILL


def enter_pid_namespace(container: "Container") -> None:
    """Have the next child be born in the sandbox's pid namespace (setns(2))."""
    try:
        pid_fd = open_process(container.pid, container.started_at)
    except ProcessLookupError:
        raise NotRunningError from None
    try:
        # A pidfd is sure to mean this process, whatever became of its number.
        hostcalls.setns(pid_fd, hostcalls.CLONE_NEWPID)
    except OSError as error:
        if container.is_alive():
            raise RunscError(f"cannot join the pid namespace: {describe(error)}") from None
        raise NotRunningError from None
    finally:
        posix.close(pid_fd)


def serve(connection: "Connection", arrived: "SignalPipe") -> int:
    """Pass signals on until the guest process ends; return its status."""
    poller = select.poll()
    poller.register(connection.fileno(), select.POLLIN)
    poller.register(arrived.read_fd, select.POLLIN)
    while True:
        for ready_fd, _ in poller.poll():
            if ready_fd == arrived.read_fd:
                for number in arrived.take():
                    connection.send({"signal": number})
                continue
            frame = connection.receive()
            if frame is None:
                return KILLED  # the sandbox is gone, and its processes with it
            if frame.has("exit"):
                return frame.number("exit", 0, 0, 255)
