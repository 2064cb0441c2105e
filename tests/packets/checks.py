"""What scripts check of connections, listeners and endpoints: lines that begin with `=`."""

from typing import Any

from netstack import endpoint as events_module
from netstack import errors
from netstack.tcp import states
from netstack.tcp.connection import Connection
from netstack.tcp.endpoint import TcpEndpoint
from tests.unit.netstack.harness import RecordingListener

ERRORS = {getattr(errors, name): name for name in dir(errors) if name.isupper()}
EVENTS = {name[6:]: getattr(events_module, name) for name in dir(events_module) if "EVENT" in name}
CA_STATES = ("OPEN", "DISORDER", "CWR", "RECOVERY", "LOSS")


class Checks:
    """The part of a runner that only looks."""

    stack: Any
    events: RecordingListener
    listening: TcpEndpoint | None

    def sock(self) -> TcpEndpoint:
        """Return the endpoint that the script is about."""
        raise NotImplementedError

    def conn(self) -> Connection:
        """Return its connection."""
        raise NotImplementedError

    def check_state(self) -> str:
        return states.NAMES[self.conn().state]

    def check_cwnd(self) -> int:
        return self.conn().congestion.cwnd // self.conn().mss

    def check_cwnd_bytes(self) -> int:
        return self.conn().congestion.cwnd

    def check_ssthresh(self) -> int:
        return self.conn().congestion.ssthresh // self.conn().mss

    def check_ca(self) -> str:
        return CA_STATES[self.conn().ca_state]

    def check_mss(self) -> int:
        return self.conn().mss

    def check_error(self) -> str:
        code = self.sock().take_error()
        return ERRORS[code] if code else "none"

    def check_counter(self, name: str) -> int:
        value: int = getattr(self.stack.tcp.counters, name)
        return value

    def check_info(self, name: str) -> int:
        value: int = getattr(self.sock().info(), name)
        return value

    def check_readiness(self) -> str:
        bits = self.sock().readiness()
        return " ".join(name for name, bit in EVENTS.items() if bits & bit) or "none"

    def check_events(self) -> str:
        bits = 0
        for told in self.events.events:
            bits |= told
        self.events.events.clear()
        return " ".join(name for name, bit in EVENTS.items() if bits & bit) or "none"

    def check_flows(self) -> int:
        return len(self.stack.tcp.flows)

    def check_waiting(self) -> int:
        assert self.listening is not None
        assert self.listening.listening is not None
        return len(self.listening.listening.accept_queue)

    def check_rto(self) -> int:
        return self.conn().rtt.timeout() // 1_000_000

    def check_srtt(self) -> int:
        return self.conn().rtt.srtt // 1_000_000

    def check_window(self) -> int:
        return self.conn().receive_window()
