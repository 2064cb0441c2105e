"""`features`: what the runtime supports (features.md of the OCI specification)."""

from runsc.sandbox.hostcalls import CAPABILITIES
from runsc.version import SPEC_VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from config.jsontext import Json

# Callers act on this list: an option that is named must work.
_MOUNT_OPTIONS = (
    "bind",
    "mode",
    "nodev",
    "noexec",
    "nosuid",
    "private",
    "rbind",
    "ro",
    "rprivate",
    "rw",
    "size",
)


def features() -> "dict[str, Json]":
    """Return the features object."""
    off: dict[str, Json] = {"enabled": False}
    return {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": SPEC_VERSION,
        "hooks": ["prestart", "createRuntime", "createContainer", "poststart", "poststop"],
        "mountOptions": list(_MOUNT_OPTIONS),
        "linux": {
            "namespaces": ["ipc", "mount", "network", "pid", "uts"],
            "capabilities": list(CAPABILITIES),
            "cgroup": {
                "v1": True,
                "v2": True,
                "systemd": False,
                "systemdUser": False,
                "rdma": False,
            },
            "seccomp": dict(off),
            "apparmor": dict(off),
            "selinux": dict(off),
            "intelRdt": dict(off),
            "mountExtensions": {"idmap": dict(off)},
            "netDevices": dict(off),
        },
        "annotations": {},
    }
