"""config.json files as engines wrote them: each is taken as it is."""

from pathlib import Path

import pytest

from config.jsontext import loads
from config.oci import Spec, read_spec
from sentry.abi.capability import NUMBERS

ENGINES = sorted((Path(__file__).parent / "engines").glob("*.json"))


def read(name: str) -> Spec:
    return read_spec(loads((Path(__file__).parent / "engines" / f"{name}.json").read_bytes()))


@pytest.mark.parametrize("path", ENGINES, ids=lambda path: path.stem)
def test_the_config_of_an_engine_is_read(path: Path) -> None:
    spec = read_spec(loads(path.read_bytes()))
    assert spec.process.args
    assert spec.process.capabilities is not None
    assert set(spec.process.capabilities.bounding) <= set(NUMBERS)
    assert "/proc" in [mount.destination for mount in spec.mounts]
    assert spec.linux.cgroups_path.startswith("/")
    assert spec.linux.namespace("mount") is not None


def test_docker() -> None:
    spec = read("docker-20.10")
    [hook] = spec.hooks.prestart
    assert (hook.path, hook.args[0]) == ("/proc/25079/exe", "libnetwork-setkey")
    assert spec.linux.resources.memory_limit is None  # Docker writes zeros for no limit
    assert spec.linux.seccomp is not None
    binds = [mount.destination for mount in spec.mounts if mount.is_bind]
    assert binds == ["/etc/resolv.conf", "/etc/hostname", "/etc/hosts"]
    terminal = read("docker-26.1-tty")
    assert terminal.process.terminal


def test_podman() -> None:
    spec = read("podman-4.3")
    assert spec.process.user.umask == 0o22
    assert [limit.kind for limit in spec.process.rlimits] == ["RLIMIT_NOFILE", "RLIMIT_NPROC"]
    assert spec.linux.resources.pids_limit == 2048


def test_kubernetes() -> None:
    spec = read("containerd-cri")
    assert spec.root.path == "rootfs"
    assert spec.annotations["io.kubernetes.cri.container-type"] == "container"
    network = spec.linux.namespace("network")
    assert network is not None
    assert network.path == "/proc/25253/ns/net"
    assert (spec.linux.resources.memory_limit, spec.linux.resources.cpu_quota) == (10**8, 50000)
    assert spec.process.oom_score_adj == 100
