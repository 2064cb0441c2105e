"""The global settings: one table, and `Config`, which holds their values.

Every setting is a flag of the command line and an attribute of `Config` of the
same name, with `_` for `-`.  A container may set some of them for itself with
an annotation, as far as the flag's rule allows (`annotations.py`).
"""

from config.quantity import RATE, SIZE, QuantityError, parse_quantity

BOOL = "bool"
TEXT = "text"
PATH = "path"  # made absolute when the command line is read
CHOICE = "choice"
NUMBER = "number"

NEVER = "never"  # an annotation must not change it
OVERRIDE = "override"  # an annotation may, if the operator says --allow-flag-override
ANY = "any"  # an annotation may set any value
TIGHTEN = "tighten-only"  # an annotation may move right in `choices`, or to the default of a bool
LAST = "last-only"  # an annotation may choose the last of `choices`
LOWER = "lower-only"  # an annotation may set any number where it is 0, else lower it

DEFAULT_ROOT = "/var/run/runsc"
MAX_RATE = (1 << 64) - 1
MAX_BURST = (1 << 32) - 1

Value = bool | int | str


class FlagError(ValueError):
    """A value that a flag does not take; the message is one line."""


class Flag:
    """One global setting."""

    def __init__(
        self,
        name: str,
        kind: str,
        default: Value,
        help_text: str,
        *,
        rule: str = OVERRIDE,
        choices: tuple[str, ...] = (),
        metavar: str = "",
        ignored: bool = False,
        unit: str = "",
        maximum: int = 0,
        strict: bool = False,
    ) -> None:
        self.name = name
        self.kind = kind
        self.default = default
        self.help_text = help_text
        self.rule = rule
        self.choices = choices
        self.metavar = metavar
        self.unit = unit  # of a number
        self.maximum = maximum
        self.strict = strict  # an annotation that the rule forbids is an error, no warning
        self.ignored = ignored  # accepted from a known caller, with a warning and no effect

    @property
    def attribute(self) -> str:
        """The name of the attribute of `Config`."""
        return self.name.replace("-", "_")

    def parse(self, text: str) -> Value:
        """Return the value that `text` stands for; raise FlagError when it is none."""
        if self.kind == BOOL:
            value = parse_bool(text)
            if value is None:
                raise FlagError(f"--{self.name}: {text!r} is neither true nor false")
            return value
        if self.kind == NUMBER:
            try:
                return parse_quantity(text, self.unit, self.maximum)
            except QuantityError as error:
                raise FlagError(f"--{self.name}: {error}") from None
        if self.kind == CHOICE and text not in self.choices:
            raise FlagError(f"--{self.name}: {text!r} is not one of {', '.join(self.choices)}")
        if self.kind == PATH and "\0" in text:
            raise FlagError(f"--{self.name}: a path has no NUL byte")
        return text


FLAGS = (
    Flag(
        "root",
        PATH,
        DEFAULT_ROOT,
        "Directory with the state of all containers.",
        rule=NEVER,
        metavar="DIR",
    ),
    Flag("log", PATH, "", "File to which failures are appended.", rule=NEVER, metavar="FILE"),
    Flag("log-format", CHOICE, "text", "Format of --log.", rule=NEVER, choices=("text", "json")),
    Flag(
        "config",
        PATH,
        "",
        "TOML file whose table [runsc_config] has values for flags that are not given.",
        rule=NEVER,
        metavar="FILE",
    ),
    Flag(
        "allow-flag-override",
        BOOL,
        False,
        "Let annotations of a container change any flag that is no limit.",
        rule=NEVER,
    ),
    Flag("debug", BOOL, False, "Write debug messages to --debug-log."),
    Flag(
        "debug-log",
        PATH,
        "",
        "Debug log: a directory (with a / at its end) or a file; %ID%, %COMMAND%, %TIMESTAMP% "
        "and %PID% are replaced.",
        metavar="PATTERN",
    ),
    Flag("debug-log-format", CHOICE, "text", "Format of --debug-log.", choices=("text", "json")),
    Flag("strace", BOOL, False, "Log the system calls of the container to --debug-log."),
    Flag(
        "strace-syscalls",
        TEXT,
        "",
        "Log only these system calls (names with commas between).",
        metavar="NAMES",
    ),
    Flag(
        "platform",
        CHOICE,
        "ptrace",
        "How system calls of the container are intercepted.",
        choices=("ptrace",),
    ),
    Flag(
        "network",
        CHOICE,
        "sandbox",
        "Network of the container: the interfaces of its network namespace on a network stack "
        "of its own, or the loopback device alone.",
        rule=TIGHTEN,
        choices=("sandbox", "none"),
    ),
    Flag(
        "keep-host-addresses",
        TEXT,
        "",
        "Interfaces (names with commas between) whose addresses stay on the host's own stack, too.",
        metavar="NAMES",
    ),
    Flag("gso", BOOL, True, "Let the host segment large frames, where an interface can."),
    Flag("software-gso", BOOL, True, "Segment large frames in the sandbox, where the host cannot."),
    Flag("tx-checksum-offload", BOOL, False, "Let the host make the checksums of all frames."),
    Flag("rx-checksum-offload", BOOL, True, "Trust checksums that an interface has verified."),
    Flag(
        "qdisc",
        CHOICE,
        "fifo",
        "Queueing discipline of the interfaces; tbf limits the rate of what the container sends.",
        rule=LAST,
        choices=("none", "fifo", "tbf"),
        strict=True,
    ),
    Flag(
        "qdisc-tbf-rate",
        NUMBER,
        0,
        "Rate of --qdisc=tbf, in bytes per second; with another qdisc the most that an annotation "
        "may ask for.",
        rule=LOWER,
        metavar="BYTES",
        unit=RATE,
        maximum=MAX_RATE,
        strict=True,
    ),
    Flag(
        "qdisc-tbf-burst",
        NUMBER,
        0,
        "Burst of --qdisc=tbf, in bytes: at least a frame of every interface, MTU and header; with "
        "another qdisc the most that an annotation may ask for.",
        rule=LOWER,
        metavar="BYTES",
        unit=SIZE,
        maximum=MAX_BURST,
        strict=True,
    ),
    Flag(
        "pcap-log",
        PATH,
        "",
        "Write the frames of all interfaces to a file (pcapng); names as in --debug-log.",
        metavar="PATTERN",
    ),
    Flag(
        "net-raw",
        BOOL,
        False,
        "Let the container have raw and packet sockets, if it has CAP_NET_RAW.",
        rule=TIGHTEN,
    ),
    Flag(
        "overlay2",
        CHOICE,
        "none",
        "Keep what the container writes in memory: to its root file system, or to bind mounts too.",
        rule=TIGHTEN,
        choices=("none", "root:memory", "all:memory"),
    ),
    Flag("systemd-cgroup", BOOL, False, "Take cgroupsPath as slice:prefix:name of systemd."),
    Flag("ignore-cgroups", BOOL, False, "Make no cgroup for the container."),
    Flag(
        "cgroup-manager",
        CHOICE,
        "",
        "Who makes cgroups (podman's spelling).",
        choices=("", "cgroupfs", "systemd", "disabled"),
    ),
    Flag(
        "rootless",
        CHOICE,
        "auto",
        "Accepted for runc's callers; has no effect.",
        choices=("auto", "true", "false"),
        ignored=True,
    ),
    Flag(
        "criu",
        TEXT,
        "",
        "Accepted for old containerd; has no effect.",
        metavar="PATH",
        ignored=True,
    ),
)


class Config:
    """The value of every global setting."""

    def __init__(self) -> None:
        self.root = DEFAULT_ROOT
        self.log = ""
        self.log_format = "text"
        self.config = ""
        self.allow_flag_override = False
        self.debug = False
        self.debug_log = ""
        self.debug_log_format = "text"
        self.strace = False
        self.strace_syscalls = ""
        self.platform = "ptrace"
        self.network = "sandbox"
        self.keep_host_addresses = ""
        self.gso = True
        self.software_gso = True
        self.tx_checksum_offload = False
        self.rx_checksum_offload = True
        self.qdisc = "fifo"
        self.qdisc_tbf_rate = 0
        self.qdisc_tbf_burst = 0
        self.pcap_log = ""
        self.net_raw = False
        self.overlay2 = "none"
        self.systemd_cgroup = False
        self.ignore_cgroups = False
        self.cgroup_manager = ""
        self.rootless = "auto"
        self.criu = ""

    def set(self, name: str, value: bool | str) -> None:
        """Set the flag `name`; raise FlagError when there is none or the value does not fit."""
        flag = find(name)
        if flag is None:
            raise FlagError(f"unknown flag --{name}")
        if flag.kind != BOOL and not isinstance(value, str):
            raise FlagError(f"--{name} needs a value")
        parsed = flag.parse(value) if isinstance(value, str) else value
        setattr(self, flag.attribute, parsed)

    def get(self, name: str) -> Value:
        """Return the value of the flag `name`."""
        value: Value = getattr(self, name.replace("-", "_"))
        return value

    def changed(self) -> dict[str, Value]:
        """Return the flags whose value is not the default."""
        return {
            flag.name: self.get(flag.name) for flag in FLAGS if self.get(flag.name) != flag.default
        }

    def check(self) -> None:
        """Raise FlagError for settings that contradict each other.

        Called when a container is created and its annotations are read.
        """
        if self.qdisc != "tbf":
            return
        for name in ("qdisc-tbf-rate", "qdisc-tbf-burst"):
            if not self.get(name):
                raise FlagError(f"--qdisc=tbf needs --{name}, and it must not be 0")

    def ceilings(self) -> str:
        """Return what --qdisc-tbf-rate and --qdisc-tbf-burst do where nothing is shaped, or ""."""
        if self.qdisc == "tbf" or not (self.qdisc_tbf_rate or self.qdisc_tbf_burst):
            return ""
        rate = self.qdisc_tbf_rate or "any"
        burst = self.qdisc_tbf_burst or "any"
        return (
            f"qdisc {self.qdisc}: nothing is shaped; a rate of {rate} bytes per second and a burst "
            f"of {burst} bytes are only the most that annotations may ask for with qdisc=tbf"
        )

    @property
    def uses_cgroups(self) -> bool:
        """Whether containers get a cgroup of their own."""
        return not self.ignore_cgroups and self.cgroup_manager != "disabled"

    @property
    def uses_systemd(self) -> bool:
        """Whether cgroupsPath has systemd's form."""
        return self.systemd_cgroup or self.cgroup_manager == "systemd"


def parse_bool(text: str) -> bool | None:
    """Return the truth value that Go's flag package reads from `text`, or None."""
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    return None


def find(name: str) -> Flag | None:
    """Return the flag `name`, or None."""
    for flag in FLAGS:
        if flag.name == name:
            return flag
    return None
