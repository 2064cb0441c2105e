"""`create`: everything up to the point where the program could start.

The order is what callers rely on: state directory, sandbox process in its
cgroup, terminal sent, hooks, state saved, and the pid file last of all.
"""

import posix

from config.annotations import apply_annotations
from config.bundle import BundleError, load_spec
from config.decode import Fields
from config.flags import Config, FlagError
from config.jsontext import dumps
from config.launch import Launch
from config.oci import Resources, Spec
from runsc.errors import RunscError, describe
from runsc.log import LOG, open_capture, open_debug_log
from runsc.sandbox import cgroup, client, launch, signals
from runsc.sandbox.console import Console
from runsc.sandbox.handover import give_back_network, inode_of, is_of_host
from runsc.sandbox.hooks import run_hooks, run_hooks_anyway, to_json
from runsc.sandbox.namespace_owner import check_free
from runsc.sandbox.procfs import start_time
from runsc.sandbox.state import CREATED, CREATING, Container, make_container, write_atomically
from runsc.version import SPEC_VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from config.jsontext import Json
    from runsc.sandbox.foreground import SignalPipe


class Options:
    """How `create`, `run` and `do` want the container made."""

    def __init__(self) -> None:
        self.pid_file = ""
        self.console_socket = ""
        self.preserve_fds = 0
        self.foreground = False  # the terminal is relayed by the command itself
        self.ends_with_caller = False  # even if that is killed
        self.autostart = False


class Creation:
    """A container on its way; `undo` removes every trace of it."""

    def __init__(self, container: Container, spec: Spec) -> None:
        self.container = container
        self.spec = spec
        self.process: launch.SandboxProcess | None = None
        self.console: Console | None = None
        self.arrived: SignalPipe | None = None  # of who stays in front of the container

    def undo(self) -> None:
        """Kill and remove everything that was made."""
        if self.process is not None:
            self.process.kill()
        if self.container.sandbox:
            from runsc.sandbox.pod import leave

            leave(self.container)
        give_back_network(self.container)
        if self.console is not None:
            self.console.close_master()
            self.console.close_slave()
        cgroup.Cgroup(self.container.cgroups).remove()
        had_hooks = self.container.phase != CREATING or self.container.pid != 0
        state = self.container.describe()
        self.container.remove()
        self.container.unlock()
        if had_hooks and self.spec.hooks.poststop:
            run_hooks_anyway("poststop", self.spec.hooks.poststop, state)


def create(config: Config, container_id: str, bundle: str, options: Options) -> Creation:
    """Return a created container, locked; raise RunscError and leave nothing behind."""
    try:
        spec = load_spec(bundle)
    except BundleError as error:
        raise RunscError(str(error)) from None
    return create_from(config, container_id, bundle, spec, options)


def create_from(
    config: Config, container_id: str, bundle: str, spec: Spec, options: Options
) -> Creation:
    """Create a container from a Spec that is read already."""
    signals.reset()  # a caller that ignores SIGCHLD would make waiting fail
    _check_terminal(spec, options)
    try:
        for warning in apply_annotations(config, spec.annotations):
            LOG.warning(warning)
        config.check()
    except FlagError as error:
        raise RunscError(str(error)) from None
    if note := config.ceilings():
        LOG.debug(note)
    if spec.hooks.start_container:
        LOG.warning("hooks.startContainer: not run, the host's kernel cannot run them inside")
    container = make_container(config.root, container_id)
    creation = Creation(container, spec)
    try:
        _create(config, creation, bundle, options)
    except OSError as error:
        creation.undo()
        raise RunscError(describe(error)) from None
    except BaseException:
        creation.undo()
        raise
    return creation


def _check_terminal(spec: Spec, options: Options) -> None:
    if spec.process.terminal:
        if not options.console_socket and not options.foreground:
            raise RunscError("process.terminal is set, so --console-socket is needed")
    elif options.console_socket:
        raise RunscError("--console-socket is given, but process.terminal is not set")


def _create(config: Config, creation: Creation, bundle: str, options: Options) -> None:
    container, spec = creation.container, creation.spec
    container.bundle = bundle
    container.rootfs = spec.root.path
    container.version = spec.version or SPEC_VERSION
    container.annotations = spec.annotations
    container.terminal = spec.process.terminal
    container.poststart = to_json(spec.hooks.poststart)
    container.poststop = to_json(spec.hooks.poststop)
    owner = _sandbox_to_join(config, spec, container.container_id)
    if owner is None:
        container.network_mode = config.network
        container.network = _network(config, spec, options)
        _check_network(container)
    else:
        container.sandbox = owner.container_id

    handed = launch.new_launch(config, spec, container.container_id)
    handed.ends_with_caller = options.ends_with_caller
    handed.extra_fds = launch.preserved_fds(options.preserve_fds)
    if owner is None:
        _hand_sandbox(config, creation, handed, options)
    slave_fd = -1
    if spec.process.terminal:
        process = spec.process
        creation.console = Console(process.console_width, process.console_height)
        slave_fd = creation.console.slave_fd

    if owner is None:
        creation.process = launch.start_sandbox(handed, slave_fd)
    else:
        from runsc.sandbox.pod import Member

        creation.process = Member(config, container, owner, handed, bundle).start(slave_fd)
    _close_handed(handed, options)
    if creation.console is not None:
        creation.console.close_slave()
    container.pid = creation.process.host_pid
    container.started_at = start_time(container.pid)
    _join_cgroup(config, creation)
    container.save()
    _write_process_file(container, spec)
    _adjust_oom_score(container.pid, spec.process.oom_score_adj)
    creation.process.wait_for_namespaces()
    if creation.console is not None and options.console_socket:
        creation.console.send(options.console_socket)
        creation.console.close_master()

    state = container.describe()
    state["status"] = CREATING
    run_hooks("prestart", spec.hooks.prestart, state)
    run_hooks("createRuntime", spec.hooks.create_runtime, state)
    run_hooks("createContainer", spec.hooks.create_container, state)
    if options.foreground:
        from runsc.sandbox.foreground import catch_signals

        creation.arrived = catch_signals(creation.console)
    creation.process.proceed()
    creation.process.wait_until_created()
    container.phase = CREATED
    container.save()
    if options.pid_file:
        # No newline: containerd parses the whole file as a number.
        write_atomically(options.pid_file, str(container.pid).encode())


def _sandbox_to_join(config: Config, spec: Spec, container_id: str) -> Container | None:
    """Return the container whose sandbox the new one joins, if there is one."""
    namespace = spec.linux.namespace("network")
    if namespace is None or not namespace.path:
        return None
    # Dear to import, and most containers have a network namespace of their own.
    from runsc.sandbox.pod import find_sandbox

    return find_sandbox(config, spec, container_id)


def _hand_sandbox(config: Config, creation: Creation, handed: Launch, options: Options) -> None:
    """Add what a sandbox gets besides what its first container does."""
    container = creation.container
    has_network = bool(container.network)
    handed.control_fd = client.listen(container.directory)
    # With a network, too, the program is started by request: that brings the interfaces.
    has_hooks = bool(creation.spec.hooks.poststart)
    handed.autostart = options.autostart and not has_hooks and not has_network
    handed.log_fd = open_debug_log(config, container.container_id, "boot")
    if has_network:
        handed.capture_fd = open_capture(config, container.container_id)


def _network(config: Config, spec: Spec, options: Options) -> "dict[str, Json]":
    """Return what `start` has to know of the network namespace; nothing if it may pass it by."""
    namespace = spec.linux.namespace("network")
    if config.network == "host":
        _check_sysctls(spec)
    if config.network != "sandbox" or namespace is None:
        return {}
    if namespace.path and is_of_host(namespace.path):
        LOG.warning("the network namespace is the host's own: the container has lo alone")
        return {}
    hooks = spec.hooks
    has_hooks = hooks.prestart or hooks.create_runtime or hooks.create_container
    if options.autostart and not namespace.path and not has_hooks:
        return {}  # it is new, and nobody has had the time to put anything into it
    keep: list[Json] = [name for name in config.keep_host_addresses.split(",") if name]
    return {"path": namespace.path, "keep": keep}


def _check_network(container: Container) -> None:
    """Refuse to share interfaces now: many callers cannot cope with a start that fails."""
    path = Fields(container.network, "network").text("path", "")
    if path:
        check_free(container.root, container.container_id, inode_of(path))


def _check_sysctls(spec: Spec) -> None:
    """Refuse settings of the network that would be the host's own."""
    namespace = spec.linux.namespace("network")
    if namespace is not None and not (namespace.path and is_of_host(namespace.path)):
        return
    for name in spec.linux.sysctl:
        if name.startswith("net."):
            raise RunscError(f"linux.sysctl: {name}: not in the host's own network namespace")


def _close_handed(handed: Launch, options: Options) -> None:
    """Close the parent's copies of what the child now holds."""
    held = {handed.root_fd, handed.control_fd, handed.ready_fd, handed.log_fd, handed.capture_fd}
    held.update(source.host_fd for source in handed.mount_sources)
    # start_sandbox closed ready_fd itself.
    for host_fd in sorted(held - {handed.ready_fd, -1}):
        posix.close(host_fd)
    if not options.foreground:
        for host_fd in handed.extra_fds:
            posix.close(host_fd)


def _join_cgroup(config: Config, creation: Creation) -> None:
    assert creation.process is not None
    linux = creation.spec.linux
    if not config.uses_cgroups:
        return
    if not linux.cgroups_path and not _limits_anything(linux.resources):
        return  # nobody asked for a cgroup
    container = creation.container
    container.cgroups = cgroup.directories(
        linux.cgroups_path, container.container_id, systemd=config.uses_systemd
    )
    container.save()  # first, so that deletion finds them whatever happens
    group = cgroup.Cgroup(container.cgroups)
    group.make(linux.resources)
    group.add(creation.process.host_pid)


def _limits_anything(resources: Resources) -> bool:
    return vars(resources) != vars(Resources())


def _write_process_file(container: Container, spec: Spec) -> None:
    """Keep what `exec` takes over from the container's own process."""
    process = spec.process
    record: dict[str, Json] = {
        "cwd": process.cwd,
        "env": list(process.env),
        "user": {
            "uid": process.user.uid,
            "gid": process.user.gid,
            "additionalGids": list(process.user.additional_gids),
        },
        "noNewPrivileges": process.no_new_privileges,
        "rlimits": [
            {"type": limit.kind, "soft": limit.soft, "hard": limit.hard}
            for limit in process.rlimits
        ],
    }
    if process.capabilities is not None:
        sets: dict[str, Json] = {
            name: list(names) for name, names in vars(process.capabilities).items()
        }
        record["capabilities"] = sets
    write_atomically(f"{container.directory}/process.json", dumps(record).encode())


def _adjust_oom_score(host_pid: int, score: int | None) -> None:
    if not score:
        return
    try:
        host_fd = posix.open(f"/proc/{host_pid}/oom_score_adj", posix.O_WRONLY | posix.O_CLOEXEC)
        try:
            posix.write(host_fd, str(score).encode())
        finally:
            posix.close(host_fd)
    except OSError as error:
        # Lowering it needs CAP_SYS_RESOURCE; runc's callers do not expect a failure.
        LOG.warning(f"oomScoreAdj {score}: {describe(error)}")
