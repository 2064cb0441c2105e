"""What waits in a container for more of its kind goes out whole, in order, and soon.

The same programs run on Linux in the container's place, which proves them.
"""

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.harness.bundle import Runtime
from tests.harness.lossy import LEFT4, LEFT6, RIGHT4, can_compile, link
from tests.interop.conftest import KERNELS, machines, wait_for_port

pytestmark = [
    pytest.mark.root,
    pytest.mark.guest,
    pytest.mark.skipif(not can_compile(), reason="no compiler"),
]

PORT = 9
CASES = "few ok\nmany ok\nunconnected ok\nstream ok\n"


@pytest.mark.parametrize("kernel", KERNELS)
def test_bursts_arrive_before_their_sender_makes_another_call(
    runtime: Runtime, network_rootfs: Path, kernel: str
) -> None:
    with ExitStack() as stack:
        left, right = stack.enter_context(link())
        make = stack.enter_context(machines())
        peer = make("native", runtime, network_rootfs, left)
        box = make(kernel, runtime, network_rootfs, right)
        for machine in (peer, box):
            machine.switch_on()
            machine.start(f"exec python3 /burst.py server {PORT}")
        wait_for_port(peer, RIGHT4, PORT, box)
        for address in (LEFT4, LEFT6):
            box.run(f"python3 /burst.py wait {address} {PORT}", timeout=20)
            outcome = box.run(f"python3 /burst.py client {address} {PORT}", timeout=60)
            assert outcome.out == CASES, f"{address}: {outcome.describe()}\n{peer.log()}"
