"""Hooks of the bundle (runtime.md and config.md of the OCI specification).

A hook gets the container's state on its standard input. Its path is executed
as it is written, with its own argv[0]: Docker's hook is `/proc/PID/exe`.
"""

import fcntl
import posix
import select
import time
from posix import _exit

from config.decode import Fields
from config.jsontext import dumps
from config.oci import Hook
from runsc.errors import RunscError, describe
from runsc.log import LOG
from runsc.sandbox import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from config.jsontext import Json

_MAX_OUTPUT = 16384


def to_json(hooks: list[Hook]) -> "list[Json]":
    """Return the hooks as config.json has them, for the state directory."""
    made: list[Json] = []
    for hook in hooks:
        item: dict[str, Json] = {"path": hook.path, "args": list(hook.args)}
        if hook.env is not None:
            item["env"] = list(hook.env)
        if hook.timeout:
            item["timeout"] = hook.timeout
        made.append(item)
    return made


def from_json(items: "list[Json]") -> list[Hook]:
    """Return the hooks that `to_json` wrote."""
    hooks: list[Hook] = []
    for item in items:
        fields = Fields(item, "hook")
        env = fields.texts("env") if fields.has("env") else None
        timeout = fields.number("timeout", 0, 0, 1 << 31)
        hooks.append(Hook(fields.text("path"), fields.texts("args"), env, timeout))
    return hooks


def run_hooks(point: str, hooks: list[Hook], state: "dict[str, Json]") -> None:
    """Run the hooks of one point in order; raise RunscError at the first that fails."""
    text = dumps(state).encode()
    for hook in hooks:
        problem = _run(hook, text, str(state["bundle"]))
        if problem:
            raise RunscError(f"{point} hook {hook.path}: {problem}")


def run_hooks_anyway(point: str, hooks: list[Hook], state: "dict[str, Json]") -> None:
    """Run all hooks of one point; a failure is only noted."""
    for hook in hooks:
        problem = _run(hook, dumps(state).encode(), str(state["bundle"]))
        if problem:
            LOG.warning(f"{point} hook {hook.path}: {problem}")


def _run(hook: Hook, text: bytes, directory: str) -> str:
    """Run one hook and return what went wrong, or nothing."""
    input_read, input_write = _pipe()
    output_read, output_write = _pipe()
    pid = posix.fork()
    if pid == 0:
        _exec_hook(hook, directory, input_read, output_write)
    posix.close(input_read)
    posix.close(output_write)
    try:
        return _attend(hook, pid, text, input_write, output_read)
    finally:
        posix.close(output_read)


def _pipe() -> tuple[int, int]:
    # Above 2, even when the caller gave us no standard descriptors.
    ends = posix.pipe2(posix.O_CLOEXEC)
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 3) for end in ends]
    for end in ends:
        posix.close(end)
    return moved[0], moved[1]


def _exec_hook(hook: Hook, directory: str, input_read: int, output_write: int) -> None:
    try:
        signals.reset()
        posix.setsid()
        posix.dup2(input_read, 0)
        posix.dup2(output_write, 1)
        posix.dup2(output_write, 2)
        posix.chdir(directory)
        env: dict[bytes, bytes] = posix.environ
        if hook.env is not None:
            pairs = (item.encode().partition(b"=") for item in hook.env)
            env = {name: value for name, _, value in pairs}
        posix.execve(hook.path, hook.args or [hook.path], env)
    except OSError as error:
        posix.write(2, describe(error).encode("utf-8", "replace"))
    finally:
        _exit(127)


def _attend(hook: Hook, pid: int, text: bytes, input_write: int, output_read: int) -> str:
    deadline = time.monotonic() + hook.timeout if hook.timeout else 0.0
    pid_fd = posix.pidfd_open(pid)
    poller = select.poll()
    poller.register(output_read, select.POLLIN)
    poller.register(pid_fd, select.POLLIN)
    poller.register(input_write, select.POLLOUT)
    posix.set_blocking(input_write, False)
    output = b""
    alive = True
    while alive:
        wait_ms = -1
        if deadline:
            wait_ms = int((deadline - time.monotonic()) * 1000)
            if wait_ms <= 0:
                break
        for ready_fd, _ in poller.poll(wait_ms):
            if ready_fd == pid_fd:
                alive = False
            elif ready_fd == output_read:
                piece = posix.read(output_read, 4096)
                output = (output + piece)[:_MAX_OUTPUT]
                if not piece:
                    poller.unregister(output_read)
            elif ready_fd == input_write:
                text = _feed(input_write, text)
                if not text:
                    poller.unregister(input_write)
                    posix.close(input_write)
                    input_write = -1
    if input_write >= 0:
        posix.close(input_write)
    posix.close(pid_fd)
    return _outcome(hook, pid, output + _rest(output_read), timed_out=alive)


def _feed(input_write: int, text: bytes) -> bytes:
    try:
        return text[posix.write(input_write, text) :]
    except BlockingIOError:
        return text
    except BrokenPipeError:
        return b""  # a hook need not read its state


def _rest(output_read: int) -> bytes:
    posix.set_blocking(output_read, False)
    try:
        return posix.read(output_read, _MAX_OUTPUT)
    except BlockingIOError:
        return b""  # something that the hook left running holds the pipe


def _outcome(hook: Hook, pid: int, output: bytes, *, timed_out: bool) -> str:
    if timed_out:
        try:
            posix.killpg(pid, signals.SIGKILL)
        except ProcessLookupError:
            posix.kill(pid, signals.SIGKILL)
        posix.waitpid(pid, 0)
        return f"timed out after {hook.timeout} s"
    _, status = posix.waitpid(pid, 0)
    if status == 0:
        return ""
    said = output.decode("utf-8", "replace").strip()
    reason = (
        f"killed by signal {posix.WTERMSIG(status)}"
        if posix.WIFSIGNALED(status)
        else f"exit status {posix.WEXITSTATUS(status)}"
    )
    return f"{reason}: {said}" if said else reason
