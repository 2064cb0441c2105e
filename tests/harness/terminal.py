"""A terminal whose user is the test: types, and waits for what appears."""

import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time

from tests.harness.bundle import Runtime


class Screen:
    """The master of a host terminal, and everything that came out of it."""

    def __init__(self, master: int) -> None:
        self.master = master
        self.text = ""
        self._seen = 0

    def type(self, text: str) -> None:
        """Type, as a user would."""
        data = text.encode()
        while data:
            data = data[os.write(self.master, data) :]

    def expect(self, pattern: str, timeout: float = 30.0) -> "re.Match[str]":
        """Wait for a match after what was matched last; return it."""
        deadline = time.monotonic() + timeout
        while True:
            found = re.compile(pattern).search(self.text, self._seen)
            if found:
                self._seen = found.end()
                return found
            left = deadline - time.monotonic()
            assert left > 0, f"no {pattern!r} after {self._seen} in {self.text!r}"
            assert self.read(left), f"ended without {pattern!r} after {self._seen}: {self.text!r}"

    def read(self, timeout: float) -> bool:
        """Take what appears within the time; return whether the other side is still there."""
        if not select.select([self.master], [], [], timeout)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False  # EIO: every slave is closed
        self.text += data.decode("utf-8", "replace")
        return bool(data)

    def settle(self, seconds: float) -> None:
        """Take what appears for so long: what was started before has its turn."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.read(left)

    def read_to_end(self, timeout: float = 30.0) -> str:
        """Return all that appears until the other side is closed."""
        deadline = time.monotonic() + timeout
        while self.read(max(deadline - time.monotonic(), 0)):
            assert time.monotonic() < deadline, f"no end after {self.text!r}"
        return self.text

    def resize(self, rows: int, columns: int) -> None:
        """Set the window size, as a terminal emulator does."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close(self) -> None:
        """Hang up; harmless when that was done."""
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


class TerminalSession:
    """A command of the runtime whose standard streams are a terminal that the test holds."""

    def __init__(
        self, runtime: Runtime, *arguments: str, rows: int = 24, columns: int = 80
    ) -> None:
        master, slave = os.openpty()
        self.screen = Screen(master)
        self.screen.resize(rows, columns)
        self.settings = termios.tcgetattr(slave)
        self._slave = slave
        # `setsid -c` makes it the controlling terminal: a foreground command gets SIGWINCH.
        self.process = subprocess.Popen(
            ["setsid", "-c", *runtime.command, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={"PATH": os.environ["PATH"]},
            cwd="/",
        )

    def end(self, timeout: float = 30.0) -> int:
        """Wait for the command; return its exit status."""
        deadline = time.monotonic() + timeout
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"still running: {self.screen.text!r}"
            self.screen.read(0.05)
        self.screen.read(0.1)
        return self.process.returncode

    def settings_now(self) -> list[object]:
        """Return the settings of the host's terminal."""
        return termios.tcgetattr(self._slave)

    def close(self) -> None:
        """End the command if it still runs, and the terminal."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._slave)
        self.screen.close()

    def __enter__(self) -> "TerminalSession":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
