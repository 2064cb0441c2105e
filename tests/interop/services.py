"""What runs on all machines while programs are tested, and what it is configured with."""

from pathlib import Path

from tests.harness.machine import Machine

NGINX = """
user root;
daemon off;
worker_processes 1;
error_log /dev/null;
pid /run/nginx.pid;
events { worker_connections 512; }
http {
    access_log off;
    server {
        listen 80;
        listen [::]:80;
        root /srv/www;
    }
}
"""
SSHD = """
Port 22
HostKey /etc/ssh/test_key
PermitRootLogin prohibit-password
PidFile none
UsePAM no
Subsystem sftp internal-sftp
"""
SSH = """
Host *
    IdentityFile /root/.ssh/id
    StrictHostKeyChecking no
    UserKnownHostsFile /dev/null
    LogLevel ERROR
    BatchMode yes
"""
DNSMASQ = (
    "dnsmasq --keep-in-foreground --user=root --no-resolv --no-hosts --no-daemon --cache-size=0 "
    "--address=/host.test/192.0.2.7 --address=/host.test/2001:db8::7 "
    "--txt-record=long.test,{} --mx-host=test,host.test,10 --local=/test/ --edns-packet-max=1232"
)
# More than a datagram of EDNS takes: comes truncated, and then by TCP.
LONG_TXT = ",".join(f"{i:04d}{'x' * 200}" for i in range(12))
PAGE_SIZE = 1_000_000
PORTS = {"nginx": 80, "sshd": 22, "redis": 6379, "dnsmasq": 53, "iperf3": 5201, "socat": 1000}

START = f"""
mkdir -p /run/sshd
cd /
/usr/sbin/nginx -c /etc/nginx/test.conf &
/usr/sbin/sshd -D -e -f /etc/ssh/test_config &
redis-server --port 6379 --bind '*' '-::*' --protected-mode no --save '' --daemonize no \
    >/dev/null &
{DNSMASQ.format(LONG_TXT)} 2>/dev/null &
iperf3 -s >/dev/null &
socat TCP6-LISTEN:1000,ipv6only=0,fork,reuseaddr EXEC:cat &
socat TCP6-LISTEN:1001,ipv6only=0,fork,reuseaddr SYSTEM:'sha256sum | cut -c-64' &
socat UDP6-RECVFROM:1002,ipv6only=0,fork PIPE &
wait
"""


def write(machine: Machine, key: bytes, public: bytes) -> None:
    """Write what the servers and clients read, before the machine is switched on."""
    root = machine.root
    files = {
        "etc/nginx/test.conf": NGINX.encode(),
        "etc/ssh/test_config": SSHD.encode(),
        "etc/ssh/test_key": key,
        "root/.ssh/config": SSH.encode(),
        "root/.ssh/id": key,
        "root/.ssh/authorized_keys": public,
        "srv/www/page": page(),
        "srv/www/small": b"a small page\n",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
        path.chmod(0o600 if "ssh" in name else 0o644)
    Path(root / "root/.ssh").chmod(0o700)


def page() -> bytes:
    """Return a page in which nothing may be in the wrong place."""
    return b"".join(b"%07d\n" % i for i in range(PAGE_SIZE // 8))
