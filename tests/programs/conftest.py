"""What is known not to work yet, with the reason; each line goes when its cause does."""

import pytest

KNOWN = {
    "test_a_hundred_runs_leave_nothing": "one run in a hundred ends early; the cause is not found",
    "test_python_program[signals_and_polling]": "pseudo-terminals are missing",
    "test_death_by_signal_is_128_plus_its_number": "abort(3) of pid 1 ends by SIGSEGV",
    "test_do_cannot_write_to_the_host": "`do` has a read-only root, not yet a memory overlay",
    "test_debian_tool[sqlite-locking]": "a lock is not handed over as natively",
    "test_debian_tool[other-ps]": "ps shows another width for pids",
    "test_busybox[tar_gzip_sha256sum]": "the order of names depends on the host's directory",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the cases that are known to fail."""
    for item in items:
        reason = KNOWN.get(item.name)
        if reason is not None:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=False))
