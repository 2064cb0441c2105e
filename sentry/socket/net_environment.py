"""What the network stack asks of its owner: the kernel's clock, timers and random numbers."""

from netstack.environment import Environment, Timer
from sentry.kernel.kernel import Kernel
from sentry.kernel.timer import Timer as KernelTimer


class StackTimer(KernelTimer):
    """A timer of the stack in the queue of the kernel."""

    def __init__(self, timer: Timer) -> None:
        super().__init__()
        self._timer = timer

    def fire(self) -> None:
        timer = self._timer
        timer.deadline_ns = 0
        timer.fire()


class KernelEnvironment(Environment):
    """The environment of the sandbox's stacks."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._timers = kernel.timers

    def now_ns(self) -> int:
        return self._kernel.clock.monotonic_ns()

    def realtime_ns(self) -> int:
        return self._kernel.clock.realtime_ns()

    def arm(self, timer: Timer, deadline_ns: int) -> None:
        handle = timer.handle
        if not isinstance(handle, StackTimer):
            handle = StackTimer(timer)
            timer.handle = handle
        self._timers.arm(handle, deadline_ns)
        timer.deadline_ns = handle.deadline_ns

    def disarm(self, timer: Timer) -> None:
        handle = timer.handle
        if isinstance(handle, StackTimer):
            self._timers.disarm(handle)
        timer.deadline_ns = 0

    def random_bytes(self, count: int) -> bytes:
        return self._kernel.random_bytes(count)
