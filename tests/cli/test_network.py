"""`--network=sandbox`: containers in network namespaces, and what is left of those afterwards."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runsc.errors import RunscError
from runsc.sandbox.handover import ask_to_start
from runsc.sandbox.state import Container
from tests.harness.bundle import Bundle, Runtime
from tests.harness.netns import Namespace, namespaces, run_ip

pytestmark = [pytest.mark.root, pytest.mark.guest]

NETWORK = "--network=sandbox"


@pytest.fixture
def pair() -> Iterator[tuple[Namespace, Namespace]]:
    """A veth between two namespaces, `eth0` the container's end and `wire` the host's."""
    with namespaces(2) as (inner, outer):
        connect(inner.name, outer)
        yield inner, outer


def connect(inner: str, outer: Namespace) -> None:
    """Put an interface eth0 into a namespace (a name or a pid), as engines do."""
    outer.ip("link add eth0 type veth peer name wire")
    outer.ip("link set wire up")
    outer.ip("addr add 10.9.0.1/24 dev wire")
    outer.ip("-6 addr add fd09::1/64 dev wire nodad")
    outer.ip(f"link set eth0 netns {inner}")


def configure(run: Callable[[str], object]) -> None:
    run("link set eth0 up")
    run("addr add 10.9.0.2/24 dev eth0")
    run("-6 addr add fd09::2/64 dev eth0 nodad")
    run("route add default via 10.9.0.1")


Make = Callable[..., Bundle]


@pytest.fixture
def make_container(make_bundle: Make, busybox_rootfs: Path) -> Make:
    """Return a function that makes bundles whose network namespace has a path, or is their own."""

    def make(script: str, path: str = "") -> Bundle:
        bundle = make_bundle(busybox_rootfs, ["/bin/sh", "-c", script])
        for namespace in bundle.config["linux"]["namespaces"]:
            if namespace["type"] == "network" and path:
                namespace["path"] = path
        bundle.write()
        return bundle

    return make


class Answer:
    """A TCP server in a namespace that answers one connection in capitals."""

    def __init__(self, outer: Namespace) -> None:
        with outer.entered():
            self.server = socket.create_server(("10.9.0.1", 0))
        self.server.settimeout(20)
        self.port = self.server.getsockname()[1]
        self.peer = ""
        self.thread = threading.Thread(target=self.answer)
        self.thread.start()

    def answer(self) -> None:
        with self.server:
            connection, (self.peer, _) = self.server.accept()
        with connection:
            while data := connection.recv(65536):
                connection.sendall(data.upper())

    def join(self) -> None:
        self.thread.join(20)
        assert not self.thread.is_alive()


def test_a_container_connects_to_the_host(
    runtime: Runtime, make_container: Make, pair: tuple[Namespace, Namespace]
) -> None:
    inner, outer = pair
    configure(inner.ip)
    before = inner.snapshot()
    answer = Answer(outer)
    bundle = make_container(f"echo hello | nc 10.9.0.1 {answer.port}", inner.path)
    done = runtime(NETWORK, "run", "--bundle", str(bundle.path), bundle.id).check()
    answer.join()
    assert done.out == "HELLO\n"
    assert answer.peer == "10.9.0.2"
    # The namespace is the caller's: it has back what was taken from it.
    assert inner.snapshot() == before


def test_much_data_both_ways(
    runtime: Runtime, make_container: Make, pair: tuple[Namespace, Namespace]
) -> None:
    inner, outer = pair
    configure(inner.ip)
    answer = Answer(outer)
    script = (
        f"yes 0123456789abcdef | head -c 4000000 >/tmp/in; nc 10.9.0.1 {answer.port} "
        "</tmp/in | head -c 4000000 | tr A-Z a-z | cmp - /tmp/in && echo same"
    )
    bundle = make_container(script, inner.path)
    done = runtime(NETWORK, "run", "--bundle", str(bundle.path), bundle.id).check()
    answer.join()
    assert done.out == "same\n"


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ([], "pfifo"),
        (["--qdisc=none"], "noqueue"),
        (["--qdisc=tbf", "--qdisc-tbf-rate=0x100000", "--qdisc-tbf-burst=100000"], "tbf"),
    ],
)
def test_the_queue_that_was_asked_for(
    runtime: Runtime,
    make_container: Make,
    pair: tuple[Namespace, Namespace],
    flags: list[str],
    name: str,
) -> None:
    inner, _ = pair
    configure(inner.ip)
    bundle = make_container("ip link | grep eth0", inner.path)
    done = runtime(NETWORK, *flags, "run", "--bundle", str(bundle.path), bundle.id).check()
    assert f" qdisc {name} " in done.out


def create(runtime: Runtime, bundle: Bundle, *flags: str) -> int:
    """Create a container in the background; return its pid on the host."""
    pid_file = bundle.path / "pid"
    with (bundle.path / "out").open("wb") as out:
        subprocess.run(
            [*runtime.command, *flags, "create", "--bundle", str(bundle.path),
             "--pid-file", str(pid_file), bundle.id],
            check=True, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=30,
        )  # fmt: skip
    return int(pid_file.read_text())


def output(runtime: Runtime, bundle: Bundle) -> str:
    """Return what a container has written when it has ended."""
    deadline = time.monotonic() + 20
    while runtime.inspect(bundle.id)["status"] != "stopped":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return (bundle.path / "out").read_text()


def test_interfaces_that_come_between_create_and_start(
    runtime: Runtime, make_container: Make
) -> None:
    """As Docker from version 28 on brings them, into a namespace that the runtime has made."""
    with namespaces(1) as (outer,):
        bundle = make_container("echo hello | nc 10.9.0.1 $(cat /port)")
        pid = create(runtime, bundle, NETWORK)
        connect(str(pid), outer)
        nsenter = ["nsenter", "-t", str(pid), "-n", "ip"]
        configure(lambda words: subprocess.run([*nsenter, *words.split()], check=True, timeout=20))
        answer = Answer(outer)
        (bundle.root / "port").write_text(str(answer.port))
        runtime(NETWORK, "start", bundle.id).check()
        answer.join()
        assert output(runtime, bundle) == "HELLO\n"
        runtime("delete", bundle.id).check()
        os.waitpid(pid, os.WNOHANG)


def test_a_start_that_fails_takes_nothing(
    runtime: Runtime, make_container: Make, pair: tuple[Namespace, Namespace]
) -> None:
    inner, _ = pair
    configure(inner.ip)
    before = inner.snapshot()
    flags = [NETWORK, "--qdisc=tbf", "--qdisc-tbf-rate=1000000", "--qdisc-tbf-burst=1000"]
    bundle = make_container("echo started", inner.path)
    pid = create(runtime, bundle, *flags)
    failed = runtime(*flags, "start", bundle.id)
    assert failed.status != 0
    words = (
        "a burst of 1000 bytes holds no frame of 1514 bytes (MTU and header): make it 1514 or more"
    )
    assert f'interface "eth0": qdisc tbf: {words}' in failed.err
    assert inner.snapshot() == before
    # Engines take this for the end of the container, as it is with runc.
    os.waitpid(pid, 0)
    assert runtime.inspect(bundle.id)["status"] == "stopped"
    runtime("delete", bundle.id).check()
    assert inner.snapshot() == before


def test_a_start_after_one_that_was_killed(
    runtime: Runtime, make_container: Make, pair: tuple[Namespace, Namespace]
) -> None:
    """The state has what was taken, and the command is gone: before the program ran, or after."""
    inner, _ = pair
    configure(inner.ip)
    before = inner.snapshot()
    bundle = make_container("sleep 100", inner.path)
    pid = create(runtime, bundle, NETWORK)
    runtime(NETWORK, "start", bundle.id).check()
    state = runtime.state / bundle.id / "state.json"
    assert '"running"' in state.read_text()
    state.write_text(state.read_text().replace('"running"', '"created"'))
    again = runtime(NETWORK, "start", bundle.id)
    assert "cannot start an already running container" in again.err
    runtime("delete", "--force", bundle.id).check()
    os.waitpid(pid, 0)
    assert inner.snapshot() == before


def test_deletion_gives_back_what_a_killed_sandbox_had(
    runtime: Runtime, make_container: Make, pair: tuple[Namespace, Namespace]
) -> None:
    inner, _ = pair
    configure(inner.ip)
    before = inner.snapshot()
    bundle = make_container("sleep 100", inner.path)
    pid = create(runtime, bundle, NETWORK)
    runtime(NETWORK, "start", bundle.id).check()
    assert inner.ip_json("addr show eth0")[0]["addr_info"] == []
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    runtime("delete", bundle.id).check()
    assert inner.snapshot() == before


def test_addresses_that_the_host_keeps(
    runtime: Runtime, make_container: Make, pair: tuple[Namespace, Namespace]
) -> None:
    inner, _ = pair
    configure(inner.ip)
    bundle = make_container("sleep 100", inner.path)
    pid = create(runtime, bundle, NETWORK, "--keep-host-addresses=eth0,eth7")
    before = inner.ip("addr"), inner.ip("route"), inner.ip("-6 route")
    runtime(NETWORK, "start", bundle.id).check()
    assert (inner.ip("addr"), inner.ip("route"), inner.ip("-6 route")) == before
    shown = runtime("exec", bundle.id, "cat", "/proc/net/dev").check().out
    assert "eth0:" in shown
    state = (runtime.state / bundle.id / "state.json").read_text()
    assert '"eth0"' in state
    runtime("delete", "--force", bundle.id).check()
    os.waitpid(pid, 0)


def test_the_namespace_of_the_host_is_left_alone(runtime: Runtime, make_container: Make) -> None:
    before = run_ip("addr"), run_ip("route")
    bundle = make_container("cut -d: -f1 /proc/net/dev | tail -n +3", "/proc/self/ns/net")
    done = runtime(NETWORK, "run", "--bundle", str(bundle.path), bundle.id).check()
    assert done.out.split() == ["lo"]
    assert (run_ip("addr"), run_ip("route")) == before


def test_a_start_never_takes_what_is_the_hosts(tmp_path: Path) -> None:
    container = Container(str(tmp_path), "box")
    container.pid = os.getpid()
    container.network = {"path": "", "keep": []}
    with pytest.raises(RunscError, match="the network namespace is the host's own"):
        ask_to_start(container)


def test_without_a_network_there_is_lo_alone(
    runtime: Runtime, make_container: Make, pair: tuple[Namespace, Namespace]
) -> None:
    inner, _ = pair
    configure(inner.ip)
    before = inner.snapshot()
    bundle = make_container("cut -d: -f1 /proc/net/dev | tail -n +3", inner.path)
    done = runtime("--network=none", "run", "--bundle", str(bundle.path), bundle.id).check()
    assert done.out.split() == ["lo"]
    assert inner.snapshot() == before


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ({"qdisc": "fifo"}, "annotation dev.gvisor.flag.qdisc: not allowed to set it to 'fifo'"),
        ({"qdisc-tbf-rate": "1mbit"}, "1mbit would be 125000"),
        ({"qdisc": "tbf"}, "--qdisc=tbf needs --qdisc-tbf-burst"),
        ({"qdisc-tbf-rate": "100001"}, "not allowed to set it to '100001'"),
    ],
)
def test_annotations_that_do_not_fit_are_refused(
    runtime: Runtime, make_container: Make, annotations: dict[str, str], words: str
) -> None:
    bundle = make_container("echo started")
    bundle.config["annotations"] = {f"dev.gvisor.flag.{k}": v for k, v in annotations.items()}
    bundle.write()
    flags = [NETWORK, "--qdisc=tbf", "--qdisc-tbf-rate=100000"]
    if "qdisc" not in annotations or annotations["qdisc"] != "tbf":
        flags.append("--qdisc-tbf-burst=100000")
    done = runtime(*flags, "run", "--bundle", str(bundle.path), bundle.id)
    assert done.status != 0
    assert words in done.err


def test_a_capture(
    runtime: Runtime, make_container: Make, pair: tuple[Namespace, Namespace], tmp_path: Path
) -> None:
    inner, outer = pair
    configure(inner.ip)
    answer = Answer(outer)
    bundle = make_container(f"echo hello | nc 10.9.0.1 {answer.port}", inner.path)
    pattern = f"--pcap-log={tmp_path}/made/%ID%.pcapng"
    runtime(NETWORK, pattern, "run", "--bundle", str(bundle.path), bundle.id).check()
    answer.join()
    data = (tmp_path / "made" / f"{bundle.id}.pcapng").read_bytes()
    assert data.startswith(b"\x0a\x0d\x0d\x0a")
    assert data.index(b"hello") < data.index(b"HELLO")


def test_what_is_done_for_dockers_resolver_is_undone(
    runtime: Runtime, make_container: Make, pair: tuple[Namespace, Namespace]
) -> None:
    inner, _ = pair
    configure(inner.ip)
    before = inner.snapshot()
    with inner.entered():
        resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with resolver:
        resolver.bind(("127.0.0.11", 0))
        bundle = make_container("sleep 100", inner.path)
        pid = create(runtime, bundle, NETWORK)
        runtime("start", bundle.id).check()
        assert "iif lo ipproto udp dport 53 lookup 53053" in inner.ip("rule")
        with inner.entered():
            table = Path("/proc/self/net/udp").read_text()
        assert " 00000000:0035 " in table
        runtime("delete", "--force", bundle.id).check()
        os.waitpid(pid, 0)
        assert inner.snapshot() == before
        with inner.entered():
            table = Path("/proc/self/net/udp").read_text()
        assert " 00000000:0035 " not in table
