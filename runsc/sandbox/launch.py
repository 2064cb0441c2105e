"""Forking the sandbox process.

The child is a plain fork of the command, so that it is adopted by the caller
when the command ends, and pid 1 of a new pid namespace, so that everything in
it dies with it. It loads the kernel while the parent prepares the cgroup, and
waits for the parent's word before it confines itself.
"""

import posix
import stat
from posix import _exit

from config.flags import Config
from config.launch import Launch, MountSource
from config.oci import Spec
from runsc.errors import RunscError, describe
from runsc.log import LOG, one_line
from runsc.sandbox import attributes, console, hostcalls, signals

# Named by text: the host side must not depend on the sandbox side.
BOOT_MODULE = "runsc.boot.start"

_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1
NAMESPACES_MADE_BYTE = b"\1"
CREATED_BYTE = b"\0"
_MAX_MESSAGE = 65536


class SandboxProcess:
    """The sandbox process while it is being created, seen by its parent."""

    def __init__(self, host_pid: int, ready_fd: int, go_fd: int) -> None:
        self.host_pid = host_pid
        self._ready_fd = ready_fd
        self._go_fd = go_fd
        self._reaped = False
        self._status = 0

    def wait_for_namespaces(self) -> None:
        """Return when the namespaces exist; raise RunscError with the child's words."""
        first = posix.read(self._ready_fd, 1)
        if first != NAMESPACES_MADE_BYTE:
            raise self._failure(first)

    def proceed(self) -> None:
        """Let the child go on: its cgroup and network are ready."""
        posix.write(self._go_fd, b"g")
        posix.close(self._go_fd)
        self._go_fd = -1

    def wait_until_created(self) -> None:
        """Return when the sandbox is confined and its program is found; raise RunscError."""
        message = posix.read(self._ready_fd, _MAX_MESSAGE)
        if message != CREATED_BYTE:
            raise self._failure(message)
        posix.close(self._ready_fd)
        self._ready_fd = -1

    def _failure(self, message: bytes) -> RunscError:
        while len(message) < _MAX_MESSAGE and (more := posix.read(self._ready_fd, _MAX_MESSAGE)):
            message += more
        text = one_line(message.decode("utf-8", "replace").strip("\0\1\n"))
        if text:
            return RunscError(text)
        status = self.wait()
        # SIGKILL is what the cgroup's memory limit does, and the sandbox itself counts.
        hint = "; is linux.resources.memory.limit too low?" if status == 137 else ""
        return RunscError(f"the sandbox ended while it was created (status {status}){hint}")

    def kill(self) -> None:
        """Kill the process, wait for its end and forget its descriptors."""
        if not self._reaped:
            posix.kill(self.host_pid, signals.SIGKILL)
            self.wait()
        self.close()

    def wait(self) -> int:
        """Return the exit status, 128+n for a signal."""
        if not self._reaped:
            _, status = posix.waitpid(self.host_pid, 0)
            self._reaped = True
            self._status = exit_status(status)
        return self._status

    def close(self) -> None:
        """Close what connects us to the process."""
        for host_fd in (self._ready_fd, self._go_fd):
            if host_fd >= 0:
                posix.close(host_fd)
        self._ready_fd = self._go_fd = -1


def exit_status(status: int) -> int:
    """Return what a shell makes of the status of wait(2)."""
    if posix.WIFSIGNALED(status):
        return 128 + posix.WTERMSIG(status)
    return posix.WEXITSTATUS(status)


def start_sandbox(launch: Launch, slave_fd: int = -1) -> SandboxProcess:
    """Fork the sandbox process and return it; `slave_fd` becomes its controlling terminal."""
    ready_read, ready_write = posix.pipe2(posix.O_CLOEXEC)
    go_read, go_write = posix.pipe2(posix.O_CLOEXEC)
    launch.ready_fd = ready_write
    if slave_fd >= 0:
        launch.terminal = True
        launch.stdio_fds = [slave_fd, slave_fd, slave_fd]
    try:
        hostcalls.unshare(hostcalls.CLONE_NEWPID)
    except OSError as error:
        raise RunscError(f"cannot make a pid namespace: {describe(error)}") from None
    host_pid = posix.fork()
    if host_pid == 0:
        _run_child(launch, go_read)
    leave_pid_namespace()
    posix.close(ready_write)
    posix.close(go_read)
    return SandboxProcess(host_pid, ready_read, go_write)


def leave_pid_namespace() -> None:
    """Have later children, which are hooks, be born in our own pid namespace again (setns(2))."""
    own_fd = posix.open("/proc/self/ns/pid", posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        hostcalls.setns(own_fd, hostcalls.CLONE_NEWPID)
    finally:
        posix.close(own_fd)


def _run_child(launch: Launch, go_fd: int) -> None:
    """Become the sandbox; never returns."""
    try:
        _prepare_child(launch, go_fd)
        # Loaded while the parent sets up the cgroup; nothing is imported once it is confined.
        boot = __import__(BOOT_MODULE, fromlist=["boot"]).boot
        if posix.read(go_fd, 1) != b"g":
            _exit(128)  # the parent is gone
        posix.close(go_fd)
        boot(launch)
    except RunscError as error:
        _complain(launch, str(error))
    except OSError as error:
        _complain(launch, describe(error))
    except BaseException as error:  # noqa: BLE001 - a forked child has nobody above it
        LOG.traceback(_traceback())
        _complain(launch, f"internal error: {type(error).__name__}: {error}")
    finally:
        _exit(128)


def _complain(launch: Launch, text: str) -> None:
    try:
        posix.write(launch.ready_fd, one_line(text).encode("utf-8", "replace"))
    except OSError:
        # The parent is gone, or creation was over; the exit status has to do.
        LOG.debug(text)


def _traceback() -> str:
    from traceback import format_exc

    return format_exc()


def _prepare_child(launch: Launch, go_fd: int) -> None:
    signals.reset()
    if launch.ends_with_caller:
        hostcalls.prctl(hostcalls.PR_SET_PDEATHSIG, signals.SIGKILL)
    posix.setsid()
    attributes.set_name("runsc-sandbox")
    posix.chdir("/")
    posix.umask(0)
    if launch.terminal:
        console.take_as_controlling(launch.stdio_fds[0])
        null_stdio()
    keep = {go_fd, launch.root_fd, launch.control_fd, launch.ready_fd, launch.log_fd}
    keep.add(launch.capture_fd)
    keep.update(source.host_fd for source in launch.mount_sources)
    keep.update(launch.stdio_fds)
    keep.update(launch.extra_fds)
    keep.update(LOG.descriptors())
    close_others(keep)
    namespace = launch.spec.linux.namespace("network")
    uses_host = launch.config.network == "host"
    if namespace is not None and namespace.path:
        join_network(namespace.path)
    elif namespace is not None or not uses_host:
        # Without --network=host also where there is to be no namespace of its own.
        hostcalls.unshare(hostcalls.CLONE_NEWNET)
        if uses_host:
            _raise_loopback()
    posix.write(launch.ready_fd, NAMESPACES_MADE_BYTE)


def join_network(path: str) -> None:
    """Enter a network namespace; RunscError if there is none."""
    try:
        namespace_fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            hostcalls.setns(namespace_fd, hostcalls.CLONE_NEWNET)
        finally:
            posix.close(namespace_fd)
    except OSError as error:
        raise RunscError(f"cannot join network namespace {path}: {describe(error)}") from None


def _raise_loopback() -> None:
    """Bring up `lo` of a new network namespace (netdevice(7))."""
    import _socket
    import fcntl
    from struct import pack

    asker = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    try:
        fcntl.ioctl(asker.fileno(), _SIOCSIFFLAGS, pack("16sh22x", b"lo", _IFF_UP))
    finally:
        asker.close()


def null_stdio() -> None:
    """Put /dev/null behind descriptors 0, 1 and 2, so that they hold nobody's pipe."""
    null_fd = posix.open("/dev/null", posix.O_RDWR | posix.O_CLOEXEC)
    for standard in (0, 1, 2):
        posix.dup2(null_fd, standard)
    if null_fd > 2:
        posix.close(null_fd)


def close_others(keep: set[int]) -> None:
    """Close every descriptor above 2 that is not in `keep`."""
    at = 3
    for host_fd in sorted(keep):
        if host_fd >= at:
            posix.closerange(at, host_fd)
            at = host_fd + 1
    posix.closerange(at, 0x7FFF_FFFF)


def open_root(spec: Spec) -> int:
    """Return a descriptor of a detached clone of the root file system's mounts."""
    try:
        found = posix.stat(spec.root.path)
        host_root = posix.stat("/")
    except OSError as error:
        raise RunscError(f"root.path: {describe(error)}") from None
    if not stat.S_ISDIR(found.st_mode):
        raise RunscError(f"root.path: {spec.root.path}: it is no directory")
    if (found.st_dev, found.st_ino) == (host_root.st_dev, host_root.st_ino):
        return _open_host_root()
    return _open_clone(spec.root.path, recursive=True)


def _open_host_root() -> int:
    """Return the host's root file system alone: without /proc, /dev and all else in it."""
    flags = hostcalls.OPEN_TREE_CLONE | hostcalls.OPEN_TREE_CLOEXEC
    try:
        return hostcalls.open_tree(_AT_FDCWD, "/", flags)
    except OSError as error:
        raise RunscError(f"root.path: cannot clone the mount of /: {describe(error)}") from None


def open_mount_sources(spec: Spec) -> list[MountSource]:
    """Return a descriptor for the source of each bind mount."""
    sources: list[MountSource] = []
    for index, mount in enumerate(spec.mounts):
        if not mount.is_bind:
            continue
        try:
            host_fd = _open_clone(mount.source, recursive="rbind" in mount.options)
        except OSError as error:
            raise RunscError(f"mounts[{index}].source: {describe(error)}") from None
        is_directory = stat.S_ISDIR(posix.fstat(host_fd).st_mode)
        sources.append(MountSource(index, host_fd, is_directory=is_directory))
    return sources


def _open_clone(path: str, *, recursive: bool) -> int:
    """Return an O_PATH descriptor: later mounts and unmounts of the host do not reach it."""
    flags = hostcalls.OPEN_TREE_CLONE | hostcalls.OPEN_TREE_CLOEXEC
    if recursive:
        flags |= _AT_RECURSIVE
    try:
        return hostcalls.open_tree(_AT_FDCWD, path, flags)
    except FileNotFoundError:
        raise
    except OSError as error:
        # An unbindable mount, or one locked by a user namespace.
        LOG.debug(f"open_tree {path}: {describe(error)}; opened without a clone")
        return posix.open(path, posix.O_PATH | posix.O_CLOEXEC)


def preserved_fds(count: int) -> list[int]:
    """Return the descriptors 3, 4, ... that --preserve-fds passes on; they are open."""
    return list(range(3, 3 + count))


def new_launch(config: Config, spec: Spec, container_id: str) -> Launch:
    """Return a Launch with the host's files opened for it."""
    launch = Launch(config, spec, container_id)
    launch.root_fd = open_root(spec)
    launch.mount_sources = open_mount_sources(spec)
    return launch
