"""The sentry's overlays beside overlayfs of the host's kernel: the same changes, the same tree."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.bundle import Bundle, Runtime, default_config
from tests.harness.native import native
from tests.harness.outcome import run
from tests.harness.tree import Overlay
from tests.programs.compare import difference

PROGRAMS = Path(__file__).parent / "overlay"


def make_tree(top: Path) -> None:
    """Fill a directory with one of everything; names are those of random_changes.py."""
    for name in ("a/b/c", "b/d", "c/empty", "d/a/a", "empty"):
        (top / name).mkdir(parents=True)
    for index, name in enumerate(("f", "a/f", "a/b/g", "a/b/c/f", "b/d/f", "d/a/a/g", "hard1")):
        (top / name).write_bytes(name.encode() * (index + 1))
    with (top / "big").open("wb") as file:
        file.seek(3 << 20)
        file.write(b"end")
    os.link(top / "hard1", top / "b/hard2")
    os.link(top / "hard1", top / "hard2")
    (top / "link").symlink_to("a/f")
    (top / "c/link").symlink_to("nowhere")
    os.mkfifo(top / "fifo")
    (top / "a/f").chmod(0o4755)
    os.chown(top / "a/b/g", 1000, 1000)
    (top / "c").chmod(0o1777)
    os.setxattr(top / "f", "user.k", b"below")
    os.setxattr(top / "a", "user.k", b"below")
    for path in (top / "f", top / "a/b"):
        os.utime(path, ns=(10**18, 10**18))


@pytest.fixture
def lower(tmp_path: Path) -> Iterator[Path]:
    """Return a tree, and fail if it was changed at the end."""
    tree = tmp_path / "lower"
    tree.mkdir()
    make_tree(tree)
    listing = ["find", str(tree), "-printf", "%p %y %m %s %n %u %T@ %C@\\n"]
    before = sorted(subprocess.check_output(listing, text=True).splitlines())
    yield tree
    assert sorted(subprocess.check_output(listing, text=True).splitlines()) == before


def in_overlay(
    runtime: Runtime, rootfs: Path, lower: Path, argv: list[str], program: Path
) -> Bundle:
    """Return a bundle that has `lower` at /lower, under an overlay, and the program at /program."""
    config = default_config(argv)
    for source, target, options in (
        (lower, "/lower", ["rbind"]),
        (program, "/program", ["rbind", "ro"]),
    ):
        config["mounts"].append(
            {"destination": target, "type": "bind", "source": str(source), "options": options}
        )
    state = Runtime(runtime.state)
    state.command = [*runtime.command, "--overlay2=all:memory"]
    return Bundle(state, rootfs, config)


def compare(runtime: Runtime, rootfs: Path, lower: Path, name: str, *arguments: str) -> None:
    """Run a program of `overlay/` over the tree in both worlds."""
    program = PROGRAMS / name
    with Overlay(lower) as merged:
        expected = run([sys.executable, str(program), str(merged), *arguments]).check()
    argv = ["/usr/bin/python3", "/program", "/lower", *arguments]
    with in_overlay(runtime, rootfs, lower, argv, program) as bundle:
        actual = bundle.run(timeout=120)
    problems = difference("stderr", expected.err, actual.err)
    problems += difference("stdout", expected.out, actual.out)
    assert not problems, "\n".join(problems)


@pytest.mark.guest
@pytest.mark.parametrize("seed", range(5))
def test_random_changes(runtime: Runtime, debian_rootfs: Path, lower: Path, seed: int) -> None:
    compare(runtime, debian_rootfs, lower, "random_changes.py", str(seed), "400")


@pytest.mark.guest
def test_a_root_in_memory(runtime: Runtime, debian_rootfs: Path) -> None:
    """Programs of a container whose root is only read: everything is writable, nothing is written."""
    script = """
        set -e; stat -f -c %T /; grep ' / ' /proc/mounts | cut -d' ' -f3; echo x >> /etc/passwd
        tail -n 1 /etc/passwd; cd /usr; mv share/doc /doc; rm -r lib/python3*; ls -d lib/python3* 2>&1 || true
        ls /doc | wc -l; cp -a /doc /doc2; diff -r --no-dereference /doc /doc2; sed -i s/x/y/ /etc/passwd; tail -n 1 /etc/passwd
        mkdir /a /a/b; mv /a /etc/a; ls /etc/a; ln /etc/passwd /p; stat -c %h /p; chown 7 /bin/ls; stat -c %u /bin/ls
        find / -xdev -name '.wh*' -o -xdev -type c | wc -l
    """
    expected = native(debian_rootfs, ["/bin/sh", "-c", script]).check().out
    listing = ["find", str(debian_rootfs), "-printf", "%p %y %m %s %n %u %T@ %C@\\n"]
    before = subprocess.check_output(listing)
    config = default_config(["/bin/sh", "-c", script])
    state = Runtime(runtime.state)
    state.command = [*runtime.command, "--overlay2=root:memory"]
    with Bundle(state, debian_rootfs, config) as bundle:
        bundle.config["root"]["path"] = str(debian_rootfs)
        bundle.write()
        outcome = bundle.run(timeout=120)
    assert outcome.err == ""
    assert outcome.check().out == expected
    assert subprocess.check_output(listing) == before
