"""Flows of TCP, as fast as they go.

    flow.py server PORT ALGORITHM                       sends to whoever connects
    flow.py receive HOST PORT WARM_UP SECONDS COUNT     prints the bytes of so many flows together
                                                        within so long, after a while not counted

The server prints a line for each connection: what TCP_INFO says of it.
"""

import socket
import struct
import sys
import threading
import time

BLOCK = bytes(65536)
# tcpi_rto, tcpi_snd_mss, tcpi_rtt, tcpi_rttvar, tcpi_snd_cwnd, tcpi_total_retrans
FIELDS = {"rto_us": 8, "mss": 16, "rtt_us": 68, "var_us": 72, "cwnd": 80, "resent": 100}


def send(sock):
    info = b""
    try:
        while True:
            sock.sendall(BLOCK)
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    except OSError:
        if not info:
            return  # somebody looked whether we are there
        values = {name: struct.unpack_from("I", info, at)[0] for name, at in FIELDS.items()}
        print(*(f"{name} {value}" for name, value in values.items()), flush=True)
        sock.close()


def serve(port, algorithm):
    server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, algorithm.encode())
    while True:
        sock, _ = server.accept()
        threading.Thread(target=send, args=(sock,), daemon=True).start()


def receive(host, port, warm_up, seconds, results):
    with socket.create_connection((host, port), 20) as sock:
        begin = time.monotonic() + warm_up
        end = begin + seconds
        got = 0
        while (now := time.monotonic()) < end:
            sock.settimeout(end - now)
            try:
                size = len(sock.recv(1 << 20))
            except TimeoutError:
                break
            if now >= begin:
                got += size
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    results.append(got)


def receive_all(host, port, warm_up, seconds, count):
    results = []
    arguments = (host, port, warm_up, seconds, results)
    threads = [threading.Thread(target=receive, args=arguments) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(results) != count:
        raise SystemExit("not all flows came to their end")
    print(sum(results))


if __name__ == "__main__":
    if sys.argv[1] == "server":
        serve(int(sys.argv[2]), sys.argv[3])
    host, port, warm_up, seconds, count = sys.argv[2:7]
    receive_all(host, int(port), float(warm_up), float(seconds), int(count))
