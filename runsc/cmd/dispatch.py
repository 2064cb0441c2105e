"""From a command that has been understood to the function that does it.

Each function is imported when its command is called: a command pays for
itself only.
"""

import posix

from config.flags import Config
from runsc.cmd.call import Call
from runsc.cmd.paths import absolute
from runsc.errors import RunscError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runsc.sandbox.create import Options
    from runsc.sandbox.exec import ExecOptions


def write_out(text: str) -> None:
    """Write to standard output."""
    data = text.encode("utf-8", "surrogateescape")
    while data:
        data = data[posix.write(1, data) :]


def dispatch(config: Config, call: Call) -> int:
    """Do what the call says and return the exit status."""
    return HANDLERS[call.command](config, call)


def _state(config: Config, call: Call) -> int:
    from runsc.sandbox.show import state_text

    write_out(state_text(config, call.text("container_id")))
    return 0


def _kill(config: Config, call: Call) -> int:
    from runsc.sandbox.lifecycle import kill

    kill(config, call.text("container_id"), call.text("signal"), everyone=call.flag("everyone"))
    return 0


def _delete(config: Config, call: Call) -> int:
    from runsc.sandbox.lifecycle import delete

    names = call.words("container_ids")
    if not names:
        raise UsageError("delete needs the id of a container")
    problems: list[str] = []
    for name in names:
        try:
            delete(config, name, force=call.flag("force"))
        except RunscError as error:
            problems.append(str(error))
    if problems:
        raise RunscError("; ".join(problems))
    return 0


def _start(config: Config, call: Call) -> int:
    from runsc.sandbox.lifecycle import start

    start(config, call.text("container_id"))
    return 0


def _pause(config: Config, call: Call) -> int:
    from runsc.sandbox.pausing import pause

    pause(config, call.text("container_id"))
    return 0


def _resume(config: Config, call: Call) -> int:
    from runsc.sandbox.pausing import resume

    resume(config, call.text("container_id"))
    return 0


def _fill(options: "Options", call: Call) -> None:
    if call.text("pid_file"):
        options.pid_file = absolute(call.text("pid_file"))
    if call.text("console_socket"):
        options.console_socket = absolute(call.text("console_socket"))
    options.preserve_fds = call.number("preserve_fds")


def _create(config: Config, call: Call) -> int:
    from runsc.sandbox.create import Options, create

    options = Options()
    _fill(options, call)
    creation = create(config, call.text("container_id"), absolute(call.text("bundle")), options)
    creation.container.unlock()
    return 0


def _run(config: Config, call: Call) -> int:
    from runsc.sandbox.run import RunOptions, run

    options = RunOptions()
    _fill(options, call)
    options.detach = call.flag("detach")
    options.keep = call.flag("keep")
    return run(config, call.text("container_id"), absolute(call.text("bundle")), options)


def _numbers(words: list[str], flag: str) -> list[int]:
    for word in words:
        if not (word.isascii() and word.isdigit()):
            raise UsageError(f"{flag}: {word!r} is not a number")
    return [int(word) for word in words]


def _fill_exec(options: "ExecOptions", call: Call) -> None:
    options.detach = call.flag("detach")
    options.tty = call.flag("tty")
    options.preserve_fds = call.number("preserve_fds")
    if call.text("process"):
        options.process_file = absolute(call.text("process"))
    if call.text("pid_file"):
        options.pid_file = absolute(call.text("pid_file"))
    if call.text("internal_pid_file"):
        options.internal_pid_file = absolute(call.text("internal_pid_file"))
    if call.text("console_socket"):
        options.console_socket = absolute(call.text("console_socket"))
    options.args = _program(call)
    options.cwd = call.text("cwd")
    options.env = call.words("env")
    options.user = call.text("user")
    options.additional_gids = _numbers(call.words("additional_gids"), "--additional-gids")
    options.capabilities = [
        name if name.startswith("CAP_") else f"CAP_{name}"
        for name in (word.upper() for word in call.words("cap"))
    ]
    options.no_new_privileges = call.flag("no_new_privs")


def _program(call: Call) -> list[str]:
    words = call.words("args")
    return words[1:] if words[:1] == ["--"] else words


def _exec(config: Config, call: Call) -> int:
    from runsc.sandbox.exec import ExecOptions, execute

    options = ExecOptions()
    _fill_exec(options, call)
    return execute(config, call.text("container_id"), options)


def _list(config: Config, call: Call) -> int:
    from runsc.sandbox.show import list_text

    write_out(list_text(config, call.text("format"), quiet=call.flag("quiet")))
    return 0


def _ps(config: Config, call: Call) -> int:
    from runsc.sandbox.show import ps_text

    write_out(ps_text(config, call.text("container_id"), call.text("format")))
    return 0


def _port_forward(config: Config, call: Call) -> int:
    from runsc.sandbox.forward import forward_ports, forward_stream

    container_id, ports = call.text("container_id"), call.text("ports")
    if call.text("stream"):
        forward_stream(config, container_id, ports, absolute(call.text("stream")))
    else:
        forward_ports(config, container_id, ports)
    return 0


def _debug(config: Config, call: Call) -> int:
    from runsc.sandbox.show import network_text

    if not call.flag("net"):
        raise UsageError("debug needs to know what to show: --net")
    write_out(network_text(config, call.text("container_id")))
    return 0


def _features(_config: Config, _call: Call) -> int:
    from config.jsontext import dumps
    from runsc.sandbox.features import features

    write_out(dumps(features(), indent=2) + "\n")
    return 0


def _spec(_config: Config, call: Call) -> int:
    from runsc.sandbox.template import write_config

    write_config(absolute(call.text("bundle")), _program(call), call.text("cwd"))
    return 0


def _do(config: Config, call: Call) -> int:
    from runsc.sandbox.run import run_on_host

    cwd = absolute(call.text("cwd"))
    return run_on_host(config, _program(call), cwd, readonly=call.flag("readonly"))


HANDLERS: "dict[str, Callable[[Config, Call], int]]" = {
    "create": _create,
    "debug": _debug,
    "delete": _delete,
    "do": _do,
    "exec": _exec,
    "features": _features,
    "kill": _kill,
    "list": _list,
    "pause": _pause,
    "port-forward": _port_forward,
    "ps": _ps,
    "resume": _resume,
    "run": _run,
    "spec": _spec,
    "start": _start,
    "state": _state,
}
