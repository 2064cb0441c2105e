"""`--qdisc=tbf`: rates as the far end of a veth sees them, and who may ask for which."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.bundle import RUNSC, Bundle, Runtime
from tests.harness.netns import Namespace, namespaces
from tests.harness.tree import SCRATCH

pytestmark = [pytest.mark.root, pytest.mark.guest]

PROGRAM = Path(__file__).with_name("traffic.py")
NETWORK = "--network=sandbox"
PYTHON = "/usr/bin/python3"
HOST = "10.9.0.1"
# What is sent for each byte of a stream: segments of 1448 bytes are frames of 1514.
ON_THE_WIRE = 1514 / 1448
MB = 1_000_000

Make = Callable[..., Bundle]


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Namespace, Namespace]]:
    """A veth: `eth0` is the container's end, `wire` the host's."""
    with namespaces(2) as (inner, outer):
        outer.ip("link add eth0 type veth peer name wire")
        outer.ip("link set wire up")
        outer.ip(f"addr add {HOST}/24 dev wire")
        outer.ip(f"link set eth0 netns {inner.name}")
        inner.ip("link set eth0 up")
        inner.ip("addr add 10.9.0.2/24 dev eth0")
        yield inner, outer


class Traffic:
    """The host's end of the connection to a container that runs traffic.py."""

    def __init__(self, outer: Namespace) -> None:
        with outer.entered():
            self.server = socket.create_server((HOST, 0))
        self.server.settimeout(30)
        self.port = self.server.getsockname()[1]

    def accept(self) -> None:
        self.connection = self.server.accept()[0]
        self.connection.settimeout(30)

    def take(self, count: int, skip: int = 0) -> float:
        """Have `count` bytes sent; return the seconds for those behind the first `skip`."""
        self.connection.sendall(b"send %d" % count)
        began, got, first = time.monotonic(), 0, 0
        room = bytearray(1 << 20)
        while got < count:
            new = self.connection.recv_into(room, min(len(room), count - got))
            assert new
            got += new
            if skip and got >= skip and not first:
                began, first = time.monotonic(), got
        return (time.monotonic() - began) * (count - skip) / (count - first)

    def has_rate(self, seconds: float, expected: float, burst: int) -> bool:
        """Say whether as many bytes a second are on the wire, the first burst aside.

        On a machine that has other things to do a measurement may fail, and is made again.
        """
        count = int(seconds * expected / ON_THE_WIRE)
        for _ in range(4):
            rate = count * ON_THE_WIRE / self.take(count + burst, burst)
            if expected * 0.95 < rate < expected * 1.05:
                return True
        return False

    def give(self, count: int) -> float:
        """Send to the container; return the seconds until it has everything."""
        self.connection.sendall(b"receive %d" % count)
        assert self.connection.recv(1) == b"+"
        began = time.monotonic()
        self.connection.sendall(bytes(count))
        assert self.connection.recv(1) == b"."
        return time.monotonic() - began

    def loop(self, count: int) -> float:
        """Return the seconds that the container takes to send to itself."""
        began = time.monotonic()
        self.connection.sendall(b"loop %d" % count)
        assert self.connection.recv(1) == b"."
        return time.monotonic() - began


@pytest.fixture
def start(
    runtime: Runtime, make_bundle: Make, debian_rootfs: Path, pair: tuple[Namespace, Namespace]
) -> Iterator[Callable[..., Traffic]]:
    """Return a function that starts a container with flags and annotations."""
    running: list[tuple[subprocess.Popen[bytes], Traffic]] = []

    def start(*flags: str, **annotations: str) -> Traffic:
        inner, outer = pair
        traffic = Traffic(outer)
        bundle = make_bundle(debian_rootfs, [PYTHON, "/traffic.py", HOST, str(traffic.port)])
        shutil.copy(PROGRAM, bundle.root)
        bundle.config["annotations"] = annotations
        for namespace in bundle.config["linux"]["namespaces"]:
            if namespace["type"] == "network":
                namespace["path"] = inner.path
        bundle.write()
        command = [
            *runtime.command,
            NETWORK,
            *flags,
            "run",
            "--bundle",
            str(bundle.path),
            bundle.id,
        ]
        running.append((subprocess.Popen(command, stdin=subprocess.DEVNULL), traffic))
        traffic.accept()
        return traffic

    yield start
    for process, traffic in running:
        traffic.server.close()
        traffic.connection.close()
        assert process.wait(20) == 0


@pytest.mark.parametrize(
    ("rate", "burst", "seconds"),
    [(MB, 100_000, 5), (10 * MB, 200_000, 5), (100 * MB, 2 * MB, 5)],
    ids=["1MB", "10MB", "100MB"],
)
def test_the_rate_of_the_flag(
    start: Callable[..., Traffic], rate: int, burst: int, seconds: int
) -> None:
    flags = [f"--qdisc-tbf-rate={rate}", f"--qdisc-tbf-burst={burst}"]
    traffic = start("--qdisc=tbf", *flags)
    assert traffic.has_rate(seconds, rate, burst)


def test_a_burst_after_idle_and_what_is_not_shaped(start: Callable[..., Traffic]) -> None:
    rate, burst = MB, 300_000
    flags = [f"--qdisc-tbf-rate={rate}", f"--qdisc-tbf-burst={burst}"]
    traffic = start("--qdisc=tbf", *flags)
    # It starts full, and is full again after 0.3 s.
    payload = int(burst * 0.9 / ON_THE_WIRE)
    for _ in range(2):
        assert traffic.take(payload) < 0.1
        # Then it is the rate alone, less the tenth of a burst that was left.
        assert traffic.take(payload) > (0.9 * burst - 0.15 * burst) / rate
        time.sleep(burst / rate + 0.1)
    # These would take 20 seconds.
    assert traffic.give(20 * MB) < 7
    assert traffic.loop(20 * MB) < 7


def test_segments_no_larger_than_the_burst(
    start: Callable[..., Traffic], pair: tuple[Namespace, Namespace]
) -> None:
    """A burst below 64 KiB does not turn segmentation off, but makes its frames smaller."""
    rate, burst = 4 * MB, 20_000
    traffic = start("--qdisc=tbf", f"--qdisc-tbf-rate={rate}", f"--qdisc-tbf-burst={burst}")
    _, outer = pair

    def packets() -> int:
        return int(outer.ip_json("-s link show wire")[0]["stats64"]["rx"]["packets"])

    before = packets()
    traffic.take(4 * MB)
    # Frames of six segments, seldom less, for two fit into the burst.
    assert 4 * MB / 1448 / 6 <= packets() - before < 4 * MB / 1448 / 3


ANNOTATED = {"qdisc": "tbf", "qdisc-tbf-rate": str(4 * MB), "qdisc-tbf-burst": "200000"}


@pytest.mark.parametrize("prefix", ["dev.gvisor.flag.", "dev.runsc.flag."])
def test_the_rate_of_an_annotation(start: Callable[..., Traffic], prefix: str) -> None:
    traffic = start(**{prefix + name: value for name, value in ANNOTATED.items()})
    assert traffic.has_rate(1, 4 * MB, 200_000)


FILE = """
[runsc_config]
qdisc = "tbf"
qdisc-tbf-rate = 8000000
qdisc-tbf-burst = "400000"
"""


@pytest.mark.parametrize(
    ("lowered", "rate"), [({}, 8 * MB), ({"qdisc-tbf-rate": "2000000"}, 2 * MB)]
)
def test_the_rate_of_a_file(
    start: Callable[..., Traffic], tmp_path: Path, lowered: dict[str, str], rate: int
) -> None:
    """And one that an annotation lowers."""
    file = tmp_path / "runsc.toml"
    file.write_text(FILE)
    annotations = {f"dev.runsc.flag.{name}": value for name, value in lowered.items()}
    traffic = start(f"--config={file}", **annotations)
    assert traffic.has_rate(1, rate, 400_000)


CEILING = ["--qdisc-tbf-rate=3000000", "--qdisc-tbf-burst=150000"]


def test_a_ceiling_alone_shapes_nothing(start: Callable[..., Traffic], tmp_path: Path) -> None:
    logs = [f"--debug-log={tmp_path}/%COMMAND%", "--debug"]
    traffic = start(*CEILING, *logs)
    assert traffic.take(12 * MB) < 2
    words = "nothing is shaped; a rate of 3000000 bytes per second and a burst of 150000 bytes"
    assert words in (tmp_path / "run").read_text()


def test_a_ceiling_is_what_a_pod_gets_that_asks_for_tbf(start: Callable[..., Traffic]) -> None:
    traffic = start(*CEILING, **{"dev.gvisor.flag.qdisc": "tbf"})
    assert traffic.has_rate(1, 3 * MB, 150_000)


@pytest.mark.parametrize(
    ("flags", "annotations", "words"),
    [
        (["--qdisc=tbf", "--qdisc-tbf-burst=100000"], {},
         "--qdisc=tbf needs --qdisc-tbf-rate, and it must not be 0"),
        (["--qdisc=tbf", "--qdisc-tbf-rate=100000"], {},
         "--qdisc=tbf needs --qdisc-tbf-burst, and it must not be 0"),
        (["--qdisc=tbf", "--qdisc-tbf-rate=1mbit", "--qdisc-tbf-burst=100000"], {},
         "--qdisc-tbf-rate: '1mbit' is no whole number of bytes per second; "
         "1mbit would be 125000"),
        (["--qdisc=tbf", "--qdisc-tbf-rate=1000", "--qdisc-tbf-burst=32kb"], {},
         "--qdisc-tbf-burst: '32kb' is no whole number of bytes; 32kb would be 32768"),
        (["--qdisc=red"], {}, "--qdisc: 'red' is not one of none, fifo, tbf"),
        ([], {"qdisc": "fifo"}, "qdisc: not allowed to set it to 'fifo', only to tbf"),
        (["--qdisc=tbf", *CEILING], {"qdisc": "none"},
         "qdisc: not allowed to set it to 'none', only to tbf"),
        ([], {"qdisc": "tbf"}, "--qdisc=tbf needs --qdisc-tbf-rate"),
        (CEILING, {"qdisc-tbf-rate": "3000001"},
         "qdisc-tbf-rate: not allowed to set it to '3000001', more than the operator's 3000000"),
        (CEILING, {"qdisc-tbf-burst": "150001"},
         "qdisc-tbf-burst: not allowed to set it to '150001', more than the operator's 150000"),
        ([], {"qdisc-tbf-rate": "1mbit"}, "1mbit would be 125000"),
        (CEILING, {"qdisc-tbf-rate": "0"}, "qdisc-tbf-rate: 0 is no limit"),
        ([], {"qdisc-tbf-rate": "-5"}, "'-5' is no whole number of bytes per second"),
        ([], {"qdisc-tbf-rate": "fast"}, "'fast' is no whole number of bytes per second"),
        ([], {"qdisc-tbf-burst": str(1 << 32)}, "are more than the largest, 4294967295"),
    ],
)  # fmt: skip
def test_refusals(
    runtime: Runtime,
    make_bundle: Make,
    busybox_rootfs: Path,
    flags: list[str],
    annotations: dict[str, str],
    words: str,
) -> None:
    bundle = make_bundle(busybox_rootfs, ["/bin/sh", "-c", "echo started"])
    bundle.config["annotations"] = {f"dev.gvisor.flag.{k}": v for k, v in annotations.items()}
    bundle.write()
    done = runtime(NETWORK, *flags, "run", "--bundle", str(bundle.path), bundle.id)
    assert done.status != 0
    assert done.out == ""
    assert words in done.err
    assert len(done.err.splitlines()) == 1


def test_a_burst_smaller_than_a_frame(
    runtime: Runtime, make_bundle: Make, busybox_rootfs: Path, pair: tuple[Namespace, Namespace]
) -> None:
    inner, _ = pair
    bundle = make_bundle(busybox_rootfs, ["/bin/sh", "-c", "echo started"])
    for namespace in bundle.config["linux"]["namespaces"]:
        if namespace["type"] == "network":
            namespace["path"] = inner.path
    bundle.write()
    flags = ["--qdisc=tbf", "--qdisc-tbf-rate=100000", "--qdisc-tbf-burst=1513"]
    done = runtime(NETWORK, *flags, "run", "--bundle", str(bundle.path), bundle.id)
    assert done.status != 0
    assert done.out == ""
    assert (
        'interface "eth0": qdisc tbf: a burst of 1513 bytes holds no frame of 1514 bytes '
        "(MTU and header): make it 1514 or more, or the MTU smaller"
    ) in done.err


def remove(home: Path) -> None:
    """Remove podman's files, among which it tidies up for a moment after its end."""
    deadline = time.monotonic() + 10
    while home.exists():
        assert time.monotonic() < deadline, list(home.rglob("*"))
        shutil.rmtree(home, ignore_errors=True)
        time.sleep(0.05)


@pytest.mark.skipif(not shutil.which("podman"), reason="podman is not installed")
def test_podmans_annotations(
    pair: tuple[Namespace, Namespace], make_bundle: Make, debian_rootfs: Path, tmp_path: Path
) -> None:
    inner, outer = pair
    traffic = Traffic(outer)
    bundle = make_bundle(debian_rootfs, ["true"])  # for its copy of the tree
    shutil.copy(PROGRAM, bundle.root)
    home = Path(subprocess.check_output(["mktemp", "-d", "-p", str(SCRATCH)], text=True).strip())
    podman = [
        "podman", "--root", f"{home}/root", "--runroot", f"{home}/run", "--tmpdir", f"{home}/tmp",
        "--runtime", str(RUNSC), "--runtime-flag", "network=sandbox", "--storage-driver", "vfs",
        "--cgroup-manager", "cgroupfs", "--events-backend", "none",
    ]  # fmt: skip
    words = ["run", "--rm", "--network", f"ns:{inner.path}"]
    for name, value in ANNOTATED.items():
        words += ["--annotation", f"dev.gvisor.flag.{name}={value}"]
    words += ["--rootfs", str(bundle.root), PYTHON, "/traffic.py", HOST, str(traffic.port)]
    try:
        with subprocess.Popen([*podman, *words], stdin=subprocess.DEVNULL) as process:
            traffic.accept()
            with traffic.connection:
                has_rate = traffic.has_rate(1, 4 * MB, 200_000)
            assert process.wait(20) == 0
        assert has_rate
        words[words.index("--annotation") + 1] = "dev.gvisor.flag.qdisc=fifo"
        done = subprocess.run(
            [*podman, *words],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode != 0
        assert "not allowed to set it to 'fifo', only to tbf" in done.stderr
    finally:
        traffic.server.close()
        remove(home)
