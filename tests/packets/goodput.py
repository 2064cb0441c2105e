"""Goodput over a simulated link, beside what theory expects: `python -m tests.packets.goodput`.

The columns: what arrived a second; the response functions of Reno (RFC 3649, 1.2/sqrt(p)
segments a round trip) and CUBIC (RFC 9438, 5.1) for that loss rate, capped by the link.
"""

import time

from tests.packets.wire import MS, Pair

RATE = 12_500_000  # bytes a second: 100 Mbit/s
SEGMENT = 1448


def expected_reno(loss: float, rtt: float) -> float:
    return 1.2 / loss**0.5 * SEGMENT / rtt


def expected_cubic(loss: float, rtt: float) -> float:
    window = 1.054 * rtt**0.75 / loss**0.75
    return max(window * SEGMENT / rtt, expected_reno(loss, rtt))


def measure(name: str, loss: float, rtt_ms: int, seconds: int, sack: bool = True) -> float:
    pair = Pair(7, gso=65536)
    for stack in (pair.left, pair.right):
        stack.tcp.settings.congestion_control = name
        stack.tcp.settings.sack = sack
    pair.client.options.congestion_control = name
    for path in pair.paths():
        path.delay = rtt_ms * MS // 2
    pair.left.path.rate = RATE
    pair.left.path.queue_limit = 400_000
    server = pair.connect()
    pair.left.path.loss = loss
    data = bytes(1 << 20)
    got = 0
    end = pair.environment.now + seconds * 1000 * MS
    while pair.environment.now < end:
        pair.client.write(data)
        pair.environment.advance(2 * MS)
        while True:
            part = server.read(1 << 20)
            if not part:
                break
            got += len(part)
    return got / seconds


def main() -> None:
    print("algorithm  loss   RTT   goodput   reno  cubic  (MB/s)   real s")
    for name in ("cubic", "reno"):
        for loss in (0.0, 0.001, 0.01, 0.03):
            for rtt in (20, 100):
                begun = time.perf_counter()
                got = measure(name, loss, rtt, 30)
                taken = time.perf_counter() - begun
                cap = RATE * SEGMENT / (SEGMENT + 86)
                reno = min(expected_reno(loss, rtt / 1000), cap) if loss else cap
                cubic = min(expected_cubic(loss, rtt / 1000), cap) if loss else cap
                print(
                    f"{name:9} {loss:6.3f} {rtt:4d}ms {got / 1e6:8.3f} {reno / 1e6:7.3f}"
                    f"{cubic / 1e6:7.3f} {taken:16.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
