"""The line discipline and the requests of a pseudo-terminal, byte by byte."""

import errno
import fcntl
import os
import select
import struct
import termios
import time

IFLAG, OFLAG, CFLAG, LFLAG, CC = 0, 1, 2, 3, 6
IUCLC, OLCUC, IUTF8 = 0o1000, 0o2, 0o40000
EXTPROC = 0o200000


def attempt(function, *arguments):
    try:
        return function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]


def take(fd):
    """Everything that is to be had without waiting for long."""
    data = b""
    while select.select([fd], [], [], 0.02)[0]:
        try:
            piece = os.read(fd, 4096)
        except OSError as error:
            return data + errno.errorcode[error.errno].encode()
        if not piece:
            return data + b"<end>"
        data += piece
    return data


class Pair:
    def __init__(self, on=(), off=(), chars=None):
        self.master, self.slave = os.openpty()
        self.change(on, off, chars)

    def change(self, on=(), off=(), chars=None, when=termios.TCSANOW):
        settings = termios.tcgetattr(self.slave)
        for index, flag in on:
            settings[index] |= flag
        for index, flag in off:
            settings[index] &= ~flag
        for index, char in (chars or {}).items():
            settings[CC][index] = char
        termios.tcsetattr(self.slave, when, settings)

    def show(self, name, typed, settle=0.02):
        os.write(self.master, typed)
        time.sleep(settle)
        print(name, "screen", take(self.master), "read", take(self.slave))

    def close(self):
        os.close(self.master), os.close(self.slave)


def shows(name, typed, on=(), off=(), chars=None):
    pair = Pair(on, off, chars)
    pair.show(name, typed)
    pair.close()


ICANON, ECHO = (LFLAG, termios.ICANON), (LFLAG, termios.ECHO)
print(termios.tcgetattr(Pair().slave))
shows("line", b"hello\n")
shows("carriage return", b"hello\r")
shows("erase", b"abc\x7f\x7fd\n")
shows("erase all and more", b"ab\x7f\x7f\x7f\x7fx\n")
shows("erase control", b"a\x01\x02\x7fb\n")
shows("erase tab", b"ab\tc\x7f\x7fd\n")
shows("erase tab after tab", b"a\t\tb\x7f\x7f\x7fd\n")
shows("word", b"one two_3  \x17four\n")
shows("word latin", b"one \xe4\xf6 x\x17\x17y\n")
shows("kill", b"some words\x15other\n")
shows("kill without ECHOKE", b"abc\x15d\n", off=[(LFLAG, termios.ECHOKE)])
shows("kill without ECHOK", b"abc\x15d\n", off=[(LFLAG, termios.ECHOK | termios.ECHOKE)])
shows("erase without ECHOE", b"abc\x7fd\n", off=[(LFLAG, termios.ECHOE)])
shows("ECHOPRT", b"abc\x7f\x7fd\x7f\x7f\x7fe\n", on=[(LFLAG, termios.ECHOPRT)])
shows("no ECHOCTL", b"a\x01\x02\x7fb\tc\x1b\n", off=[(LFLAG, termios.ECHOCTL)])
shows("literal", b"a\x16\x03b\x16\x16\x16\n\n")
shows("reprint", b"abc\x01\x12d\n")
shows("no IEXTEN", b"abc\x16\x17\x12d\n", off=[(LFLAG, termios.IEXTEN)])
shows("no ECHO", b"abc\x7fd\n", off=[ECHO])
shows("ECHONL", b"abc\n", on=[(LFLAG, termios.ECHONL)], off=[ECHO])
shows("end of file", b"abc\x04def\n\x04")
shows("EOL", b"abc;d!e\n", chars={termios.VEOL: b";", termios.VEOL2: b"!"})
shows("utf8", "a\u00e4\u20ac\x7f\x7fb\n".encode(), on=[(IFLAG, IUTF8)])
shows("no utf8", "a\u00e4\x7fb\n".encode())
shows("ISTRIP", b"\xe1\xe2\n", on=[(IFLAG, termios.ISTRIP)])
shows("IUCLC", b"ABC\n", on=[(IFLAG, IUCLC)])
shows("IGNCR", b"a\rb\n", on=[(IFLAG, termios.IGNCR)])
shows("INLCR", b"a\nb\r", on=[(IFLAG, termios.INLCR)], off=[(IFLAG, termios.ICRNL)])
shows("PARMRK", b"a\xffb\n", on=[(IFLAG, termios.PARMRK)])
shows("raw", b"a\x03\x7f\r\n\x00", off=[ICANON, ECHO, (LFLAG, termios.ISIG)])
shows("raw echo", b"a\x01\r\n\x00", off=[ICANON, (LFLAG, termios.ISIG)])
shows("raw without ICRNL, echo", b"a\r\n", off=[ICANON, (IFLAG, termios.ICRNL)])
shows("signal without a session", b"abc\x03de\x1c\x1af\n")
shows("signal NOFLSH", b"abc\x03de\n", on=[(LFLAG, termios.NOFLSH)])
shows("EXTPROC", b"abc\x7f\x03\n", on=[(LFLAG, EXTPROC)])
shows("null", b"a\x00b\n")


def prints(name, written, on=(), off=()):
    pair = Pair(on, off)
    os.write(pair.slave, written)
    print(name, take(pair.master))
    pair.close()


TEXT = b"ab\tc\n\rd\x08e\x01\tf\r\n"
prints("ONLCR", TEXT)
prints("no OPOST", TEXT, off=[(OFLAG, termios.OPOST)])
prints("XTABS", TEXT, on=[(OFLAG, termios.TAB3)])
prints("OCRNL", TEXT, on=[(OFLAG, termios.OCRNL)])
prints("ONOCR", b"\r\rab\r\rc\n\r", on=[(OFLAG, termios.ONOCR)])
prints("ONLRET", TEXT, on=[(OFLAG, termios.ONLRET | termios.TAB3)], off=[(OFLAG, termios.ONLCR)])
prints("no ONLCR", TEXT, on=[(OFLAG, termios.TAB3)], off=[(OFLAG, termios.ONLCR)])
prints("OLCUC", b"abcXYZ\xe4\n", on=[(OFLAG, OLCUC)])

# Echo and the column: a prompt, then a tab that is erased.
pair = Pair()
os.write(pair.slave, b"prompt> ")
os.write(pair.master, b"a\tb\x7f\x7f\x7f\n")
print("prompt", take(pair.master), take(pair.slave))

# Flow control.
os.write(pair.master, b"\x13x")
time.sleep(0.05)

os.set_blocking(pair.slave, False)
print("stopped", attempt(os.write, pair.slave, b"held"), take(pair.master))
print(select.select([], [pair.slave], [], 0)[1] == [pair.slave])
os.write(pair.master, b"\x11")
time.sleep(0.05)
print("started", attempt(os.write, pair.slave, b"free"), take(pair.master))
pair.change(on=[(IFLAG, termios.IXANY)])
os.write(pair.master, b"\x13")
time.sleep(0.05)
print("stopped", attempt(os.write, pair.slave, b"held"))
os.write(pair.master, b"y")
time.sleep(0.05)
print("any", attempt(os.write, pair.slave, b"free"), take(pair.master))
os.write(pair.master, b"\n")
take(pair.master), take(pair.slave)
termios.tcflow(pair.slave, termios.TCOOFF)
print("tcflow", attempt(os.write, pair.slave, b"held"))
termios.tcflow(pair.slave, termios.TCOON)
print("tcflow", attempt(os.write, pair.slave, b"free"), take(pair.master))
termios.tcflow(pair.slave, termios.TCIOFF), termios.tcflow(pair.slave, termios.TCION)
print("tcflow", take(pair.master))
os.set_blocking(pair.slave, True)

# Long lines, small reads, and what FIONREAD tells.
pair.change(off=[ECHO])
os.write(pair.master, b"0123456789" * 450 + b"end\n")
time.sleep(0.05)
line = os.read(pair.slave, 10000)
print(len(line), line[-6:])
os.write(pair.master, b"abc\x04def\x04\x04ghi\nx")
time.sleep(0.05)
print(struct.unpack("i", fcntl.ioctl(pair.slave, termios.FIONREAD, bytes(4))))
print([os.read(pair.slave, size) for size in (3, 2, 9, 9, 2, 9)])
os.write(pair.master, b"yz")
time.sleep(0.05)
pair.change(off=[ICANON])
print("made raw", take(pair.slave))
os.write(pair.master, b"half")
time.sleep(0.05)
pair.change(on=[ICANON])
print("made lines", take(pair.slave))
os.write(pair.master, b"lost\n")
time.sleep(0.05)
pair.change(when=termios.TCSAFLUSH)
print("flushed", take(pair.slave))
os.write(pair.master, b"lost\n")
time.sleep(0.05)
termios.tcflush(pair.slave, termios.TCIFLUSH)
print("flushed", take(pair.slave))


def timed(read):
    began = time.monotonic()
    data = read()
    return data, round((time.monotonic() - began) * 10) // 2


# VMIN and VTIME.
for least, tenths, typed in (
    (0, 0, b""),
    (0, 4, b""),
    (3, 4, b"ab"),
    (3, 0, b"abcd"),
    (0, 4, b"z"),
):
    pair.change(off=[ICANON], chars={termios.VMIN: least, termios.VTIME: tenths})
    os.write(pair.master, typed)
    time.sleep(0.05)
    ready = select.select([pair.slave], [], [], 0)[0] == [pair.slave]
    print("VMIN", least, "VTIME", tenths, ready, timed(lambda: os.read(pair.slave, 100)))
pair.change(chars={termios.VMIN: 5, termios.VTIME: 0})
os.write(pair.master, b"abc")
time.sleep(0.05)
print(select.select([pair.slave], [], [], 0)[0])
os.set_blocking(pair.slave, False)
print(attempt(os.read, pair.slave, 10), attempt(os.read, pair.slave, 10))
print(attempt(os.read, pair.slave, 0))
os.set_blocking(pair.slave, True)
if os.fork() == 0:
    time.sleep(0.2)
    os.write(pair.master, b"ab")
    time.sleep(0.2)
    os.write(pair.master, b"cdefg")
    os._exit(0)
print(os.read(pair.slave, 10))
os.wait()
pair.close()

# Packet mode.
pair = Pair()
fcntl.ioctl(pair.master, termios.TIOCPKT, struct.pack("i", 1))
poll = select.poll()
poll.register(pair.master, select.POLLIN | select.POLLPRI)
os.write(pair.slave, b"data")
print("packet", poll.poll(100)[0][1], os.read(pair.master, 3), os.read(pair.master, 30))
os.write(pair.master, b"\x13")
time.sleep(0.05)
print("packet", poll.poll(100)[0][1], os.read(pair.master, 30))
os.write(pair.master, b"\x11")
time.sleep(0.05)
print("packet", os.read(pair.master, 30))
pair.change(off=[(IFLAG, termios.IXON)])
print("packet", os.read(pair.master, 30))
pair.change(on=[(IFLAG, termios.IXON)])
print("packet", os.read(pair.master, 30))
termios.tcflush(pair.slave, termios.TCIFLUSH)
print("packet", os.read(pair.master, 30))
pair.close()

# Life: locked, opened, closed, hung up.
master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
number = struct.unpack("I", fcntl.ioctl(master, 0x80045430, bytes(4)))[0]
name = f"/dev/pts/{number}"
print(name, oct(os.stat(name).st_mode), os.stat(name).st_rdev == os.makedev(136, number))
print(attempt(os.open, name, os.O_RDWR | os.O_NOCTTY))
poll = select.poll()
poll.register(master, 0xFFFF)
print(poll.poll(0)[0][1] & ~0x300)
fcntl.ioctl(master, 0x40045431, struct.pack("i", 0))
peer = fcntl.ioctl(master, 0x5441, os.O_RDWR | os.O_NOCTTY)
print(os.ttyname(peer) == name, os.readlink(f"/proc/self/fd/{peer}") == name, os.isatty(master))
print(os.readlink(f"/proc/self/fd/{master}"))
os.write(peer, b"left")
os.close(peer)
print(poll.poll(0)[0][1] & ~0x300, take(master), poll.poll(0)[0][1] & ~0x300)
slave = os.open(name, os.O_RDWR | os.O_NOCTTY)
print(poll.poll(0)[0][1] & ~0x300)
fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 11, 22, 33, 44))
print(
    struct.unpack("HHHH", fcntl.ioctl(slave, termios.TIOCGWINSZ, bytes(8))),
    os.get_terminal_size(slave),
)
print(
    [
        attempt(fcntl.ioctl, slave, request, bytes(8))
        for request in (0x80045430, termios.TIOCMGET, 0x12345)
    ]
)
print(struct.unpack("i", fcntl.ioctl(slave, termios.TIOCGETD, bytes(4))))
print(attempt(fcntl.ioctl, slave, termios.TIOCSETD, struct.pack("i", 99)))
print(attempt(fcntl.ioctl, slave, 0x5429, bytes(4)), attempt(os.tcgetpgrp, slave))
print(attempt(fcntl.ioctl, slave, termios.TIOCNOTTY), attempt(os.tcsetpgrp, slave, os.getpgrp()))
print(
    attempt(os.lseek, slave, 0, 0), attempt(os.pread, slave, 1, 0), attempt(os.ftruncate, slave, 0)
)
raw = fcntl.ioctl(slave, 0x802C542A, bytes(44))
print(raw.hex(), fcntl.ioctl(slave, 0x5405, bytes(18))[:17].hex())
fcntl.ioctl(slave, 0x5406, struct.pack("<HHHHB8sx", 0x500, 1, 0xBF, 0x8A3B, 0, b"abcdefgh"))
print(list(termios.tcgetattr(slave)[:4]), termios.tcgetattr(slave)[CC][:10])
print(attempt(os.open, "/dev/tty", os.O_RDWR))
poll = select.poll()
poll.register(slave, 0xFFFF)
os.close(master)
print(
    poll.poll(0)[0][1] & 0x3F,
    os.read(slave, 10),
    attempt(os.write, slave, b"x"),
    os.path.exists(name),
)
print(
    attempt(fcntl.ioctl, slave, termios.TCGETS, bytes(36)),
    attempt(os.tcsetpgrp, slave, 1),
    os.fstat(slave).st_rdev,
)
print(sorted(os.listdir("/dev/pts")))
