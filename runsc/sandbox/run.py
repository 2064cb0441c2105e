"""`run` and `do`: create, start, stay, and remove."""

import posix

from config.flags import Config
from config.oci import Mount
from runsc.errors import RunscError, UsageError, describe
from runsc.log import LOG
from runsc.sandbox.client import ask
from runsc.sandbox.create import Creation, Options, create, create_from
from runsc.sandbox.foreground import attend
from runsc.sandbox.hostcalls import CAPABILITIES
from runsc.sandbox.lifecycle import remove, start_locked
from runsc.sandbox.procfs import mount_point_of
from runsc.sandbox.state import RUNNING, Container
from runsc.sandbox.template import host_spec

# First names of mount points that `do` need not or must not show: the root is there, and these are
# the kernel's interface, of which the sandbox has its own.
_OURS = ("", "proc", "sys", "dev")


class RunOptions(Options):
    """How `run` wants the container made and attended."""

    def __init__(self) -> None:
        super().__init__()
        self.detach = False
        self.keep = False


def run(config: Config, container_id: str, bundle: str, options: RunOptions) -> int:
    """Create and start a container; in the foreground return its exit status."""
    options.foreground = not options.detach and not options.console_socket
    options.autostart = True
    return _run(create(config, container_id, bundle, options), options)


def run_on_host(config: Config, args: list[str], cwd: str, *, readonly: bool) -> int:
    """Run a command in a throw-away sandbox over the host's root file system."""
    if not args:
        raise UsageError("do needs a command to run")
    # What the command writes stays in memory, and goes with it.
    config.overlay2 = "all:memory"
    spec = host_spec(args, cwd, CAPABILITIES)
    place = _mount_point(cwd)
    if place.split("/")[1] not in _OURS:
        # Of what the host has mounted in its root, only where the command is to work.
        spec.mounts.append(Mount(place, "bind", place, ["bind"]))
    spec.root.readonly = readonly
    if config.network == "host":
        spec.linux.namespaces = [one for one in spec.linux.namespaces if one.kind != "network"]
    options = RunOptions()
    options.foreground = True
    options.ends_with_caller = True
    options.autostart = True
    name = f"do-{posix.getpid()}-{posix.urandom(4).hex()}"
    return _run(create_from(config, name, cwd, spec, options), options)


def _mount_point(cwd: str) -> str:
    """Return where the file system of the working directory is mounted."""
    try:
        return mount_point_of(cwd)
    except OSError as error:
        raise RunscError(f"--cwd: {describe(error)}") from None


def _run(creation: Creation, options: RunOptions) -> int:
    container = creation.container
    process = creation.process
    assert process is not None
    try:
        if container.poststart or container.network or container.sandbox:
            start_locked(container)
        else:
            container.phase = RUNNING
            container.save()
    except BaseException:
        creation.undo()
        raise
    container.unlock()
    if options.detach:
        process.close()
        return 0
    try:
        assert creation.arrived is not None
        forward = _Forwarder(container).forward
        attend(process.host_pid, creation.console, creation.arrived, forward)
        return process.wait()
    finally:
        process.kill()
        if not options.keep:
            container.lock()
            remove(container)


class _Forwarder:
    """Passes signals of the foreground command on to the container's init."""

    def __init__(self, container: Container) -> None:
        self._container = container

    def forward(self, number: int) -> None:
        """Send one signal; a container that is ending cannot take it any more."""
        try:
            ask(self._container, {"do": "signal", "signal": number, "all": False})
        except RunscError as error:
            LOG.debug(f"signal {number}: {error}")
