"""Scripts in segments and socket calls, run against TCP with a virtual clock.

    # What a '#' begins is a comment.
    mtu 1500                          settings come first: mtu, gso, version, isn, set NAME VALUE;
                                      who depends on the size of IP headers states a version
    established mss 1000 sack rtt 100ms     a handshake that is not looked at; or "accepted"
    : write 3000 == 3000              a socket call and its result
    > A 1:3001/1000 ack 1             expected now: three segments of 1000 bytes
    +100ms < A 1 ack 1001 win 50000   the peer's segment, 100 ms later
    = cwnd 11                         something that must hold

Numbers are relative to the initial ones: 0 is the SYN, 1 the first byte, in
both directions.  `ts 30/20` is a timestamp of 30 that echoes 20, in milliseconds
since the start; peers that agreed on timestamps send true ones by themselves.
`fo` is the option of Fast Open: alone it asks for a cookie, else it has one in
hexadecimal, and `fo kept` is the one that the last `fo kept` sent.
A line without a time is at the time of the one before.  All that is sent has
to be expected; PSH counts only where it is written.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

FLAG_LETTERS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32, "E": 64, "C": 128}
COOKIE = re.compile("kept|([0-9a-f]{2}){4,16}")
UNITS = {"us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}


class ScriptError(AssertionError):
    """A script whose expectations do not hold."""


@dataclass
class Script:
    """One script of a file."""

    name: str
    line: int
    lines: list[tuple[int, str]]


def load(path: Path) -> list[Script]:
    """Return the scripts of a file; a line `== name` begins one."""
    found: list[Script] = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("== "):
            found.append(Script(f"{path.stem}: {line[3:].strip()}", number, []))
            continue
        text = line.partition("#")[0].strip()
        if text:
            found[-1].lines.append((number, text))
    return found


def stream(start: int, size: int) -> bytes:
    """Return what is at sequence numbers [start, start + size) of either stream."""
    return bytes((n * 31 + (n >> 8) * 17) & 0xFF for n in range(start, start + size))


def duration(text: str) -> int:
    """Return nanoseconds: 5ms, 2s, 30us."""
    match = re.fullmatch(r"([0-9.]+)(us|ms|s)", text)
    if match is None:
        raise ScriptError(f"not a time: {text}")
    return int(float(match[1]) * UNITS[match[2]])


@dataclass
class Wanted:
    """A segment as a script describes it."""

    flags: int
    seq: int
    end: int
    step: int = 0
    fields: dict[str, str] = field(default_factory=dict)


def parse_segment(words: list[str]) -> Wanted:
    """Return the segment of a line without its time and direction."""
    flags = sum(FLAG_LETTERS[letter] for letter in words[0])
    seq, _, end = words[1].partition(":")
    end, _, step = end.partition("/")
    wanted = Wanted(flags, int(seq), int(end or seq), int(step or 0))
    at = 2
    while at < len(words):
        name = words[at]
        has_value = name not in ("sackok", "ect", "noect", "nots", "ce", "nosack")
        if name == "fo":
            has_value = at + 1 < len(words) and bool(COOKIE.fullmatch(words[at + 1]))
        if name == "ts":
            has_value = at + 1 < len(words) and "/" in words[at + 1]
        wanted.fields[name] = words[at + 1] if has_value else ""
        at += 2 if has_value else 1
    return wanted
