"""Carrying out a command: the one place where its failures end."""

import posix

from config.flags import DEFAULT_ROOT, FLAGS, Config, FlagError
from runsc.cmd.call import Call
from runsc.cmd.dispatch import dispatch
from runsc.cmd.paths import absolute
from runsc.errors import RunscError, UsageError, describe
from runsc.log import LOG

_BUG = 128
_EXEC_FAILED = 255  # as runc: below it are the statuses of the program


def read_config(flags: dict[str, bool | str]) -> Config:
    """Return the settings that the global flags make; raise UsageError."""
    config = Config()
    try:
        for name, value in _with_file(flags).items():
            config.set(name, value)
    except FlagError as error:
        raise UsageError(str(error)) from None
    config.root = absolute(config.root or DEFAULT_ROOT)
    if config.root == "/":
        raise UsageError("--root must not be /")
    if config.log:
        config.log = absolute(config.log)
    config.debug_log = _absolute_pattern(config.debug_log)
    config.pcap_log = _absolute_pattern(config.pcap_log)
    return config


def _with_file(flags: dict[str, bool | str]) -> dict[str, bool | str]:
    """Return the flags of the command line, and below them those of the file of --config."""
    path = flags.get("config")
    if not isinstance(path, str) or not path:
        return flags
    from config.configfile import read_flags

    return {**read_flags(absolute(path)), **flags}


def _absolute_pattern(path: str) -> str:
    """Return the absolute path of a log, with the / that says that it is a directory."""
    if not path:
        return ""
    return absolute(path) + ("/" if path.endswith("/") else "")


def first_missing(call: Call) -> int:
    """Return the first of the descriptors of --preserve-fds that is not open, or -1."""
    count = call.values.get("preserve_fds", 0)
    for host_fd in range(3, 3 + count if isinstance(count, int) else 3):
        try:
            posix.fstat(host_fd)
        except OSError:
            return host_fd
    return -1


def perform(call: Call) -> int:
    """Carry out a command and return its exit status; report why it failed."""
    status = _EXEC_FAILED if call.command == "exec" else RunscError.exit_status
    # Before anything is opened, which could take the number of one that is missing.
    missing_fd = first_missing(call)
    try:
        config = read_config(call.flags)
        container_id = str(call.values.get("container_id", ""))
        LOG.open(config, container_id, call.command)
        for flag in FLAGS:
            if flag.ignored and flag.name in call.flags:
                LOG.warning(f"--{flag.name} has no effect")
        LOG.debug(f"{call.command} {container_id}")
        if missing_fd >= 0:
            raise UsageError(f"--preserve-fds: descriptor {missing_fd} is not open")
        return dispatch(config, call)
    except RunscError as error:
        LOG.failure(str(error))
    except OSError as error:
        LOG.failure(describe(error))
    except KeyboardInterrupt:
        LOG.failure("interrupted")
    except Exception as error:  # noqa: BLE001 - no traceback on a user's terminal
        _report_bug(error)
        return _BUG
    return status


def _report_bug(error: Exception) -> None:
    """Report what should not have happened: a line for the user, the rest to the debug log."""
    from traceback import format_exception

    LOG.failure(f"internal error: {type(error).__name__}: {error}")
    LOG.traceback("".join(format_exception(error)))
