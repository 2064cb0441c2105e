"""linux.sysctl of config.json, as far as it is about the network."""

from config.oci import Spec
from runsc.boot.programs import reason_of
from runsc.errors import RunscError
from sentry.errors import SysError
from sentry.kernel.network import Network


def apply_sysctls(network: Network, spec: Spec) -> None:
    """Set what linux.sysctl says of the network; RunscError for a setting that does not exist."""
    known = set(network.sysctl_names())
    for name, value in spec.linux.sysctl.items():
        if not name.startswith("net."):
            continue
        # As sysctl(8): a name with slashes already has dots for dots.
        path = (name if "/" in name else name.replace(".", "/")).encode()
        if path not in known:
            raise RunscError(f"linux.sysctl: there is no setting {name!r}")
        try:
            network.write_sysctl(path, value.encode(), None)
        except SysError as error:
            raise RunscError(f"linux.sysctl: {name}: {reason_of(error)}") from None
