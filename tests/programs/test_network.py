"""Networking on loopback: the same programs natively and in a container."""

from pathlib import Path

import pytest

from tests.harness.bundle import Bundle, Runtime, default_config
from tests.harness.native import native
from tests.programs.compare import assert_same, difference

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
    "ip -4 addr show lo | grep inet; ip link set lo down; ip -o addr; ip link set lo up; ip -o addr",
    "ping": "ping -c 2 127.0.0.1 | grep -c 'bytes from'; ping6 -c 1 ::1 | grep -c 'bytes from'; "
    "ping -c 1 -W 1 192.0.2.1; echo $?; traceroute -n 127.0.0.1 2>/dev/null | wc -l",
    "nc": "echo hello | nc -l -p 4000 > /tmp/got & sleep 0.5; echo to the server | nc 127.0.0.1 4000; "
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


@pytest.mark.guest
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_network_program(runtime: Runtime, debian_rootfs: Path, program: Path) -> None:
    script = "cat > /tmp/program.py; exec python3 -u /tmp/program.py < /dev/null"
    assert "Traceback" not in assert_same(runtime, debian_rootfs, script, program.read_bytes()).err


@pytest.mark.guest
@pytest.mark.parametrize("name", BUSYBOX)
def test_network_tools(runtime: Runtime, busybox_rootfs: Path, name: str) -> None:
    argv = ["/bin/sh", "-c", f"exec 2>&1; {BUSYBOX[name]}; true"]
    expected = native(busybox_rootfs, argv)
    config = default_config(argv)
    for names in config["process"]["capabilities"].values():
        names += ["CAP_NET_ADMIN", "CAP_NET_RAW"]
    raw = Runtime(runtime.state, [*runtime.command, "--net-raw"])
    with Bundle(raw, busybox_rootfs, config) as bundle:
        actual = bundle.run()
    assert expected.out
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
        assert bundle.run().stdout == "1\n1\n1\n"


@pytest.mark.guest
def test_sysctls_of_the_bundle(runtime: Runtime, busybox_rootfs: Path) -> None:
    config = default_config(["cat", "/proc/sys/net/ipv4/ping_group_range"])
    config["linux"]["sysctl"] = {"net.ipv4.ping_group_range": "0 2147483647"}
    with Bundle(runtime, busybox_rootfs, config) as bundle:
        assert bundle.run().stdout == "0\t2147483647\n"
        bundle.config["linux"]["sysctl"] = {"net.ipv4.nothing": "1"}
        bundle.write()
        failed = bundle.run()
    assert failed.status != 0
    assert "net.ipv4.nothing" in failed.err
