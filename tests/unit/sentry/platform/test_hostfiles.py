"""What the sentry's own stat calls tell, beside the interpreter's."""

import os
from pathlib import Path

import pytest

from sentry.errors import SysError
from sentry.platform import hostfiles

FIELDS = ("dev", "ino", "nlink", "mode", "uid", "gid", "rdev", "size", "blksize", "blocks")
TIMES = ("atime_ns", "mtime_ns", "ctime_ns")


def fields(found: object) -> list[int]:
    """Return all that a stat result and a HostStat both have."""
    return [getattr(found, f"st_{name}") for name in FIELDS + TIMES]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return a directory with a file, a symbolic link, a FIFO and a file from before 1970."""
    (tmp_path / "file").write_bytes(b"x" * 5000)
    os.utime(tmp_path / "file", ns=(1_234_567_890_123_456_789, 987_654_321))
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "old").touch()
    os.utime(tmp_path / "old", ns=(-1, -1_500_000_000))
    return tmp_path


@pytest.mark.parametrize("name", ["file", "link", "fifo", "old"])
def test_stat_at_is_what_the_interpreter_says(directory: Path, name: str) -> None:
    dir_fd = os.open(directory, os.O_PATH)
    try:
        found = hostfiles.stat_at(dir_fd, name.encode())
        assert found is not None
        assert fields(found) == fields(os.stat(directory / name, follow_symlinks=False))
        assert hostfiles.stat_at(dir_fd, b"missing") is None
    finally:
        os.close(dir_fd)


def test_stat_fd_is_what_the_interpreter_says(directory: Path) -> None:
    fd = os.open(directory / "file", os.O_RDONLY)
    try:
        assert fields(hostfiles.stat_fd(fd)) == fields(os.fstat(fd))
    finally:
        os.close(fd)
    with pytest.raises(SysError):
        hostfiles.stat_fd(-1)


def test_errors_are_the_hosts(directory: Path) -> None:
    fd = os.open(directory / "file", os.O_RDONLY)
    try:
        with pytest.raises(SysError) as caught:
            hostfiles.stat_at(fd, b"below")
        assert caught.value.errno == 20  # ENOTDIR
    finally:
        os.close(fd)


def test_open_file_opens_what_it_is_and_nothing_else(directory: Path) -> None:
    dir_fd = os.open(directory, os.O_PATH)
    try:
        host_fd = hostfiles.open_file(dir_fd, b"new", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o640)
        assert os.fstat(host_fd).st_mode & 0o777 == 0o640 & ~current_umask()
        assert not os.get_inheritable(host_fd)
        hostfiles.close(host_fd)
        for name, errno in ((b"link", 40), (b"missing", 2), (b"n" * 256, 36)):
            with pytest.raises(SysError) as raised:
                hostfiles.open_file(dir_fd, name, os.O_RDONLY)
            assert raised.value.errno == errno
        with pytest.raises(SysError) as raised:
            hostfiles.open_subdirectory(dir_fd, b"file")
        assert raised.value.errno == 20
    finally:
        os.close(dir_fd)


def test_closing_what_is_not_open_is_a_bug_of_ours() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    hostfiles.close(reading)
    with pytest.raises(OSError, match="not open"):
        hostfiles.close(reading)


def current_umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask
