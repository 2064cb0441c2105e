"""What /proc says of a host process; a pid alone is not an identity."""

import posix


def read_file(path: str) -> bytes:
    """Return the bytes of a file of /proc or of a cgroup; raise OSError."""
    host_fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        chunks: list[bytes] = []
        while chunk := posix.read(host_fd, 65536):
            chunks.append(chunk)
    finally:
        posix.close(host_fd)
    return b"".join(chunks)


def start_time(host_pid: int) -> int:
    """Return when a process started (proc(5) stat, field 22), or 0 when it is dead.

    A zombie counts as dead: its status only waits for the parent.
    """
    try:
        stat = read_file(f"/proc/{host_pid}/stat")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    fields = stat[stat.rfind(b")") + 2 :].split()
    if fields[0] in (b"Z", b"X"):
        return 0
    return int(fields[19])


def open_process(host_pid: int, started: int) -> int:
    """Return a pidfd of exactly that process; raise ProcessLookupError when it is gone."""
    pid_fd = posix.pidfd_open(host_pid)
    if start_time(host_pid) != started:
        posix.close(pid_fd)
        raise ProcessLookupError
    return pid_fd
