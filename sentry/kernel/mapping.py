"""What an address space remembers of mapped files."""

from sentry.kernel.address_space import AddressSpace, MappedFile
from sentry.platform.hostfiles import host_identity
from sentry.vfs.file import File


def note_mapping(mm: AddressSpace, file: File, host_fd: int) -> None:
    """Remember which guest file the pages of a host descriptor belong to.

    Called when `file` is mapped, so that /proc/PID/maps can name it.
    """
    if host_fd < 0:
        return
    identity = host_identity(host_fd)
    if identity not in mm.mapped_files:
        mm.mapped_files[identity] = MappedFile(file)
