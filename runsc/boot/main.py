"""The sandbox process: from the fork of the command to the end of the container.

Everything is imported with this module, while there is still a file system to
import from; then the kernel is built, the walls go up, and the loop runs.
"""

import codecs
import encodings.ascii
import encodings.latin_1
import encodings.unicode_escape
import importlib
import os
from typing import Final

from config.launch import Launch
from config.network import NetworkSettings
from runsc.boot import confine
from runsc.boot.container import Container, Machine, Namespaces, exit_code
from runsc.boot.containers import Containers
from runsc.boot.control import ControlServer
from runsc.boot.descriptors import Descriptors, move_up, occupy_standard
from runsc.boot.host_settings import prepare_settings
from runsc.boot.interfaces import Interfaces
from runsc.boot.log import BootLog
from runsc.boot.sysctls import apply_sysctls
from runsc.errors import RunscError
from runsc.log import LOG
from sentry.fs.devices import register_memory_devices
from sentry.fs.tty.devpts import register_terminals
from sentry.kernel.kernel import Kernel
from sentry.loader.program import Loader
from sentry.log import describe_exception
from sentry.loop import Loop
from sentry.platform import hostfiles
from sentry.platform.hostinfo import HostInfo
from sentry.platform.registry import make_platform
from sentry.socket.net_setup import make_host_network, make_network
from sentry.tracer import CallTracer

CREATED: Final = b"\0"
MIB: Final = 1 << 20
# Codecs are found by import; these are the ones that the sandbox uses later.
PRELOADED: Final = (encodings.ascii, encodings.latin_1, encodings.unicode_escape)


class Sandbox:
    """The parts of the sandbox, in the order in which they are made."""

    def __init__(self, launch: Launch) -> None:
        config = launch.config
        self.launch = launch
        self.descriptors = handed_descriptors(launch)
        self.descriptors.close_others()
        self.log = BootLog(
            launch.log_fd, json=config.debug_log_format == "json", debug=config.debug
        )
        tracer = self._make_tracer()
        uses_host_network = config.network == "host"
        self._host_filter = confine.prepare_filter(
            report_fd=launch.log_fd,
            uses_host_network=uses_host_network,
            allows_raw=config.net_raw,
        )
        self._host_settings = prepare_settings(launch.spec) if uses_host_network else {}
        self.cpuinfo = read_file("/proc/cpuinfo")
        self.memory_total = memory_limit(launch)
        self.cpus = len(os.sched_getaffinity(0))
        own = launch.stdio_fds[:1] if launch.terminal else launch.stdio_fds
        self._own_stdio = [move_up(fd) for fd in own]
        self._extra = [move_up(fd) for fd in launch.extra_fds]
        file_limits = confine.raise_descriptor_limit()
        self._host_info = HostInfo()
        occupy_standard(launch.log_fd)
        self.proc_fd = confine.enter_empty_world(launch.spec.hostname)
        # A bind mount of one file is reopened through it.
        hostfiles.PROC.fd = self.proc_fd
        confine.drop_privileges(
            confine.kept_capabilities(
                uses_host_network=uses_host_network, allows_raw=config.net_raw
            )
        )
        self.platform = make_platform(config.platform, self.proc_fd)
        self.kernel = self._make_kernel()
        self.loop = Loop(self.kernel, tracer)
        self.machine = Machine(self.kernel, self.loop, self._loader, self.interfaces, file_limits)
        namespaces = Namespaces(self.kernel.pids, launch.spec)
        self.container = Container(self.machine, launch, namespaces)

    def _make_tracer(self) -> CallTracer | None:
        """Return what logs system calls; its tables are loaded only if somebody wants it."""
        config = self.launch.config
        if not config.strace:
            return None
        strace = importlib.import_module("sentry.strace")
        tracer = strace.Strace(self.log, strace.parse_names(config.strace_syscalls))
        assert isinstance(tracer, CallTracer)
        return tracer

    def _make_kernel(self) -> Kernel:
        kernel = Kernel(self.platform, self.log)
        kernel.cpuinfo = self.cpuinfo
        kernel.cpus = self.cpus
        kernel.memory_total = self.memory_total
        self._loader = Loader(self.platform, self._host_info)
        kernel.loader = self._loader
        self.interfaces = self._make_network(kernel)
        register_memory_devices()
        register_terminals(kernel)
        return kernel

    def _make_network(self, kernel: Kernel) -> Interfaces | None:
        """Give the kernel a network; return who makes interfaces of it, None for the host's own."""
        config = self.launch.config
        if config.network == "host":
            make_host_network(kernel, self._host_settings, allows_raw=config.net_raw)
            return None
        network = make_network(kernel, allows_raw=config.net_raw)
        apply_sysctls(network, self.launch.spec)
        interfaces = Interfaces(network.stack, self.platform, self.log, config)
        if self.launch.capture_fd >= 0:
            interfaces.capture_to(self.launch.capture_fd)
        return interfaces

    def create(self) -> None:
        """Make init, stopped before its first instruction; raise RunscError saying why not."""
        self.container.create(self._own_stdio + self._extra, tty=self.launch.terminal)

    def seal(self) -> None:
        """Close what was only needed to get here, and put up the last wall."""
        launch = self.launch
        for fd in {*launch.stdio_fds, *launch.extra_fds}:
            if fd > 2:
                os.close(fd)
        self.descriptors.adopt(self.proc_fd, "the sandbox")
        confine.seal(self.descriptors, self.proc_fd, self._host_filter)


def handed_descriptors(launch: Launch) -> Descriptors:
    """Return what the host side means the sandbox to have; anything else is a leak."""
    handed = Descriptors()
    for fd in (0, 1, 2, *launch.stdio_fds):
        handed.declare(fd, "standard stream")
    for fd in launch.extra_fds:
        handed.declare(fd, "preserved descriptor")
    for source in launch.mount_sources:
        handed.declare(source.host_fd, "source of a mount")
    handed.declare(launch.root_fd, "root file system")
    handed.declare(launch.control_fd, "control socket")
    handed.declare(launch.ready_fd, "answer to the host side")
    handed.declare(launch.log_fd, "debug log")
    handed.declare(launch.capture_fd, "capture of frames")
    for fd in LOG.descriptors():
        handed.declare(fd, "log of the command")
    return handed


def read_file(path: str) -> bytes:
    """Return the contents of a small file of the host."""
    with open(path, "rb") as file:
        return file.read()


def memory_limit(launch: Launch) -> int:
    """Return how many bytes of memory the guest sees: its limit, or what the host has."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = launch.spec.linux.resources.memory_limit
    return min(limit, pages) if limit is not None and limit > MIB else pages


def boot(launch: Launch) -> None:
    """Be the sandbox until the container's init has ended, then exit with its status."""
    codecs.lookup("utf-8")
    sandbox = Sandbox(launch)
    try:
        sandbox.create()
        server = None
        if launch.control_fd >= 0:
            containers = Containers(sandbox.machine, launch, sandbox.container)
            server = ControlServer(sandbox.platform, sandbox.log, containers, launch.control_fd)
        sandbox.seal()
        os.write(launch.ready_fd, CREATED)
        os.close(launch.ready_fd)
        # The number may soon be another file's: nothing is to be reported there any more.
        launch.ready_fd = -1
    except RunscError:
        sandbox.platform.close()
        raise
    if launch.autostart:
        sandbox.container.start(NetworkSettings(), [])
    status = run(sandbox)
    sandbox.container.terminals.finish()
    if server is not None:
        server.close()
    sandbox.platform.close()
    os._exit(status)


def run(sandbox: Sandbox) -> int:
    """Run the loop; return the exit status of the container, 128 for a bug of ours."""
    try:
        return exit_code(sandbox.loop.run())
    except BaseException:  # noqa: BLE001 - the last resort: say why, end everything
        sandbox.log.warning("the sandbox ends because of a bug:\n" + describe_exception())
        return 128
