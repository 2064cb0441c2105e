"""`start`, `kill` and `delete`: what happens to a container that is there."""

import posix
import select

from config.flags import Config
from runsc.errors import ContainerNotFoundError, NotRunningError, RunscError
from runsc.log import LOG
from runsc.sandbox import signals
from runsc.sandbox.procfs import open_process
from runsc.sandbox.state import (
    CREATED,
    CREATING,
    PAUSED,
    RUNNING,
    STOPPED,
    Container,
    load_container,
)

_KILL_WAIT_MS = 10_000


def start(config: Config, container_id: str) -> None:
    """Run the program of a created container; return when it runs."""
    container = load_container(config.root, container_id)
    container.lock()
    container.load()
    status = container.status()
    if status == STOPPED:
        raise RunscError("cannot start a container that has stopped")
    if status != CREATED:
        raise RunscError("cannot start an already running container")
    start_locked(container)
    container.unlock()


def start_locked(container: Container) -> None:
    """Start a created container whose lock the caller holds."""
    from runsc.sandbox.handover import ask_to_start

    ask_to_start(container)
    container.phase = RUNNING
    container.save()
    run_poststart(container)


def run_poststart(container: Container) -> None:
    """Run the poststart hooks; the first failure kills the container."""
    if not container.poststart:
        return
    from runsc.sandbox.hooks import from_json, run_hooks

    state = container.describe()
    try:
        run_hooks("poststart", from_json(container.poststart), state)
    except RunscError:
        kill_process(container)
        raise


def kill(config: Config, container_id: str, signal_text: str, *, everyone: bool) -> None:
    """Send a signal to the container's init, or to all its processes."""
    number = signals.parse_signal(signal_text)
    container = load_container(config.root, container_id)
    if not container.is_alive():
        if everyone:
            _signal_the_rest(container, number)
            return  # containerd sends this after every end, and a failure would be shown
        raise NotRunningError
    if number == signals.SIGKILL and not container.sandbox:
        # Death of the sandbox is death of the container, whatever state it is in.
        if not kill_process(container) and not everyone:
            raise NotRunningError
        return
    from runsc.sandbox.client import ControlError, ask

    if number == signals.SIGKILL:
        _kill_member(container)
        return
    try:
        ask(container, {"do": "signal", "signal": number, "all": everyone})
    except ControlError:
        if container.is_alive():
            raise
        if not everyone:
            raise NotRunningError from None


def _kill_member(container: Container) -> None:
    """Kill a container in the sandbox of another one, whatever state either is in."""
    from runsc.sandbox.client import ANSWER_S, ControlError, ask

    try:
        ask(container, {"do": "signal", "signal": signals.SIGKILL, "all": True}, ANSWER_S)
    except ControlError as error:
        LOG.debug(f"killed from the host: {error}")
        kill_process(container)


def _signal_the_rest(container: Container, number: int) -> None:
    """Signal what is left of a container in the sandbox of another, whose init has ended.

    It may have shared the pid namespace of another container.
    """
    if not container.sandbox:
        return
    from runsc.sandbox.client import ANSWER_S, ask

    try:
        ask(container, {"do": "signal", "signal": number, "all": True}, ANSWER_S)
    except RunscError as error:
        LOG.debug(f"nothing is left: {error}")


def kill_process(container: Container) -> bool:
    """Kill the process that the pid file names; return False when it was dead already."""
    if not container.pid:
        return False
    try:
        pid_fd = open_process(container.pid, container.started_at)
    except ProcessLookupError:
        return False
    try:
        signals.send(pid_fd, signals.SIGKILL)
    except ProcessLookupError:
        return False
    finally:
        posix.close(pid_fd)
    return True


def _kill_and_wait(container: Container) -> None:
    if not container.pid:
        return
    try:
        pid_fd = open_process(container.pid, container.started_at)
    except ProcessLookupError:
        return
    try:
        signals.send(pid_fd, signals.SIGKILL)
        poller = select.poll()
        poller.register(pid_fd, select.POLLIN)
        if not poller.poll(_KILL_WAIT_MS):
            raise RunscError(f"container {container.container_id!r} does not die")
    except ProcessLookupError:
        return
    finally:
        posix.close(pid_fd)


def delete(config: Config, container_id: str, *, force: bool) -> None:
    """Remove a container that has ended, was never started, or with `force` any."""
    try:
        container = load_container(config.root, container_id)
        if force:
            # Before the lock: a command that hangs on the container lets go of it then.
            _kill_and_wait(container)
        container.lock()
        container.load()
        status = container.status()
        if not force and status in (RUNNING, PAUSED):
            raise RunscError(
                f"cannot delete container {container_id!r} that is not stopped: {status}"
            )
    except ContainerNotFoundError:
        if force:
            return
        raise
    remove(container)


def remove(container: Container) -> None:
    """Remove what is left of a container whose lock the caller holds."""
    _kill_and_wait(container)
    if container.sandbox:
        from runsc.sandbox.pod import leave

        leave(container)
    if container.takeover:
        from runsc.sandbox.handover import give_back_network

        give_back_network(container)
    if container.cgroups:
        from runsc.sandbox.cgroup import Cgroup

        Cgroup(container.cgroups).remove()
    never_created = container.phase == CREATING
    state = container.describe()
    container.remove()
    container.unlock()
    if container.poststop and not never_created:
        from runsc.sandbox.hooks import from_json, run_hooks_anyway

        state["status"] = STOPPED
        state["pid"] = 0
        run_hooks_anyway("poststop", from_json(container.poststop), state)
