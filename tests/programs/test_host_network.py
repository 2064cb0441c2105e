"""--network=host: the same programs natively and in a container, on the host's stack."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.harness.bundle import Bundle, Runtime, default_config
from tests.harness.native import native
from tests.harness.netns import Namespace, namespaces
from tests.harness.outcome import Outcome
from tests.programs.compare import difference

pytestmark = [pytest.mark.guest, pytest.mark.root]

PROGRAMS = Path(__file__).with_name("network")
# Those that change nothing of the network, and set only options that pass.
SAME = ("addresses", "datagrams", "multicast", "servers", "tcp_nonblocking", "tcp_streams")
START = "cat > /tmp/program.py; exec python3 -u /tmp/program.py < /dev/null"
PEER = Path(__file__).with_name("host_network") / "peer.py"


@pytest.fixture
def on_host(runtime: Runtime) -> Runtime:
    return Runtime(runtime.state, [*runtime.command, "--network=host"])


@pytest.fixture
def raw_on_host(on_host: Runtime) -> Runtime:
    return Runtime(on_host.state, [*on_host.command, "--net-raw"])


def run_in(
    runtime: Runtime, rootfs: Path, argv: list[str], path: str = "", stdin: bytes = b""
) -> Outcome:
    """Run a program in a container; `path`: of its network namespace, empty for a new one."""
    config = default_config(argv)
    for names in config["process"]["capabilities"].values():
        names += ["CAP_NET_ADMIN", "CAP_NET_RAW"]
    for namespace in config["linux"]["namespaces"]:
        if namespace["type"] == "network" and path:
            namespace["path"] = path
    with Bundle(runtime, rootfs, config) as bundle:
        return bundle.run(stdin=stdin)


@pytest.mark.parametrize("name", SAME)
def test_network_program(raw_on_host: Runtime, debian_rootfs: Path, name: str) -> None:
    argv = ["/bin/sh", "-c", START]
    source = (PROGRAMS / f"{name}.py").read_bytes()
    expected = native(debian_rootfs, argv, source)
    actual = run_in(raw_on_host, debian_rootfs, argv, stdin=source)
    assert expected.out
    assert "Traceback" not in expected.err
    assert not difference("output", expected.out, actual.out)
    assert (actual.status, actual.err) == (expected.status, expected.err)


@contextmanager
def joined_namespaces() -> Iterator[tuple[Namespace, Namespace]]:
    """Make two namespaces with a wire between them: 192.0.2.1 and .2, 2001:db8::1 and ::2."""
    with namespaces(2) as (own, other):
        own.ip(f"link add eth0 type veth peer name eth0 netns {other.name}")
        for number, namespace in enumerate((own, other), 1):
            namespace.sysctl("ipv6/conf/eth0/accept_dad", "0")
            namespace.ip("link set eth0 up")
            namespace.ip(f"addr add 192.0.2.{number}/24 dev eth0")
            namespace.ip(f"addr add 2001:db8::{number}/64 dev eth0 nodad")
            namespace.sysctl("ipv4/ping_group_range", "0 0")
        yield own, other


@contextmanager
def peer_in(namespace: Namespace) -> Iterator[None]:
    """Have the servers of peer.py in a namespace."""
    with namespace.entered():
        process = subprocess.Popen([sys.executable, str(PEER), "serve"], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield
    finally:
        process.kill()
        process.communicate(timeout=10)


def natively_in(namespace: Namespace, argv: list[str]) -> Outcome:
    with namespace.entered():
        done = subprocess.run(argv, check=False, capture_output=True, timeout=60)
    return Outcome(done.returncode, done.stdout, done.stderr)


def test_a_peer_on_a_wire(raw_on_host: Runtime, debian_rootfs: Path) -> None:
    """TCP, UDP, ping and raw sockets over IPv4 and IPv6, as clients and as servers."""
    with joined_namespaces() as (own, other), peer_in(other):
        expected = natively_in(own, [sys.executable, str(PEER), "visit"])
        argv = ["python3", "-c", PEER.read_text(), "visit"]
        actual = run_in(raw_on_host, debian_rootfs, argv, own.path)
    assert expected.status == 0, expected.describe()
    assert expected.out.count("\n") > 20
    assert not difference("output", expected.out, actual.out)
    assert actual.status == 0, actual.describe()


READS = (
    "ip addr; ip -6 addr; ip -d link show lo; ip route show table all | sort; ip rule; "
    "ip route get 192.0.2.2; ip neigh show nud permanent; cat /proc/net/route /proc/net/if_inet6; "
    "cat /proc/net/dev | cut -d: -f1; cat /proc/net/igmp; cat /proc/sys/net/ipv4/ip_local_port_range "
    "/proc/sys/net/ipv4/ping_group_range /proc/sys/net/core/somaxconn; "
    "cat /sys/class/net/lo/mtu /sys/class/net/lo/type /sys/class/net/lo/operstate; "
    'python3 -c "import socket; print(socket.if_nameindex())"'
)


def test_what_the_host_tells_of_its_network(on_host: Runtime) -> None:
    """The host's own ip(8), and files of /proc and /sys, over the host's files."""
    with joined_namespaces() as (own, _):
        expected = natively_in(own, ["/bin/sh", "-c", f"exec 2>&1; {READS}"])
        with own.entered():
            actual = on_host("do", "--", "/bin/sh", "-c", f"exec 2>&1; {READS}")
    assert "192.0.2.1/24" in actual.out
    # Which of the host's namespaces is the wire's other end is not told (RTM_GETNSID).
    known = re.sub(r"link-netns \S+", "link-netnsid 0", expected.out)
    refused = "RTNETLINK answers: Operation not permitted\n"
    assert not difference("output", known, actual.out.replace(refused, ""))


def test_nothing_of_the_network_can_be_changed(raw_on_host: Runtime) -> None:
    script = (
        "PATH=/usr/sbin:/sbin:$PATH; exec 2>&1; ip addr add 192.0.2.7/24 dev eth0; echo $?; "
        "ip link set lo down; echo $?; ip route add 198.51.100.0/24 dev eth0; echo $?; "
        "echo 1 > /proc/sys/net/ipv4/ip_forward; "
        "python3 -c 'import fcntl, socket; fcntl.ioctl(socket.socket(), 0x8914, bytes(40))' | tail -1"
    )
    with joined_namespaces() as (own, _):
        before = own.snapshot()
        with own.entered():
            done = raw_on_host("do", "--", "/bin/sh", "-c", script)
        assert own.snapshot() == before
    assert done.out.count("Operation not permitted") == 4, done.out
    assert done.out.count("RTNETLINK answers") == 3


REFUSED = """
import errno, socket, struct
def name(error): return errno.errorcode[error.errno]
for family, kind, protocol in ((17, 3, 0x300), (17, 2, 0x300), (40, 1, 0), (21, 5, 0), (29, 3, 1),
                               (38, 5, 0), (2, 1, 262), (2, 1, 132), (2, 2, 136), (2, 5, 132),
                               (2, 3, 255), (10, 3, 58), (16, 3, 4), (16, 3, 12), (16, 3, 16)):
    try: print(family, kind, protocol, socket.socket(family, kind, protocol))
    except OSError as error: print(family, kind, protocol, name(error))
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for level, option in ((1, 26), (1, 50), (1, 36), (1, 32), (1, 33), (0, 19), (0, 64), (0, 65),
                      (0, 4), (6, 19), (6, 31), (6, 14), (41, 64), (17, 100), (263, 5), (255, 99)):
    try: print(level, option, sock.setsockopt(level, option, bytes(32)))
    except OSError as error: print(level, option, name(error))
for level, kind in ((0, 99), (0, 4), (41, 57), (1, 37), (1, 61)):
    try: print(sock.sendmsg([b"x"], [(level, kind, bytes(8))], 0, ("127.0.0.1", 9)))
    except OSError as error: print("control", level, kind, name(error))
"""


def test_other_sockets_and_options_are_refused(on_host: Runtime, debian_rootfs: Path) -> None:
    done = run_in(on_host, debian_rootfs, ["python3", "-c", REFUSED])
    lines = done.check().out.splitlines()
    assert len(lines) == 15 + 16 + 5
    allowed = (
        "EPERM",
        "EAFNOSUPPORT",
        "EPROTONOSUPPORT",
        "ESOCKTNOSUPPORT",
        "ENOPROTOOPT",
        "EINVAL",
    )
    assert [line for line in lines if line.split()[-1] not in allowed] == []


def test_privileged_ports_need_the_capability(on_host: Runtime, debian_rootfs: Path) -> None:
    code = (
        "import socket\n"
        "for family in (2, 10):\n"
        "    for kind in (1, 2):\n"
        "        try: print(socket.socket(family, kind).bind(('', 99)))\n"
        "        except OSError as error: print(error.errno)\n"
    )
    config = default_config(["python3", "-c", code])
    with Bundle(on_host, debian_rootfs, config) as bundle:
        assert bundle.run().out == "None\n" * 4
        config["process"]["capabilities"]["bounding"].remove("CAP_NET_BIND_SERVICE")
        bundle.write()
        assert bundle.run().out == "13\n" * 4


def test_sockets_leave_descriptors_to_the_sandbox(on_host: Runtime, debian_rootfs: Path) -> None:
    """A guest cannot take all descriptors that the sandbox may have; closing gives them back."""
    code = (
        "import errno, socket\n"
        "for _ in range(2):\n"
        "    sockets = []\n"
        "    try:\n"
        "        while len(sockets) < 300: sockets.append(socket.socket())\n"
        "    except OSError as error: print(errno.errorcode[error.errno], len(sockets))\n"
        "    for sock in sockets: sock.close()\n"
        "listener = socket.create_server(('127.0.0.1', 0))\n"
        "held = [socket.create_connection(listener.getsockname()) for _ in range(100)]\n"
        "try:\n"
        "    while True: held.append(listener.accept()[0])\n"
        "except OSError as error: print(errno.errorcode[error.errno], len(held))\n"
        "print(open('/etc/hostname').read() != '')\n"
    )
    prlimit = Runtime(on_host.state, ["prlimit", "--nofile=400:400", *on_host.command])
    done = run_in(prlimit, debian_rootfs, ["python3", "-c", code])
    assert done.out == "ENFILE 200\nENFILE 200\nENFILE 199\nTrue\n", done.describe()


def test_lingering_does_not_stop_the_sandbox(on_host: Runtime) -> None:
    """close(2) of a socket with data that nobody takes: the host would wait for a minute."""
    code = (
        "import socket, struct, time\n"
        "listener = socket.create_server(('127.0.0.1', 0))\n"
        "one = socket.create_connection(listener.getsockname())\n"
        "one.setsockopt(1, 13, struct.pack('ii', 1, 60))\n"
        "print(struct.unpack('ii', one.getsockopt(1, 13, 8)))\n"
        "one.setblocking(False)\n"
        "try:\n"
        "    while True: one.send(bytes(100000))\n"
        "except BlockingIOError: pass\n"
        "before = time.monotonic(); one.close(); print(time.monotonic() - before < 20)\n"
    )
    done = on_host("do", "--", "python3", "-c", code, timeout=40)
    assert done.out == "(1, 60)\nTrue\n", done.describe()


def test_the_sockets_of_proc_are_found(on_host: Runtime, debian_rootfs: Path) -> None:
    """A socket has the inode that /proc/net/tcp shows; /proc/net/unix has the guest's own."""
    code = (
        "import os, socket\n"
        "listener = socket.create_server(('127.0.0.1', 4000))\n"
        "own = socket.socket(socket.AF_UNIX); own.bind('/tmp/own')\n"
        "inode = os.fstat(listener.fileno()).st_ino\n"
        "print(os.readlink(f'/proc/self/fd/{listener.fileno()}') == f'socket:[{inode}]')\n"
        "print([line.split()[9] == str(inode) for line in open('/proc/net/tcp') if ':0FA0' in line])\n"
        "print([line.split()[-1] for line in open('/proc/net/unix')][1:])\n"
    )
    done = run_in(on_host, debian_rootfs, ["python3", "-c", code])
    assert done.out == "True\n[True]\n['/tmp/own']\n", done.describe()


def test_sysctls_of_the_bundle(on_host: Runtime, busybox_rootfs: Path) -> None:
    setting = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
    config = default_config(["cat", setting])
    config["linux"]["sysctl"] = {"net.ipv4.ip_unprivileged_port_start": "80"}
    with Bundle(on_host, busybox_rootfs, config) as bundle:
        assert bundle.run().out == "80\n"
        config["linux"]["sysctl"] = {"net.ipv4.nothing": "1"}
        bundle.write()
        assert "net.ipv4.nothing" in bundle.run().err
        # Without a namespace of its own it would be the host's.
        spaces: list[Any] = config["linux"]["namespaces"]
        config["linux"]["namespaces"] = [one for one in spaces if one["type"] != "network"]
        config["linux"]["sysctl"] = {"net.ipv4.ip_unprivileged_port_start": "1024"}
        bundle.write()
        failed = bundle.run()
    assert failed.status != 0
    assert "the host's own network namespace" in failed.err


def test_loopback_is_that_of_the_host(on_host: Runtime, busybox_rootfs: Path) -> None:
    """A container with the host's namespace reaches a server of the host's loopback."""
    import socket

    config = default_config([])
    spaces = config["linux"]["namespaces"]
    config["linux"]["namespaces"] = [one for one in spaces if one["type"] != "network"]
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        port = server.getsockname()[1]
        config["process"]["args"] = ["nc", "127.0.0.1", str(port)]
        heard: list[bytes] = []

        def answer() -> None:
            with server.accept()[0] as connection:
                heard.append(connection.recv(100))
                connection.sendall(b"from the host\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with Bundle(on_host, busybox_rootfs, config) as bundle:
            done = bundle.run(stdin=b"from the guest\n")
        thread.join(timeout=30)
    assert (done.out, heard) == ("from the host\n", [b"from the guest\n"]), json.dumps(done.err)
