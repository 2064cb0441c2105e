"""/proc/PID/maps: the host's map of the stub, with the guest's names (proc_pid_maps(5))."""

from sentry.kernel.address_space import MappedFile
from sentry.kernel.task import Task
from sentry.vfs.path import path_bytes

_KEPT = (b"[heap]", b"[stack]", b"[vdso]", b"[vvar]", b"[vvar_vclock]", b"[vsyscall]")


def guest_maps(task: Task) -> bytes:
    """Return the text of /proc/PID/maps."""
    mapped = task.mm.mapped_files
    lines: list[bytes] = []
    for line in task.memory.host_maps().splitlines():
        fields = line.split(None, 5)
        head = b" ".join(fields[:3])
        name = fields[5] if len(fields) > 5 else b""
        if fields[4] == b"0":
            shown = name if name in _KEPT else b""
            lines.append(_line(head, b"00:00", b"0", shown))
            continue
        major, _, minor = fields[3].partition(b":")
        key = (_device(int(major, 16), int(minor, 16)), int(fields[4]))
        file = mapped.get(key)
        if file is None:
            # Shared anonymous memory is a file of the host's own.
            lines.append(_line(head, b"00:01", fields[4], b"/dev/zero (deleted)"))
        else:
            lines.append(_file_line(task, head, file))
    return b"".join(lines)


def _device(major: int, minor: int) -> int:
    """Return st_dev as the C library composes it (makedev(3))."""
    return minor & 0xFF | (major & 0xFFF) << 8 | (minor & ~0xFF) << 12 | (major & ~0xFFF) << 32


def _file_line(task: Task, head: bytes, file: MappedFile) -> bytes:
    name = file.description
    if file.path is not None:
        name = path_bytes(file.path, task.fs.root)
    device = number = 0
    if file.inode is not None:
        device, number = file.inode.key()
    shown = b"%02x:%02x" % (device >> 8 & 0xFFF, device & 0xFF)
    return _line(head, shown, b"%d" % number, name)


def _line(head: bytes, device: bytes, number: bytes, name: bytes) -> bytes:
    text = head + b" " + device + b" " + number
    if name:
        text = text.ljust(73) + name.replace(b"\n", b"\\012")
    return text + b"\n"
