"""The host filter does what its declarations say: the compiled program is run and compared."""

import random
import re
import tempfile
from pathlib import Path

import pytest

from runsc.boot import hostfilter
from runsc.boot.host_calls import sandbox_calls
from runsc.boot.hostfilter import LONG, Compare, HostCall, HostFilter
from runsc.boot.seccomp_binding import load_binding
from sentry.abi import ptrace
from tests import bpf

NATIVE = Path(__file__).parents[4] / "sentry/platform/ptrace/native"
FORBIDDEN = (
    "execve",
    "execveat",
    "fork",
    "vfork",
    "clone",
    "clone3",
    "open",
    "creat",
    "socket",
    "connect",
    "bind",
    "listen",
    "socketpair",
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "open_tree",
    "fsopen",
    "unshare",
    "setns",
    "setuid",
    "setresuid",
    "capset",
    "seccomp",
    "bpf",
    "perf_event_open",
    "io_uring_setup",
    "userfaultfd",
    "pidfd_open",
    "pidfd_getfd",
    "kcmp",
    "init_module",
    "kexec_load",
    "keyctl",
    "add_key",
    "shmget",
    "stat",
    "unlink",
    "rename",
    "chmod",
    "chown",
    "mknod",
    "open_by_handle_at",
    "name_to_handle_at",
    "remap_file_pages",
    "pkey_mprotect",
    "modify_ldt",
    "iopl",
    "setrlimit",
    "personality",
)


def compiled(calls: list[HostCall]) -> list[bpf.Instruction]:
    with tempfile.TemporaryFile() as file:
        HostFilter(calls, trap=False).export(file)
        file.seek(0)
        return bpf.parse(file.read())


def number_of(name: str) -> int:
    number: int = load_binding().resolve_syscall(load_binding().Arch.NATIVE, name)
    return number


@pytest.fixture(scope="module")
def calls() -> list[HostCall]:
    return sandbox_calls()


@pytest.fixture(scope="module")
def program(calls: list[HostCall]) -> list[bpf.Instruction]:
    return compiled(calls)


def verdict(program: list[bpf.Instruction], number: int, arguments: tuple[int, ...] = ()) -> int:
    return bpf.run(program, bpf.seccomp_data(number, arguments, arch=bpf.ARCH_X86_64))


def expected(call: HostCall, arguments: tuple[int, ...]) -> int:
    return bpf.RET_ALLOW if call.allows(arguments) else bpf.RET_KILL_PROCESS


def interesting_values(call: HostCall) -> list[int]:
    values = [0, 1, LONG, 0x80000000, 0xFFFFFF9C, 0xFFFFFFFFFFFFFF9C, 0x5412, 1 << 32]
    for rule in call.rules:
        for compare in rule:
            values += [compare.value, compare.value | 1 << 32, compare.value ^ 1, compare.mask]
    return values


def described(calls: list[HostCall]) -> list[str]:
    """Return a line for each call with the arguments that it may have."""
    lines = []
    for call in sorted(calls, key=lambda c: c.name):
        rules = " or ".join(
            " and ".join(f"a{c.argument}&{c.mask:#x}=={c.value:#x}" for c in rule)
            for rule in call.rules
        )
        lines.append(f"{call.name} {rules}".strip())
    return lines


def test_the_allowed_host_calls(calls: list[HostCall], capsys: pytest.CaptureFixture[str]) -> None:
    """The fence is this list: whoever changes it changes that file too, and says why."""
    lines = described(calls)
    with capsys.disabled():
        print("\nhost calls that the sandbox may make:")
        for line in lines:
            print(f"  {line}")
    assert lines == (Path(__file__).parent / "host_calls.txt").read_text().splitlines()
    assert len({call.name for call in calls}) == len(calls)


def test_what_the_host_network_adds() -> None:
    """--network=host widens the fence by this much, --net-raw by two lines more."""
    usual = described(sandbox_calls())
    wide = described(sandbox_calls(uses_host_network=True))
    # A rule a line: the options are many.
    lines = [
        f"{name} {rule}".strip()
        for name, _, rules in (line.partition(" ") for line in wide if line not in usual)
        for rule in rules.split(" or ")
    ]
    text = (Path(__file__).parent / "host_network_calls.txt").read_text()
    assert lines == text.splitlines()
    gone = {line.partition(" ")[0] for line in usual if line not in wide}
    assert gone == {"getsockopt", "ioctl", "sendmsg", "shutdown"}, "calls with other rules"
    raw = described(sandbox_calls(uses_host_network=True, allows_raw=True))
    (socket_line,) = [line for line in raw if line not in wide]
    assert socket_line.split(" or ")[-2:] == [
        "a0&0xffffffff==0x2 and a1&0xffffffff==0x80803 and a2&0xffffff00==0x0",
        "a0&0xffffffff==0xa and a1&0xffffffff==0x80803 and a2&0xffffff00==0x0",
    ]


@pytest.mark.parametrize("allows_raw", [False, True])
def test_the_program_of_the_host_network_means_what_is_declared(*, allows_raw: bool) -> None:
    calls = sandbox_calls(uses_host_network=True, allows_raw=allows_raw)
    program = compiled(calls)
    chosen = random.Random(7)
    for call in calls:
        number = number_of(call.name)
        values = interesting_values(call)
        for _ in range(100):
            arguments = tuple(chosen.choice(values) for _ in range(6))
            assert verdict(program, number, arguments) == expected(call, arguments), call.name
        for rule in call.rules:
            arguments = [0] * 6
            for compare in rule:
                arguments[compare.argument] = compare.value
            assert verdict(program, number, tuple(arguments)) == bpf.RET_ALLOW, call.name
    allowed = {number_of(call.name) for call in calls}
    for number in range(600):
        if number not in allowed:
            assert verdict(program, number) == bpf.RET_KILL_PROCESS, number
    beyond = {"socket", "bind", "connect", "listen"}
    assert {call.name for call in calls}.isdisjoint(set(FORBIDDEN) - beyond)


def test_which_sockets_of_the_host_network_are_allowed() -> None:
    program = compiled(sandbox_calls(uses_host_network=True))
    flags = 0o2004000
    allowed = {
        (family, kind, protocol)
        for family in range(46)
        for kind in range(11)
        for protocol in (*range(256), 262)
        if verdict(program, number_of("socket"), (family, kind | flags, protocol)) == bpf.RET_ALLOW
    }
    assert allowed == {
        *((family, 1, 6) for family in (2, 10)),
        *((family, 2, 17) for family in (2, 10)),
        (2, 2, 1),
        (10, 2, 58),
        (16, 2, 0),
        (16, 3, 0),
    }


# Which arguments are directory descriptors, by the calls' man pages.
AT_CALLS = {
    "openat": (0,),
    "openat2": (0,),
    "newfstatat": (0,),
    "statx": (0,),
    "mkdirat": (0,),
    "mknodat": (0,),
    "unlinkat": (0,),
    "symlinkat": (1,),
    "readlinkat": (0,),
    "faccessat": (0,),
    "faccessat2": (0,),
    "fchmodat": (0,),
    "fchmodat2": (0,),
    "fchownat": (0,),
    "utimensat": (0,),
    "renameat": (0, 2),
    "renameat2": (0, 2),
    "linkat": (0, 2),
}


@pytest.mark.parametrize("fdcwd", [0xFFFFFF9C, 0xFFFFFFFFFFFFFF9C, 0x7FFFFFFF_FFFFFF9C])
def test_no_path_starts_at_a_working_directory(
    calls: list[HostCall], program: list[bpf.Instruction], fdcwd: int
) -> None:
    checked = {call.name for call in calls if call.name in AT_CALLS}
    assert len(checked) > 10
    names = {call.name for call in calls if call.name.endswith(("at", "at2"))}
    assert names - {"fstat"} == checked, "another call that takes a path"
    for name in checked:
        for argument in AT_CALLS[name]:
            arguments = [5] * 6
            assert verdict(program, number_of(name), tuple(arguments)) == bpf.RET_ALLOW, name
            arguments[argument] = fdcwd
            assert verdict(program, number_of(name), tuple(arguments)) == bpf.RET_KILL_PROCESS


def test_high_halves_hide_nothing(calls: list[HostCall], program: list[bpf.Instruction]) -> None:
    """What the kernel reads 32 bits of is compared in 32 bits, what it reads whole is whole."""
    high = 1 << 32
    assert verdict(program, number_of("ioctl"), (0, high | 0x5412)) == bpf.RET_KILL_PROCESS
    assert verdict(program, number_of("ioctl"), (0, high | 0x5401)) == bpf.RET_ALLOW
    assert verdict(program, number_of("prctl"), (high | 4,)) == bpf.RET_KILL_PROCESS
    assert verdict(program, number_of("mmap"), (0, 4096, high | 4)) == bpf.RET_KILL_PROCESS
    assert verdict(program, number_of("mprotect"), (0, 4096, high | 7)) == bpf.RET_KILL_PROCESS
    # The request of ptrace(2) is a long.
    for request in hostfilter.PTRACE_REQUESTS.values():
        assert verdict(program, number_of("ptrace"), (request,)) == bpf.RET_ALLOW
        assert verdict(program, number_of("ptrace"), (high | request,)) == bpf.RET_KILL_PROCESS
    for call in calls:
        number = number_of(call.name)
        assert verdict(program, number | 0x40000000) == bpf.RET_KILL_PROCESS, call.name


def test_only_the_requests_of_a_tracer_are_allowed(program: list[bpf.Instruction]) -> None:
    allowed = {
        request
        for request in [*range(64), *range(0x4200, 0x4240)]
        if verdict(program, number_of("ptrace"), (request, 7)) == bpf.RET_ALLOW
    }
    assert allowed == set(hostfilter.PTRACE_REQUESTS.values())
    for dangerous in (0, 16, 17, 0x4200, 0x4206):  # TRACEME, ATTACH, DETACH, SETOPTIONS, SEIZE
        assert dangerous not in allowed


def test_every_declared_call_has_a_number(calls: list[HostCall]) -> None:
    assert [call.name for call in calls if number_of(call.name) < 0] == []


def test_the_program_means_what_is_declared(
    calls: list[HostCall], program: list[bpf.Instruction]
) -> None:
    chosen = random.Random(3)
    for call in calls:
        number = number_of(call.name)
        values = interesting_values(call)
        for _ in range(400):
            arguments = tuple(chosen.choice(values) for _ in range(6))
            assert verdict(program, number, arguments) == expected(call, arguments), (
                call.name,
                [hex(a) for a in arguments],
            )


def test_calls_that_are_not_declared_kill(
    calls: list[HostCall], program: list[bpf.Instruction]
) -> None:
    allowed = {number_of(call.name) for call in calls}
    for number in [*range(600), 0x3FFFFFFF, -1, -(2**31)]:
        if number not in allowed:
            assert verdict(program, number) == bpf.RET_KILL_PROCESS, number


@pytest.mark.parametrize("name", FORBIDDEN)
def test_dangerous_calls_are_never_declared(calls: list[HostCall], name: str) -> None:
    assert name not in {call.name for call in calls}


def test_other_architectures_kill(program: list[bpf.Instruction]) -> None:
    for number in range(500):
        data = bpf.seccomp_data(number, (), arch=bpf.ARCH_I386)
        assert bpf.run(program, data) == bpf.RET_KILL_PROCESS
        assert verdict(program, number | 0x40000000) == bpf.RET_KILL_PROCESS


@pytest.mark.parametrize("dir_fd", [0xFFFFFF9C, 0xFFFFFFFFFFFFFF9C, 0x1FFFFFF9C, 0x80000000])
def test_openat_needs_a_descriptor(program: list[bpf.Instruction], dir_fd: int) -> None:
    assert verdict(program, number_of("openat"), (dir_fd,)) == bpf.RET_KILL_PROCESS
    assert verdict(program, number_of("openat"), (7,)) == bpf.RET_ALLOW


def test_no_executable_memory(program: list[bpf.Instruction]) -> None:
    for name in ("mmap", "mprotect"):
        assert verdict(program, number_of(name), (0, 4096, 4)) == bpf.RET_KILL_PROCESS
        assert verdict(program, number_of(name), (0, 4096, 7)) == bpf.RET_KILL_PROCESS
        assert verdict(program, number_of(name), (0, 4096, 3)) == bpf.RET_ALLOW


def test_the_platform_may_make_every_ptrace_request_that_it_makes(
    program: list[bpf.Instruction],
) -> None:
    names: set[str] = set()
    for source in NATIVE.glob("*.c"):
        names.update(re.findall(r"\bptrace\((PTRACE_\w+)", source.read_text()))
    names.remove("PTRACE_SEIZE")  # only while the template is made, before the filter
    assert "PTRACE_CONT" in names
    for name in names:
        # glibc's ptrace.h spells them USER, linux/ptrace.h USR.
        request = getattr(ptrace, name.replace("USER", "USR"))
        assert verdict(program, number_of("ptrace"), (request,)) == bpf.RET_ALLOW, name


def test_attaching_with_ptrace_kills(program: list[bpf.Instruction]) -> None:
    for request in (0, 16, 0x4206):  # TRACEME, ATTACH, SEIZE
        assert verdict(program, number_of("ptrace"), (request,)) == bpf.RET_KILL_PROCESS


def test_ptrace_requests_are_those_of_the_platform() -> None:
    """A request that the platform makes on a rare path only would end the sandbox there."""
    native = Path(bpf.__file__).parents[1] / "sentry/platform/ptrace/native"
    text = "".join(path.read_text() for path in sorted(native.glob("*.c")))
    used = set(re.findall(r"\bPTRACE_[A-Z_]+\b", text))
    others = {name for name in used if name.startswith(("PTRACE_O_", "PTRACE_EVENT_"))}
    others |= {"PTRACE_SYSCALL_INFO_SECCOMP", "PTRACE_SEIZE"}  # a field; made before the filter
    assert used - others == set(hostfilter.PTRACE_REQUESTS)


def test_only_equality_rules_are_declared(calls: list[HostCall]) -> None:
    for call in calls:
        for rule in call.rules:
            for compare in rule:
                assert compare.value & ~compare.mask == 0, call.name


def test_random_declarations_compile_to_their_meaning() -> None:
    chosen = random.Random(5)
    masks = (LONG, hostfilter.INT, 4, 0x80000000, 0xFFFF0000FFFF)
    for _ in range(60):
        rules = tuple(
            tuple(
                Compare(argument, mask := chosen.choice(masks), chosen.getrandbits(64) & mask)
                for argument in chosen.sample(range(6), chosen.randint(1, 3))
            )
            for _ in range(chosen.randint(1, 4))
        )
        call = HostCall("ioctl", "random", rules)
        program = compiled([call])
        values = interesting_values(call)
        for _ in range(60):
            arguments = tuple(chosen.choice(values) for _ in range(6))
            assert verdict(program, 16, arguments) == expected(call, arguments)


def test_ptrace_is_looked_for_first(program: list[bpf.Instruction]) -> None:
    """The kernel asks the filter at each of the four that a guest's call takes."""
    compared = [k for code, _, _, k in program if code == 0x15]  # BPF_JMP | BPF_JEQ | BPF_K
    assert number_of("ptrace") in compared[:4]
