"""The kernel runner works: some scripts that do not depend on time, or on the kernel's version."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.packets.kernel import run_apart
from tests.packets.test_scripts import FILES

NAMES = (
    "handshake: refused",
    "states: CLOSE_WAIT: the FIN again",
    "urgent: received: the byte is not part of the stream",
    "sending: TCP_CORK: closing sends what waits, with the FIN",
    "path: IPv6 path MTU: below 1280 is no message at all",
    "linger: linger 0 in CLOSING: all is said",
)


@pytest.mark.root
def test_scripts_say_what_the_kernel_does() -> None:
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(run_apart, FILES[name], name) for name in NAMES]
        assert {job.result() for job in jobs} == {"same"}
