"""What TCP makes of bad links, beside what Linux makes of them.

    python -m tests.interop.goodput [--seconds 12] [--rounds 1] [--loss 0.1 1] [--delay 20 100]

For every loss rate and round-trip time four links are busy at the same time: from and to a
container, and from and to a chroot in its place.  The other end is always Linux, and all senders
use CUBIC.  Where losses are rare, one flow's goodput is mostly chance; so each link carries
several, as many as together bring some 4 MB/s, which is far from the link's 100 Mbit/s.  What
comes in the first seconds is not counted: how slow start ends is chance as well.
"""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from scripts import rootfs
from tests.harness.bundle import Runtime
from tests.harness.lossy import LEFT4, RIGHT4, lossy_link
from tests.harness.machine import Machine
from tests.interop.conftest import machines, wait_for_port

PORT = 7
RATE = 12_500_000
QUEUE = 1_000_000
TOTAL = 4_000_000
SEGMENT = 1448
DIRECTIONS = ("from", "to")


class Flow:
    """A link with a machine at both ends, and who sends."""

    def __init__(self, stack: ExitStack, runtime: Runtime, kernel: str, direction: str) -> None:
        tree = rootfs.network()
        self.link = stack.enter_context(lossy_link(1))
        self.link.set(rate=RATE, queue=QUEUE)
        make = stack.enter_context(machines())
        peer = make("native", runtime, tree, self.link.left)
        box = make(kernel, runtime, tree, self.link.right)
        for machine in (peer, box):
            machine.switch_on()
        self.sender: Machine
        self.receiver: Machine
        if direction == "from":
            self.sender, self.receiver, self.address = box, peer, RIGHT4
        else:
            self.sender, self.receiver, self.address = peer, box, LEFT4
        self.sender.start(f"exec python3 /flow.py server {PORT} cubic")
        if direction == "from":
            wait_for_port(peer, RIGHT4, PORT, box)
        else:
            time.sleep(1)

    def run(
        self, loss: float, rtt_ms: float, seed: int, warm_up: float, seconds: float, count: int
    ) -> tuple[int, str]:
        """Return how many bytes arrived, and what the sender says."""
        self.link.set(loss=loss, delay=rtt_ms / 2)
        self.link.seed(seed)
        script = f"python3 /flow.py receive {self.address} {PORT} {warm_up} {seconds} {count}"
        got = int(self.receiver.run(script, timeout=warm_up + seconds + 30).check().out)
        time.sleep(rtt_ms / 1000 + 0.1)
        lines = [line for line in self.sender.log().splitlines() if "resent" in line]
        return got, lines[-1] if lines else ""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=12, help="that count (%(default)s)")
    parser.add_argument("--warm-up", type=float, default=4, help="seconds before (%(default)s)")
    parser.add_argument("--rounds", type=int, default=1, help="with other losses (%(default)s)")
    parser.add_argument("--loss", type=float, nargs="+", default=[0.1, 0.5, 1, 3], help="percent")
    parser.add_argument("--delay", type=float, nargs="+", default=[20, 50, 100], help="ms, RTT")
    parser.add_argument("--direction", choices=DIRECTIONS, nargs="+", default=list(DIRECTIONS))
    parser.add_argument("--flags", default="", help="for the runtime")
    parser.add_argument("--verbose", action="store_true", help="show what TCP_INFO says")
    return parser.parse_args()


def flows_for(loss: float, rtt_ms: float) -> int:
    """Return how many flows bring `TOTAL` by Reno's response function, as CUBIC's do here."""
    one = 1.2 / loss**0.5 * SEGMENT / (rtt_ms / 1000)
    return max(2, min(round(TOTAL / one), 16))


def measure(
    flows: dict[tuple[str, str], Flow], args: argparse.Namespace, loss: float, delay: float
) -> dict[tuple[str, str], float]:
    """Return the bytes a second of every flow."""
    total = dict.fromkeys(flows, 0)
    count = flows_for(loss / 100, delay)
    for seed in range(1, args.rounds + 1):
        with ThreadPoolExecutor(len(flows)) as pool:
            runs = {
                key: pool.submit(
                    flow.run, loss / 100, delay, seed, args.warm_up, args.seconds, count
                )
                for key, flow in flows.items()
            }
        for key, run in runs.items():
            got, said = run.result()
            total[key] += got
            if args.verbose:
                rate = got / args.seconds / 1000
                print(
                    f"{count} flows {loss}% {delay} ms {key}: {rate:.0f} kB/s {said}",
                    file=sys.stderr,
                )
    return {key: bytes_ / args.seconds / args.rounds for key, bytes_ in total.items()}


def main() -> None:
    args = arguments()
    with ExitStack() as stack:
        state = stack.enter_context(tempfile.TemporaryDirectory())
        runtime = Runtime(Path(state))
        runtime.command += args.flags.split()
        flows = {
            (kernel, direction): Flow(stack, runtime, kernel, direction)
            for direction in args.direction
            for kernel in ("native", "sandbox")
        }
        titles = [f"{way} it, Linux | {way} it, runsc | ratio" for way in args.direction]
        print(f"| loss | RTT | {' | '.join(titles)} |")
        print(f"| --- | --- |{' --- | --- | --- |' * len(args.direction)}")
        for loss in args.loss:
            for delay in args.delay:
                found = measure(flows, args, loss, delay)
                cells = []
                for way in args.direction:
                    native, ours = found["native", way] / 1000, found["sandbox", way] / 1000
                    cells.append(f"{native:.0f} | {ours:.0f} | {ours / native:.2f}")
                print(f"| {loss} % | {delay:.0f} ms | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
