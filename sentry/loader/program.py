"""Loads a program: `#!` scripts, the ELF interpreter, address space layout, first stack.

`Opener` finds files by name in the caller's view; this module knows no paths.
Everything that can go wrong does so before anything of the caller is changed.
"""

from typing import Final

from mypy_extensions import mypyc_attr

from sentry.abi import elf as auxv
from sentry.abi.errno import E2BIG, EINVAL, ELIBBAD, ELOOP, ENOEXEC, ENOMEM
from sentry.errors import SysError
from sentry.kernel.address_space import AddressSpace
from sentry.kernel.kernel import KernelPart
from sentry.kernel.mapping import note_mapping
from sentry.loader.elf import (
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    PAGE,
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
    SYS_MMAP,
    ElfImage,
    Zeroes,
    map_image,
    parse_elf,
    read_at,
)
from sentry.loader.stack import InitialStack
from sentry.platform.hostinfo import HostInfo, random_bytes
from sentry.platform.interface import GuestThread, HostCall, MemoryLayout, Platform
from sentry.vfs.creds import Credentials
from sentry.vfs.file import File

HEAD_SIZE: Final = 4096  # read first; has ELF header and program headers of most files
SCRIPT_HEAD: Final = 256  # BINPRM_BUF_SIZE, linux/binfmts.h
MAX_SCRIPTS: Final = 5  # interpreters that are scripts themselves, execve(2)
MAX_STRING: Final = 131072  # MAX_ARG_STRLEN
MAP_NORESERVE: Final = 0x4000
MAP_STACK: Final = 0x20000
PROT_RW: Final = PROT_READ | PROT_WRITE

# Where things go (x86-64, arch/x86/mm/mmap.c and fs/binfmt_elf.c have Linux's rules).
TASK_SIZE: Final = 0x7FFF_FFFF_F000
STACK_RANDOM_PAGES: Final = 1 << 21  # 8 GiB below the top
PIE_BASE: Final = TASK_SIZE // 3 * 2 & -PAGE
PIE_RANDOM_PAGES: Final = 1 << 28
INTERPRETER_BASE: Final = 0x7000_0000_0000
INTERPRETER_RANDOM_PAGES: Final = 1 << 30  # 4 TiB, well below what mmap(2) hands out
BRK_RANDOM_PAGES: Final = 1 << 13  # 32 MiB above the bss
MAX_STACK: Final = 64 << 20


@mypyc_attr(allow_interpreted_subclasses=True)
class Opener:
    """Opens programs by name, as the task that executes sees them."""

    def open_program(self, name: bytes) -> File:
        """Return the file, acquired; SysError as open(2) for execution has it (EACCES, ENOENT)."""
        raise NotImplementedError


class Program:
    """What to execute, and what became of it."""

    def __init__(self, file: File, name: bytes, args: list[bytes], env: list[bytes]) -> None:
        self.file = file  # acquired; the script first, then its interpreter
        self.name = name  # AT_EXECFN
        self.args = args
        self.env = env
        self.creds = Credentials()  # after the execve(2), for the auxiliary vector
        self.is_secure = False
        self.stack_limit = 8 << 20
        self.origin = 0  # of the platform's: what its host process is a copy of


class Loaded:
    """A fresh address space that is ready to run."""

    def __init__(self, thread: GuestThread, mm: AddressSpace) -> None:
        self.thread = thread
        self.mm = mm


class Loader(KernelPart):
    """Makes address spaces out of programs."""

    def __init__(self, platform: Platform, host: HostInfo) -> None:
        self._platform = platform
        self._host = host

    def load(self, program: Program, opener: Opener) -> Loaded:
        """Return a stopped thread at the entry of `program`.

        SysError(ENOEXEC) for what is no program, ELIBBAD for a bad
        interpreter, E2BIG for arguments that do not fit, ENOMEM, and what
        `opener` raises.  `program.file` is dropped in the end.
        """
        files = [program.file]
        try:
            head = self._resolve_scripts(program, opener, files)
            image = parse_elf(program.file, head)
            interpreter: ElfImage | None = None
            if image.interpreter is not None:
                file = opener.open_program(image.interpreter)
                files.append(file)
                interpreter = _parse_interpreter(file)
            return self._map(program, image, interpreter)
        finally:
            for file in files:
                file.drop()

    def _resolve_scripts(self, program: Program, opener: Opener, files: list[File]) -> bytes:
        """Follow `#!` lines; return the first bytes of the ELF file."""
        for _ in range(MAX_SCRIPTS + 1):
            head = read_at(program.file, HEAD_SIZE, 0)
            if head[:2] != b"#!":
                return head
            interpreter, argument = parse_script(head[:SCRIPT_HEAD])
            extra = [interpreter] if argument is None else [interpreter, argument]
            program.args = [*extra, program.name, *program.args[1:]]
            program.file = opener.open_program(interpreter)
            files.append(program.file)
            program.name = interpreter
        raise SysError(ELOOP)

    def _map(self, program: Program, image: ElfImage, interpreter: ElfImage | None) -> Loaded:
        calls: list[HostCall] = []
        zeroes: list[Zeroes] = []
        bias = _place(image, PIE_BASE, PIE_RANDOM_PAGES) if image.is_position_independent else 0
        if image.is_position_independent and interpreter is None:
            # A static PIE (or the dynamic loader itself) stays away from the brk area.
            bias = _place(image, INTERPRETER_BASE, INTERPRETER_RANDOM_PAGES)
        map_image(
            image, bias, image.file.mmap_host_fd(PROT_READ | PROT_EXEC, MAP_PRIVATE), calls, zeroes
        )
        interpreter_bias = 0
        entry = bias + image.entry
        if interpreter is not None:
            if interpreter.is_position_independent:
                interpreter_bias = _place(interpreter, INTERPRETER_BASE, INTERPRETER_RANDOM_PAGES)
            host_fd = interpreter.file.mmap_host_fd(PROT_READ | PROT_EXEC, MAP_PRIVATE)
            map_image(interpreter, interpreter_bias, host_fd, calls, zeroes)
            entry = interpreter_bias + interpreter.entry

        top = TASK_SIZE - _random_pages(STACK_RANDOM_PAGES) * PAGE
        stack = InitialStack(top - PAGE, program.name, program.args, program.env)
        contents = stack.build(
            random_bytes(16), self._auxiliary(program, image, bias, interpreter_bias, entry)
        )
        size = min(max(program.stack_limit, PAGE * 32), MAX_STACK) & -PAGE
        if len(contents) > size * 3 // 4:
            raise SysError(E2BIG)
        prot = PROT_RW | PROT_EXEC if image.wants_executable_stack else PROT_RW
        flags = MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK
        calls.append((SYS_MMAP, top - size, size, prot, flags, -1, 0))

        layout = _layout(image, bias, stack)
        thread = self._platform.load(calls, layout, program.origin)
        try:
            return self._finish(program, thread, stack, contents, zeroes, image, interpreter, entry)
        except SysError as error:
            thread.kill()
            raise SysError(ENOMEM if error.errno == EINVAL else error.errno) from None

    def _finish(
        self,
        program: Program,
        thread: GuestThread,
        stack: InitialStack,
        contents: bytes,
        zeroes: list[Zeroes],
        image: ElfImage,
        interpreter: ElfImage | None,
        entry: int,
    ) -> Loaded:
        """Fill stack and bss, set the registers."""
        memory = thread.memory
        for piece in zeroes:
            memory.write(piece.address, bytes(piece.size))
        memory.write(stack.sp, contents)
        regs = thread.registers()
        regs.rip = entry
        regs.rsp = stack.sp
        regs.rax = regs.rbx = regs.rcx = regs.rdx = regs.rsi = regs.rdi = regs.rbp = 0
        regs.r8 = regs.r9 = regs.r10 = regs.r11 = regs.r12 = regs.r13 = regs.r14 = regs.r15 = 0
        regs.fs_base = regs.gs_base = 0
        regs.eflags = 0x202
        thread.set_registers(regs)

        mm = AddressSpace(memory)
        mm.executable = program.file.path
        mm.arg_start, mm.arg_end = stack.arg_start, stack.arg_end
        mm.env_start, mm.env_end = stack.env_start, stack.env_end
        mm.start_stack = stack.sp
        mm.auxv = stack.auxv
        note_mapping(mm, image.file, image.file.host_fd())
        if interpreter is not None:
            note_mapping(mm, interpreter.file, interpreter.file.host_fd())
        return Loaded(thread, mm)

    def _auxiliary(
        self, program: Program, image: ElfImage, bias: int, interpreter_bias: int, entry: int
    ) -> list[tuple[int, int]]:
        """Return the auxiliary vector, but for what points into the stack."""
        creds = program.creds
        host = self._host
        del entry  # AT_ENTRY is the program's, also with an interpreter
        return [
            (auxv.AT_SYSINFO_EHDR, self._platform.vdso_address()),
            (auxv.AT_MINSIGSTKSZ, host.auxiliary_value(auxv.AT_MINSIGSTKSZ)),
            (auxv.AT_HWCAP, host.auxiliary_value(auxv.AT_HWCAP)),
            (auxv.AT_PAGESZ, PAGE),
            (auxv.AT_CLKTCK, 100),
            (auxv.AT_PHDR, bias + image.phdr_address),
            (auxv.AT_PHENT, 56),
            (auxv.AT_PHNUM, image.phnum),
            (auxv.AT_BASE, interpreter_bias),
            (auxv.AT_FLAGS, 0),
            (auxv.AT_ENTRY, bias + image.entry),
            (auxv.AT_UID, creds.uid),
            (auxv.AT_EUID, creds.euid),
            (auxv.AT_GID, creds.gid),
            (auxv.AT_EGID, creds.egid),
            (auxv.AT_SECURE, 1 if program.is_secure else 0),
            (auxv.AT_HWCAP2, host.auxiliary_value(auxv.AT_HWCAP2)),
        ]


def parse_script(head: bytes) -> tuple[bytes, bytes | None]:
    """Return interpreter and optional argument of a `#!` line; SysError(ENOEXEC) if there is none.

    Everything after the interpreter is one argument, as Linux has it (execve(2)).
    """
    line, newline, _ = head[2:].partition(b"\n")
    text = line.partition(b"\0")[0]
    stripped = text.strip(b" \t")
    interpreter = stripped.split(b" ", 1)[0].split(b"\t", 1)[0]
    if not interpreter:
        raise SysError(ENOEXEC)
    if not newline and len(head) >= SCRIPT_HEAD and len(interpreter) == len(text.lstrip(b" \t")):
        raise SysError(ENOEXEC)  # the interpreter's name is cut
    argument = stripped[len(interpreter) :].strip(b" \t")
    return interpreter, argument or None


def _parse_interpreter(file: File) -> ElfImage:
    try:
        image = parse_elf(file, read_at(file, HEAD_SIZE, 0))
    except SysError:
        raise SysError(ELIBBAD) from None
    return image


def _random_pages(limit: int) -> int:
    return int.from_bytes(random_bytes(8), "little") % limit


def _place(image: ElfImage, base: int, random_pages: int) -> int:
    """Return a random bias for a position-independent image."""
    address = base + _random_pages(random_pages) * PAGE
    return (address & -image.alignment) - (image.start() & -image.alignment)


def _layout(image: ElfImage, bias: int, stack: InitialStack) -> MemoryLayout:
    layout = MemoryLayout()
    code_start = code_end = data_start = data_end = 0
    for segment in image.segments:
        start = bias + segment.address
        if segment.prot() & PROT_EXEC and not code_end:
            code_start, code_end = start, start + segment.filesz
        data_start, data_end = start, start + segment.filesz
    layout.start_code = code_start or data_start
    layout.end_code = code_end or data_end
    layout.start_data = data_start
    layout.end_data = data_end
    layout.start_brk = bias + image.end() + _random_pages(BRK_RANDOM_PAGES) * PAGE
    layout.start_stack = stack.sp
    layout.arg_start = stack.arg_start
    layout.arg_end = stack.arg_end
    layout.env_start = stack.env_start
    layout.env_end = stack.env_end
    return layout
