"""`docker run`: what the program gets, what comes back; runc in the same daemon is the oracle."""

import os
import subprocess

import pytest


def test_output_and_errors_are_separate(shell):
    done = shell("echo out; echo err >&2")
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")


def test_input_reaches_the_program_with_its_end(docker):
    data = bytes(range(256)) * 4096
    assert docker.both("--", "cat", stdin=data).stdout == data


def test_a_megabyte_of_output_is_whole(docker):
    done = docker.both("--", "dd", "if=/dev/zero", "bs=1k", "count=1024", "status=none")
    assert done.stdout == bytes(1 << 20)


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("exit 0", 0),
        ("exit 3", 3),
        ("exec /etc/passwd", 126),
        ("exec /no/such", 127),
        ("sh -c 'kill -9 $$; true'; exit $?", 137),
        ("sh -c 'kill -TERM $$; true'; exit $?", 143),
        ("kill -9 $$; exit 5", 5),  # init is safe from its own signals
    ],
)
def test_exit_status(shell, script, status):
    assert shell(script).status == status


@pytest.mark.parametrize(
    ("program", "status", "message"),
    [
        ("nosuch", 127, 'exec: "nosuch": executable file not found in $PATH'),
        ("/no/such", 127, 'exec: "/no/such": stat /no/such: no such file or directory'),
        ("/etc/passwd", 126, 'exec: "/etc/passwd": permission denied'),
    ],
)
def test_a_program_that_cannot_run(docker, program, status, message):
    ours = docker.run("--", program)
    theirs = docker.run("--", program, runtime="runc")
    assert ours.status == theirs.status == status
    assert message in ours.err
    assert message in theirs.err
    assert "OCI runtime create failed: " in ours.err


def test_a_directory_is_no_program(docker):
    # runc 1.1 calls this "permission denied" and gets 126; Docker 20.10 knows no "is a directory".
    done = docker.run("--", "/etc")
    assert done.status == 126
    assert 'exec: "/etc": is a directory: permission denied' in done.err


def test_a_failed_start_leaves_the_name_usable(docker):
    name = docker.name()
    words = ["--runtime=runsc", "--network=none", "--name", name, "busybox"]
    assert docker("run", *words, "nosuch").status == 127
    assert docker.inspect(name, ".State.Status") == "created"
    assert docker("start", name).status == 1
    assert docker.daemon.container_cgroups() == []
    docker.ok("rm", name)
    assert docker("run", *words, "echo", "again").out == "again\n"


def test_environment(docker):
    done = docker.both("-e", "A=b c", "-e", "EMPTY=", "-h", "box", "--", "sh", "-c", "env | sort")
    assert "A=b c" in done.out.splitlines()


def test_working_directory(docker):
    assert docker.both("-w", "/usr/bin", "--", "pwd").out == "/usr/bin\n"
    # One that the image does not have is made.
    assert docker.both("-w", "/new/place", "--", "pwd").out == "/new/place\n"


@pytest.mark.parametrize("user", ["65534:65534", "nobody", "1234"])
def test_user(shell, user):
    shell("id -u; id -g; touch /root/x 2>/dev/null || echo refused; echo $HOME", "--user", user)


def test_home_of_an_image_without_accounts(shell, tmp_path):
    (tmp_path / "passwd").write_text("broken:\nother:x:7:7::/home/other:/bin/sh\nx:x:8:8:::\n")
    for user, home in (("7", "/home/other"), ("8", ""), ("9", "/")):
        flags = ["-v", f"{tmp_path}/passwd:/etc/passwd", "-u", f"{user}:0"]
        assert shell("echo $HOME", *flags).out == f"{home}\n"


def test_additional_groups(shell):
    assert "77" in shell("id -G; grep Groups /proc/self/status", "--group-add", "77").out


def test_read_only_root(shell):
    done = shell("touch /x; echo $?; touch /tmp/x; echo $?", "--read-only", "--tmpfs", "/tmp")
    assert done.out == "1\n0\n"


def test_bind_mounts(shell, docker, tmp_path):
    (tmp_path / "old").write_text("old\n")
    done = shell("cat /m/old; echo new >/m/new", "-v", f"{tmp_path}:/m")
    assert done.out == "old\n"
    assert (tmp_path / "new").read_text() == "new\n"
    done = shell("cat /m/old; echo more >/m/more", "-v", f"{tmp_path}:/m:ro")
    assert "Read-only file system" in done.err
    assert not (tmp_path / "more").exists()
    done = shell("wc -l </one; echo changed >/one; cat /one", "-v", f"{tmp_path}/new:/one")
    assert done.out == "1\nchanged\n"
    assert (tmp_path / "new").read_text() == "changed\n"


def test_volumes_keep_their_files(docker):
    volume = f"v{os.getpid()}"
    flags = ["-v", f"{volume}:/data"]
    docker.run(*flags, "--", "sh", "-c", "echo kept >/data/x").check()
    assert docker.both(*flags, "--", "cat", "/data/x").out == "kept\n"
    docker.ok("volume", "rm", volume)


def test_tmpfs(shell):
    script = "grep ' /t ' /proc/mounts | cut -d' ' -f1-3; stat -c %a /t; echo x >/t/x; cat /t/x"
    done = shell(script, "--tmpfs", "/t:size=1m,mode=1770")
    assert done.out == "tmpfs /t tmpfs\n1770\nx\n"


def test_hostname(shell):
    done = shell("hostname; cat /etc/hostname; uname -n; grep box /etc/hosts | wc -l", "-h", "box1")
    assert done.out.startswith("box1\nbox1\nbox1\n")


def test_domainname(shell):
    assert shell("cat /proc/sys/kernel/domainname", "--domainname", "example").out == "example\n"


def test_init(shell):
    done = shell("cat /proc/1/comm; echo $$ | grep -c -v '^1$'", "--init")
    assert done.out == "docker-init\n1\n"


@pytest.mark.parametrize("flags", [[], ["--cap-drop=ALL"], ["--cap-add=NET_ADMIN"], ["-u", "5"]])
def test_capabilities(shell, flags):
    done = shell("grep ^Cap /proc/self/status; chown 5 /etc/hosts 2>&1", *flags)
    assert "CapBnd" in done.out


def test_no_new_privileges(shell):
    script = "grep NoNewPrivs /proc/self/status"
    assert shell(script, "--security-opt=no-new-privileges").out == "NoNewPrivs:\t1\n"


def test_ulimits(shell):
    done = shell("ulimit -n; ulimit -Hn; ulimit -c", "--ulimit=nofile=100:200", "--ulimit=core=0")
    assert done.out == "100\n200\n0\n"


def test_limits_are_set_on_the_host(docker):
    flags = ["--memory=256m", "--pids-limit=200", "--cpus=1.5", "--cpu-shares=512"]
    name = docker.detach(*flags, "--oom-score-adj=100", "--", "sleep", "100")
    pid = docker.pid(name)
    with open(f"/proc/{pid}/cgroup", encoding="ascii") as file:
        places = {line.split(":")[1]: line.strip().split(":")[2] for line in file}
    values = {}
    for controller, limit in (
        ("memory", "memory.limit_in_bytes"),
        ("pids", "pids.max"),
        ("cpu", "cpu.cfs_quota_us"),
        ("cpu", "cpu.shares"),
    ):
        path = f"/sys/fs/cgroup/{controller}{places[controller]}/{limit}"
        with open(path, encoding="ascii") as file:
            values[limit] = int(file.read())
    assert list(values.values()) == [256 << 20, 200, 150000, 512]
    with open(f"/proc/{pid}/oom_score_adj", encoding="ascii") as file:
        assert file.read() == "100\n"


def test_privileged_is_accepted(docker):
    assert docker.run("--privileged", "--", "echo", "ran").check().out == "ran\n"


@pytest.mark.parametrize("option", ["--pid=host", "--ipc=host", "--uts=host", "--network=host"])
def test_the_namespaces_of_the_host_are_accepted(docker, option):
    done = docker("run", "--rm", "--runtime=runsc", option, "busybox", "echo", "ran")
    assert done.check().out == "ran\n"


def test_another_containers_namespaces(docker):
    name = docker.detach("--ipc=shareable", "--", "sleep", "100")
    flags = [f"--pid=container:{name}", f"--ipc=container:{name}"]
    done = docker("run", "--rm", "--runtime=runsc", *flags, "busybox", "echo", "ran")
    assert done.check().out == "ran\n"


def test_null_and_closed_standard_input(docker):
    done = docker.run("--", "sh", "-c", "cat; readlink /proc/self/fd/0", stdin=b"")
    assert done.status == 0
    words = docker.daemon.command("run", "--rm", "--runtime=runsc", "--network=none", "busybox")
    env = {"HOME": str(docker.daemon.run)}
    done = subprocess.run([*words, "cat"], capture_output=True, timeout=30, check=True, env=env)
    assert done.stdout == b""


def test_runtime_arguments_come_before_the_flags_of_docker(docker):
    assert docker.run("--", "echo", "ran", runtime="runsc-args").out == "ran\n"
    commands = {path.name.split(".")[4] for path in docker.daemon.debug_logs.iterdir()}
    assert commands >= {"create", "start", "delete"}
