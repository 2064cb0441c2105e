"""The control server, driven by poll instead of a kernel."""

import array
import json
import os
import select
import socket
import struct
import tempfile

import pytest

from config.network import AddressSettings, InterfaceSettings, NetworkSettings, RouteSettings
from runsc.boot.control import MAX_CONNECTIONS, MAX_FRAME, ControlServer
from runsc.boot.requests import ContainerTable, ExecSession, JoinSession, RequestHandler
from runsc.errors import RunscError
from sentry.log import Log


class PollPlatform:
    """The part of a platform that the server needs."""

    def __init__(self):
        self.watched = {}

    def watch(self, fd, events, watcher):
        self.watched[fd] = (events, watcher)

    def unwatch(self, fd):
        del self.watched[fd]

    def run(self, rounds=20):
        for _ in range(rounds):
            poll = select.poll()
            for fd, (events, _) in self.watched.items():
                poll.register(fd, events)
            ready = poll.poll(0)
            if not ready:
                return
            for fd, events in ready:
                if fd in self.watched:
                    self.watched[fd][1].on_host_ready(events)


class Recorder(RequestHandler):
    """Notes what it is asked."""

    def __init__(self):
        self.asked = []
        self.started = False
        self.session: ExecSession | None = None

    def start(self, network, host_fds):
        self.network, self.host_fds = network, host_fds
        if self.started:
            raise RunscError("cannot start an already running container")
        self.started = True

    def is_started(self):
        return self.started

    def signal(self, number, *, everyone):
        self.asked.append(("signal", number, everyone))

    def pause(self):
        self.asked.append("pause")
        return 3

    def resume(self):
        self.asked.append("resume")

    def exec(self, session):
        session.pid = 42
        self.session = session

    def signal_exec(self, session, number):
        self.asked.append(("signal_exec", session.pid, number))

    def abandon_exec(self, session):
        self.asked.append(("abandon", session.pid))

    def forget_exec(self, session):
        self.asked.append(("forget", session.pid))

    def follow_window(self):
        self.asked.append("window")

    def kill(self):
        self.asked.append("kill")

    def host_pids(self):
        return [100, 101]

    def processes(self):
        return [(1, 0, 0, "sh"), (7, 1, 1000, "sleep")]


class Table(ContainerTable):
    """The first container, and those that were made by request."""

    def __init__(self):
        self.made = {"": Recorder()}
        self.session: JoinSession | None = None

    def find(self, container_id):
        if container_id not in self.made:
            raise RunscError("container not running")
        return self.made[container_id]

    def create(self, session):
        self.session = session
        self.made[session.container_id] = Recorder()
        return self.made[session.container_id], [5, 6]

    def delete(self, container_id):
        self.made.pop(container_id, None)


@pytest.fixture
def world():
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/control.sock"
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(path)
        listening.listen(64)
        made = World(path, listening.detach())
        yield made
        made.close()


class World:
    def __init__(self, path, fd):
        self.platform = PollPlatform()
        self.table = Table()
        self.handler = self.table.find("")
        self.path = path
        self.clients = []
        self.server = ControlServer(self.platform, Log(), self.table, fd)

    def client(self):
        client = socket.socket(socket.AF_UNIX)
        client.connect(self.path)
        client.settimeout(2)
        self.clients.append(client)
        return client

    def close(self):
        for client in self.clients:
            client.close()
        if self.platform.watched:
            self.server.close()
        if self.handler.session:
            for fd in self.handler.session.host_fds:
                os.close(fd)
        if self.table.session:
            for fd in self.table.session.descriptors():
                os.close(fd)

    def ask(self, message, fds=()):
        client = self.client()
        send(client, message, fds)
        self.platform.run()
        return client, receive(client)


def send(client, message, fds=()):
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    frame = struct.pack("<I", len(body)) + body
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sent = client.sendmsg([frame], rights)
    client.sendall(frame[sent:])


def receive(client):
    head = client.recv(4, socket.MSG_WAITALL)
    if not head:
        return None
    return json.loads(client.recv(struct.unpack("<I", head)[0], socket.MSG_WAITALL))


def test_start_runs_the_program_once(world):
    assert world.ask({"do": "state"})[1] == {"ok": True, "started": False}
    assert world.ask({"do": "start"})[1] == {"ok": True}
    assert world.ask({"do": "state"})[1] == {"ok": True, "started": True}
    refused = {"ok": False, "error": "cannot start an already running container"}
    assert world.ask({"do": "start"})[1] == refused


def test_start_brings_the_network_and_its_descriptors(world):
    settings = NetworkSettings()
    settings.interfaces.append(InterfaceSettings(7, "eth0"))
    settings.interfaces[0].addresses.append(AddressSettings("10.9.0.2", 24))
    settings.routes.append(RouteSettings("10.0.0.0", 8, 7))
    read_fd, write_fd = os.pipe()
    try:
        message = {"do": "start", "network": settings.to_json()}
        assert world.ask(message, [read_fd])[1] == {"ok": True}
    finally:
        os.close(read_fd)
    assert world.handler.network.to_json() == settings.to_json()
    [host_fd] = world.handler.host_fds
    os.write(write_fd, b"the same pipe")
    os.close(write_fd)
    assert os.read(host_fd, 100) == b"the same pipe"
    os.close(host_fd)


def test_a_network_that_makes_no_sense_is_refused(world):
    message = {"do": "start", "network": {"interfaces": [{"index": 0, "name": "eth0"}]}}
    answer = world.ask(message)[1]
    assert answer["ok"] is False
    assert "interfaces[0]" in answer["error"]
    assert world.ask({"do": "state"})[1] == {"ok": True, "started": False}


def test_the_connection_ends_after_the_answer(world):
    client, _ = world.ask({"do": "state"})
    assert client.recv(1) == b""
    assert len(world.platform.watched) == 1


def test_pause_says_what_still_runs(world):
    assert world.ask({"do": "pause"})[1] == {"ok": True, "running": 3}
    assert world.ask({"do": "resume"})[1] == {"ok": True, "started": False}
    assert world.handler.asked == ["pause", "resume"]


def test_signal(world):
    assert world.ask({"do": "signal", "signal": 9, "all": True})[1] == {"ok": True}
    assert world.ask({"do": "signal"})[1] == {"ok": True}
    assert world.handler.asked == [("signal", 9, True), ("signal", 15, False)]


def test_ps(world):
    assert world.ask({"do": "ps"})[1] == {
        "ok": True,
        "pids": [100, 101],
        "guest": [
            {"pid": 1, "ppid": 0, "uid": 0, "comm": "sh"},
            {"pid": 7, "ppid": 1, "uid": 1000, "comm": "sleep"},
        ],
    }


def exec_request(**more):
    return {"do": "exec", "process": {"args": ["true"], "cwd": "/"}, "tty": False, **more}


def test_exec_reports_the_exit(world):
    client, answer = world.ask(exec_request(), [0, 1, 2])
    assert answer == {"ok": True, "pid": 42}
    session = world.handler.session
    assert session.process.args == ["true"]
    assert len({os.fstat(fd).st_ino for fd in session.host_fds}) >= 1
    assert not any(os.get_inheritable(fd) for fd in session.host_fds)
    send(client, {"signal": 2})
    world.platform.run()
    session.on_exit(7)
    assert receive(client) == {"exit": 7}
    send(client, {"signal": 3})
    client.close()
    world.platform.run()
    assert world.handler.asked == [("signal_exec", 42, 2), ("forget", 42)]
    assert len(world.platform.watched) == 1


def test_exec_whose_client_goes_is_abandoned(world):
    client, _ = world.ask(exec_request(), [0, 1, 2])
    client.close()
    world.platform.run()
    assert world.handler.asked == [("abandon", 42), ("forget", 42)]


def test_the_terminal_of_an_exec_is_one_descriptor(world):
    request = exec_request(tty=True)
    _, answer = world.ask(request, [0, 1])
    assert answer == {"ok": True, "pid": 42}
    fds = world.handler.session.host_fds
    assert world.handler.session.tty
    assert len(set(fds)) == 2


def test_a_bug_of_a_handler_ends_its_connection_only(world):
    world.handler.host_pids = None
    assert world.ask({"do": "ps"})[1] is None
    assert world.ask({"do": "state"})[1] == {"ok": True, "started": False}


def test_exec_without_descriptors_is_refused(world):
    answer = world.ask(exec_request())[1]
    assert answer == {
        "ok": False,
        "error": "exec needs three descriptors, or one of a terminal",
    }


def create_request(**more):
    mounts = [{"destination": path, "source": path, "type": "bind"} for path in ("/a", "/b")]
    spec = {"root": {"path": "/r"}, "process": {"args": ["true"]}, "mounts": mounts}
    wanted = {"container": "two", "spec": spec, "overlay2": "none", "sources": [0, 1]}
    return {"do": "create", **wanted, "tty": False, **more}


def test_a_container_that_joins(world):
    read_fd, write_fd = os.pipe()
    client, answer = world.ask(create_request(), [read_fd, 0, 0, 0, 1, 2])
    os.close(read_fd)
    assert answer == {"ok": True, "pids": [5, 6]}
    session = world.table.session
    assert session.spec.process.args == ["true"]
    os.write(write_fd, b"root")
    os.close(write_fd)
    assert os.read(session.root_fd, 10) == b"root"
    assert (sorted(session.mount_fds), len(session.host_fds)) == ([0, 1], 3)
    two = world.table.find("two")
    assert world.ask({"do": "start", "container": "two"})[1] == {"ok": True}
    assert (two.started, world.handler.started) == (True, False)
    for number in (15, 28):
        send(client, {"signal": number})
    world.platform.run()
    assert two.asked == [("signal", 15, False), "window"]
    session.on_exit(9)
    assert receive(client) == {"exit": 9}
    assert world.ask({"do": "delete", "container": "two"})[1] == {"ok": True}
    refused = {"ok": False, "error": "container not running"}
    assert world.ask({"do": "state", "container": "two"})[1] == refused


def test_a_container_whose_client_goes_is_killed(world):
    client, _ = world.ask(create_request(), [0, 0, 0, 0, 1, 2])
    client.close()
    world.platform.run()
    assert world.table.find("two").asked == ["kill"]


def test_a_container_without_its_descriptors_is_refused(world):
    answer = world.ask(create_request(), [0, 0, 0, 1])[1]
    assert answer == {"ok": False, "error": "descriptors of the container are missing"}


def test_descriptors_that_nobody_takes_are_closed(world):
    before = len(os.listdir("/proc/self/fd"))
    client, _ = world.ask({"do": "state"}, [0, 1, 2])
    client.close()
    world.platform.run()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"{", "no value at line 1 column 2"),
        (b"[1]", "request: expected an object, got a list"),
        (b'{"do":"fly"}', "unknown request 'fly'"),
        (b"{}", "request.do: is missing"),
        (b'{"do":"signal","signal":65}', "request.signal: 65 is not in 0..64"),
        (b'{"do":"signal","signal":"x"}', "request.signal: expected a whole number, got a string"),
        (b'{"do":"exec","process":{}}', "exec needs three descriptors, or one of a terminal"),
        (b"\xff", "not UTF-8 at byte 0"),
    ],
)
def test_nonsense_is_refused_in_one_line(world, body, error):
    answer = world.ask(body)[1]
    assert answer["ok"] is False
    assert "\n" not in answer["error"]
    if body != b"{":
        assert answer["error"] == error


def test_a_process_that_is_wrong_is_refused(world):
    answer = world.ask({"do": "exec", "process": {"args": []}}, [0, 1, 2])[1]
    assert answer["ok"] is False
    assert "args" in answer["error"]


def test_a_frame_that_is_too_large_is_refused(world):
    client = world.client()
    client.sendall(struct.pack("<I", MAX_FRAME + 1))
    world.platform.run()
    assert receive(client) == {"ok": False, "error": "the request is too large"}


def test_a_frame_may_come_byte_by_byte(world):
    client = world.client()
    body = b'{"do":"state"}'
    for byte in struct.pack("<I", len(body)) + body:
        client.sendall(bytes([byte]))
        world.platform.run()
    assert receive(client) == {"ok": True, "started": False}


def test_connections_are_counted(world):
    clients = [world.client() for _ in range(10)]
    world.platform.run(100)
    assert len(world.platform.watched) == 11
    more = []
    for _ in range(MAX_CONNECTIONS):
        more.append(world.client())
        world.platform.run(100)
    assert len(world.platform.watched) == MAX_CONNECTIONS + 1
    assert more[-1].recv(1) == b""
    for client in clients:
        client.close()
    world.platform.run(100)
    assert world.ask({"do": "state"})[1] == {"ok": True, "started": False}


def test_an_answer_that_does_not_fit_waits(world):
    world.handler.processes = lambda: [(n, 1, 0, "x" * 15) for n in range(30000)]
    client = world.client()
    send(client, {"do": "ps"})
    world.platform.run()
    size = struct.unpack("<I", client.recv(4, socket.MSG_WAITALL))[0]
    body = b""
    while len(body) < size:
        body += client.recv(65536)
        world.platform.run()
    assert len(json.loads(body)["guest"]) == 30000


def test_close_ends_everybody(world):
    client, _ = world.ask(exec_request(), [0, 1, 2])
    world.server.close()
    assert client.recv(1) == b""
    assert world.platform.watched == {}
