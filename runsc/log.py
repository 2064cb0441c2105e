"""The logs of the host side: `--log` for callers, `--debug-log` for people.

Writing a log never fails a command: descriptors may be closed or read-only,
disks full.
"""

import posix
import time

from config.flags import Config
from config.jsontext import dumps


def _write_all(host_fd: int, text: str) -> None:
    data = text.encode("utf-8", "backslashreplace")
    try:
        while data:
            data = data[posix.write(host_fd, data) :]
    except OSError:
        # Nothing can be reported where reports go; see the head of the module.
        return


def one_line(text: str) -> str:
    """Return `text` without line breaks; callers read one line."""
    return " ".join(text.split("\n")).strip() if "\n" in text else text


def _stamp() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _format(style: str, level: str, text: str) -> str:
    message = one_line(text)
    if style == "json":
        # containerd reads `level` and `time` strictly: lower case, RFC 3339.
        return dumps({"level": level, "msg": message, "time": _stamp()}) + "\n"
    return f'time="{_stamp()}" level={level} msg={dumps(message)}\n'


def _open_append(path: str) -> int:
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_APPEND | posix.O_CLOEXEC
    return posix.open(path, flags, 0o644)


def debug_log_path(pattern: str, container_id: str, command: str) -> str:
    """Return the file that a --debug-log pattern names for this command."""
    if pattern.endswith("/"):
        pattern += "runsc.log.%TIMESTAMP%.%COMMAND%.%PID%.txt"
    now = time.time_ns()
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now // 10**9))
    return (
        pattern.replace("%TIMESTAMP%", f"{stamp}.{now // 1000 % 10**6:06d}")
        .replace("%COMMAND%", command)
        .replace("%ID%", container_id)
        .replace("%PID%", str(posix.getpid()))
    )


def open_debug_log(config: Config, container_id: str, command: str) -> int:
    """Return a descriptor of the debug log, -1 when none is asked for."""
    if not config.debug_log or not (config.debug or config.strace):
        return -1
    return _open_below(debug_log_path(config.debug_log, container_id, command))


def open_capture(config: Config, container_id: str) -> int:
    """Return a descriptor for the frames of a container, -1 when they are not asked for."""
    pattern = config.pcap_log
    if not pattern:
        return -1
    if pattern.endswith("/"):
        pattern += "runsc.%ID%.%TIMESTAMP%.pcapng"
    return _open_below(debug_log_path(pattern, container_id, "boot"))


def _open_below(path: str) -> int:
    """Open a file to append to, and make the directories that are missing on the way."""
    made = 0
    while (made := path.find("/", made + 1)) > 0:
        try:
            posix.mkdir(path[:made], 0o755)
        except FileExistsError:
            continue
    return _open_append(path)


class Log:
    """Where one command writes what happens; made once in `runsc.cmd.main`."""

    def __init__(self) -> None:
        self._log_fd = -1
        self._log_format = "text"
        self._debug_fd = -1
        self._debug_format = "text"
        self._debug = False

    def open(self, config: Config, container_id: str, command: str) -> None:
        """Open the logs that `config` names; raise OSError when one cannot be."""
        self._debug = config.debug
        self._log_format = config.log_format
        self._debug_format = config.debug_log_format
        if config.log and self._log_fd < 0:
            # Callers expect the file even when nothing goes wrong.
            self._log_fd = _open_append(config.log)
        if config.debug and config.debug_log and self._debug_fd < 0:
            self._debug_fd = open_debug_log(config, container_id, command)

    def descriptors(self) -> set[int]:
        """Return the descriptors that a forked process keeps to go on logging."""
        return {host_fd for host_fd in (self._debug_fd,) if host_fd >= 0}

    def debug(self, text: str) -> None:
        """Note a step, for --debug."""
        if self._debug_fd >= 0:
            _write_all(self._debug_fd, _format(self._debug_format, "debug", text))

    def warning(self, text: str) -> None:
        """Note what was ignored or done differently.

        It goes to the debug log, and to a terminal: stderr of `create` is
        often the container's, and --log must hold one line only for podman.
        """
        if self._debug_fd >= 0:
            _write_all(self._debug_fd, _format(self._debug_format, "warning", text))
        elif posix.isatty(2):
            _write_all(2, f"runsc: warning: {one_line(text)}\n")

    def failure(self, text: str) -> None:
        """Report why the command fails: a line on stderr and one in --log."""
        _write_all(2, f"runsc: {one_line(text)}\n")
        if self._log_fd >= 0:
            _write_all(self._log_fd, _format(self._log_format, "error", text))
        if self._debug_fd >= 0:
            _write_all(self._debug_fd, _format(self._debug_format, "error", text))

    def traceback(self, text: str) -> None:
        """Keep the traceback of a bug in the debug log; terminals never show it."""
        if self._debug_fd >= 0:
            for line in text.splitlines():
                _write_all(self._debug_fd, _format(self._debug_format, "error", line))


LOG = Log()
