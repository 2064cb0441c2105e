"""ELF files: headers, and the host calls that map their segments (elf(5))."""

from struct import Struct
from typing import Final

from sentry.abi.errno import EIO, ENOEXEC
from sentry.errors import SysError
from sentry.mm.io import KernelSink
from sentry.platform.interface import HostCall
from sentry.vfs.file import File

PAGE: Final = 4096
_EHDR: Final = Struct("<16sHHIQQQIHHHHHH")
_PHDR: Final = Struct("<IIQQQQQQ")

ET_EXEC: Final = 2
ET_DYN: Final = 3
EM_X86_64: Final = 62
PT_LOAD: Final = 1
PT_INTERP: Final = 3
PT_PHDR: Final = 6
PT_GNU_STACK: Final = 0x6474E551
PF_X: Final = 1
PF_W: Final = 2
PF_R: Final = 4
MAX_SEGMENTS: Final = 512  # 64 KiB of program headers is Linux's limit; fewer are mapped here
MAX_INTERP: Final = 4096
ADDRESS_LIMIT: Final = 1 << 47

PROT_READ: Final = 1
PROT_WRITE: Final = 2
PROT_EXEC: Final = 4
MAP_PRIVATE: Final = 0x02
MAP_FIXED: Final = 0x10
MAP_ANONYMOUS: Final = 0x20
SYS_MMAP: Final = 9


class Segment:
    """A PT_LOAD program header."""

    def __init__(self, flags: int, offset: int, address: int, filesz: int, memsz: int) -> None:
        self.flags = flags
        self.offset = offset
        self.address = address
        self.filesz = filesz
        self.memsz = memsz

    def prot(self) -> int:
        """Return the protection for mmap(2)."""
        prot = 0
        if self.flags & PF_R:
            prot |= PROT_READ
        if self.flags & PF_W:
            prot |= PROT_WRITE
        if self.flags & PF_X:
            prot |= PROT_EXEC
        return prot


class ElfImage:
    """What the headers of an executable or shared object say."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.is_position_independent = False
        self.entry = 0
        self.phnum = 0
        self.phdr_address = 0  # where the program headers are in memory, without the bias
        self.segments: list[Segment] = []
        self.interpreter: bytes | None = None
        self.wants_executable_stack = False
        self.alignment = PAGE

    def start(self) -> int:
        """Return the lowest address, on a page boundary."""
        return self.segments[0].address & -PAGE

    def end(self) -> int:
        """Return the end of the highest segment, on a page boundary."""
        last = self.segments[-1]
        return (last.address + last.memsz + PAGE - 1) & -PAGE


def read_at(file: File, size: int, offset: int) -> bytes:
    """Return up to `size` bytes of a program file."""
    sink = KernelSink(size)
    while sink.room:
        done = file.try_pread(sink, offset + len(sink.data))
        if not done:
            break
    return bytes(sink.data)


def parse_elf(file: File, head: bytes) -> ElfImage:
    """Return the image of `file`, whose first bytes are `head`; SysError(ENOEXEC) if it is none."""
    if len(head) < _EHDR.size or head[:4] != b"\x7fELF":
        raise SysError(ENOEXEC)
    fields = _EHDR.unpack_from(head)
    ident: bytes = fields[0]
    kind: int = fields[1]
    machine: int = fields[2]
    phoff: int = fields[5]
    phentsize: int = fields[9]
    phnum: int = fields[10]
    # 64-bit, little-endian, x86-64.
    if ident[4] != 2 or ident[5] != 1 or machine != EM_X86_64 or kind not in (ET_EXEC, ET_DYN):
        raise SysError(ENOEXEC)
    if phentsize != _PHDR.size or not 1 <= phnum <= MAX_SEGMENTS:
        raise SysError(ENOEXEC)
    image = ElfImage(file)
    image.is_position_independent = kind == ET_DYN
    image.entry = fields[4]
    image.phnum = phnum
    end = phoff + phnum * phentsize
    table = head[phoff:end] if end <= len(head) else read_at(file, phnum * phentsize, phoff)
    if len(table) < phnum * phentsize:
        raise SysError(ENOEXEC)
    _read_headers(image, table, phoff)
    return image


def _read_headers(image: ElfImage, table: bytes, phoff: int) -> None:
    for index in range(image.phnum):
        fields = _PHDR.unpack_from(table, index * _PHDR.size)
        kind: int = fields[0]
        flags: int = fields[1]
        offset: int = fields[2]
        address: int = fields[3]
        filesz: int = fields[5]
        memsz: int = fields[6]
        align: int = fields[7]
        if kind == PT_LOAD and memsz:
            _check_segment(image, offset, address, filesz, memsz)
            image.segments.append(Segment(flags, offset, address, filesz, memsz))
            if align & (align - 1) == 0 and PAGE < align <= 1 << 30:
                image.alignment = max(image.alignment, align)
            if offset <= phoff < offset + filesz and not image.phdr_address:
                image.phdr_address = address + phoff - offset
        elif kind == PT_INTERP:
            image.interpreter = _read_interpreter(image.file, offset, filesz)
        elif kind == PT_GNU_STACK:
            image.wants_executable_stack = bool(flags & PF_X)
    if not image.segments:
        raise SysError(ENOEXEC)


def _check_segment(image: ElfImage, offset: int, address: int, filesz: int, memsz: int) -> None:
    """Refuse what cannot be mapped: SysError(ENOEXEC)."""
    if filesz > memsz or address + memsz > ADDRESS_LIMIT or offset + filesz >= 1 << 62:
        raise SysError(ENOEXEC)
    if (offset ^ address) & (PAGE - 1):
        raise SysError(ENOEXEC)
    if image.segments:
        last = image.segments[-1]
        if address < last.address + last.memsz:
            raise SysError(ENOEXEC)


def _read_interpreter(file: File, offset: int, size: int) -> bytes:
    if not 2 <= size <= MAX_INTERP:
        raise SysError(ENOEXEC)
    text = read_at(file, size, offset)
    if len(text) != size:
        raise SysError(EIO)
    if text[-1] != 0:
        raise SysError(ENOEXEC)
    return text[: text.index(0)]


class Zeroes:
    """A piece of memory to be cleared after the mappings are made."""

    def __init__(self, address: int, size: int) -> None:
        self.address = address
        self.size = size


def map_image(
    image: ElfImage, bias: int, host_fd: int, calls: list[HostCall], zeroes: list[Zeroes]
) -> None:
    """Append the calls that map `image` at `bias`, and what is then to be cleared (the bss)."""
    for segment in image.segments:
        start = bias + (segment.address & -PAGE)
        slack = segment.address & (PAGE - 1)
        file_end = bias + segment.address + segment.filesz
        memory_end = (bias + segment.address + segment.memsz + PAGE - 1) & -PAGE
        prot = segment.prot()
        mapped_end = start
        if segment.filesz:
            size = segment.filesz + slack
            mapped_end = (start + size + PAGE - 1) & -PAGE
            calls.append(
                (
                    SYS_MMAP,
                    start,
                    size,
                    prot,
                    MAP_PRIVATE | MAP_FIXED,
                    host_fd,
                    segment.offset - slack,
                )
            )
            if segment.memsz > segment.filesz and segment.flags & PF_W and file_end < mapped_end:
                zeroes.append(Zeroes(file_end, mapped_end - file_end))
        if memory_end > mapped_end:
            flags = MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS
            calls.append((SYS_MMAP, mapped_end, memory_end - mapped_end, prot, flags, -1, 0))
