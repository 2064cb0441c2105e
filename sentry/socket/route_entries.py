"""Entering and removing routes, as rtnetlink(7) and the requests of ioctl(2) ask for it."""

from typing import Final

from netstack.errors import EXISTS, NetError
from netstack.network import NetworkProtocol
from netstack.route import BLACKHOLE, PROHIBIT, THROW, UNREACHABLE, RouteEntry
from sentry.abi.errno import EEXIST, EINVAL, ENETUNREACH, ENOBUFS, ENODEV, ENOENT, ESRCH
from sentry.abi.rtnetlink import NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE
from sentry.errors import SysError
from sentry.socket.net_namespace import NetworkNamespace

MAX_ROUTES: Final = 65536
NO_INTERFACE: Final = (BLACKHOLE, UNREACHABLE, PROHIBIT, THROW)


def insert_route(namespace: NetworkNamespace, entry: RouteEntry, flags: int) -> None:
    """Enter a route with the NLM_F_ flags of a request; SysError or NetError."""
    network = namespace.stack.network_of(entry.prefix)
    count = sum(len(table.entries()) for table in network.routing.tables.values())
    if count >= MAX_ROUTES:
        raise SysError(ENOBUFS)
    _check_next_hop(namespace, network, entry)
    same = _same_route(network, entry)
    if not flags & NLM_F_CREATE and same is None:
        raise SysError(ENOENT)
    if same is not None:
        if flags & NLM_F_EXCL:
            raise SysError(EEXIST)
        if flags & NLM_F_REPLACE:
            namespace.stack.remove_route(same)
    try:
        namespace.stack.add_route(entry, append=bool(flags & NLM_F_APPEND))
    except NetError as error:
        if error.code == EXISTS:
            raise SysError(EEXIST) from None
        raise


def delete_route(namespace: NetworkNamespace, wanted: RouteEntry, kind: int) -> None:
    """Remove the route that a request means (kind 0: any); SysError(ESRCH) if there is none."""
    found = _find_route(namespace.stack.network_of(wanted.prefix), wanted, kind)
    if found is None:
        raise SysError(ESRCH)
    namespace.stack.remove_route(found)


def _check_next_hop(
    namespace: NetworkNamespace, network: NetworkProtocol, entry: RouteEntry
) -> None:
    """Find the interface of a gateway, which must be reachable without another one."""
    if entry.kind in NO_INTERFACE:
        entry.interface = None
        return
    if entry.gateway:
        if len(entry.gateway) == 16 and namespace.stack.is_local_address(entry.gateway):
            raise SysError(EINVAL)
        index = entry.interface.index if entry.interface is not None else 0
        is_link_local = entry.gateway[0] == 0xFE and len(entry.gateway) == 16
        if not is_link_local:
            found = network.routing.lookup(entry.gateway, b"", index)
            if found is None or found.gateway or found.interface is None:
                raise SysError(ENETUNREACH)
            entry.interface = entry.interface or found.interface
    if entry.interface is None:
        raise SysError(ENODEV)


def _same_route(network: NetworkProtocol, wanted: RouteEntry) -> RouteEntry | None:
    """Return the route with the same prefix and metric in the same table."""
    table = network.routing.tables.get(wanted.table)
    if table is None:
        return None
    for entry in table.lengths.get(wanted.prefix_length, {}).get(wanted.prefix, []):
        if entry.metric == wanted.metric:
            return entry
    return None


def _find_route(network: NetworkProtocol, wanted: RouteEntry, kind: int) -> RouteEntry | None:
    """Return the route that a deletion means: what it does not say may be anything."""
    table = network.routing.tables.get(wanted.table)
    if table is None:
        return None
    is_any_metric = wanted.metric in (0, 1024)
    for entry in table.lengths.get(wanted.prefix_length, {}).get(wanted.prefix, []):
        if (
            (is_any_metric or entry.metric == wanted.metric)
            and (wanted.interface is None or entry.interface is wanted.interface)
            and (not wanted.gateway or entry.gateway == wanted.gateway)
            and (not kind or entry.kind == kind)
        ):
            return entry
    return None
