"""Podman's pods and `--network container:X`: several containers in one sandbox."""

from tests.harness.bundle import RUNSC
from tests.harness.outcome import run
from tests.podman.test_network import ASK, SERVER, serve

LOCAL = ASK.format("127.0.0.1")


def test_the_network_of_another_container(podman):
    name = serve(podman, runtime=str(RUNSC))
    flags = ["--network", f"container:{name}"]
    assert podman.run(*flags, "--", "sh", "-c", LOCAL) == "hello from server\n"
    shown = ("sh", "-c", "ip addr; ip route")
    assert podman.run(*flags, "--", *shown) == podman.ok("exec", name, *shown)
    second = podman.detach(
        *flags, "--", "sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.1; done"
    )
    assert "nc" not in podman.ok("exec", second, "ps")
    podman.ok("stop", second)
    assert podman.ok("inspect", "--format", "{{.State.ExitCode}}", second) == "5\n"
    podman.ok("rm", "-f", "-t", "0", second)
    assert podman.ok("exec", name, "echo", "alive") == "alive\n"


def test_a_pod_of_two(podman, world):
    podman.ok(
        *("pod", "create", "--name", "pod", "-p", "7900:7000", "--infra-image", "busybox"),
        *("--infra-command", "/catatonit -P", "--cgroup-parent", f"/{world.cgroup}"),
    )
    parent = ("--cgroup-parent", f"/{world.cgroup}")  # of conmon, too
    server = ("run", "-d", *parent, "--pod", "pod", "--name", "server", "busybox")
    podman.ok(*server, "sh", "-c", SERVER)
    script = ASK.format("10.88.0.1").replace("7000", "7900")
    got = run(world.inside("busybox", "sh", "-c", script)).check().out
    assert got.startswith("hello from ")
    words = ["run", "--rm", *parent, "--pod", "pod", "busybox", "sh", "-c"]
    assert podman.ok(*words, LOCAL) == got
    assert podman(*words, "exit 4").status == 4
    assert podman.ok(*words, "echo $$; set -- /proc/[0-9]*; echo $#").split() == ["1", "1"]
    podman.ok("stop", "-t", "0", "server")
    assert podman.ok("inspect", "--format", "{{.State.ExitCode}}", "server") == "137\n"
    assert podman.ok(*words, "ip -4 addr | grep -c eth0").strip() != "0"
