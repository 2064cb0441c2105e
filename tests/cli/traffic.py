"""Runs in a container: sends and receives as the other end of its one connection says.

Orders: `send N` bytes, `receive N` bytes (they follow the answer), `loop N` bytes over 127.0.0.1.
"""

import socket
import sys
import threading

PIECE = 1 << 20


def send(sock: socket.socket, count: int) -> None:
    """Send zeros."""
    data = memoryview(bytes(PIECE))
    while count:
        count -= sock.send(data[: min(count, PIECE)])


def receive(sock: socket.socket, count: int) -> None:
    """Take as many bytes."""
    room = bytearray(PIECE)
    while count:
        got = sock.recv_into(room, min(count, PIECE))
        if not got:
            raise EOFError
        count -= got


def loop(count: int) -> None:
    """Send to ourselves."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        other = server.accept()[0]
    with one, other:
        thread = threading.Thread(target=send, args=(one, count))
        thread.start()
        receive(other, count)
        thread.join()


def main() -> None:
    """Do what is ordered until the connection ends."""
    with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as control:
        while order := control.recv(100):
            what, count = order.split()
            if what == b"send":
                send(control, int(count))
                continue
            if what == b"receive":
                control.sendall(b"+")
                receive(control, int(count))
            else:
                loop(int(count))
            control.sendall(b".")


if __name__ == "__main__":
    main()
