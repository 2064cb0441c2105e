"""Our network stack on the interfaces of a namespace, as a sandbox has it, but in this process."""

import os
import select
import time
from collections.abc import Callable
from typing import TypeVar

from config.decode import Fields
from config.flags import Config
from config.jsontext import dumps, loads
from config.network import read_network
from netstack.build import new_stack
from netstack.environment import Environment, Timer
from netstack.tcp.protocol import TcpProtocol
from netstack.wire.tcp import PROTOCOL_TCP
from runsc.boot.interfaces import Interfaces
from runsc.sandbox import network, takeover
from sentry.log import Log
from tests.fake_task import FakePlatform
from tests.harness.netns import Namespace

T = TypeVar("T")


class RealEnvironment(Environment):
    """The clocks of the host."""

    def __init__(self) -> None:
        self.timers: dict[Timer, None] = {}

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def realtime_ns(self) -> int:
        return time.time_ns()

    def arm(self, timer: Timer, deadline_ns: int) -> None:
        timer.deadline_ns = deadline_ns
        self.timers[timer] = None

    def disarm(self, timer: Timer) -> None:
        timer.deadline_ns = 0
        self.timers.pop(timer, None)

    def random_bytes(self, count: int) -> bytes:
        return os.urandom(count)

    def fire_due(self) -> None:
        for timer in list(self.timers):
            if timer.deadline_ns and timer.deadline_ns <= self.now_ns():
                self.disarm(timer)
                timer.fire()


class PollingPlatform(FakePlatform):
    """Watches host descriptors with poll(2)."""

    def poll(self, timeout_ms: int) -> None:
        poller = select.poll()
        for host_fd, (events, _) in self.watched.items():
            poller.register(host_fd, events)
        for host_fd, events in poller.poll(timeout_ms):
            if host_fd in self.watched:
                self.watched[host_fd][1].on_host_ready(events)


class TakenStack:
    """A stack that has taken the interfaces of a namespace; give it back with `close`."""

    def __init__(
        self, namespace: Namespace, config: Config | None = None, *, capture_fd: int = -1
    ) -> None:
        self.namespace = namespace
        self.environment = RealEnvironment()
        self.platform = PollingPlatform()
        self.stack, self.udp = new_stack(self.environment)
        self.tcp = TcpProtocol(self.stack)
        self.stack.register_transport(PROTOCOL_TCP, self.tcp)
        self.interfaces = Interfaces(self.stack, self.platform, Log(), config or Config())
        if capture_fd >= 0:
            self.interfaces.capture_to(capture_fd)
        records: list[takeover.Record] = []
        with network.Entered(namespace.path) as entered:
            settings, host_fds = network.take(entered, [], records.append)
        self.record = records[0]
        # By way of the text that goes over the control socket.
        self.settings = read_network(Fields(loads(dumps(settings.to_json()).encode()), "network"))
        try:
            self.interfaces.add(self.settings, host_fds)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.interfaces.close()
        network.give_back(self.namespace.path, self.record)

    def run(self, until: Callable[[], T], seconds: float = 5.0) -> T:
        """Run until `until()` returns something true, and return that."""
        deadline = time.monotonic() + seconds
        while True:
            found = until()
            if found:
                return found
            assert time.monotonic() < deadline, "nothing happened"
            self.platform.poll(5)
            self.environment.fire_due()
            self.stack.flush()
