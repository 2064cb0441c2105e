"""`port-forward`: TCP connections and Unix streams of the host reach servers in a container."""

import contextlib
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness.bundle import Bundle, Runtime, default_config

pytestmark = pytest.mark.guest

PORT = 7000
# Echoes each connection to its end, then says how much it was.
SERVER = f"""
import socket, threading
def serve(connection):
    total = 0
    while data := connection.recv(65536):
        connection.sendall(data)
        total += len(data)
    connection.sendall(b"%d bytes" % total)
    connection.close()
def listen(server):
    while True:
        threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
four = socket.create_server(("127.0.0.1", {PORT}))
six = socket.create_server(("::1", {PORT + 1}), family=socket.AF_INET6)
threading.Thread(target=listen, args=(six,), daemon=True).start()
print("ready", flush=True)
listen(four)
"""


class World:
    """A container with servers in it."""

    def __init__(self, runtime: Runtime, bundle: Bundle) -> None:
        self.runtime = runtime
        self.bundle = bundle


@pytest.fixture(scope="module", params=["none", "sandbox", "host"])
def world(request: pytest.FixtureRequest, runtime: Runtime, debian_rootfs: Path) -> Iterator[World]:
    network = Runtime(runtime.state, [*runtime.command, f"--network={request.param}"])
    config = default_config(["python3", "-c", SERVER])
    with Bundle(network, debian_rootfs, config) as bundle:
        argv = [*network.command, "run", "--bundle", str(bundle.path), bundle.id]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, env={}, cwd="/") as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield World(network, bundle)
            network("kill", bundle.id, "KILL")
            process.wait(timeout=20)


@contextmanager
def forwarding(world: World, remote: int) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Have a port of the host lead to one of the container; yield its number and the command."""
    argv = [*world.runtime.command, "port-forward", world.bundle.id, f"0:{remote}"]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={}, cwd="/"
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline().decode()
            found = re.match(r"127\.0\.0\.1:(\d+) is port", line)
            assert found, line
            yield int(found[1]), process
        finally:
            process.kill()


def talk(sock: socket.socket, data: bytes) -> bytes:
    """Send and finish from a thread; return all that comes back."""

    def send() -> None:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=send)
    thread.start()
    answer = b""
    while piece := sock.recv(1 << 20):
        answer += piece
    thread.join()
    return answer


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def test_connections_are_joined(world: World) -> None:
    data = os.urandom(1000) * 1500
    with forwarding(world, PORT) as (port, _):
        with connected(port) as sock:
            assert talk(sock, data) == data + b"1500000 bytes"
        several = [connected(port) for _ in range(5)]
        for number, sock in enumerate(several):
            sock.sendall(b"%d" % number)
        for number, sock in enumerate(several):
            assert sock.recv(10) == b"%d" % number
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(10) == b"1 bytes"
            sock.close()
    with forwarding(world, PORT + 1) as (port, _), connected(port) as sock:
        assert talk(sock, b"over IPv6") == b"over IPv6" + b"9 bytes"


def test_a_slow_reader_holds_the_sender_back(world: World) -> None:
    """What nobody takes does not pile up in the sandbox, and is all there afterwards."""
    with forwarding(world, PORT) as (port, _), connected(port) as sock:
        sock.setblocking(False)
        sent = 0
        deadline = time.monotonic() + 20
        quiet_since = time.monotonic()
        while time.monotonic() < deadline and time.monotonic() - quiet_since < 1.0:
            try:
                sent += sock.send(bytes(65536))
                quiet_since = time.monotonic()
            except BlockingIOError:
                time.sleep(0.01)
        assert time.monotonic() < deadline, "it takes whatever comes"
        sock.settimeout(30)
        sock.shutdown(socket.SHUT_WR)
        total = 0
        end = b""
        while piece := sock.recv(1 << 20):
            total += len(piece)
            end = (end + piece)[-20:]
        assert end.endswith(b"\0%d bytes" % sent)
        assert total == sent + len(b"%d bytes" % sent)


def test_nobody_listens(world: World) -> None:
    with forwarding(world, 9) as (port, process):
        with connected(port) as sock:
            assert sock.recv(10) == b""
        with connected(port) as sock:
            assert sock.recv(10) == b""
        process.terminate()
        assert process.stderr is not None
        assert b"port 9: connection refused" in process.stderr.read()


def test_an_aborted_stream_leaves_nothing(world: World) -> None:
    with forwarding(world, PORT) as (port, _):
        for _ in range(20):
            sock = connected(port)
            sock.sendall(bytes(100_000))
            linger = b"\1\0\0\0\0\0\0\0"
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            sock.close()
        with connected(port) as sock:
            assert talk(sock, b"alive") == b"alive5 bytes"
    code = "print(sum(' 01 ' in line for line in open('/proc/net/tcp')))"
    deadline = time.monotonic() + 10
    while True:
        left = world.runtime("exec", world.bundle.id, "python3", "-c", code).check().out
        if left == "0\n":
            break
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def test_a_stream_of_the_callers(world: World, tmp_path: Path) -> None:
    path = tmp_path / "stream"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        server.settimeout(30)
        argv = ["port-forward", "--stream", str(path), world.bundle.id, str(PORT)]
        command = [*world.runtime.command, *argv]
        with subprocess.Popen(command, env={}, cwd="/") as process:
            with server.accept()[0] as sock:
                sock.settimeout(30)
                assert talk(sock, bytes(300_000)) == bytes(300_000) + b"300000 bytes"
            assert process.wait(timeout=20) == 0
        refused = world.runtime(*argv[:-1], "9")
        assert refused.status != 0
        assert "port 9: connection refused" in refused.err


def test_it_ends_with_the_container(world: World) -> None:
    # The last one: the container is that of all.
    with forwarding(world, PORT) as (port, process), connected(port) as sock:
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        world.runtime("kill", world.bundle.id, "KILL")
        assert process.wait(timeout=20) == 0
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(1) == b""


@pytest.mark.parametrize("ports", ["", "80", "a:80", "0:0", "1:65536", "1:2:3:", ":1:"])
def test_what_is_no_port(runtime: Runtime, ports: str) -> None:
    done = runtime("port-forward", "nobody", ports)
    assert done.status != 0
    assert "port" in done.err or "LOCAL:REMOTE" in done.err
