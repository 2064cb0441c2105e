"""Python's own tests of sockets, servers and clients, in a container that has `lo` and nothing else.

They are long known to pass on Linux, so there is no run in the host's world.
"""

from pathlib import Path

import pytest

from scripts import rootfs
from tests.harness.bundle import Bundle, Runtime, default_config

EXCLUDED = Path(__file__).with_name("python_tests_excluded.txt")

MODULES = (
    "test_asyncio.test_sock_lowlevel",
    "test_asyncio.test_streams",
    "test_epoll",
    "test_httplib",
    "test_httpservers",
    "test_select",
    "test_smtplib",
    "test_socket",
    "test_socketserver",
    "test_urllib2_localnet",
)
# What takes long, mostly by waiting; only `pytest -m long` runs it.
LONG_MODULES = (
    "test_asyncio.test_buffered_proto",
    "test_asyncio.test_events",
    "test_asyncio.test_selector_events",
    "test_asyncio.test_sendfile",
    "test_asyncio.test_server",
    "test_asyncio.test_ssl",
    "test_asyncio.test_sslproto",
    "test_asyncio.test_subprocess",
    "test_asyncio.test_unix_events",
    "test_asynchat",
    "test_asyncore",
    "test_docxmlrpc",
    "test_ftplib",
    "test_imaplib",
    "test_logging",
    "test_multiprocessing_fork",
    "test_nntplib",
    "test_poplib",
    "test_selectors",
    "test_smtpd",
    "test_ssl",
    "test_telnetlib",
    "test_urllib",
    "test_urllib2",
    "test_wsgiref",
    "test_xmlrpc",
)
# getservbyname(3) is asked for these; a minimal Debian has no such file.
SERVICES = "echo 7/tcp\necho 7/udp\ndaytime 13/tcp\ndomain 53/tcp\ndomain 53/udp\nhttp 80/tcp\n"


def excluded() -> dict[str, str]:
    """Return the reason for each pattern that is left out."""
    lines = EXCLUDED.read_text().splitlines()
    pairs = [line.split(maxsplit=1) for line in lines if line.strip() and line[0] != "#"]
    return {pair[0]: pair[1] for pair in pairs}


def run_tests(runtime: Runtime, tree: Path, modules: tuple[str, ...], limit: int) -> str:
    """Run test modules, two at a time; all may take `limit` seconds.  Return the output.

    The resource "network" is what tests of servers ask for; names of the internet are not looked up.
    """
    argv = ["python3", "-m", "test", "-j2", "-u", "network", "--timeout", str(limit)]
    for pattern in excluded():
        argv += ["--ignore", pattern]
    config = default_config([*argv, *modules])
    package = next(tree.glob("usr/lib/python3.*/test")).relative_to(tree)
    mount = {"type": "bind", "source": str(rootfs.python_tests()), "options": ["bind", "ro"]}
    config["mounts"].append({"destination": f"/{package}", **mount})
    with Bundle(runtime, tree, config) as bundle:
        (bundle.root / "etc/services").write_text(SERVICES)
        outcome = bundle.run(timeout=limit + 30)
    assert outcome.status == 0, outcome.describe()
    return outcome.out


@pytest.mark.guest
@pytest.mark.timeout(200)
def test_network_modules(runtime: Runtime, debian_rootfs: Path) -> None:
    output = run_tests(runtime, debian_rootfs, MODULES, 150)
    assert f"All {len(MODULES)} tests OK." in output


@pytest.mark.guest
@pytest.mark.long
@pytest.mark.timeout(900)
def test_long_modules(runtime: Runtime, debian_rootfs: Path) -> None:
    output = run_tests(runtime, debian_rootfs, LONG_MODULES, 800)
    assert "Tests result: SUCCESS" in output


def test_exclusions_have_reasons() -> None:
    assert all(excluded().values())
