"""The parts of the OCI runtime specification that the runtime uses, as plain classes.

Reading checks types and ranges and names the field that is wrong
(`process.args[0]: expected a string, got a number`); see config.md,
config-linux.md of the specification for what each field means.
"""

from config.decode import FieldError, Fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from config.jsontext import Json

_U32 = 0xFFFF_FFFF
_U64 = 0xFFFF_FFFF_FFFF_FFFF
_I64 = 0x7FFF_FFFF_FFFF_FFFF


class User:
    """Whom a process runs as."""

    def __init__(self) -> None:
        self.uid = 0
        self.gid = 0
        self.umask = -1  # -1: not given
        self.additional_gids: list[int] = []


class Capabilities:
    """The capability sets of a process, by name (`CAP_CHOWN`)."""

    def __init__(self) -> None:
        self.bounding: list[str] = []
        self.effective: list[str] = []
        self.permitted: list[str] = []
        self.inheritable: list[str] = []
        self.ambient: list[str] = []


class Rlimit:
    """A resource limit, `RLIMIT_NOFILE` and so on."""

    def __init__(self, kind: str, soft: int, hard: int) -> None:
        self.kind = kind
        self.soft = soft
        self.hard = hard


class Process:
    """What runs in the container: its init, or what `exec` adds."""

    def __init__(self) -> None:
        self.args: list[str] = []
        self.env: list[str] = []
        self.cwd = "/"
        self.user = User()
        self.terminal = False
        self.console_width = 0
        self.console_height = 0
        self.capabilities: Capabilities | None = None  # None: not given
        self.rlimits: list[Rlimit] = []
        self.no_new_privileges = False
        self.oom_score_adj: int | None = None
        self.apparmor_profile = ""
        self.selinux_label = ""


class Root:
    """The root file system."""

    def __init__(self, path: str, *, readonly: bool) -> None:
        self.path = path
        self.readonly = readonly


class Mount:
    """A mount of the container; a bind mount has `bind` or `rbind` among its options."""

    def __init__(self, destination: str, kind: str, source: str, options: list[str]) -> None:
        self.destination = destination
        self.kind = kind
        self.source = source
        self.options = options

    @property
    def is_bind(self) -> bool:
        """Whether the mount shows a file or directory of the host."""
        return self.kind == "bind" or "bind" in self.options or "rbind" in self.options

    @property
    def is_readonly(self) -> bool:
        """Whether the last of ro and rw among the options is ro."""
        readonly = False
        for option in self.options:
            if option in ("ro", "rro"):
                readonly = True
            elif option == "rw":
                readonly = False
        return readonly


class Namespace:
    """A namespace to make, or with a path to join."""

    def __init__(self, kind: str, path: str) -> None:
        self.kind = kind
        self.path = path


class Device:
    """A device node that the container shall have."""

    def __init__(self, path: str, kind: str) -> None:
        self.path = path
        self.kind = kind  # c, b, u or p
        self.major = 0
        self.minor = 0
        self.file_mode = 0o666
        self.uid = 0
        self.gid = 0


class Hook:
    """A program of the host that runs at a point of the container's life."""

    def __init__(self, path: str, args: list[str], env: list[str] | None, timeout: int) -> None:
        self.path = path
        self.args = args
        self.env = env  # None: the caller's environment
        self.timeout = timeout  # seconds; 0: none


class Hooks:
    """The hooks by their point."""

    def __init__(self) -> None:
        self.prestart: list[Hook] = []
        self.create_runtime: list[Hook] = []
        self.create_container: list[Hook] = []
        self.start_container: list[Hook] = []
        self.poststart: list[Hook] = []
        self.poststop: list[Hook] = []


class Resources:
    """Limits of the container's cgroup; None is "not asked for"."""

    def __init__(self) -> None:
        self.memory_limit: int | None = None
        self.memory_swap: int | None = None
        self.memory_reservation: int | None = None
        self.memory_swappiness: int | None = None
        self.disable_oom_killer = False
        self.cpu_shares: int | None = None
        self.cpu_quota: int | None = None
        self.cpu_period: int | None = None
        self.cpuset_cpus = ""
        self.cpuset_mems = ""
        self.pids_limit: int | None = None
        self.blkio_weight: int | None = None
        self.unified: dict[str, str] = {}


class Linux:
    """The `linux` object."""

    def __init__(self) -> None:
        self.namespaces: list[Namespace] = []
        self.devices: list[Device] = []
        # Of a user namespace: inside, outside, how many (user_namespaces(7)).
        self.uid_mappings: list[tuple[int, int, int]] = []
        self.gid_mappings: list[tuple[int, int, int]] = []
        self.sysctl: dict[str, str] = {}
        self.cgroups_path = ""
        self.resources = Resources()
        self.masked_paths: list[str] = []
        self.readonly_paths: list[str] = []
        self.seccomp: dict[str, Json] | None = None  # the profile as it was written

    def namespace(self, kind: str) -> Namespace | None:
        """Return the namespace of that kind, or None when the host's is to be used."""
        for namespace in self.namespaces:
            if namespace.kind == kind:
                return namespace
        return None


class Spec:
    """A whole config.json."""

    def __init__(self, root: Root) -> None:
        self.version = ""
        self.root = root
        self.process = Process()
        self.hostname = ""
        self.domainname = ""
        self.mounts: list[Mount] = []
        self.hooks = Hooks()
        self.annotations: dict[str, str] = {}
        self.linux = Linux()


def read_spec(document: "Json") -> Spec:
    """Return the Spec that a parsed config.json holds; raise FieldError where it is wrong."""
    top = Fields(document, "")
    root = top.fields("root")
    spec = Spec(Root(root.text("path"), readonly=root.flag("readonly")))
    spec.version = top.text("ociVersion", "")
    if not top.has("process"):
        raise FieldError("process", "is missing")
    spec.process = read_process(top.fields("process"))
    spec.hostname = _read_name(top, "hostname")
    spec.domainname = _read_name(top, "domainname")
    spec.mounts = [_read_mount(item) for item in top.objects("mounts")]
    spec.annotations = top.text_map("annotations")
    spec.hooks = _read_hooks(top.fields("hooks"))
    spec.linux = _read_linux(top.fields("linux"))
    return spec


def _read_name(fields: Fields, name: str) -> str:
    text = fields.text(name, "")
    if len(text.encode()) > _MAX_NAME:
        raise FieldError(name, f"is longer than {_MAX_NAME} bytes")
    return text


def read_process(fields: Fields) -> Process:
    """Return the Process that `fields` hold, of a config.json or of `exec --process`."""
    process = Process()
    process.args = fields.texts("args")
    if not process.args:
        raise FieldError(f"{fields.path}.args" if fields.path else "args", "is missing or empty")
    if not process.args[0]:
        raise FieldError(f"{fields.path}.args[0]" if fields.path else "args[0]", "is empty")
    process.env = fields.texts("env")
    process.cwd = fields.text("cwd", "/")
    if not process.cwd.startswith("/"):
        at = f"{fields.path}.cwd" if fields.path else "cwd"
        raise FieldError(at, f"{process.cwd!r} is not an absolute path")
    process.user = _read_user(fields.fields("user"))
    process.terminal = fields.flag("terminal")
    console = fields.fields("consoleSize")
    process.console_width = console.number("width", 0, 0, 0xFFFF)
    process.console_height = console.number("height", 0, 0, 0xFFFF)
    if fields.has("capabilities"):
        process.capabilities = _read_capabilities(fields.fields("capabilities"))
    for limit in fields.objects("rlimits"):
        process.rlimits.append(
            Rlimit(
                limit.text("type"),
                limit.number("soft", 0, -1, _U64) & _U64,
                limit.number("hard", 0, -1, _U64) & _U64,
            )
        )
    process.no_new_privileges = fields.flag("noNewPrivileges")
    if fields.has("oomScoreAdj"):
        process.oom_score_adj = fields.number("oomScoreAdj", 0, -1000, 1000)
    process.apparmor_profile = fields.text("apparmorProfile", "")
    process.selinux_label = fields.text("selinuxLabel", "")
    return process


def _read_user(fields: Fields) -> User:
    user = User()
    user.uid = fields.number("uid", 0, 0, _U32 - 1)
    user.gid = fields.number("gid", 0, 0, _U32 - 1)
    user.umask = fields.number("umask", -1, 0, 0o777)
    user.additional_gids = fields.numbers("additionalGids", 0, _U32 - 1)
    return user


def _read_capabilities(fields: Fields) -> Capabilities:
    sets = Capabilities()
    sets.bounding = fields.texts("bounding")
    sets.effective = fields.texts("effective")
    sets.permitted = fields.texts("permitted")
    sets.inheritable = fields.texts("inheritable")
    sets.ambient = fields.texts("ambient")
    return sets


def _read_mount(fields: Fields) -> Mount:
    mount = Mount(
        fields.text("destination"),
        fields.text("type", ""),
        fields.text("source", ""),
        fields.texts("options"),
    )
    if not mount.destination:
        raise FieldError(f"{fields.path}.destination", "is empty")
    if not mount.destination.startswith("/"):
        # Accepted by runc, which takes it as relative to the container's root.
        mount.destination = "/" + mount.destination
    if mount.is_bind and not mount.source:
        raise FieldError(f"{fields.path}.source", "a bind mount needs a source")
    return mount


def _read_hook(fields: Fields) -> Hook:
    path = fields.text("path")
    if not path.startswith("/"):
        raise FieldError(f"{fields.path}.path", f"{path!r} is not an absolute path")
    env = fields.texts("env") if fields.has("env") else None
    return Hook(path, fields.texts("args"), env, fields.number("timeout", 0, 0, 1 << 31))


def _read_hooks(fields: Fields) -> Hooks:
    hooks = Hooks()
    hooks.prestart = [_read_hook(item) for item in fields.objects("prestart")]
    hooks.create_runtime = [_read_hook(item) for item in fields.objects("createRuntime")]
    hooks.create_container = [_read_hook(item) for item in fields.objects("createContainer")]
    hooks.start_container = [_read_hook(item) for item in fields.objects("startContainer")]
    hooks.poststart = [_read_hook(item) for item in fields.objects("poststart")]
    hooks.poststop = [_read_hook(item) for item in fields.objects("poststop")]
    return hooks


_MAX_NAME = 64  # __NEW_UTS_LEN, linux/utsname.h
_NAMESPACES = ("pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time")


def _read_namespace(fields: Fields) -> Namespace:
    kind = fields.text("type")
    if kind not in _NAMESPACES:
        raise FieldError(f"{fields.path}.type", f"unknown namespace {kind!r}")
    path = fields.text("path", "")
    if path and not path.startswith("/"):
        raise FieldError(f"{fields.path}.path", f"{path!r} is not an absolute path")
    return Namespace(kind, path)


def _read_device(fields: Fields) -> Device:
    device = Device(fields.text("path"), fields.text("type"))
    if device.kind not in ("c", "b", "u", "p"):
        raise FieldError(f"{fields.path}.type", f"unknown device type {device.kind!r}")
    device.major = fields.number("major", 0, 0, _U32)
    device.minor = fields.number("minor", 0, 0, _U32)
    device.file_mode = fields.number("fileMode", 0o666, 0, _U32) & 0o7777
    device.uid = fields.number("uid", 0, 0, _U32 - 1)
    device.gid = fields.number("gid", 0, 0, _U32 - 1)
    return device


def _read_mapping(fields: Fields) -> tuple[int, int, int]:
    return (
        fields.number("containerID", 0, 0, _U32),
        fields.number("hostID", 0, 0, _U32),
        fields.number("size", 0, 0, _U32),
    )


def _read_linux(fields: Fields) -> Linux:
    linux = Linux()
    seen: set[str] = set()
    for item in fields.objects("namespaces"):
        namespace = _read_namespace(item)
        if namespace.kind in seen:
            raise FieldError(item.path, f"namespace {namespace.kind!r} is listed twice")
        seen.add(namespace.kind)
        linux.namespaces.append(namespace)
    linux.devices = [_read_device(item) for item in fields.objects("devices")]
    linux.uid_mappings = [_read_mapping(item) for item in fields.objects("uidMappings")]
    linux.gid_mappings = [_read_mapping(item) for item in fields.objects("gidMappings")]
    linux.sysctl = fields.text_map("sysctl")
    linux.cgroups_path = fields.text("cgroupsPath", "")
    linux.resources = read_resources(fields.fields("resources"))
    linux.masked_paths = fields.texts("maskedPaths")
    linux.readonly_paths = fields.texts("readonlyPaths")
    if fields.has("seccomp"):
        linux.seccomp = fields.fields("seccomp").values
    return linux


def _limit(fields: Fields, name: str) -> int | None:
    # Docker writes 0 for what nobody asked for; -1 is "no limit".
    value = fields.number(name, 0, -1, _I64)
    return value or None


def read_resources(fields: Fields) -> Resources:
    """Return the Resources that `fields` hold, of a config.json or of `update`."""
    resources = Resources()
    memory = fields.fields("memory")
    resources.memory_limit = _limit(memory, "limit")
    resources.memory_swap = _limit(memory, "swap")
    resources.memory_reservation = _limit(memory, "reservation")
    if memory.has("swappiness"):
        resources.memory_swappiness = memory.number("swappiness", 0, 0, _U64)
    resources.disable_oom_killer = memory.flag("disableOOMKiller")
    cpu = fields.fields("cpu")
    resources.cpu_shares = _limit(cpu, "shares")
    resources.cpu_quota = _limit(cpu, "quota")
    resources.cpu_period = _limit(cpu, "period")
    resources.cpuset_cpus = cpu.text("cpus", "")
    resources.cpuset_mems = cpu.text("mems", "")
    resources.pids_limit = _limit(fields.fields("pids"), "limit")
    resources.blkio_weight = _limit(fields.fields("blockIO"), "weight")
    resources.unified = fields.text_map("unified")
    return resources
