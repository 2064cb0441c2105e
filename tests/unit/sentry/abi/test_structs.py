"""The structs of sentry.abi lie as C has them: a C program fills or reads each of them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from sentry.abi import (
    capability,
    dirent,
    elf,
    fcntl,
    inotify,
    ioctl,
    poll,
    resource,
    sigframe,
    signal,
    socket,
    stat,
    sysinfo,
    time,
    utsname,
)

PROGRAM = r"""
#define _GNU_SOURCE
#include <dirent.h>
#include <elf.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/un.h>
#include <time.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <linux/netlink.h>
#define SIZE(name, type) printf(name " %zu\n", sizeof(type))
#define AT(name, type, field) printf(name " %zu\n", offsetof(type, field))
struct kernel_sigaction { void *handler; unsigned long flags; void *restorer; unsigned long mask; };
int main(void)
{
    SIZE("stat.STAT_SIZE", struct stat);
    SIZE("stat.STATX_STRUCT_SIZE", struct statx);
    SIZE("stat.STATFS_SIZE", struct statfs);
    SIZE("signal.SIGINFO_SIZE", siginfo_t);
    SIZE("signal.STACK_T_SIZE", stack_t);
    SIZE("signal.SIGEVENT_SIZE", struct sigevent);
    SIZE("signal.SIGACTION_SIZE", struct kernel_sigaction);
    AT("signal.SI_PID_OFFSET", siginfo_t, si_pid);
    AT("signal.SI_UID_OFFSET", siginfo_t, si_uid);
    AT("signal.SI_STATUS_OFFSET", siginfo_t, si_status);
    AT("signal.SI_VALUE_OFFSET", siginfo_t, si_value);
    AT("signal.SI_TIMERID_OFFSET", siginfo_t, si_timerid);
    AT("signal.SI_OVERRUN_OFFSET", siginfo_t, si_overrun);
    AT("signal.SI_ADDR_OFFSET", siginfo_t, si_addr);
    AT("signal.SI_BAND_OFFSET", siginfo_t, si_band);
    AT("signal.SI_FD_OFFSET", siginfo_t, si_fd);
    AT("signal.SI_CALL_ADDR_OFFSET", siginfo_t, si_call_addr);
    AT("signal.SI_SYSCALL_OFFSET", siginfo_t, si_syscall);
    AT("signal.SI_ARCH_OFFSET", siginfo_t, si_arch);
    SIZE("sigframe.SIGCONTEXT_SIZE", struct sigcontext);
    AT("sigframe.SC_R8_OFFSET", struct sigcontext, r8);
    AT("sigframe.SC_R15_OFFSET", struct sigcontext, r15);
    AT("sigframe.SC_DI_OFFSET", struct sigcontext, rdi);
    AT("sigframe.SC_AX_OFFSET", struct sigcontext, rax);
    AT("sigframe.SC_SP_OFFSET", struct sigcontext, rsp);
    AT("sigframe.SC_IP_OFFSET", struct sigcontext, rip);
    AT("sigframe.SC_FLAGS_OFFSET", struct sigcontext, eflags);
    AT("sigframe.SC_CS_OFFSET", struct sigcontext, cs);
    AT("sigframe.SC_SS_OFFSET", struct sigcontext, __pad0);
    AT("sigframe.SC_TRAPNO_OFFSET", struct sigcontext, trapno);
    AT("sigframe.SC_CR2_OFFSET", struct sigcontext, cr2);
    AT("sigframe.SC_FPSTATE_OFFSET", struct sigcontext, fpstate);
    AT("sigframe.UC_STACK_OFFSET", ucontext_t, uc_stack);
    AT("sigframe.UC_MCONTEXT_OFFSET", ucontext_t, uc_mcontext);
    AT("sigframe.UC_SIGMASK_OFFSET", ucontext_t, uc_sigmask);
    AT("sigframe.XSTATE_HEADER_OFFSET", struct _xstate, xstate_hdr);
    AT("sigframe.MXCSR_OFFSET", struct _fpstate, mxcsr);
    SIZE("sigframe.FXSAVE_SIZE", struct _fpstate);
    SIZE("resource.RUSAGE_SIZE", struct rusage);
    SIZE("resource.RLIMIT_SIZE", struct rlimit);
    SIZE("time.TIMESPEC_SIZE", struct timespec);
    SIZE("time.ITIMERSPEC_SIZE", struct itimerspec);
    SIZE("poll.POLLFD_SIZE", struct pollfd);
    SIZE("poll.EPOLL_EVENT_SIZE", struct epoll_event);
    SIZE("inotify.INOTIFY_EVENT_SIZE", struct inotify_event);
    SIZE("socket.MSGHDR_SIZE", struct msghdr);
    SIZE("socket.MMSGHDR_SIZE", struct mmsghdr);
    AT("socket.MSGHDR_NAMELEN_OFFSET", struct msghdr, msg_namelen);
    AT("socket.MSGHDR_CONTROLLEN_OFFSET", struct msghdr, msg_controllen);
    AT("socket.MSGHDR_FLAGS_OFFSET", struct msghdr, msg_flags);
    SIZE("socket.CMSGHDR_SIZE", struct cmsghdr);
    SIZE("socket.UCRED_SIZE", struct ucred);
    SIZE("socket.LINGER_SIZE", struct linger);
    SIZE("socket.SOCKADDR_STORAGE_SIZE", struct sockaddr_storage);
    SIZE("socket.SOCKADDR_UN_SIZE", struct sockaddr_un);
    SIZE("socket.SOCKADDR_IN_SIZE", struct sockaddr_in);
    SIZE("socket.SOCKADDR_IN6_SIZE", struct sockaddr_in6);
    SIZE("socket.SOCKADDR_NL_SIZE", struct sockaddr_nl);
    SIZE("sysinfo.SYSINFO_SIZE", struct sysinfo);
    SIZE("utsname.UTSNAME_SIZE", struct utsname);
    return 0;
}
"""

READER = r"""
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/vfs.h>
#include <dirent.h>
#include <signal.h>
#define P(x) printf("%lld ", (long long)(x))
int main(int argc, char **argv)
{
    static union { struct stat s; struct statx x; struct statfs f; struct rusage r;
                   struct sysinfo i; siginfo_t g; char raw[512]; } u;
    fread(&u, 1, sizeof u, stdin);
    if (!strcmp(argv[1], "stat")) {
        P(u.s.st_dev); P(u.s.st_ino); P(u.s.st_nlink); P(u.s.st_mode); P(u.s.st_uid);
        P(u.s.st_gid); P(u.s.st_rdev); P(u.s.st_size); P(u.s.st_blksize); P(u.s.st_blocks);
        P(u.s.st_atim.tv_sec); P(u.s.st_mtim.tv_nsec); P(u.s.st_ctim.tv_sec);
    } else if (!strcmp(argv[1], "statx")) {
        P(u.x.stx_mask); P(u.x.stx_blksize); P(u.x.stx_nlink); P(u.x.stx_uid); P(u.x.stx_gid);
        P(u.x.stx_mode); P(u.x.stx_ino); P(u.x.stx_size); P(u.x.stx_blocks);
        P(u.x.stx_atime.tv_sec); P(u.x.stx_btime.tv_sec); P(u.x.stx_ctime.tv_nsec);
        P(u.x.stx_mtime.tv_nsec); P(u.x.stx_rdev_major); P(u.x.stx_dev_minor);
        P(u.x.stx_mnt_id);
    } else if (!strcmp(argv[1], "statfs")) {
        P(u.f.f_type); P(u.f.f_bsize); P(u.f.f_blocks); P(u.f.f_bavail); P(u.f.f_ffree);
        P(u.f.f_fsid.__val[1]); P(u.f.f_namelen); P(u.f.f_frsize); P(u.f.f_flags);
    } else if (!strcmp(argv[1], "rusage")) {
        P(u.r.ru_utime.tv_sec); P(u.r.ru_stime.tv_usec); P(u.r.ru_maxrss); P(u.r.ru_minflt);
        P(u.r.ru_majflt); P(u.r.ru_nvcsw); P(u.r.ru_nivcsw);
    } else if (!strcmp(argv[1], "sysinfo")) {
        P(u.i.uptime); P(u.i.loads[2]); P(u.i.totalram); P(u.i.freeram); P(u.i.sharedram);
        P(u.i.bufferram); P(u.i.totalswap); P(u.i.procs); P(u.i.totalhigh); P(u.i.mem_unit);
    } else if (!strcmp(argv[1], "chld")) {
        P(u.g.si_signo); P(u.g.si_code); P(u.g.si_pid); P(u.g.si_uid); P(u.g.si_status);
        P(u.g.si_utime); P(u.g.si_stime);
    }
    return 0;
}
"""

MODULES = {
    module.__name__.rpartition(".")[2]: module
    for module in (elf, inotify, poll, resource, sigframe, signal, socket, stat, sysinfo, time)
} | {"utsname": utsname}

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="needs a C compiler")


def build(source: str, folder: Path, name: str) -> Path:
    """Return the program made from C source."""
    (folder / f"{name}.c").write_text(source)
    subprocess.run(["gcc", "-w", "-o", folder / name, folder / f"{name}.c"], check=True)
    return folder / name


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    return build(READER, tmp_path_factory.mktemp("reader"), "reader")


def fields(reader: Path, kind: str, data: bytes) -> list[int]:
    """Return what C finds in the fields of a struct."""
    done = subprocess.run([reader, kind], input=data, capture_output=True, check=True)
    return [int(word) for word in done.stdout.split()]


def test_sizes_and_offsets(tmp_path):
    program = build(PROGRAM, tmp_path, "sizes")
    output = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    wrong = {}
    for text in output.splitlines():
        name, value = text.split()
        module, _, constant = name.partition(".")
        ours = getattr(MODULES[module], constant)
        if ours != int(value):
            wrong[name] = (ours, int(value))
    assert not wrong


def some_file() -> stat.Stat:
    file = stat.Stat()
    file.dev = stat.makedev(8, 3)
    file.ino = 12345
    file.nlink = 2
    file.mode = stat.S_IFREG | 0o640
    file.uid = 1000
    file.gid = 4_000_000_000
    file.rdev = stat.makedev(5, 1)
    file.size = 1 << 40
    file.blocks = 77
    file.atime_ns = 1_500_000_001
    file.mtime_ns = 2_000_000_002
    file.ctime_ns = 3_000_000_003
    file.btime_ns = 4_000_000_004
    file.mount_id = 9
    return file


def test_stat(reader):
    data = stat.pack_stat(some_file())
    assert len(data) == stat.STAT_SIZE
    expected = [2051, 12345, 2, 0o100640, 1000, 4_000_000_000, 1281, 1 << 40, 4096, 77, 1, 2, 3]
    assert fields(reader, "stat", data) == expected


def test_statx(reader):
    data = stat.pack_statx(some_file())
    assert len(data) == stat.STATX_STRUCT_SIZE
    mask = stat.STATX_BASIC_STATS | stat.STATX_BTIME | stat.STATX_MNT_ID
    expected = [mask, 4096, 2, 1000, 4_000_000_000, 0o100640, 12345, 1 << 40, 77, 1, 4, 3, 2]
    assert fields(reader, "statx", data) == [*expected, 5, 3, 9]


def test_statfs(reader):
    info = stat.StatFs(0x01021994)
    info.blocks = 10
    info.blocks_available = 8
    info.files_free = 6
    info.fsid_high = 5
    data = stat.pack_statfs(info)
    assert len(data) == stat.STATFS_SIZE
    assert fields(reader, "statfs", data) == [0x01021994, 4096, 10, 8, 6, 5, 255, 4096, 0x20]


def test_rusage(reader):
    data = resource.pack_rusage(
        2_000_000_000,
        1_500_000_000,
        max_rss_kb=7,
        minor_faults=1,
        major_faults=2,
        voluntary_switches=3,
        involuntary_switches=4,
    )
    assert fields(reader, "rusage", data) == [2, 500_000, 7, 1, 2, 3, 4]


def test_sysinfo(reader):
    data = sysinfo.pack_sysinfo(9, (1, 2, 3), 100, 50, 4, 5, 6)
    assert len(data) == sysinfo.SYSINFO_SIZE
    assert fields(reader, "sysinfo", data) == [9, 3, 100, 50, 4, 5, 0, 6, 0, 1]


def test_siginfo_of_a_child(reader):
    data = signal.pack_siginfo_chld(signal.CLD_EXITED, 12, 1000, 3, 7, 8)
    assert len(data) == signal.SIGINFO_SIZE
    assert fields(reader, "chld", data) == [signal.SIGCHLD, 1, 12, 1000, 3, 7, 8]


def test_every_siginfo_has_its_size():
    for data in (
        signal.pack_siginfo_kill(15, signal.SI_USER, 1, 0),
        signal.pack_siginfo_rt(34, signal.SI_QUEUE, 1, 0, 5),
        signal.pack_siginfo_timer(14, 1, 0, 5),
        signal.pack_siginfo_fault(11, signal.SEGV_MAPERR, 0xFFFF_FFFF_FFFF_F000),
        signal.pack_siginfo_poll(29, signal.POLL_IN, 1, 3),
        signal.pack_siginfo_sys(signal.SYS_SECCOMP, 1, 0x401000, 39, 0xC000003E),
    ):
        assert len(data) == signal.SIGINFO_SIZE
    assert sigframe.SIGCONTEXT.size == sigframe.SIGCONTEXT_SIZE
    assert sigframe.FRAME_SIGINFO_OFFSET + signal.SIGINFO_SIZE == sigframe.FRAME_SIZE


def test_stack_t_round_trip():
    data = signal.pack_stack_t(0x7000, signal.SS_AUTODISARM, 8192)
    assert signal.unpack_stack_t(data) == (0x7000, signal.SS_AUTODISARM, 8192)


@pytest.mark.parametrize(("major", "minor"), [(8, 1), (136, 300), (0xFFF, 0xFFFFF), (0, 0)])
def test_device_numbers(major, minor):
    device = stat.makedev(major, minor)
    assert (stat.major(device), stat.minor(device)) == (major, minor)


def test_dirent64_is_padded():
    data = dirent.pack_dirent64(5, 9, dirent.DT_REG, b"name")
    assert len(data) == 24
    assert data[16:19] == b"\x18\0\x08"
    assert data[19:] == b"name\0"
    assert len(dirent.pack_dirent(5, 9, dirent.DT_REG, b"name")) == 24


def test_time_is_checked():
    assert time.timespec_ns(time.pack_timespec(1_000_000_007)) == 1_000_000_007
    assert time.timespec_ns(b"\0" * 8 + (10**9).to_bytes(8, "little")) == -1
    assert time.timespec_ns(b"\xff" * 8 + b"\0" * 8) == -1
    assert time.timeval_ns(time.pack_timeval(1_000_000_007)) == 1_000_000_000


def test_addresses_round_trip():
    data = socket.pack_sockaddr_in6(b"\xfe\x80" + bytes(14), 443, scope_id=2)
    assert len(data) == socket.SOCKADDR_IN6_SIZE
    assert socket.unpack_sockaddr_in6(data) == (b"\xfe\x80" + bytes(14), 443, 0, 2)
    assert socket.pack_sockaddr_un(b"") == b"\1\0"
    assert socket.pack_sockaddr_un(b"/s") == b"\1\0/s\0"
    assert socket.pack_sockaddr_un(b"\0s") == b"\1\0\0s"


def test_the_rest_round_trips():
    lock = (fcntl.F_WRLCK, fcntl.SEEK_END, -5, 10, 77)
    assert len(fcntl.pack_flock(*lock)) == fcntl.FLOCK_SIZE
    assert fcntl.unpack_flock(fcntl.pack_flock(*lock)) == lock
    sets = (1 << 40 | 1, 2, 3 << 32)
    assert capability.unpack_cap_data(capability.pack_cap_data(*sets)) == sets
    settings = ioctl.default_termios()
    assert len(settings.pack()) == ioctl.TERMIOS_SIZE
    assert ioctl.unpack_termios(settings.pack()).pack() == settings.pack()
    assert poll.unpack_pollfd(poll.pack_pollfd(3, 0x8001, 0x2000), 0) == (3, 0x8001)
    event = inotify.pack_inotify_event(1, inotify.IN_CREATE, 0, b"sixteen bytes!!!")
    assert len(event) == inotify.INOTIFY_EVENT_SIZE + 32
