"""The sandbox's debug log: lines on a descriptor that the host side opened."""

import os
import time

from config.jsontext import dumps
from sentry.log import Log


class BootLog(Log):
    """Writes text or JSON lines; what the log cannot take is lost, never an error.

    `debug` lines are written only when asked for, so that --strace alone
    gives nothing but calls.
    """

    def __init__(self, host_fd: int, *, json: bool, debug: bool) -> None:
        self._host_fd = host_fd
        self._json = json
        self._debug = debug
        # The C library looks for a time zone file once, which has to be now.
        time.gmtime(0)

    def debug(self, text: str) -> None:
        """Write a line for who looks closely."""
        if self._debug:
            self._write("debug", text)

    def info(self, text: str) -> None:
        """Write a line of interest to the operator."""
        self._write("info", text)

    def warning(self, text: str) -> None:
        """Write what went wrong."""
        self._write("warning", text)

    def _write(self, level: str, text: str) -> None:
        if self._host_fd < 0:
            return
        stamp = format_time(time.time_ns())
        lines = []
        for line in text.splitlines():
            if self._json:
                lines.append(dumps({"level": level, "msg": line, "time": stamp}))
            else:
                # The guest chooses names that end up here: no escape sequences.
                lines.append(f"{stamp} {level[0].upper()} {printable(line)}")
        data = ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace")
        try:
            # One write, so that lines of several processes do not mix (O_APPEND).
            os.write(self._host_fd, data)
        except OSError:
            # A full disk must not end the container: stop logging.
            self._host_fd = -1


def format_time(now_ns: int) -> str:
    """Return a time of the epoch as RFC 3339 with microseconds."""
    # Not strftime: it looks for the time zone file, which is not there any more.
    at = time.gmtime(now_ns // 1_000_000_000)
    micros = now_ns // 1000 % 1_000_000
    return (
        f"{at.tm_year:04}-{at.tm_mon:02}-{at.tm_mday:02}"
        f"T{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}.{micros:06}Z"
    )


def printable(text: str) -> str:
    """Return `text` with control characters escaped."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
