"""Networking on loopback: the same programs natively and in a container."""

import subprocess
from pathlib import Path

import pytest

from tests.harness.bundle import Bundle, Runtime, default_config
from tests.harness.native import native
from tests.programs.compare import difference

PROGRAMS = sorted(Path(__file__).with_name("network").glob("*.py"))

BUSYBOX = {
    "ifconfig": "ifconfig lo | grep -v bytes",
    "ip_addr": "ip addr | sed 's/ qdisc.*//'; ip -o -4 addr; ip link | head -1 | cut -d' ' -f1-5",
    "ip_route": "ip route; ip route show table all | sort; ip -6 route show table all | sort; "
    "ip route get 127.0.0.1; ip rule",
    "route": "route -n; netstat -rn",
    "changes": "ip addr add 10.0.0.5/24 dev lo; ip addr show lo | sed 's/ qdisc.*//'; ip route; "
    "ip route add 10.1.0.0/16 dev lo; ip route; route -n; ip route del 10.1.0.0/16; "
    "ip addr del 10.0.0.5/24 dev lo; ip addr show lo | grep inet; ip link set lo mtu 1400; "
    "ifconfig lo | grep -o 'MTU:[0-9]*'; ifconfig lo 127.0.0.2 netmask 255.255.0.0; "
    "ip -4 addr show lo | grep inet; "
    "ifconfig lo 127.0.0.1 netmask 255.0.0.0; ip link set lo down; ip -o addr; ip link set lo up; "
    "ip -o addr",
    "route_changes": "ip addr add 10.0.0.5/24 dev lo; "
    "route add -net 10.4.0.0 netmask 255.255.0.0 dev lo; route add -host 10.6.0.1 gw 10.0.0.9; "
    "route add -net 10.7.0.0/16 gw 10.0.0.9 metric 3; route add -net 10.8.0.0/16 reject; ip route add blackhole 10.9.0.0/16; "
    "route add default gw 10.0.0.9; route add -net 10.4.0.0 netmask 255.255.0.0 dev lo; "
    "route add -net 10.4.1.0 netmask 255.255.0.0 dev lo; "
    "route add -net 10.4.0.0 netmask 255.255.0.0 dev nothing; route -n | sort; ip route | sort; "
    "route del -net 10.4.0.0 netmask 255.255.0.0 dev lo; route del default; route del default; "
    "route -n | sort; arp -s 10.0.0.7 02:00:00:00:00:09; arp -d 10.0.0.7; arp -n",
    "ping6": "ping6 -c 1 ::1 | grep -o 'seq=.*ttl=[0-9]*'; ping -c 1 127.0.0.1 | grep -o 'seq=.*ttl=[0-9]*'",
    "ping": "ping -c 2 127.0.0.1 | grep -c 'bytes from'; ping6 -c 1 ::1 | grep -c 'bytes from'; "
    "ping -c 1 -W 1 192.0.2.1; echo $?; traceroute -n 127.0.0.1 2>/dev/null | wc -l",
    # Both wait before they close: who closes first may keep the other from writing.
    "nc": "{ echo hello; sleep 1; } | nc -l -p 4000 > /tmp/got & sleep 0.5; "
    "{ echo to the server; sleep 1; } | nc 127.0.0.1 4000; "
    "wait; cat /tmp/got; nc -w 1 127.0.0.1 1; echo $?",
    "httpd": "mkdir /tmp/www; echo page > /tmp/www/index.html; httpd -p 127.0.0.1:8080 -h /tmp/www; "
    "wget -q -O - http://127.0.0.1:8080/index.html; wget -q -O - http://127.0.0.1:8080/no; echo $?; "
    "killall httpd",
    "netstat": "nc -l -p 4001 127.0.0.1 & sleep 0.3; netstat -tln; netstat -uln; kill %1",
    "files": "cat /proc/net/dev /proc/net/if_inet6 /proc/net/route /proc/net/arp /proc/net/igmp "
    "/proc/net/udp /proc/net/tcp6 /proc/net/raw; ls -l /proc/net | grep -o 'net$'; "
    "cat /proc/self/net/sockstat6; cat /proc/net/nothing; echo x > /proc/net/dev; echo $?",
    "sysctl": "cd /proc/sys/net; for f in ipv4/ip_local_port_range core/somaxconn "
    "ipv4/ip_unprivileged_port_start ipv4/tcp_fin_timeout; do cat $f; done; "
    "echo 1 > ipv4/ip_forward; cat ipv4/ip_forward ipv4/conf/all/forwarding; "
    "echo '40000 40010' > ipv4/ip_local_port_range; cat ipv4/ip_local_port_range; "
    "echo '5 1' > ipv4/ip_local_port_range; echo $?; echo x > core/somaxconn; echo $?; "
    "echo '0 100' > ipv4/ping_group_range; cat ipv4/ping_group_range; echo 70000 > "
    "ipv4/ip_unprivileged_port_start; echo $?; sysctl -w net.ipv4.tcp_syncookies=0",
}


def assert_same_as_administrator(
    runtime: Runtime, rootfs: Path, script: str, stdin: bytes = b""
) -> str:
    """Run a script in both worlds, in the container with the capabilities for the network."""
    argv = ["/bin/sh", "-c", script]
    expected = native(rootfs, argv, stdin)
    config = default_config(argv)
    for names in config["process"]["capabilities"].values():
        names += ["CAP_NET_ADMIN", "CAP_NET_RAW"]
    raw = Runtime(runtime.state, [*runtime.command, "--net-raw"])
    with Bundle(raw, rootfs, config) as bundle:
        actual = bundle.run(stdin=stdin)
    assert expected.out
    assert not difference("output", expected.out, actual.out)
    assert (actual.status, actual.err) == (expected.status, expected.err)
    return expected.err


@pytest.mark.guest
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_network_program(runtime: Runtime, debian_rootfs: Path, program: Path) -> None:
    script = "cat > /tmp/program.py; exec python3 -u /tmp/program.py < /dev/null"
    source = program.read_bytes()
    errors = assert_same_as_administrator(runtime, debian_rootfs, script, source)
    assert "Traceback" not in errors


@pytest.mark.guest
@pytest.mark.parametrize("name", BUSYBOX)
def test_network_tools(runtime: Runtime, busybox_rootfs: Path, name: str) -> None:
    script = f"exec 2>&1; {BUSYBOX[name]}; true"
    assert_same_as_administrator(runtime, busybox_rootfs, script)


@pytest.mark.guest
@pytest.mark.parametrize("name", ["filters.py", "raw_errors.py"])
def test_raw_sockets(runtime: Runtime, debian_rootfs: Path, name: str) -> None:
    script = "cat > /tmp/program.py; exec python3 -u /tmp/program.py < /dev/null"
    argv = ["/bin/sh", "-c", script]
    program = Path(__file__).with_name(name).read_bytes()
    expected = native(debian_rootfs, argv, program).check()
    raw = Runtime(runtime.state, [*runtime.command, "--net-raw"])
    with Bundle(raw, debian_rootfs, default_config(argv)) as bundle:
        actual = bundle.run(stdin=program)
    assert not difference("output", expected.out, actual.out)
    assert (actual.status, actual.err) == (expected.status, expected.err)


@pytest.mark.guest
def test_raw_sockets_need_the_flag(runtime: Runtime, debian_rootfs: Path) -> None:
    code = (
        "import socket\n"
        "for family, kind in ((2, 3), (10, 3), (17, 2)):\n"
        "    try: print(socket.socket(family, kind, 1))\n"
        "    except OSError as error: print(error.errno)\n"
    )
    config = default_config(["python3", "-c", code])
    for names in config["process"]["capabilities"].values():
        names.append("CAP_NET_RAW")
    with Bundle(runtime, debian_rootfs, config) as bundle:
        assert bundle.run().out == "1\n1\n1\n"


@pytest.mark.guest
def test_sysctls_of_the_bundle(runtime: Runtime, busybox_rootfs: Path) -> None:
    config = default_config(["cat", "/proc/sys/net/ipv4/ping_group_range"])
    config["linux"]["sysctl"] = {"net.ipv4.ping_group_range": "0 2147483647"}
    with Bundle(runtime, busybox_rootfs, config) as bundle:
        assert bundle.run().out == "0\t2147483647\n"
        bundle.config["linux"]["sysctl"] = {"net.ipv4.nothing": "1"}
        bundle.write()
        failed = bundle.run()
    assert failed.status != 0
    assert "net.ipv4.nothing" in failed.err


IPROUTE2 = (
    "ip addr; ip route show table all; ip rule; ip neigh; ip route get 127.0.0.1; ip route get ::1; "
    "ip addr add 10.0.0.5/24 dev lo; ip addr show dev lo; ip route add 10.1.0.0/16 via 10.0.0.9; "
    "ip route; ip rule add from 10.0.0.0/8 table 100; ip rule; ip rule del table 100; ip rule; "
    "ip rule add to 10.2.0.0/16 iif lo table 102; ip rule add oif nothing fwmark 5 table 103; "
    "ip rule add to 10.3.0.0/16 prohibit; ip rule add from 10.4.0.0/16 blackhole prio 9; ip rule; "
    "ip route get 10.2.0.1 from 10.0.0.5; ip route get 10.3.0.1; "
    "ip rule del to 10.3.0.0/16 prohibit; ip rule del prio 9; ip rule del iif lo; ip rule; "
    "ip link show dev lo; ip link show lo; ip link show nothing; ip -o link; ip neigh; "
    'python3 -c \'import socket, subprocess; one = socket.create_server(("127.0.0.1", 4000)); '
    'two = socket.create_connection(("127.0.0.1", 4000), source_address=("127.0.0.1", 4001)); '
    '[subprocess.run(command, shell=True) for command in ("ss -Htan | sort", "ss -Htln sport = :4000", '
    '"ss -Htln sport = :22", "ss -Huan", "ss -Htan dst 127.0.0.1:4000")]\''
)


@pytest.mark.guest
@pytest.mark.root
def test_iproute2_of_the_host(runtime: Runtime) -> None:
    """The host's own ip(8) and ss(8), over the host's files."""
    script = f"PATH=/usr/sbin:/usr/bin:/sbin:/bin; exec 2>&1; {IPROUTE2}"
    unshared = ["unshare", "--net", "sh", "-c", f"ip link set lo up; {script}"]
    expected = subprocess.run(unshared, capture_output=True, text=True, check=True, timeout=60)
    actual = runtime("do", "--", "/bin/sh", "-c", script)
    assert not difference("output", expected.stdout, actual.out)
