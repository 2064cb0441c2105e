"""What a guest does to its address space stays there, and gives it nothing of the host's."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.bundle import Bundle, Runtime, default_config
from tests.programs.compare import assert_same

Attacker = Callable[[str], Path]
pytestmark = pytest.mark.guest


def test_files_stay_as_they_are_opened(runtime: Runtime, attacker: Attacker) -> None:
    """madvise(2), mprotect(2), mremap(2) do not write where open(2) did not allow it."""
    assert_same(runtime, attacker("memory"), "memory")


def test_a_syscall_planted_where_the_stub_page_was(
    runtime: Runtime, attacker: Attacker, tmp_path: Path
) -> None:
    """The address is handed out in the end; what is called from there is a call as any other."""
    root = attacker("fill")
    assert_same(runtime, root, "fill")
    flags = [f"--debug-log={tmp_path}/", "--strace"]
    logged = Runtime(runtime.state, [runtime.command[0], *flags])
    with Bundle(logged, root, default_config(["/bin/fill"])) as bundle:
        bundle.run().check()
    text = "".join(path.read_text() for path in tmp_path.iterdir() if path.is_file())
    # Four pages, 256 addresses, in each of two processes: every one was seen.
    assert text.count("getuid()") >= 4 * 256 * 2
