"""A stand-in for the sandbox: the same protocol, but programs run natively in a chroot.

The tests of the command line run against it, so that they need no kernel.
"""

import array
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from config.launch import Launch


def receive(connection: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """Return a frame and the descriptors that came with it."""
    head, ancillary, _, _ = connection.recvmsg(4, socket.CMSG_SPACE(16 * 4))
    host_fds: list[int] = []
    for _, _, data in ancillary:
        numbers = array.array("i")
        numbers.frombytes(data)
        host_fds += list(numbers)
    if len(head) < 4:
        return None, host_fds
    size = int.from_bytes(head, "little")
    body = b""
    while len(body) < size:
        body += connection.recv(size - len(body))
    return json.loads(body), host_fds


def send(connection: socket.socket, message: dict[str, Any]) -> None:
    """Send a frame."""
    body = json.dumps(message).encode()
    try:
        connection.sendall(len(body).to_bytes(4, "little") + body)
    except OSError:
        sys.stderr.write("")


def status_of(status: int) -> int:
    """Return the exit status as a shell says it."""
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


class Fake:
    """The whole stand-in."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.init = 0
        self.pending: list[int] = []
        self.server = socket.socket(fileno=launch.control_fd)
        self.execs: dict[int, socket.socket] = {}
        self.poller = select.poll()

    def spawn(self, process: dict[str, Any], stdio: list[int], extra: list[int]) -> int:
        """Start a program in the container's root."""
        pid = os.fork()
        if pid:
            return pid
        try:
            os.setsid()
            for number in range(1, signal.NSIG):
                if number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33):
                    signal.signal(number, signal.SIG_DFL)
            moved = [os.dup(fd) for fd in (stdio * 3)[:3]]
            for number, fd in enumerate(moved):
                os.dup2(fd, number)
            for number, fd in enumerate(extra):
                os.dup2(fd, 3 + number, inheritable=True)
            os.closerange(3 + len(extra), 1000)
            os.chdir(process.get("cwd", "/"))
            env = dict(item.split("=", 1) for item in process.get("env", []))
            os.execvpe(process["args"][0], process["args"], env)
        except OSError as error:
            os.write(2, f"fake: {error}\n".encode())
        finally:
            os._exit(127)

    def missing(self, name: str) -> str:
        """Return what is wrong with the program's name, or nothing."""
        if "/" in name:
            if Path(name).exists():
                return ""
            return f'exec: "{name}": stat {name}: no such file or directory'
        for directory in ("/bin", "/usr/bin", "/sbin", "/usr/sbin"):
            if Path(directory, name).exists():
                return ""
        return f'exec: "{name}": executable file not found in $PATH'

    def start(self) -> None:
        """Start the init program."""
        process = self.launch.spec.process
        document = {"args": process.args, "env": process.env, "cwd": process.cwd}
        self.init = self.spawn(document, self.launch.stdio_fds, self.launch.extra_fds)

    def serve_one(self, connection: socket.socket) -> None:
        """Answer a new connection."""
        request, host_fds = receive(connection)
        if request is None:
            connection.close()
            return
        what = request["do"]
        answer: dict[str, Any] = {"ok": True}
        if what == "start":
            self.start()
        elif what == "signal":
            if self.init:
                os.kill(self.init, request["signal"])
            else:
                os._exit(128 + request["signal"])
        elif what == "exec":
            problem = self.missing(request["process"]["args"][0])
            if problem:
                answer = {"ok": False, "error": problem}
                for fd in host_fds:
                    os.close(fd)
            else:
                count = 1 if request["tty"] else 3
                pid = self.spawn(request["process"], host_fds[:count], host_fds[count:])
                for fd in host_fds:
                    os.close(fd)
                send(connection, {"ok": True, "pid": pid})
                self.execs[pid] = connection
                self.poller.register(connection, select.POLLIN)
                return
        elif what == "ps":
            answer["guest"] = [{"pid": self.init, "ppid": 0, "uid": 0, "comm": "init"}]
        send(connection, answer)
        connection.close()

    def exec_frame(self, pid: int) -> None:
        """Handle what an exec's connection brings: a signal, or its end."""
        connection = self.execs[pid]
        try:
            request, _ = receive(connection)
        except OSError:
            request = None
        if request is None:
            os.kill(pid, signal.SIGKILL)
            self.poller.unregister(connection)
            connection.close()
            self.execs[pid] = connection
        else:
            os.kill(pid, request["signal"])

    def reap(self) -> None:
        """Handle the ends of children."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.init:
                for other, connection in self.execs.items():
                    if connection.fileno() >= 0:
                        send(connection, {"exit": 137})
                    os.kill(other, signal.SIGKILL)
                os._exit(status_of(status))
            connection_of = self.execs.pop(pid, None)
            if connection_of is not None and connection_of.fileno() >= 0:
                self.poller.unregister(connection_of)
                send(connection_of, {"exit": status_of(status)})
                connection_of.close()

    def run(self) -> None:
        """Serve until the init program ends."""
        wake_read, wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wake_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.poller.register(self.server, select.POLLIN)
        self.poller.register(wake_read, select.POLLIN)
        if self.launch.autostart:
            self.start()
        while True:
            ready = {fd for fd, _ in self.poller.poll()}
            if wake_read in ready:
                os.read(wake_read, 100)
                self.reap()
            if self.server.fileno() in ready:
                self.serve_one(self.server.accept()[0])
            for pid, connection in list(self.execs.items()):
                if connection.fileno() in ready:
                    self.exec_frame(pid)


def boot(launch: Launch) -> None:
    """Run the container, never return."""
    os.fchdir(launch.root_fd)
    os.chroot(".")
    os.chdir("/")
    fake = Fake(launch)
    problem = fake.missing(launch.spec.process.args[0])
    if problem:
        os.write(launch.ready_fd, problem.encode())
        os._exit(128)
    os.write(launch.ready_fd, b"\0")
    os.close(launch.ready_fd)
    fake.run()
