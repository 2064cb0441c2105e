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


def mount_point_of(path: str) -> str:
    """Return where the file system of a directory is mounted; raise OSError."""
    host_fd = posix.open(path, posix.O_PATH | posix.O_CLOEXEC)
    try:
        info = read_file(f"/proc/self/fdinfo/{host_fd}").decode()
    finally:
        posix.close(host_fd)
    mount_id = info.partition("mnt_id:")[2].split()[0]
    for line in read_file("/proc/self/mountinfo").splitlines():
        fields = line.split(b" ")
        if fields[0] == mount_id.encode():
            return unescape(fields[4])
    return "/"


def unescape(text: bytes) -> str:
    """Return a path of proc_pid_mountinfo(5), where blanks and backslashes are octal numbers."""
    first, *rest = text.split(b"\\")
    plain = first + b"".join(bytes([int(part[:3], 8)]) + part[3:] for part in rest)
    return plain.decode("utf-8", "surrogateescape")
