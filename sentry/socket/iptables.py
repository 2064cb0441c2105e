"""The options of iptables and ip6tables: tables of rules are read and replaced whole.

They are options of SOL_IP of any socket of AF_INET, and of SOL_IPV6 of those of AF_INET6, for who
has CAP_NET_ADMIN (linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h).
"""

from struct import Struct
from typing import Final

from netstack.filter.hooks import TABLE_HOOKS, PacketFilter
from netstack.filter.passage import HOOKS
from netstack.filter.table import NO_RULE, Rule, Table, empty_table
from sentry.abi.capability import CAP_NET_ADMIN
from sentry.abi.errno import (
    EAGAIN,
    EINVAL,
    ENOENT,
    ENOMEM,
    EPERM,
    EPROTONOSUPPORT,
)
from sentry.errors import SysError
from sentry.kernel.task import Task
from sentry.socket.iptables_blob import (
    ERROR_SIZE,
    MAX_RULES,
    STANDARD,
    make_table,
    name_of,
)
from sentry.socket.iptables_families import Layout

SET_REPLACE: Final = 64
SET_ADD_COUNTERS: Final = 65
GET_INFO: Final = 64
GET_ENTRIES: Final = 65

MAX_BLOB: Final = 4 << 20
MAX_OPTION: Final = MAX_BLOB + 4096

_REPLACE: Final = Struct("<32s3I5I5IIQ")
_INFO: Final = Struct("<32sI5I5I2I")
_ENTRIES: Final = Struct("<32sI4x")
_ADD: Final = Struct("<32sI4x")
_REVISION: Final = Struct("<29sB")
_COUNTER: Final = Struct("<2Q")
_STANDARD: Final = Struct("<H29sBi4x")
_ERROR: Final = Struct("<H29sB30s2x")
_OFFSETS: Final = Struct("<HH")


class LoadedTable:
    """A table in the stack, with the bytes that it was made of."""

    def __init__(self, layout: Layout, table: Table, blob: bytes, offsets: list[int]) -> None:
        self.layout = layout
        self.table = table
        self.blob = blob
        self.offsets = offsets

    def offset_of(self, index: int) -> int:
        """Return where a rule is in the blob; all ones if there is none."""
        return self.offsets[index] if index != NO_RULE else 0xFFFF_FFFF

    def with_counters(self) -> bytes:
        """Return the blob with the counters as they are now."""
        made = bytearray(self.blob)
        for index, rule in enumerate(self.table.rules):
            at = self.offsets[index] + self.layout.counters
            _COUNTER.pack_into(made, at, rule.packets, rule.bytes)
        return bytes(made)


class Iptables:
    """The tables of one version of IP in a network namespace."""

    def __init__(self, layout: Layout, rules: PacketFilter) -> None:
        self.layout = layout
        self.rules = rules
        self.tables: dict[str, LoadedTable] = {}

    def is_option(self, level: int, option: int) -> bool:
        """Return whether a number is one of iptables'."""
        layout = self.layout
        return level == layout.level and (
            SET_REPLACE <= option <= SET_ADD_COUNTERS
            or layout.match_revision <= option <= layout.match_revision + 1
        )

    def find(self, name: str) -> LoadedTable:
        """Return a table; one that nobody has asked for yet is made.  SysError(ENOENT)."""
        found = self.tables.get(name)
        if found is None:
            if name not in TABLE_HOOKS:
                raise SysError(ENOENT)
            found = new_table(self.layout, name)
            self.tables[name] = found
        return found

    # getsockopt(2).

    def get_option(self, option: int, value: bytes) -> bytes:
        """Return the answer to a question that is in `value`."""
        if option == GET_INFO:
            return self._info(value)
        if option == GET_ENTRIES:
            return self._entries(value)
        return self._revision(option, value)

    def _info(self, value: bytes) -> bytes:
        if len(value) != _INFO.size:
            raise SysError(EINVAL)
        loaded = self.find(name_of(value[:32]))
        table = loaded.table
        hooks = sum(1 << hook for hook in TABLE_HOOKS[table.name])
        return _INFO.pack(
            table.name.encode(),
            hooks,
            *(loaded.offset_of(table.entries[hook]) for hook in range(HOOKS)),
            *(loaded.offset_of(table.underflows[hook]) for hook in range(HOOKS)),
            len(table.rules),
            len(loaded.blob),
        )

    def _entries(self, value: bytes) -> bytes:
        if len(value) < _ENTRIES.size:
            raise SysError(EINVAL)
        name, size = _ENTRIES.unpack_from(value)
        loaded = self.find(name_of(name))
        if size != len(loaded.blob):
            raise SysError(EAGAIN)  # somebody has changed it since the size was asked for
        return value[: _ENTRIES.size] + loaded.with_counters()

    def _revision(self, option: int, value: bytes) -> bytes:
        if len(value) != _REVISION.size:
            raise SysError(EINVAL)
        field, revision = _REVISION.unpack(value)
        name = name_of(field)
        known = list(self.layout.targets)
        if option == self.layout.match_revision:
            known = list(self.layout.matches)
        revisions = [number for own, number in known if own == name]
        if not revisions:
            raise SysError(ENOENT)
        if revision not in revisions:
            raise SysError(EPROTONOSUPPORT)
        return value

    # setsockopt(2).

    def replace(self, task: Task, value: bytes) -> None:
        """Put new rules in the place of a table's, and tell the old ones' counters."""
        if len(value) < _REPLACE.size:
            raise SysError(EINVAL)
        fields = _REPLACE.unpack_from(value)
        field, hooks, count, size = fields[:4]
        counters, address = fields[14], fields[15]
        name = name_of(field)
        if size > MAX_BLOB or counters > MAX_RULES:
            raise SysError(ENOMEM)
        if not counters or len(value) < _REPLACE.size + size:
            raise SysError(EINVAL)
        old = self.find(name)
        if hooks != sum(1 << hook for hook in TABLE_HOOKS[name]):
            raise SysError(EINVAL)
        blob = value[_REPLACE.size : _REPLACE.size + size]
        table, offsets = make_table(
            self.layout, self.rules, name, blob, count, fields[4:9], fields[9:14]
        )
        if counters != len(old.table.rules):
            raise SysError(EAGAIN)
        self.tables[name] = LoadedTable(self.layout, table, blob, offsets)
        self.rules.set_table(table)
        told = b"".join(_COUNTER.pack(rule.packets, rule.bytes) for rule in old.table.rules)
        task.memory.write(address, told)

    def add_counters(self, value: bytes) -> None:
        """Add numbers to the counters of a table."""
        if len(value) < _ADD.size:
            raise SysError(EINVAL)
        field, count = _ADD.unpack_from(value)
        if len(value) != _ADD.size + count * _COUNTER.size:
            raise SysError(EINVAL)
        rules = self.find(name_of(field)).table.rules
        if count != len(rules):
            raise SysError(EINVAL)
        for index, rule in enumerate(rules):
            add_counter(rule, value, _ADD.size + index * _COUNTER.size)


def add_counter(rule: Rule, value: bytes, at: int) -> None:
    """Add what is at `at` to a rule's counters, which are of 64 bits."""
    packets, size = _COUNTER.unpack_from(value, at)
    rule.packets = (rule.packets + packets) % (1 << 64)
    rule.bytes = (rule.bytes + size) % (1 << 64)


def check_capability(task: Task) -> None:
    """SysError(EPERM) without CAP_NET_ADMIN."""
    if not task.creds.has_capability(CAP_NET_ADMIN):
        raise SysError(EPERM)


def new_table(layout: Layout, name: str) -> LoadedTable:
    """Return a table as it is at first: a policy for each hook, and the entry that ends it."""
    table = empty_table(name, TABLE_HOOKS[name])
    blob = b""
    offsets = []
    for _ in TABLE_HOOKS[name]:
        offsets.append(len(blob))
        blob += entry_head(layout, STANDARD) + _STANDARD.pack(STANDARD, b"", 0, -2)
    offsets.append(len(blob))
    blob += entry_head(layout, ERROR_SIZE) + _ERROR.pack(ERROR_SIZE, b"ERROR", 0, b"ERROR")
    return LoadedTable(layout, table, blob, offsets)


def entry_head(layout: Layout, target_size: int) -> bytes:
    """Return a struct ipt_entry for everything, before a target."""
    entry, offsets = layout.entry, layout.offsets
    return (
        bytes(offsets)
        + _OFFSETS.pack(entry, entry + target_size)
        + bytes(entry - offsets - _OFFSETS.size)
    )
