"""The virtual machine of `make test-vm`, as far as it goes without one."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from scripts import vm


def make_kernel(directory: Path) -> vm.Kernel:
    (directory / "boot").mkdir()
    (directory / "boot" / "vmlinuz-1.2").write_bytes(b"kernel")
    return vm.Kernel(directory)


def test_an_archive_as_cpio_reads_it(tmp_path: Path) -> None:
    files = {
        "bin": (0o040755, b""),
        "bin/program": (0o100755, b"#!/bin/sh\n"),
        "bin/link": (0o120777, b"program"),
    }
    argv = ["busybox", "cpio", "-i"]
    subprocess.run(argv, cwd=tmp_path, input=vm.cpio(files), check=True, capture_output=True)
    assert (tmp_path / "bin" / "program").read_bytes() == b"#!/bin/sh\n"
    assert os.access(tmp_path / "bin" / "program", os.X_OK)
    assert (tmp_path / "bin" / "link").readlink() == Path("program")


def test_the_command_as_a_shell_reads_it(tmp_path: Path) -> None:
    words = ["printf", "%s|", "one", "two words", "$HOME", "it's", "*"]
    script = vm.script_of(words, Path("/a b"), make_kernel(tmp_path), [Path("/x")])
    # As scripts/vm_init.sh does it.
    shell = f'{script}\ncd /; sh -c "exec $command"; printf %s "$directory"'
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True)
    assert done.stdout == "one|two words|$HOME|it's|*|/a b"


def test_a_machine_that_is_late_is_ended(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    argv = ["sh", "-c", f"echo $$ > {pid_file}; exec sleep 100"]
    began = time.monotonic()
    assert not vm.boot(argv, 0.5)
    assert time.monotonic() - began < 20
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_a_machine_that_ends() -> None:
    assert vm.boot(["true"], 20)


def test_a_kernel_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(vm.VmError, match="has 0 kernels"):
        vm.Kernel(tmp_path)
