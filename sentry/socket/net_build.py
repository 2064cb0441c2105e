"""Makes the network namespace of a sandbox."""

from sentry.kernel.kernel import Kernel
from sentry.socket.net_namespace import NetworkNamespace


def make_network(kernel: Kernel, *, allows_raw: bool) -> NetworkNamespace:
    """Give the kernel a network with nothing but `lo` in it."""
    namespace = NetworkNamespace(kernel, allows_raw=allows_raw)
    kernel.network = namespace
    return namespace
