"""Runs scripts against the host's kernel: do they say what Linux does?

    sudo python -m tests.packets.kernel [--jobs N] [WORD ...]

runs the scripts whose names contain a word (all, without one), each in a
network namespace of its own, in real time, through a TUN device.  What cannot be
asked of a kernel is passed over, and reported as such; timing is compared loosely.
"""

import argparse
import contextlib
import ctypes
import errno
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netstack.packet import OutPacket
from netstack.tcp import states
from tests.packets.checks import CA_STATES
from tests.packets.headers import icmp_packet, tcp_packet, transport_of
from tests.packets.kernel_tables import (
    FILES,
    MILLISECONDS,
    NAMES,
    OPTIONS,
    SECONDS,
    USUAL,
    parse_info,
)
from tests.packets.notation import Script, ScriptError, duration, load, stream
from tests.packets.script import LISTEN_PORT, PEER_TS, Runner

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001
EARLY = 12_000_000  # how much the kernel's clock may differ from the script's
LATE = 45_000_000
QUIET = 0.006  # how long nothing must arrive where nothing is expected
LONGEST = 75.0  # seconds of a script; longer ones are passed over
UNASKED = ("events", "flows", "window")


class Passed(Exception):
    """The script asks what a kernel cannot be asked."""


class Clock:
    """Stands for the virtual environment: real time, from a beginning on."""

    def __init__(self) -> None:
        self.begun = time.monotonic_ns() - 1_000_000_000

    @property
    def now(self) -> int:
        return time.monotonic_ns() - self.begun


@dataclass
class Tun:
    """What the script's peer is: the far end of a TUN device."""

    fd: int
    clock: Clock

    def read(self, timeout: float) -> bytes | None:
        if not select.select([self.fd], [], [], timeout)[0]:
            return None
        return os.read(self.fd, 65536)


class KernelStack:
    """What a runner knows of the stack: what was sent, and how to have it take segments."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, Any, OutPacket]] = []
        self.fd = -1

    def deliver(
        self,
        header: bytes,
        payload: bytes = b"",
        *,
        version: int = 4,
        tos: int = 0,
        gso_size: int = 0,
    ) -> None:
        """Put a segment of the peer's on the device."""
        if gso_size:
            raise Passed("GRO")
        os.write(self.fd, tcp_packet(version, tos, header, payload))


class KernelRunner(Runner):
    """Runs one script; the process is in a network namespace that nobody else uses."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.environment: Any = self.clock
        self.now = self.start = self.clock.now
        self.tun: Tun | None = None
        self.kernel = KernelStack()
        self.socket: socket.socket | None = None
        self.server: socket.socket | None = None
        self.kept: list[socket.socket | None] = []
        self.closed = False

    # The device.

    @property
    def stack(self) -> Any:
        if self.tun is None:
            self.tun = Tun(os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK), self.clock)
            self.kernel.fd = self.tun.fd
            fcntl.ioctl(self.tun.fd, TUNSETIFF, struct.pack("16sH22x", b"tun0", IFF_TUN_NO_PI))
            commands = [
                "ip link set lo up",
                f"ip link set tun0 mtu {self.mtu}",
                "ip link set tun0 addrgenmode none",
                "ip addr add 10.0.0.1/24 dev tun0",
                "ip -6 addr add fd00::1/64 dev tun0 nodad",
                "ip link set tun0 up",
            ]
            for command in commands:
                subprocess.run(command.split(), check=True)
            self._stack = self.kernel  # type: ignore[assignment]
            for name, value in USUAL.items():
                with contextlib.suppress(OSError):
                    self.tune(f"tcp_{name}", value)
            for name, value in self.settings:
                self.set_kernel(name, value)
            self.resync()
        return self.kernel

    def tune(self, name: str, value: str) -> None:
        with open(f"/proc/sys/net/ipv4/{name}", "w") as setting:
            setting.write(value)

    def set_kernel(self, name: str, value: str) -> None:
        if name == "somaxconn":
            with open("/proc/sys/net/core/somaxconn", "w") as setting:
                setting.write(value)
            return
        if name in SECONDS:
            value = str(int(value) // 1_000_000_000)
        if name in MILLISECONDS:
            value = str(int(value) // 1_000_000)
        try:
            self.tune(FILES.get(name, f"tcp_{name}"), value)
        except OSError as problem:
            raise Passed(f"setting {name}: {problem}") from None

    def resync(self) -> None:
        """Have the script's time go on from now."""
        self.clock.begun = time.monotonic_ns() - self.now

    def pump(self, timeout: float) -> bool:
        """Take one packet from the device; whether there was one of ours."""
        assert self.tun is not None
        end = time.monotonic() + timeout
        while True:
            raw = self.tun.read(max(end - time.monotonic(), 0))
            if raw is None:
                return False
            if self.take(raw):
                return True

    def take(self, raw: bytes) -> bool:
        found = transport_of(raw)
        if found is None:
            return False
        at, tos, ttl = found
        data_at = at + (raw[at + 12] >> 4) * 4
        packet = OutPacket(6, raw[at:data_at], raw[data_at:])
        packet.tos, packet.ttl = tos, ttl
        self.kernel.sent.append((self.clock.now, None, packet))
        return True

    # Lines.

    def run(self, script: Script) -> None:
        self.name = script.name
        total = 0.0
        for _, text in script.lines:
            word = text.split()[0]
            if word.startswith("+"):
                total += duration(word[1:]) / 1e9
        if total > LONGEST:
            raise Passed(f"takes {total:.0f} s")
        super().run(script)

    def advance(self, delta: int, *, expects: bool) -> None:
        stack = self.stack
        if expects and stack.sent:
            raise ScriptError(f"sent too early: {self.describe(stack.sent[0])}")
        self.now += delta
        if not expects:
            while True:
                left = self.now - self.clock.now
                if left <= 0 or not self.pump(left / 1e9):
                    break
            self.resync()
            return
        late = LATE + delta // 8  # the kernel's timers are the coarser the longer they are
        if not stack.sent:
            self.pump(max(self.now + late - self.clock.now, 0) / 1e9)
        if stack.sent:
            sent_at = stack.sent[0][0]
            if not -EARLY - delta // 20 <= sent_at - self.now <= late:
                early = self.describe(stack.sent[0])
                raise ScriptError(f"{(sent_at - self.now) / 1e6:.3f} ms off: {early}")
        self.resync()

    def no_more(self, where: str) -> None:
        if self.tun is not None and not self.kernel.sent:
            # Segments that come at the same time shall do so.
            self.pump(QUIET if not where.startswith("<") else 0.0)
        if self.kernel.sent:
            raise ScriptError(f"before {where}: not expected: {self.describe(self.kernel.sent[0])}")

    def expect_one(self, wanted: Any, seq: int, end: int) -> None:
        if not self.kernel.sent:
            self.pump(LATE / 1e9)
        if self.kernel.sent:
            entry = self.kernel.sent[0]
            # Its time was compared, if there was one.
            self.kernel.sent[0] = (self.now, entry[1], entry[2])
        super().expect_one(wanted, seq, end)
        self.resync()

    def compare_fields(self, fields: dict[str, str], segment: Any, packet: OutPacket) -> str:
        fields = dict(fields)
        if "/" in fields.get("ts", ""):
            value, echo = (int(text) for text in fields["ts"].split("/"))
            got = (segment.ts_value - self.ts_base, segment.ts_echo - PEER_TS)
            if abs(got[0] - value) > 60 or abs(got[1] - echo) > 60:
                return f"timestamps are {got}"
            fields["ts"] = ""
        fields.pop("gso", None)
        return super().compare_fields(fields, segment, packet)

    def prepare(self, words: list[str]) -> None:
        if words[0] in ("gso", "room", "path"):
            raise Passed(words[0])
        super().prepare(words)

    def icmp(self, words: list[str]) -> None:
        options = dict(zip(words[1::2], words[2::2], strict=True))
        seq = self.outgoing_number(int(options.get("seq", "1")))
        mtu = int(options.get("mtu", "0"))
        quoted = struct.pack(">HHI", self.local_port, self.peer_port, seq)
        os.write(self.stack.fd, icmp_packet(self.version, words[0], mtu, quoted))

    # Calls.

    def call(self, words: list[str]) -> None:
        text = " ".join(words)
        call, _, wanted = text.partition(" == ")
        name, *arguments = call.split()
        if name != "set":
            _ = self.stack
        try:
            result = getattr(self, f"call_{name}")(*arguments)
        except BlockingIOError:
            result = "none" if name in ("read", "oob", "accept") else None
        except OSError as problem:
            result = NAMES.get(problem.errno or 0, str(problem))
        if wanted and str(result) != wanted:
            raise ScriptError(f"the result is {result}")
        if not wanted and isinstance(result, str) and result in NAMES.values():
            raise ScriptError(f"failed: {result}")

    def family(self) -> int:
        return socket.AF_INET if self.version == 4 else socket.AF_INET6

    def sock(self) -> Any:
        if self.socket is None:
            self.socket = self.fresh()
        return self.socket

    def fresh(self) -> socket.socket:
        made = socket.socket(self.family(), socket.SOCK_STREAM)
        made.setblocking(False)
        if not any(name == "congestion_control" for name, _ in self.settings):
            made.setsockopt(6, socket.TCP_CONGESTION, b"cubic")
        return made

    def call_connect(self) -> str:
        host = "10.0.0.2" if self.version == 4 else "fd00::2"
        code = self.sock().connect_ex((host, self.peer_port))
        if code == errno.EINPROGRESS:
            return "progress"
        return NAMES[code] if code else "ok"

    def call_fast(self, size: str) -> int:
        data = stream(self.written, int(size))
        host = "10.0.0.2" if self.version == 4 else "fd00::2"
        try:
            count = self.sock().sendto(data, socket.MSG_FASTOPEN, (host, self.peer_port))
        except BlockingIOError:
            count = 0
        self.written += count
        return int(count)

    def call_begin(self, size: str) -> int:
        return self.call_write(size) or 0

    def call_bind(self, port: str) -> None:
        self.sock().bind(("0.0.0.0" if self.version == 4 else "::", int(port)))

    def call_listen(self, backlog: str) -> None:
        self.server = self.fresh()
        for words in self.options:
            self.apply(self.server, words)
        self.server.bind(("0.0.0.0" if self.version == 4 else "::", LISTEN_PORT))
        self.server.listen(int(backlog))

    def call_backlog(self, backlog: str) -> None:
        assert self.server is not None
        self.server.listen(int(backlog))

    def call_accept(self) -> str:
        assert self.server is not None
        self.kept.append(self.socket)
        self.socket, _ = self.server.accept()
        self.socket.setblocking(False)
        return "ok"

    def call_write(self, size: str, more: str = "") -> int | None:
        data = stream(self.written, int(size))
        count = self.sock().send(data, socket.MSG_MORE if more else 0)
        self.written += count
        return int(count)

    def call_urgent(self, size: str) -> int | None:
        count = self.sock().send(stream(self.written, int(size)), socket.MSG_OOB)
        self.written += count
        return int(count)

    def call_read(self, limit: str, peek: str = "") -> str:
        data = self.sock().recv(int(limit), socket.MSG_PEEK if peek else 0)
        if not data:
            return "eof"
        if data != stream(self.read_at, len(data)):
            raise ScriptError(f"other data: {data[:20]!r}")
        if not peek:
            self.read_at += len(data)
        return str(len(data))

    def call_oob(self, peek: str = "") -> str:
        data = self.sock().recv(1, socket.MSG_OOB | (socket.MSG_PEEK if peek else 0))
        return "eof" if not data else str(data[0])

    def call_shutdown(self, how: str) -> None:
        self.sock().shutdown({"read": 0, "write": 1, "both": 2}[how])

    def call_close(self) -> None:
        self.sock().close()
        self.closed = True

    def call_unlisten(self) -> None:
        assert self.server is not None
        self.server.close()

    def call_disconnect(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.connect(self.sock().fileno(), bytes(16), 16) < 0:
            raise OSError(ctypes.get_errno(), "connect")

    def call_fresh(self) -> None:
        self.kept.append(self.socket)
        self.socket = self.isn = None
        self.written = self.read_at = 1

    def call_set(self, *words: str) -> None:
        if self._stack is None or (self.socket is None and self.server is None):
            self.options.append(list(words))
        if self.socket is not None or self.server is None:
            self.apply(self.sock(), list(words))

    def apply(self, target: Any, words: list[str]) -> None:
        name, value = words[0], words[1]
        number = {"on": 1, "off": 0}.get(value)
        if name == "congestion":
            target.setsockopt(6, socket.TCP_CONGESTION, value.encode())
        elif name == "linger":
            target.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, int(value)))
        elif name == "receive_buffer":
            target.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, int(value) // 2)
        elif name == "send_buffer":
            target.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, int(value) // 2)
        elif name == "ecn":
            self.settings.append(("ecn", value))
            if self._stack is not None:
                self.set_kernel("ecn", value)
        elif name in OPTIONS:
            if number is None:
                number = int(value) if value.lstrip("-").isdigit() else duration(value)
            if name == "user_timeout":
                number //= 1_000_000
            elif name in ("keepalive_idle", "keepalive_interval"):
                number //= 1_000_000_000
            level, option = OPTIONS[name]
            target.setsockopt(level, option, number)
        else:
            raise Passed(f"option {name}")

    def ioctl(self, request: int) -> int:
        return int(struct.unpack("i", fcntl.ioctl(self.sock().fileno(), request, bytes(4)))[0])

    def call_unread(self) -> int:
        return self.ioctl(0x541B)

    def call_unsent(self) -> int:
        return self.ioctl(0x894B)

    def call_unacked(self) -> int:
        return self.ioctl(0x5411)

    def call_mark(self) -> bool:
        return bool(self.ioctl(0x8905))

    # Checks.

    def check(self, words: list[str]) -> None:
        _ = self.stack
        if words[0] in UNASKED:
            return
        if self.closed and words[0] not in ("counter", "waiting"):
            return
        try:
            super().check(words)
        except KeyError as problem:
            raise Passed(f"no {problem}") from None

    def info(self) -> dict[str, int]:
        return parse_info(self.sock().getsockopt(6, socket.TCP_INFO, 256))

    def check_state(self) -> str:
        return states.NAMES[self.info()["state"]]

    def check_cwnd(self) -> int:
        return self.info()["snd_cwnd"]

    def check_cwnd_bytes(self) -> int:
        raise Passed("bytes")

    def check_ssthresh(self) -> int:
        return self.info()["snd_ssthresh"]

    def check_ca(self) -> str:
        return CA_STATES[self.info()["ca_state"]]

    def check_mss(self) -> int:
        return self.info()["snd_mss"]

    def check_error(self) -> str:
        code = self.sock().getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return NAMES[code] if code else "none"

    def check_counter(self, name: str) -> int:
        for file in ("netstat", "snmp"):
            lines = Path(f"/proc/net/{file}").read_text().splitlines()
            for names, values in zip(lines[::2], lines[1::2], strict=True):
                if names.startswith("Tcp"):
                    found = dict(zip(names.split(), values.split(), strict=True))
                    if name in found:
                        return int(found[name])
        raise KeyError(name)

    def check_info(self, name: str) -> int:
        return self.info()[name]

    def check_readiness(self) -> str:
        poll = select.poll()
        bits = {"IN": 1, "PRI": 2, "OUT": 4, "ERR": 8, "HUP": 16, "RDHUP": 0x2000}
        poll.register(self.sock(), sum(bits.values()))
        got = poll.poll(0)
        ready = got[0][1] if got else 0
        return " ".join(name for name, bit in bits.items() if ready & bit) or "none"

    def check_waiting(self) -> int:
        assert self.server is not None
        return parse_info(self.server.getsockopt(6, socket.TCP_INFO, 256))["unacked"]

    def check_rto(self) -> int:
        return self.info()["rto"] // 1000

    def check_srtt(self) -> int:
        return self.info()["rtt"] // 1000

    def check_window(self) -> int:
        return self.info()["rcv_wnd"]


def run_here(script: Script) -> str:
    """Run one script in this process, which is given a network namespace; return how it ended."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        return "passed over: cannot make a network namespace"
    try:
        KernelRunner().run(script)
    except Passed as reason:
        return f"passed over: {reason}"
    except ScriptError as problem:
        return f"differs: {problem}"
    except (OSError, KeyError, AttributeError, ValueError) as problem:
        return f"failed: {type(problem).__name__} {problem}"
    return "same"


def run_apart(path: Path, name: str) -> str:
    """Run one script in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.packets.kernel", "--one", str(path), name],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    return done.stdout.strip() or done.stderr.strip()[-300:]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=8)
    parser.add_argument("--directory", type=Path, default=Path(__file__).parent)
    parser.add_argument("--one", nargs=2)
    parser.add_argument("words", nargs="*")
    arguments = parser.parse_args()
    if arguments.one:
        path, name = arguments.one
        print(run_here(next(script for script in load(Path(path)) if script.name == name)))
        return
    wanted: list[tuple[Path, str]] = []
    for path in sorted(arguments.directory.glob("*.tcp")):
        for script in load(path):
            if not arguments.words or any(word in script.name for word in arguments.words):
                wanted.append((path, script.name))
    counts: dict[str, int] = {}
    with ThreadPoolExecutor(arguments.jobs) as pool:
        results = pool.map(lambda job: (job[1], run_apart(*job)), wanted)
        for name, result in results:
            kind = result.partition(":")[0]
            counts[kind] = counts.get(kind, 0) + 1
            if kind != "same":
                print(f"{name}\n    {result}", flush=True)
    print(counts)


if __name__ == "__main__":
    main()
