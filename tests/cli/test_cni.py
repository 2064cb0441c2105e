"""Networks that plugins of CNI make in hooks, as nerdctl does it."""

import json
import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.bundle import Bundle, Runtime
from tests.harness.netns import Namespace, namespaces

PLUGINS = Path("/usr/lib/cni")

pytestmark = [
    pytest.mark.root,
    pytest.mark.guest,
    pytest.mark.skipif(
        not (PLUGINS / "bridge").exists(), reason="containernetworking-plugins is not installed"
    ),
]

Make = Callable[..., Bundle]

# The state of a container comes on standard input (runtime.md).
HOOK = """#!/bin/sh
pid=$(sed 's/.*"pid": *\\([0-9]*\\).*/\\1/')
[ "$1" = ADD ] && netns=/proc/$pid/ns/net
CNI_COMMAND=$1 CNI_CONTAINERID=$2 CNI_NETNS=$netns CNI_IFNAME=eth0 CNI_PATH={plugins} \\
    {plugins}/bridge < {config}
"""


@pytest.fixture
def host() -> Iterator[Namespace]:
    """A namespace in which the runtime and the plugins run."""
    with namespaces(1) as (made,):
        yield made


@pytest.fixture
def hook(tmp_path: Path) -> Path:
    config = tmp_path / "bridge.conf"
    ipam = {"type": "host-local", "subnet": "10.66.0.0/24", "dataDir": str(tmp_path / "ipam")}
    ipam["routes"] = [{"dst": "0.0.0.0/0"}]
    settings = {"cniVersion": "0.4.0", "name": "test", "type": "bridge", "bridge": "cni0"}
    config.write_text(json.dumps({**settings, "isGateway": True, "ipam": ipam}))
    script = tmp_path / "hook"
    script.write_text(HOOK.format(plugins=PLUGINS, config=config))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


@pytest.fixture
def make(make_bundle: Make, busybox_rootfs: Path, hook: Path) -> Make:
    def make(script: str) -> Bundle:
        bundle = make_bundle(busybox_rootfs, ["/bin/sh", "-c", script])
        env = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
        bundle.config["hooks"] = {
            point: [{"path": str(hook), "args": ["hook", verb, bundle.id], "env": env}]
            for point, verb in (("createRuntime", "ADD"), ("poststop", "DEL"))
        }
        bundle.write()
        return bundle

    return make


def create(host: Namespace, runtime: Runtime, bundle: Bundle) -> int:
    """Create a container and start it; return its pid."""
    pid_file = bundle.path / "pid"
    with host.entered(), (bundle.path / "out").open("wb") as out:
        subprocess.run(
            [*runtime.command, "create", "--bundle", str(bundle.path), "--pid-file",
             str(pid_file), bundle.id],
            check=True, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=30,
        )  # fmt: skip
        runtime("start", bundle.id).check()
    return int(pid_file.read_text())


def test_containers_of_one_bridge_talk(
    host: Namespace, runtime: Runtime, make: Make, tmp_path: Path
) -> None:
    server = make("while :; do echo hello | nc -l -p 7000; done")
    pid = create(host, runtime, server)
    leases = tmp_path / "ipam" / "test"
    client = make(
        "for i in 1 2 3 4 5; do nc 10.66.0.2 7000 </dev/null && break; sleep 0.2; done;"
        "ip route | sed 's/ *$//'"
    )
    with host.entered():
        done = runtime("run", "--bundle", str(client.path), client.id).check()
    assert done.out.splitlines()[:2] == ["hello", "default via 10.66.0.1 dev eth0"]
    assert (leases / "10.66.0.2").exists()
    with host.entered():
        runtime("delete", "--force", server.id).check()
    os.waitpid(pid, 0)
    assert not list(leases.glob("10.66.*"))
    host.wait_until_gone("veth")
