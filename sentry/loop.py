"""The kernel's one loop: stop, call, signals, resume; and everything that wakes up.

One thread, no locks: each thing is handled to its end before the next.
"""

from sentry.abi.errno import EFAULT
from sentry.abi.signal import SI_KERNEL, SIGKILL, SIGSEGV
from sentry.abi.syscalls import SYS_rt_sigreturn
from sentry.kernel import delivery, exit
from sentry.kernel.blocking import BLOCKED, DONE, PASS_ON
from sentry.kernel.kernel import Kernel
from sentry.kernel.signal import fault_info
from sentry.kernel.task import (
    HOLD_FREEZE,
    TASK_BLOCKED,
    TASK_DEAD,
    TASK_GUEST,
    TASK_HELD,
    TASK_READY,
    Task,
)
from sentry.log import describe_exception
from sentry.mm.user import VSYSCALL_START
from sentry.platform.interface import (
    STOP_EXITED,
    STOP_HOST_EVENT,
    STOP_INTERRUPTED,
    STOP_SIGNAL,
    STOP_SYSCALL,
)
from sentry.syscalls.invoke import invoke
from sentry.tracer import CallTracer


class Loop:
    """Runs a kernel until its init has ended."""

    def __init__(self, kernel: Kernel, tracer: CallTracer | None) -> None:
        self._kernel = kernel
        self._platform = kernel.platform
        self._tracer = tracer
        self._timer_ns = 0
        self._deferral = kernel.deferral

    def run(self) -> int:
        """Run until init has ended; return its status as wait(2) reports it."""
        kernel = self._kernel
        platform = self._platform
        while not kernel.has_finished():
            while kernel.ready:
                self._run_ready(kernel.ready.popleft())
                if kernel.has_finished():
                    return kernel.exit_status
            self._set_timer()
            if self._deferral.waits and not platform.running_count():
                self._push()  # nobody is about to make a call
            kind = platform.wait()
            if kind == STOP_HOST_EVENT:
                self._on_host_event()
                continue
            thread = platform.thread
            if thread is None:
                continue
            task = thread.owner
            if isinstance(task, Task) and task.thread is thread:
                self._on_stop(task, kind)
        return kernel.exit_status

    def start(self, task: Task) -> None:
        """Let a new task run for the first time."""
        self._return_to_guest(task, 0)

    def _set_timer(self) -> None:
        """Have the platform wake us for the next timer, unless it will already."""
        deadline_ns = self._kernel.timers.next_deadline_ns()
        if deadline_ns and (self._timer_ns == 0 or deadline_ns < self._timer_ns):
            self._timer_ns = deadline_ns
            self._platform.set_timer(deadline_ns)

    def _on_host_event(self) -> None:
        """Tell who watches ready descriptors and fire the timers that are due."""
        kernel = self._kernel
        try:
            self._platform.dispatch()
        except Exception:  # noqa: BLE001  a bug of ours must not end the sandbox
            kernel.log.warning("a bug in a watcher:\n" + describe_exception())
        # Read behind `dispatch`: if that has seen the platform's timer, it is over by this clock.
        now_ns = kernel.clock.monotonic_ns()
        if self._timer_ns <= now_ns:
            self._timer_ns = 0
        try:
            kernel.timers.run_due(now_ns)
        except Exception:  # noqa: BLE001  as above
            kernel.log.warning("a bug in a timer:\n" + describe_exception())
        if self._deferral.waits and self._deferral.is_late(now_ns):
            self._push()

    def _push(self) -> None:
        try:
            self._deferral.push()
        except Exception:  # noqa: BLE001  as above
            self._kernel.log.warning("a bug in output:\n" + describe_exception())

    def _on_stop(self, task: Task, kind: int) -> None:
        try:
            if kind == STOP_SYSCALL:
                self._on_syscall(task)
            elif task.state == TASK_DEAD:
                return
            elif kind == STOP_INTERRUPTED:
                self._return_to_guest(task, 0)
            elif kind == STOP_SIGNAL:
                delivery.force_fault(task)
                self._return_to_guest(task, 0)
            elif kind == STOP_EXITED:
                exit.host_thread_ended(task, task.thread.exit_status)
        except Exception:  # noqa: BLE001  a bug of ours must not end the sandbox
            self._on_bug(task)

    def _run_ready(self, task: Task) -> None:
        if task.state != TASK_READY:
            return
        if task.hold & HOLD_FREEZE:
            # Not even its call goes on, which may have effects that others see.
            task.state = TASK_HELD
            return
        task.state = TASK_GUEST
        try:
            if task.call.is_over:
                self._return_to_guest(task, 0)
            else:
                self._invoke(task, task.call.number)
        except Exception:  # noqa: BLE001  a bug of ours must not end the sandbox
            self._on_bug(task)

    def _on_syscall(self, task: Task) -> None:
        if task.state == TASK_DEAD:
            return
        number = task.thread.number
        task.call.begin(number)
        self._deferral.on_call(task, number, task.thread.a0)
        if self._tracer is not None:
            self._tracer.begin(task.tid, task.comm, task.thread, self._kernel.clock.monotonic_ns())
        if task.hold & HOLD_FREEZE:
            task.state = TASK_HELD  # the call begins when it is released
            return
        self._invoke(task, number)

    def _invoke(self, task: Task, number: int) -> None:
        self._kernel.current = task
        result = invoke(task, number)
        if result == BLOCKED:
            self._deferral.on_sleep()
            if task.has_signal and task.state == TASK_BLOCKED:
                task.wake(0)
            return
        thread = task.thread
        if result == PASS_ON:
            if not task.has_signal and not task.hold and self._tracer is None:
                task.call.end()
                thread.pass_on()
                self._platform.resume(thread)
                return
            result = self._make_now(task, number)
        if self._tracer is not None:
            self._tracer.end(task.tid, result, self._kernel.clock.monotonic_ns())
        if result == DONE:
            task.call.end()
            if task.state != TASK_DEAD:
                self._return_to_guest(task, 0)
            return
        if -517 < result < -511:
            # Some ERESTART code: there is a signal, which decides what becomes of the call.
            self._return_to_guest(task, result)
            return
        task.call.end()
        thread.finish(result)
        if result == -EFAULT and thread.ip >= VSYSCALL_START:
            # Linux does not return that from there (linux: emulate_vsyscall).
            delivery.force(task, fault_info(SIGSEGV, SI_KERNEL, 0))
        if task.has_signal or task.hold:
            self._return_to_guest(task, result)
        else:
            self._platform.resume(thread)

    def _make_now(self, task: Task, number: int) -> int:
        """Make a call that would be passed on, as there is more to do before the guest runs."""
        thread = task.thread
        if number == SYS_rt_sigreturn:
            thread.leave_handler()
            return DONE
        return thread.execute(
            number, thread.a0, thread.a1, thread.a2, thread.a3, thread.a4, thread.a5
        )

    def _return_to_guest(self, task: Task, result: int) -> None:
        """Deliver signals, then resume, run the call again, hold, or nothing if it died.

        `result` is what the call returned, already given to `thread.finish`;
        or an ERESTART code (the call is not over); irrelevant outside calls.
        """
        rerun = False
        if task.has_signal:
            rerun = delivery.deliver(task, result)
        elif -517 < result < -511:
            rerun = True  # the signal is gone: another thread took it
        if task.state == TASK_DEAD:
            return
        if not rerun:
            task.call.end()
        if task.hold:
            task.state = TASK_HELD
        elif rerun:
            task.state = TASK_READY
            self._kernel.ready.append(task)
        else:
            task.state = TASK_GUEST
            self._platform.resume(task.thread)

    def _on_bug(self, task: Task) -> None:
        """Log what went wrong and end the guest process that hit it."""
        self._kernel.log.warning(
            f"task {task.tid} ({task.comm!r}) ends because of a bug in call {task.thread.number}:\n"
            + describe_exception()
        )
        try:
            exit.kill_group(task.group, SIGKILL)
        except Exception:  # noqa: BLE001  as above, once more
            self._kernel.log.warning("and its end has a bug too:\n" + describe_exception())
            for thread in [other.thread for other in task.group.tasks] + [task.thread]:
                thread.kill()
