"""Messages of Multicast Listener Discovery: version 1 (RFC 2710) and version 2 (RFC 3810)."""

from __future__ import annotations

from typing import Final

from netstack.wire.address6 import UNSPECIFIED, is_multicast
from netstack.wire.icmp6 import MLD2_REPORT

VERSION1_SIZE: Final = 24
QUERY_SIZE: Final = 28  # of version 2, without sources

# Kinds of records, RFC 3810, 5.2.12.
MODE_IS_INCLUDE: Final = 1
MODE_IS_EXCLUDE: Final = 2
CHANGE_TO_INCLUDE: Final = 3
CHANGE_TO_EXCLUDE: Final = 4
ALLOW_NEW_SOURCES: Final = 5
BLOCK_OLD_SOURCES: Final = 6

# A hop-by-hop header, but for the protocol in its first byte, with a router alert for
# MLD (RFC 2711, value 0) and padding.
ROUTER_ALERT_HEADER: Final = b"\x00\x05\x02\x00\x00\x01\x00"

MAX_SOURCES: Final = 64  # of one query; the rest is not looked at


class Query:
    """A query of either version."""

    def __init__(self, group: bytes, max_response_ms: int, version: int) -> None:
        self.group = group  # UNSPECIFIED: a general query
        self.max_response_ms = max_response_ms
        self.version = version
        self.sources: list[bytes] = []
        self.robustness = 0  # 0: not said
        self.interval_s = 0


class Record:
    """What a report says of one group."""

    def __init__(self, kind: int, group: bytes, sources: list[bytes]) -> None:
        self.kind = kind
        self.group = group
        self.sources = sources


def parse_query(data: bytes) -> Query | None:
    """Return the query in `data`, which begins at the ICMPv6 type.

    The length tells the versions apart, RFC 3810, 8.1: 24 bytes are version 1,
    at least 28 are version 2.  None for others.
    """
    size = len(data)
    if size < VERSION1_SIZE or VERSION1_SIZE < size < QUERY_SIZE:
        return None
    code = data[4] << 8 | data[5]
    group = data[8:24]
    if group != UNSPECIFIED and not is_multicast(group):
        return None
    if size == VERSION1_SIZE:
        return Query(group, code, 1)
    query = Query(group, response_delay(code), 2)
    query.robustness = data[24] & 7
    query.interval_s = query_interval(data[25])
    count = data[26] << 8 | data[27]
    if size < QUERY_SIZE + count * 16:
        return None
    for number in range(min(count, MAX_SOURCES)):
        at = QUERY_SIZE + number * 16
        query.sources.append(data[at : at + 16])
    return query


def response_delay(code: int) -> int:
    """Return milliseconds from a maximum response code, RFC 3810, 5.1.3."""
    if code < 0x8000:
        return code
    return (code & 0x0FFF | 0x1000) << ((code >> 12 & 7) + 3)


def query_interval(code: int) -> int:
    """Return seconds from a querier's query interval code, RFC 3810, 5.1.9."""
    if code < 0x80:
        return code
    return (code & 0x0F | 0x10) << ((code >> 4 & 7) + 3)


def parse_version1(data: bytes) -> bytes:
    """Return the group of a version 1 report or done message; nothing if it is malformed."""
    if len(data) < VERSION1_SIZE or not is_multicast(data[8:24]):
        return b""
    return data[8:24]


def parse_report(data: bytes) -> list[Record] | None:
    """Return the records of a version 2 report; None if they do not fit."""
    if len(data) < 8:
        return None
    records = []
    at = 8
    for _ in range(data[6] << 8 | data[7]):
        if len(data) - at < 20:
            return None
        count = data[at + 2] << 8 | data[at + 3]
        behind = at + 20 + count * 16
        if behind + data[at + 1] * 4 > len(data):
            return None
        sources = [data[one : one + 16] for one in range(at + 20, behind, 16)]
        records.append(Record(data[at], data[at + 4 : at + 20], sources))
        at = behind + data[at + 1] * 4
    return records


def build_version1(kind: int, group: bytes, max_response_ms: int = 0) -> bytes:
    """Return a query, report or done message of version 1 without its checksum."""
    return bytes((kind, 0, 0, 0)) + max_response_ms.to_bytes(2, "big") + bytes(2) + group


def build_report(records: list[Record]) -> bytes:
    """Return a report of version 2 without its checksum."""
    parts = [bytes((MLD2_REPORT, 0, 0, 0, 0, 0)) + len(records).to_bytes(2, "big")]
    for record in records:
        parts.append(bytes((record.kind, 0)) + len(record.sources).to_bytes(2, "big"))
        parts.append(record.group)
        parts.extend(record.sources)
    return b"".join(parts)


def record_size(record: Record) -> int:
    """Return the bytes that a record takes in a report."""
    return 20 + 16 * len(record.sources)
