"""Servers and clients of the standard library on loopback."""

import asyncio
import contextlib
import http.client
import http.server
import os
import selectors
import socket
import socketserver
import threading
import urllib.request
import xmlrpc.client
import xmlrpc.server


class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.upper())


class DatagramEcho(socketserver.BaseRequestHandler):
    def handle(self):
        data, sock = self.request
        sock.sendto(data[::-1], self.client_address)


@contextlib.contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def threaded():
    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True

    with serving(Server(("127.0.0.1", 0), Echo)) as address:
        socks = [socket.create_connection(address) for _ in range(8)]
        for index, sock in enumerate(socks):
            sock.sendall(b"hello %d\n" % index)
        print([sock.recv(100) for sock in socks])
        for sock in socks:
            sock.close()


def forking():
    with serving(socketserver.ForkingTCPServer(("127.0.0.1", 0), Echo)) as address:
        with socket.create_connection(address) as sock:
            sock.sendall(b"from a child\n")
            sock.shutdown(socket.SHUT_WR)  # the child holds a copy of this socket too
            print(sock.recv(100))


def datagrams():
    with serving(socketserver.UDPServer(("127.0.0.1", 0), DatagramEcho)) as address:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"abc", address)
            print(sock.recv(10))


def web():
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = b"x" * int(self.path[1:])
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(201)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[::-1])

        def log_message(self, *args):
            pass

    with serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as address:
        base = f"http://127.0.0.1:{address[1]}"
        for size in (0, 1, 1000, 300000):
            print(len(urllib.request.urlopen(f"{base}/{size}").read()), end=" ")
        connection = http.client.HTTPConnection("127.0.0.1", address[1])
        for index in range(5):
            connection.request("POST", "/", body=b"keep %d" % index)
            answer = connection.getresponse()
            print(answer.status, answer.read(), end=" ")
        connection.close()
        print()


def calls():
    server = xmlrpc.server.SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False)
    server.register_function(pow)
    with serving(server) as address:
        with xmlrpc.client.ServerProxy(f"http://127.0.0.1:{address[1]}") as proxy:
            print(proxy.pow(2, 10))


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def client(port, index):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    blob = os.urandom(20000)
    writer.write(blob)
    writer.write_eof()
    got = await reader.read()
    writer.close()
    return got == blob


class Protocol(asyncio.DatagramProtocol):
    def __init__(self, done):
        self.done = done

    def connection_made(self, transport):
        transport.sendto(b"ping")

    def datagram_received(self, data, address):
        self.done.set_result(data)


async def loops():
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(sum(await asyncio.gather(*(client(port, index) for index in range(20)))))
    server.close()
    await server.wait_closed()
    loop = asyncio.get_running_loop()
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    done = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: Protocol(done), remote_addr=sock.getsockname()
    )
    data, address = sock.recvfrom(10)
    sock.sendto(data + b" pong", address)
    print(await asyncio.wait_for(done, 5))
    transport.close()
    try:
        await asyncio.open_connection("127.0.0.1", 1)
    except ConnectionRefusedError:
        print("refused")


def chosen():
    """One thread with a selector and many connections."""
    selector = selectors.DefaultSelector()
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    listener.setblocking(False)
    selector.register(listener, selectors.EVENT_READ)
    clients = [socket.create_connection(listener.getsockname()) for _ in range(30)]
    for index, sock in enumerate(clients):
        sock.sendall(b"%03d" % index)
        sock.shutdown(socket.SHUT_WR)
    done = 0
    while done < len(clients):
        for key, _ in selector.select(5):
            if key.fileobj is listener:
                sock, _ = listener.accept()
                sock.setblocking(False)
                selector.register(sock, selectors.EVENT_READ)
            elif data := key.fileobj.recv(100):
                key.fileobj.sendall(data * 2)
            else:
                selector.unregister(key.fileobj)
                key.fileobj.close()
                done += 1
    print(b"".join(sock.recv(100) for sock in clients[:3]), done)


for test in (threaded, forking, datagrams, web, calls, chosen):
    print(f"-- {test.__name__}")
    test()
asyncio.run(loops())
