"""Requests of ioctl(2) for files, terminals and sockets, and the terminal structs."""

from struct import Struct
from typing import Final

# Any file
FIONCLEX: Final = 0x5450
FIOCLEX: Final = 0x5451
FIONBIO: Final = 0x5421
FIOASYNC: Final = 0x5452
FIONREAD: Final = 0x541B
FIOQSIZE: Final = 0x5460
FIOSETOWN: Final = 0x8901
FIOGETOWN: Final = 0x8903
FIGETBSZ: Final = 0x2
FIBMAP: Final = 0x1
FICLONE: Final = 0x4004_9409
FICLONERANGE: Final = 0x4020_940D
FIDEDUPERANGE: Final = 0xC018_9436
FS_IOC_FIEMAP: Final = 0xC020_660B
FS_IOC_GETFLAGS: Final = 0x8008_6601
FS_IOC_SETFLAGS: Final = 0x4008_6602
FS_IOC_GETVERSION: Final = 0x8008_7601
FS_IOC_FSGETXATTR: Final = 0x801C_581F
FS_IOC_FSSETXATTR: Final = 0x401C_5820
BLKGETSIZE64: Final = 0x8008_1272
BLKROGET: Final = 0x125E
BLKSSZGET: Final = 0x1268

# Terminals (ioctl_tty(2))
TCGETS: Final = 0x5401
TCSETS: Final = 0x5402
TCSETSW: Final = 0x5403
TCSETSF: Final = 0x5404
TCGETA: Final = 0x5405
TCSETA: Final = 0x5406
TCSETAW: Final = 0x5407
TCSETAF: Final = 0x5408
TCSBRK: Final = 0x5409
TCXONC: Final = 0x540A
TCFLSH: Final = 0x540B
TIOCEXCL: Final = 0x540C
TIOCNXCL: Final = 0x540D
TIOCSCTTY: Final = 0x540E
TIOCGPGRP: Final = 0x540F
TIOCSPGRP: Final = 0x5410
TIOCOUTQ: Final = 0x5411
TIOCSTI: Final = 0x5412
TIOCGWINSZ: Final = 0x5413
TIOCSWINSZ: Final = 0x5414
TIOCMGET: Final = 0x5415
TIOCINQ: Final = 0x541B
TIOCLINUX: Final = 0x541C
TIOCCONS: Final = 0x541D
TIOCPKT: Final = 0x5420
TIOCNOTTY: Final = 0x5422
TIOCSETD: Final = 0x5423
TIOCGETD: Final = 0x5424
TCSBRKP: Final = 0x5425
TIOCGSID: Final = 0x5429
TIOCGPTN: Final = 0x8004_5430
TIOCSPTLCK: Final = 0x4004_5431
TIOCGDEV: Final = 0x8004_5432
TIOCSIG: Final = 0x4004_5436
TIOCVHANGUP: Final = 0x5437
TIOCGPKT: Final = 0x8004_5438
TIOCGPTLCK: Final = 0x8004_5439
TIOCGEXCL: Final = 0x8004_5440
TIOCGPTPEER: Final = 0x5441
TIOCGSERIAL: Final = 0x541E
TIOCGLCKTRMIOS: Final = 0x5456
KDGKBTYPE: Final = 0x4B33
VT_OPENQRY: Final = 0x5600

TCGETS2: Final = 0x802C_542A
TCSETS2: Final = 0x402C_542B
TCSETSW2: Final = 0x402C_542C
TCSETSF2: Final = 0x402C_542D

# Sockets and interfaces (netdevice(7))
SIOCINQ: Final = 0x541B
SIOCOUTQ: Final = 0x5411
SIOCATMARK: Final = 0x8905
SIOCSPGRP: Final = 0x8902
SIOCGPGRP: Final = 0x8904
SIOCGSTAMP_OLD: Final = 0x8906
SIOCGIFNAME: Final = 0x8910
SIOCGIFCONF: Final = 0x8912
SIOCGIFFLAGS: Final = 0x8913
SIOCSIFFLAGS: Final = 0x8914
SIOCGIFADDR: Final = 0x8915
SIOCSIFADDR: Final = 0x8916
SIOCGIFDSTADDR: Final = 0x8917
SIOCGIFBRDADDR: Final = 0x8919
SIOCGIFNETMASK: Final = 0x891B
SIOCGIFMETRIC: Final = 0x891D
SIOCGIFMTU: Final = 0x8921
SIOCSIFMTU: Final = 0x8922
SIOCGIFHWADDR: Final = 0x8927
SIOCGIFINDEX: Final = 0x8933
SIOCGIFTXQLEN: Final = 0x8942
SIOCETHTOOL: Final = 0x8946

# tcflush(3), tcflow(3), TIOCPKT
TCIFLUSH: Final = 0x0
TCOFLUSH: Final = 0x1
TCIOFLUSH: Final = 0x2
TCOOFF: Final = 0x0
TCOON: Final = 0x1
TCIOFF: Final = 0x2
TCION: Final = 0x3
TIOCPKT_DATA: Final = 0x0
TIOCPKT_FLUSHREAD: Final = 0x1
TIOCPKT_FLUSHWRITE: Final = 0x2
TIOCPKT_STOP: Final = 0x4
TIOCPKT_START: Final = 0x8
TIOCPKT_NOSTOP: Final = 0x10
TIOCPKT_DOSTOP: Final = 0x20
TIOCPKT_IOCTL: Final = 0x40

# c_cc
VINTR: Final = 0
VQUIT: Final = 1
VERASE: Final = 2
VKILL: Final = 3
VEOF: Final = 4
VTIME: Final = 5
VMIN: Final = 6
VSWTC: Final = 7
VSTART: Final = 8
VSTOP: Final = 9
VSUSP: Final = 10
VEOL: Final = 11
VREPRINT: Final = 12
VDISCARD: Final = 13
VWERASE: Final = 14
VLNEXT: Final = 15
VEOL2: Final = 16
NCCS: Final = 19

# c_iflag
IGNBRK: Final = 0o1
BRKINT: Final = 0o2
IGNPAR: Final = 0o4
PARMRK: Final = 0o10
INPCK: Final = 0o20
ISTRIP: Final = 0o40
INLCR: Final = 0o100
IGNCR: Final = 0o200
ICRNL: Final = 0o400
IUCLC: Final = 0o1000
IXON: Final = 0o2000
IXANY: Final = 0o4000
IXOFF: Final = 0o10000
IMAXBEL: Final = 0o20000
IUTF8: Final = 0o40000

# c_oflag
OPOST: Final = 0o1
OLCUC: Final = 0o2
ONLCR: Final = 0o4
OCRNL: Final = 0o10
ONOCR: Final = 0o20
ONLRET: Final = 0o40
OFILL: Final = 0o100
OFDEL: Final = 0o200
TABDLY: Final = 0o14000
XTABS: Final = 0o14000

# c_cflag
CBAUD: Final = 0o10017
B0: Final = 0
B9600: Final = 0o15
B38400: Final = 0o17
CSIZE: Final = 0o60
CS5: Final = 0
CS6: Final = 0o20
CS7: Final = 0o40
CS8: Final = 0o60
CSTOPB: Final = 0o100
CREAD: Final = 0o200
PARENB: Final = 0o400
PARODD: Final = 0o1000
HUPCL: Final = 0o2000
CLOCAL: Final = 0o4000

# c_lflag
ISIG: Final = 0o1
ICANON: Final = 0o2
XCASE: Final = 0o4
ECHO: Final = 0o10
ECHOE: Final = 0o20
ECHOK: Final = 0o40
ECHONL: Final = 0o100
NOFLSH: Final = 0o200
TOSTOP: Final = 0o400
ECHOCTL: Final = 0o1000
ECHOPRT: Final = 0o2000
ECHOKE: Final = 0o4000
FLUSHO: Final = 0o10000
PENDIN: Final = 0o40000
IEXTEN: Final = 0o100000
EXTPROC: Final = 0o200000

# Line discipline
N_TTY: Final = 0


TERMIOS_SIZE: Final = 36  # the kernel's struct termios, shorter than the C library's
TERMIOS2_SIZE: Final = 44
WINSIZE_SIZE: Final = 8
_TERMIOS: Final = Struct("<IIIIB19s")
_WINSIZE: Final = Struct("<HHHH")


class Termios:
    """The settings of a terminal (struct termios, asm-generic/termbits.h)."""

    def __init__(
        self, iflag: int, oflag: int, cflag: int, lflag: int, line: int, control_chars: bytes
    ) -> None:
        self.iflag = iflag
        self.oflag = oflag
        self.cflag = cflag
        self.lflag = lflag
        self.line = line
        self.control_chars = control_chars  # c_cc, NCCS bytes

    def pack(self) -> bytes:
        """Return the kernel's struct termios."""
        return _TERMIOS.pack(
            self.iflag, self.oflag, self.cflag, self.lflag, self.line, self.control_chars
        )


def unpack_termios(data: bytes) -> Termios:
    """Return the kernel's struct termios of `data`."""
    iflag, oflag, cflag, lflag, line, control_chars = _TERMIOS.unpack_from(data, 0)
    return Termios(iflag, oflag, cflag, lflag, line, control_chars)


def default_termios() -> Termios:
    """Return what a fresh terminal of Linux has (tty_std_termios)."""
    return Termios(
        ICRNL | IXON,
        OPOST | ONLCR,
        B38400 | CS8 | CREAD | HUPCL,
        ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
        N_TTY,
        # intr quit erase kill eof time min swtc start stop susp eol reprint discard werase lnext
        b"\x03\x1c\x7f\x15\x04\0\x01\0\x11\x13\x1a\0\x12\x0f\x17\x16".ljust(NCCS, b"\0"),
    )


def unpack_winsize(data: bytes) -> tuple[int, int, int, int]:
    """Return rows, columns and the size in pixels of a struct winsize."""
    rows, columns, x_pixels, y_pixels = _WINSIZE.unpack_from(data, 0)
    return rows, columns, x_pixels, y_pixels
