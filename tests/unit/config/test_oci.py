"""Reading config.json: the shapes that callers write, and errors that name the field."""

import copy
import json

import pytest

from config.bundle import BundleError, load_process, load_spec
from config.decode import FieldError
from config.oci import read_spec

# The shape that a container engine writes, with its zeros and its nulls.
ENGINE = {
    "ociVersion": "1.0.2-dev",
    "process": {
        "user": {"uid": 0, "gid": 0, "additionalGids": [0, 10]},
        "args": ["sh", "-c", "true"],
        "env": ["PATH=/bin", "HOSTNAME=box"],
        "cwd": "/",
        "capabilities": {"bounding": ["CAP_CHOWN"], "effective": None},
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 18446744073709551615}],
        "oomScoreAdj": 0,
    },
    "root": {"path": "rootfs"},
    "hostname": "box",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid"]},
        {"destination": "/etc/hosts", "type": "bind", "source": "hosts", "options": ["rbind"]},
    ],
    "hooks": {"prestart": [{"path": "/proc/1/exe", "args": ["set-key", "x"]}]},
    "linux": {
        "sysctl": {"net.ipv4.ping_group_range": "0 2147483647"},
        "resources": {
            "devices": [{"allow": False, "access": "rwm"}],
            "memory": {"limit": 67108864, "disableOOMKiller": False},
            "cpu": {"shares": 0},
            "blockIO": {"weight": 0},
        },
        "cgroupsPath": "/engine/box",
        "namespaces": [{"type": "mount"}, {"type": "network", "path": "/run/netns/x"}],
        "seccomp": {"defaultAction": "SCMP_ACT_ERRNO"},
        "maskedPaths": ["/proc/kcore"],
        "somethingNew": {"x": 1},
    },
    "somethingElse": [],
}


def changed(path, value):
    document = copy.deepcopy(ENGINE)
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return document


def test_an_engines_bundle_is_read():
    spec = read_spec(ENGINE)
    assert spec.process.args == ["sh", "-c", "true"]
    assert spec.process.user.additional_gids == [0, 10]
    assert spec.process.capabilities.bounding == ["CAP_CHOWN"]
    assert spec.process.capabilities.effective == []
    assert spec.process.rlimits[0].hard == 2**64 - 1
    assert [mount.is_bind for mount in spec.mounts] == [False, True]
    assert spec.linux.namespace("network").path == "/run/netns/x"
    assert spec.linux.namespace("ipc") is None
    assert spec.linux.resources.memory_limit == 67108864
    assert spec.linux.resources.cpu_shares is None  # 0 is "not asked for"
    assert spec.hooks.prestart[0].args[0] == "set-key"
    assert spec.linux.seccomp == {"defaultAction": "SCMP_ACT_ERRNO"}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("process",), None, "process: is missing"),
        (("process", "args"), [], "process.args: is missing or empty"),
        (("process", "args"), "sh", "process.args: expected a list, got a string"),
        (("process", "args", 0), 1, "process.args[0]: expected a string, got a number"),
        (("process", "args", 0), "", "process.args[0]: is empty"),
        (("process", "args", 1), "a\0b", "process.args[1]: has a NUL character"),
        (("process", "args", 1), "\ud800", "process.args[1]: is not Unicode text"),
        (("process", "cwd"), "tmp", "process.cwd: 'tmp' is not an absolute path"),
        (("process", "user", "uid"), -1, "process.user.uid: -1 is not in 0..4294967294"),
        (("process", "user", "uid"), True, "process.user.uid: expected a whole number"),
        (("process", "terminal"), 1, "process.terminal: expected a boolean, got a number"),
        (("root",), [], "root: expected an object, got a list"),
        (("root", "path"), None, "root.path: is missing"),
        (("mounts", 1, "source"), None, "mounts[1].source: a bind mount needs a source"),
        (("mounts", 0), 3, "mounts[0]: expected an object, got a number"),
        (("linux", "namespaces", 0, "type"), "x", "linux.namespaces[0].type: unknown namespace"),
        (("linux", "namespaces", 1), {"type": "mount"}, "linux.namespaces[1]: namespace 'mount'"),
        (("hooks", "prestart", 0, "path"), "x", "hooks.prestart[0].path: 'x' is not an absolute"),
    ],
)
def test_an_error_names_the_field(path, value, message):
    with pytest.raises(FieldError) as caught:
        read_spec(changed(path, value))
    assert str(caught.value).startswith(message)


def test_paths_of_a_bundle_are_made_absolute(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(ENGINE))
    spec = load_spec(str(tmp_path))
    assert spec.root.path == f"{tmp_path}/rootfs"
    assert spec.mounts[1].source == f"{tmp_path}/hosts"
    assert spec.mounts[0].source == "proc"


def test_a_missing_or_bad_bundle_says_so_without_words_that_callers_misread(tmp_path):
    with pytest.raises(BundleError, match=r"has no config\.json"):
        load_spec(str(tmp_path))
    (tmp_path / "config.json").write_text('{"a":')
    with pytest.raises(BundleError, match=r"config\.json: .* at line 1 column"):
        load_spec(str(tmp_path))


def test_a_process_file_is_read(tmp_path):
    path = tmp_path / "process"
    path.write_text(json.dumps(ENGINE["process"]))
    process, document = load_process(str(path))
    assert process.env == document["env"]


def test_the_last_of_ro_and_rw_counts():
    spec = read_spec(changed(("mounts", 1, "options"), ["ro", "rw", "rro"]))
    assert spec.mounts[1].is_readonly
