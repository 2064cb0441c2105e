"""The terminals of guest processes whose caller asked for one (`process.terminal`, OCI).

The host's pair stays with the caller and the sandbox; the guest gets a
terminal of its own kernel, /dev/pts/N, as its standard streams and as the
controlling terminal of its session.
"""

import os
from typing import Final

from runsc.errors import RunscError
from runsc.sandbox import signals
from sentry.abi.fcntl import O_RDWR
from sentry.abi.stat import S_IFREG
from sentry.errors import SysError
from sentry.fs.tty.console import HostEnd
from sentry.fs.tty.devpts import DevptsFilesystem, DevptsOptions
from sentry.fs.tty.file import TtyFile
from sentry.fs.tty.terminal import Tty
from sentry.kernel import jobs
from sentry.kernel.kernel import Kernel
from sentry.kernel.task import Task
from sentry.platform.interface import HostWatcher
from sentry.vfs.file import File
from sentry.vfs.mount import VfsPath
from sentry.vfs.namespace import MountNamespace, privileged
from sentry.vfs.path import resolve

FLUSH_MS: Final = 2000  # how long the end of the container waits for a reader of its console
STREAMS: Final = 3
_POLLIN: Final = 1


class Console:
    """One guest terminal with a host terminal behind it."""

    def __init__(self, tty: Tty, end: HostEnd, file: TtyFile) -> None:
        self.tty = tty
        self.end = end
        self.file = file

    def streams(self) -> list[File]:
        """Return the file for descriptors 0, 1 and 2: it is one, as dup(2) makes it."""
        return [self.file] * STREAMS

    def control(self, task: Task) -> None:
        """Make it the controlling terminal of a process that leads its session."""
        jobs.set_terminal(task.group, self.tty)

    def refresh(self) -> None:
        """Take the window size of the host's terminal over."""
        self.end.refresh()


class Terminals(HostWatcher):
    """Makes the consoles of a container, and follows the window size of its init's.

    The first container's is the one that the sandbox leads the session of: for
    it the host's kernel sends the sandbox SIGWINCH.
    """

    def __init__(self, kernel: Kernel, namespace: MountNamespace, *, is_first: bool) -> None:
        self._kernel = kernel
        self._namespace = namespace
        self._is_first = is_first
        self._consoles: list[Console] = []
        self._signal_fd = -1

    def attach(self, host_fd: int, uid: int, *, is_main: bool) -> Console:
        """Return a console over the slave of a host's pair; the descriptor becomes its own.

        `is_main`: the container's own, which /dev/console is too.
        """
        place = self._devpts_place()
        filesystem = self._new_devpts() if place is None else place.mount.filesystem
        assert isinstance(filesystem, DevptsFilesystem)
        try:
            tty = filesystem.new_tty(uid, 0)
            end = HostEnd(self._kernel.platform, host_fd, tty, is_kept=is_main)
        except SysError as error:
            raise RunscError(f"cannot make a terminal: error {error.errno}") from None
        tty.end = end
        assert tty.inode is not None
        file = TtyFile(tty, O_RDWR, tty.inode)
        if place is not None:
            file.path = self._place_of(tty)
        console = Console(tty, end, file)
        self._consoles = [old for old in self._consoles if old.end.is_open()]
        self._consoles.append(console)
        if is_main:
            if file.path is not None:
                self._bind_console(file.path)
            if self._is_first:
                self._watch_size()
        return console

    def finish(self) -> None:
        """Write what the consoles still have; called when the container has ended."""
        for console in self._consoles:
            console.end.flush_within(FLUSH_MS)

    def give_up(self) -> None:
        """Close the consoles as soon as their output is written: the container has ended."""
        for console in self._consoles:
            console.end.give_up()

    def refresh(self) -> None:
        """Take the sizes of the host's windows over."""
        for console in self._consoles:
            console.refresh()

    def on_host_ready(self, events: int) -> None:
        """Follow the size of the container's console: the host's kernel sent SIGWINCH."""
        os.read(self._signal_fd, 64)
        self.refresh()

    def _devpts_place(self) -> VfsPath | None:
        try:
            place = resolve(self._namespace.context(), privileged(), b"/dev/pts")
        except SysError:
            return None  # a bundle without it: its programs cannot name their terminal
        return place if isinstance(place.mount.filesystem, DevptsFilesystem) else None

    def _new_devpts(self) -> DevptsFilesystem:
        return DevptsFilesystem(self._kernel, DevptsOptions())

    def _place_of(self, tty: Tty) -> VfsPath:
        return resolve(self._namespace.context(), privileged(), b"/dev/pts/%d" % tty.index)

    def _bind_console(self, place: VfsPath) -> None:
        """Make /dev/console the container's terminal (OCI runtime-spec, "Default Devices")."""
        try:
            target = self._namespace.make_place(b"/dev/console", S_IFREG, create=True)
            self._namespace.attach(
                target, place.mount.filesystem, place.dentry, place.mount.flags, b"devpts"
            )
        except SysError as error:
            raise RunscError(f"cannot make /dev/console: error {error.errno}") from None

    def _watch_size(self) -> None:
        """Have the host's SIGWINCH seen by the loop: this process leads the pair's session."""
        self._signal_fd, write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signals.handle(signals.SIGWINCH, signals.ignore)
        signals.wake_by(write_fd)
        self._kernel.platform.watch(self._signal_fd, _POLLIN, self)
