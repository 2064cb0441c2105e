"""Runs scripts in the notation that `notation.py` describes, with a virtual clock."""

import struct
from typing import Any

from netstack import errors
from netstack.endpoint import SHUT_READ, SHUT_WRITE, Address
from netstack.packet import OutPacket
from netstack.tcp.connection import Connection
from netstack.tcp.endpoint import TcpEndpoint
from netstack.tcp.settings import TcpSettings
from netstack.transport import IcmpError
from netstack.wire.tcp import (
    build,
    fastopen_option,
    parse,
    sack_option,
    syn_options,
    timestamps_option,
)
from tests.packets.checks import ERRORS, Checks
from tests.packets.notation import (
    FLAG_LETTERS,
    Script,
    ScriptError,
    Wanted,
    duration,
    parse_segment,
    stream,
)
from tests.packets.stack import LOCAL, REMOTE, TcpStack, ports_of, remote
from tests.unit.netstack.harness import RecordingListener, VirtualEnvironment

PEER_PORT = 80
LISTEN_PORT = 8080
PEER_TS = 5_000_000  # where the peer's timestamps begin
TOLERANCE = 2_000_000  # timers and timestamps have granularities


class Runner(Checks):
    """Runs one script."""

    def __init__(self) -> None:
        self.environment = VirtualEnvironment()
        self.now = self.environment.now
        self.mtu = 1500
        self.gso = 0
        self.version = 4
        self.peer_isn = 7_000_000
        self.settings: list[tuple[str, str]] = []
        self._stack: TcpStack | None = None
        self.listening: TcpEndpoint | None = None
        self.endpoint: TcpEndpoint | None = None
        self.connection: Connection | None = None
        self.events = RecordingListener()
        self.isn: int | None = None
        self.local_port = 0
        self.ts_base = 0
        self.start = self.environment.now
        self.last_ts = 0
        self.peer_port = PEER_PORT
        self.has_ts = False
        self.written = 1
        self.read_at = 1
        self.options: list[list[str]] = []
        self.cookie = b""  # of Fast Open

    # The stack.

    @property
    def stack(self) -> TcpStack:
        if self._stack is None:
            self._stack = TcpStack(self.environment, self.mtu, self.gso)
            self.change_settings(self._stack.tcp.settings)
        return self._stack

    def change_settings(self, settings: TcpSettings) -> None:
        """Set what lines `set NAME VALUE` said."""
        for name, value in self.settings:
            old = getattr(settings, name)
            made: Any = value if isinstance(old, str) else type(old)(int(value))
            setattr(settings, name, made)

    def sock(self) -> TcpEndpoint:
        if self.endpoint is None:
            self.endpoint = TcpEndpoint(self.stack.tcp, self.version)
            self.endpoint.listener = self.events
        return self.endpoint

    def conn(self) -> Connection:
        if self.connection is None and self.endpoint is not None:
            self.connection = self.endpoint.connection
        if self.connection is None:
            raise ScriptError("there is no connection")
        return self.connection

    # Lines.

    def run(self, script: Script) -> None:
        for number, text in script.lines:
            try:
                self.line(text)
            except ScriptError as problem:
                raise ScriptError(f"{script.name}, line {number}: {text}\n  {problem}") from None
        self.no_more("the end")

    def line(self, text: str) -> None:
        words = text.split()
        if words[0].startswith("+"):
            self.advance(duration(words[0][1:]), expects=words[1] == ">")
            words = words[1:]
        verb = words[0]
        if verb == ">":
            self.expect(parse_segment(words[1:]))
            return
        self.no_more(text)
        if verb == "<":
            self.inject(parse_segment(words[1:]))
        elif verb == ":":
            self.call(words[1:])
        elif verb == "=":
            self.check(words[1:])
        elif verb == "nothing":
            pass
        else:
            self.prepare(words)

    def advance(self, delta: int, *, expects: bool) -> None:
        if expects and self.stack.sent:
            raise ScriptError(f"sent too early: {self.describe(self.stack.sent[0])}")
        self.now += delta
        if expects:
            # The segment may come a little later than the script says.
            end = self.now + TOLERANCE
            while not self.stack.sent and self.environment.now < end:
                step = min(end, max(self.next_timer(), self.environment.now))
                self.environment.advance(step - self.environment.now)
                if step == end:
                    break
            if self.stack.sent:
                sent_at = self.stack.sent[0][0]
                if abs(sent_at - self.now) > TOLERANCE:
                    early = self.describe(self.stack.sent[0])
                    raise ScriptError(f"{(sent_at - self.now) / 1e6:.3f} ms off: {early}")
                self.now = sent_at
        elif self.now > self.environment.now:
            self.environment.advance(self.now - self.environment.now)

    def next_timer(self) -> int:
        live = [when for when, number, timer in self.environment.heap if timer.handle == number]
        return min(live, default=1 << 62)

    def no_more(self, where: str) -> None:
        if self._stack is not None and self.stack.sent:
            raise ScriptError(f"before {where}: not expected: {self.describe(self.stack.sent[0])}")

    def prepare(self, words: list[str]) -> None:
        verb = words[0]
        if verb in ("mtu", "gso", "version"):
            setattr(self, verb, int(words[1]))
        elif verb == "isn":
            self.peer_isn = int(words[1])
        elif verb == "peer-port":
            self.peer_port = int(words[1])
            self.has_ts = False
        elif verb == "set":
            self.settings.append((words[1], words[2]))
        elif verb == "option":
            self.call(["set", *words[1:]])
        elif verb in ("established", "accepted"):
            self.handshake(verb == "established", words[1:])
        elif verb == "icmp":
            self.icmp(words[1:])
        elif verb == "room":
            if words[1] == "no":
                self.stack.has_room = False
            else:
                self.stack.make_room()
        elif verb == "path":
            self.stack.mtus[REMOTE[self.version]] = int(words[1])
            self.stack.changed()
        else:
            raise ScriptError(f"not understood: {' '.join(words)}")

    # Handshakes in one line.

    def handshake(self, active: bool, words: list[str]) -> None:
        options = {"mss": "1000", "win": "65535", "wscale": "", "rtt": "10ms", "flags": ""}
        switches = {word for word in words if word in ("sack", "ts")}
        pairs = [word for word in words if word not in switches]
        options.update(zip(pairs[::2], pairs[1::2], strict=True))
        syn = f"0 win {options['win']} mss {options['mss']}"
        if "sack" in switches:
            syn += " sackok"
        if "ts" in switches:
            syn += " ts"
        if options["wscale"]:
            syn += f" wscale {options['wscale']}"
        rtt = options["rtt"]
        window = int(options["win"])
        if options["wscale"]:
            window = min(window, 65535)
        extra = options["flags"]
        if active:
            self.line(": connect == progress")
            self.line("> S 0" if not extra else f"> {extra} 0")
            self.line(f"+{rtt} < SA{'E' if extra else ''} {syn} ack 1")
            self.line("> A 1 ack 1")
            self.line(": connect == ok")
        else:
            self.line(": listen 5")
            self.line(f"< {extra or 'S'} {syn}")
            self.line("> SAE 0 ack 1" if extra else "> SA 0 ack 1")
            self.line(f"+{rtt} < A 1 ack 1 win {window}")
            self.line(": accept == ok")
        self.line("= state ESTABLISHED")
        self.events.events.clear()

    # Segments.

    def elapsed(self) -> int:
        return (self.environment.now - self.start) // 1_000_000

    def inject(self, wanted: Wanted) -> None:
        fields = wanted.fields
        first = wanted.seq + (wanted.flags >> 1 & 1)
        payload = stream(first, wanted.end - wanted.seq)
        if "fill" in fields:
            payload = fields["fill"].encode() * (wanted.end - wanted.seq)
        ack = self.outgoing_number(int(fields.get("ack", "0"))) if wanted.flags & 16 else 0
        header = build(
            self.peer_port,
            self.local_port or LISTEN_PORT,
            (self.peer_isn + wanted.seq) & 0xFFFFFFFF,
            ack,
            wanted.flags,
            int(fields.get("win", "65535")),
            int(fields.get("urg", "0")),
            self.incoming_options(wanted),
        )
        tos = 3 if "ce" in fields else 0
        gso = int(fields.get("gso", "0"))
        self.stack.deliver(header, payload, version=self.version, tos=tos, gso_size=gso)

    def outgoing_number(self, relative: int) -> int:
        return ((self.isn or 0) + relative) & 0xFFFFFFFF

    def incoming_options(self, wanted: Wanted) -> bytes:
        fields = wanted.fields
        value, echo = self.elapsed(), self.last_ts
        if fields.get("ts"):
            texts = fields["ts"].split("/")
            value = int(texts[0]) if texts[0] else value
            echo = (self.ts_base + int(texts[1])) & 0xFFFFFFFF if texts[1] else echo
        value = (PEER_TS + value) & 0xFFFFFFFF
        if wanted.flags & 2:
            if "ts" in fields:
                self.has_ts = True
            options = syn_options(
                int(fields.get("mss", "536")),
                int(fields.get("wscale", "-1")),
                "sackok" in fields,
                "ts" in fields,
                value,
                echo,
            )
            return options + self.cookie_option(fields) if "fo" in fields else options
        options = b""
        if (self.has_ts or "ts" in fields) and "nots" not in fields:
            options = timestamps_option(value, echo)
        if "sack" in fields:
            blocks = []
            for block in fields["sack"].split(","):
                left, right = block.split(":")
                blocks.append((self.outgoing_number(int(left)), self.outgoing_number(int(right))))
            options += sack_option(blocks)
        return options

    def cookie_option(self, fields: dict[str, str]) -> bytes:
        text = fields["fo"]
        return fastopen_option(self.cookie if text == "kept" else bytes.fromhex(text))

    def describe(self, entry: tuple[int, Any, OutPacket]) -> str:
        when, _, packet = entry
        segment = parse(packet.header, 0, len(packet.header))
        assert segment is not None
        flags = "".join(letter for letter, bit in FLAG_LETTERS.items() if segment.flags & bit)
        seq = (segment.seq - (self.isn or 0)) & 0xFFFFFFFF
        text = f"{flags} {seq}:{seq + len(packet.payload)}"
        if segment.flags & 16:
            text += f" ack {(segment.ack - self.peer_isn) & 0xFFFFFFFF}"
        text += f" win {segment.window}"
        if segment.sack is not None:
            blocks = [self.relative_block(block) for block in segment.sack]
            text += f" sack {','.join(blocks)}"
        if segment.has_timestamps:
            text += f" ts {segment.ts_value - self.ts_base}/{segment.ts_echo - PEER_TS}"
        if segment.cookie is not None:
            text += f" fo {segment.cookie.hex()}"
        if packet.gso_size:
            text += f" gso {packet.gso_size}"
        return f"{text} at {(when - self.start) / 1e6:.3f} ms"

    def relative_block(self, block: tuple[int, int]) -> str:
        left, right = ((edge - self.peer_isn) & 0xFFFFFFFF for edge in block)
        return f"{left}:{right}"

    def expect(self, wanted: Wanted) -> None:
        step = wanted.step or max(wanted.end - wanted.seq, 1)
        seq = wanted.seq
        while True:
            end = min(seq + step, wanted.end)
            self.expect_one(wanted, seq, end)
            seq = end
            if seq >= wanted.end:
                return

    def expect_one(self, wanted: Wanted, seq: int, end: int) -> None:
        if not self.stack.sent:
            raise ScriptError(f"nothing was sent where {seq}:{end} was expected")
        entry = self.stack.sent[0]
        when, _, packet = entry
        if abs(when - self.now) > TOLERANCE:
            raise ScriptError(f"sent at another time: {self.describe(entry)}")
        del self.stack.sent[0]
        segment = parse(packet.header, 0, len(packet.header))
        if segment is None:
            raise ScriptError("malformed")
        problem = self.compare(wanted, seq, end, segment, packet)
        if problem:
            raise ScriptError(f"{problem}: got {self.describe(entry)}")

    def compare(self, wanted: Wanted, seq: int, end: int, segment: Any, packet: OutPacket) -> str:
        fields = wanted.fields
        if segment.flags & 2 and (self.isn is None or fields.get("isn") == "new"):
            self.isn = segment.seq
            self.start = self.environment.now if not segment.flags & 16 else self.start
            if segment.has_timestamps:
                self.ts_base = (segment.ts_value - self.elapsed()) & 0xFFFFFFFF
        self.local_port = ports_of(packet.header)[0]
        if segment.has_timestamps:
            self.last_ts = segment.ts_value
        ignored = 0 if wanted.flags & 8 else 8
        if (segment.flags & ~ignored) != wanted.flags:
            return "other flags"
        if "isn" not in fields and self.isn is not None:
            if (segment.seq - self.isn) & 0xFFFFFFFF != seq & 0xFFFFFFFF:
                return "another sequence number"
        if len(packet.payload) != end - seq:
            return "another size"
        if packet.payload != stream(seq + (wanted.flags >> 1 & 1), end - seq):
            return "other data"
        if "ack" in fields and (segment.ack - self.peer_isn) & 0xFFFFFFFF != int(fields["ack"]):
            return "another acknowledgment"
        return self.compare_fields(fields, segment, packet)

    def compare_fields(self, fields: dict[str, str], segment: Any, packet: OutPacket) -> str:
        blocks = ",".join(self.relative_block(block) for block in segment.sack or ())
        true_ts = f"{segment.ts_value - self.ts_base}/{segment.ts_echo - PEER_TS}"
        checks = {
            "win": str(segment.window),
            "urg": str(segment.urgent),
            "mss": str(segment.mss),
            "wscale": str(segment.window_scale),
            "sack": blocks,
            "gso": str(packet.gso_size),
            "ttl": str(packet.ttl),
            "tos": str(packet.tos),
        }
        for name, value in fields.items():
            if name in checks and checks[name] != value:
                return f"{name} is {checks[name]}"
        if "ts" in fields and (not segment.has_timestamps or fields["ts"] not in ("", true_ts)):
            return "other timestamps"
        if "nots" in fields and segment.has_timestamps:
            return "timestamps"
        if "nosack" in fields and segment.sack is not None:
            return "SACK blocks"
        if "fo" in fields and segment.cookie is not None and fields["fo"] == "kept":
            self.cookie = segment.cookie
        elif segment.flags & 2:
            expected = bytes.fromhex(fields["fo"]) if "fo" in fields else None
            if segment.cookie != expected:
                return "another cookie"
        if "sackok" in fields and not segment.sack_permitted:
            return "SACK is not permitted"
        if ("ect" in fields) != (packet.tos & 3 == 2) and ("ect" in fields or "noect" in fields):
            return f"ECN bits {packet.tos & 3}"
        return ""

    def icmp(self, words: list[str]) -> None:
        """icmp CODE [mtu N] [seq N]: an error about our segment of that number."""
        options = dict(zip(words[1::2], words[2::2], strict=True))
        seq = self.outgoing_number(int(options.get("seq", "1")))
        quoted = struct.pack(">HHI", self.local_port, self.peer_port, seq)
        error = IcmpError(
            getattr(errors, words[0]), LOCAL[self.version], REMOTE[self.version], 6, quoted
        )
        error.mtu = int(options.get("mtu", "0"))
        self.stack.tcp.on_icmp_error(error)

    # Calls.

    def call(self, words: list[str]) -> None:
        text = " ".join(words)
        call, _, wanted = text.partition(" == ")
        name, *arguments = call.split()
        try:
            result = getattr(self, f"call_{name}")(*arguments)
        except errors.NetError as error:
            result = ERRORS[error.code]
        if wanted and str(result) != wanted:
            raise ScriptError(f"the result is {result}")
        if not wanted and isinstance(result, str) and result in ERRORS.values():
            raise ScriptError(f"failed: {result}")

    def call_connect(self) -> str:
        address = remote(self.peer_port, self.version)
        return "ok" if self.sock().connect(address) else "progress"

    def call_fast(self, size: str) -> int:
        """sendto(2) with MSG_FASTOPEN."""
        data = stream(self.written, int(size))
        count = self.sock().connect_fast(remote(self.peer_port, self.version), data)
        self.written += count
        return count

    def call_begin(self, size: str) -> int:
        """The first write after a connect with TCP_FASTOPEN_CONNECT."""
        count = self.sock().start_deferred(stream(self.written, int(size)))
        self.written += count
        return count

    def call_bind(self, port: str) -> None:
        self.sock().bind(Address(b"", int(port)))

    def call_listen(self, backlog: str) -> None:
        self.listening = TcpEndpoint(self.stack.tcp, self.version)
        for words in self.options:
            self.apply(self.listening, words)
        self.listening.bind(Address(b"", LISTEN_PORT))
        self.listening.listen(int(backlog))

    def call_backlog(self, backlog: str) -> None:
        assert self.listening is not None
        self.listening.listen(int(backlog))

    def call_accept(self) -> str:
        assert self.listening is not None
        made = self.listening.accept()
        if made is None:
            return "none"
        self.endpoint = made
        self.connection = made.connection
        made.listener = self.events
        return "ok"

    def call_write(self, size: str, more: str = "") -> int | None:
        data = stream(self.written, int(size))
        count = self.sock().write(data, more=bool(more))
        self.written += count or 0
        return count

    def call_urgent(self, size: str) -> int | None:
        count = self.sock().write_urgent(stream(self.written, int(size)))
        self.written += count or 0
        return count

    def call_read(self, limit: str, peek: str = "") -> str:
        data = self.sock().read(int(limit), peek=bool(peek))
        if data is None:
            return "none"
        if not data:
            return "eof"
        if data != stream(self.read_at, len(data)):
            raise ScriptError(f"other data: {data[:20]!r}")
        if not peek:
            self.read_at += len(data)
        return str(len(data))

    def call_skip(self, count: str) -> None:
        """The reader passes a byte that is no part of the stream: the urgent one."""
        self.read_at += int(count)

    def call_oob(self, peek: str = "") -> str:
        data = self.sock().read_urgent(peek=bool(peek))
        if data is None:
            return "none"
        return "eof" if not data else str(data[0])

    def call_shutdown(self, how: str) -> None:
        bits = {"read": SHUT_READ, "write": SHUT_WRITE, "both": SHUT_READ | SHUT_WRITE}
        self.sock().shutdown(bits[how])

    def call_close(self) -> None:
        self.conn()
        self.sock().close()

    def call_unlisten(self) -> None:
        assert self.listening is not None
        self.listening.close()

    def call_disconnect(self) -> None:
        self.sock().disconnect()

    def call_fresh(self) -> None:
        """Go on with a new endpoint."""
        self.endpoint = self.connection = self.isn = None
        self.written = self.read_at = 1

    def call_set(self, *words: str) -> None:
        if self._stack is None or (self.endpoint is None and self.listening is None):
            self.options.append(list(words))
        if self.endpoint is not None or self.listening is None:
            self.apply(self.sock(), list(words))

    def apply(self, target: TcpEndpoint, words: list[str]) -> None:
        name, value = words[0], words[1]
        times = {"user_timeout", "keepalive_idle", "keepalive_interval"}
        if name in times:
            setattr(target.options, name, duration(value))
        elif name == "congestion":
            target.set_congestion_control(value)
        elif name == "linger":
            target.options.linger_enabled = True
            target.options.linger_seconds = int(value)
        elif name == "keepalive":
            target.set_keepalive(value == "on")
        elif hasattr(target, f"set_{name}"):
            number: Any = {"on": True, "off": False}.get(value)
            getattr(target, f"set_{name}")(int(value) if number is None else number)
        else:
            old = getattr(target.options, name)
            setattr(target.options, name, type(old)(value == "on" or int(value)))

    def call_unread(self) -> int:
        return self.sock().unread()

    def call_unsent(self) -> int:
        return self.sock().unsent()

    def call_unacked(self) -> int:
        return self.sock().unacknowledged()

    def call_mark(self) -> bool:
        return self.sock().is_at_mark()

    # Checks.

    def check(self, words: list[str]) -> None:
        name, *arguments = words
        named = name in ("counter", "info")
        got = str(getattr(self, f"check_{name}")(*arguments[:-1] if named else ()))
        wanted = arguments[-1] if named else " ".join(arguments)
        if name in ("readiness", "events"):
            got, wanted = (" ".join(sorted(text.split())) for text in (got, wanted))
        if got != wanted:
            raise ScriptError(f"{name} is {got}")
