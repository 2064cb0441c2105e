"""Shells with job control on pseudo-terminals, driven as by a user; and sessions without one."""

import errno
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time


def attempt(function, *arguments):
    try:
        return function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]


class Screen:
    def __init__(self, fd):
        self.fd, self.text, self.seen = fd, "", 0

    def read(self, timeout):
        if not select.select([self.fd], [], [], timeout)[0]:
            return True
        try:
            data = os.read(self.fd, 4096)
        except OSError:
            return False
        self.text += data.decode()
        return True

    def expect(self, pattern, timeout=20):
        deadline = time.monotonic() + timeout
        while not (found := re.compile(pattern).search(self.text, self.seen)):
            alive = self.read(0.2)
            assert alive, (pattern, self.text)
            assert time.monotonic() < deadline, (pattern, self.text)
        self.seen = found.end()
        return found

    def settle(self, seconds):
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.read(left)

    def type(self, text):
        os.write(self.fd, text.encode())


def shell(*argv):
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(PS1="$ ", TERM="dumb", HISTFILE="")
        os.execvp(argv[0], argv)
    screen = Screen(fd)
    screen.expect(r"\$ $")
    return pid, screen


def ask(screen, line):
    screen.type(line + "\n")
    screen.expect(re.escape(line) + "\r\n")
    before = screen.seen
    screen.expect(r"\$ $")
    print(repr(re.sub(r"\b\d{2,}\b", "N", screen.text[before : screen.seen])))


for argv in (["bash", "--norc", "--noediting", "-i"], ["sh", "-i"]):
    pid, screen = shell(*argv)
    name = os.ptsname(screen.fd) if hasattr(os, "ptsname") else os.readlink(f"/proc/{pid}/fd/0")
    print(argv[0], name, os.getsid(pid) == pid, os.tcgetpgrp(screen.fd) == pid)
    stat = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    print(int(stat[4]) == os.stat(name).st_rdev, int(stat[5]) == pid)
    ask(screen, "tty < /dev/tty")
    ask(screen, "ps -o tty= -o args= $$")
    # ^C: the foreground job dies, the shell does not.
    screen.type("sleep 100\n")
    screen.expect("sleep 100\r\n")
    screen.settle(0.6)
    print(os.tcgetpgrp(screen.fd) != pid)
    screen.type("\x03")
    screen.expect(r"\^C(\r\n)?\$ $")
    ask(screen, "echo $?")
    # ^\ with a core that is not written here.
    screen.type("sleep 100\n")
    screen.expect("sleep 100\r\n")
    screen.settle(0.6)
    screen.type("\x1c")
    screen.expect(r"\$ $")
    ask(screen, "echo $?")
    # ^Z stops, bg and fg go on.
    screen.type("sleep 1.7\n")
    screen.expect(r"1.7\r\n")
    screen.settle(0.6)
    screen.type("\x1a")
    screen.expect(r"\$ $")
    ask(screen, "jobs")
    ask(screen, "bg")
    ask(screen, "fg")
    ask(screen, "echo $?")
    # A pipeline is one group.
    screen.type("cat | cat\n")
    screen.expect(r"cat\r\n")
    screen.settle(0.6)
    screen.type("typed\n")
    screen.expect(r"typed\r\ntyped\r\n")
    screen.type("\x04")
    screen.expect(r"\$ $")
    # In the background: reading stops, writing does only with tostop.
    screen.type("cat &\n")
    screen.settle(1.0)
    screen.type("\n")
    screen.expect(r"(?i)stopped")
    screen.settle(0.3)
    screen.type("kill -9 %1; wait\n")
    screen.expect(r"wait\r\n")
    screen.settle(0.8)
    screen.type("stty tostop; sh -c 'echo written' &\n")
    screen.settle(0.8)
    screen.type("\n")
    screen.settle(0.4)
    print("written\r" in screen.text[screen.seen :], "topped" in screen.text[screen.seen :])
    screen.type("stty -tostop; fg\n")
    screen.expect(r"fg\r\n")
    screen.expect(r"written\r\n")
    screen.settle(0.4)
    # The window.
    screen.type("trap 'echo changed' WINCH; echo set\n")
    screen.expect(r"\r\nset\r\n")
    fcntl.ioctl(screen.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 43, 21, 0, 0))
    screen.settle(0.3)
    screen.type("stty size\n")
    screen.expect(r"43 21\r\n")
    screen.settle(0.3)
    print("changed" in screen.text)
    # Ignored SIGTTIN, and a group that is an orphan: EIO.
    ask(screen, "sh -c 'trap \"\" TTIN; read x; echo read $?' & wait")
    screen.type("exit 3\n")
    print(os.waitpid(pid, 0)[1] >> 8)
    screen.settle(0.2)
    os.close(screen.fd)

# Hanging up: the leader gets SIGHUP and SIGCONT; what is open is dead.
report, writing = os.pipe()
pid, fd = pty.fork()
if pid == 0:
    seen = []
    signal.signal(signal.SIGHUP, lambda *_: seen.append("hup"))
    signal.signal(signal.SIGCONT, lambda *_: seen.append("cont"))
    os.write(writing, b"ready")
    data = attempt(os.read, 0, 10)
    text = f"{data} {attempt(os.read, 0, 10)} {seen} {attempt(os.write, 1, b'x')} {attempt(os.open, '/dev/tty', os.O_RDWR)}"
    os.write(writing, text.encode())
    os._exit(0)
os.read(report, 10)
time.sleep(0.3)
os.close(fd)
os.waitpid(pid, 0)
print(os.read(report, 200))

# A session of our own: acquiring, leaving, stealing.
master, slave = os.openpty()
name = os.ttyname(slave)
child = os.fork()
if child == 0:
    print(attempt(fcntl.ioctl, slave, termios.TIOCSCTTY, 0))
    os.setsid()
    print(attempt(os.open, "/dev/tty", os.O_RDWR))
    other = os.open(name, os.O_RDWR | os.O_NOCTTY)
    print(attempt(os.open, "/dev/tty", os.O_RDWR))
    again = os.open(name, os.O_RDWR)
    tty = os.open("/dev/tty", os.O_RDWR)
    print(os.fstat(tty).st_rdev, os.isatty(tty), os.tcgetpgrp(tty) == os.getpid())
    print(struct.unpack("i", fcntl.ioctl(tty, 0x5429, bytes(4)))[0] == os.getpid())
    print(attempt(os.tcsetpgrp, tty, 1), attempt(os.tcsetpgrp, tty, 99999))
    print(attempt(os.tcsetpgrp, tty, -5))
    grandchild = os.fork()
    if grandchild == 0:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        os.tcsetpgrp(tty, os.getpid())
        print(os.tcgetpgrp(tty) == os.getpid())
        print(attempt(fcntl.ioctl, tty, termios.TIOCSCTTY, 0))
        fcntl.ioctl(tty, termios.TIOCNOTTY)
        print(attempt(os.open, "/dev/tty", os.O_RDWR), attempt(os.tcgetpgrp, tty))
        os._exit(0)
    os.waitpid(grandchild, 0)
    print(os.tcgetpgrp(tty) == grandchild)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    print(attempt(os.read, tty, 1))
    os.tcsetpgrp(tty, os.getpgrp())
    signal.signal(signal.SIGHUP, lambda *_: print("hup"))
    fcntl.ioctl(tty, termios.TIOCNOTTY)
    print(attempt(os.tcgetpgrp, tty), attempt(fcntl.ioctl, tty, termios.TIOCSCTTY, 0))
    print(attempt(os.tcgetpgrp, tty) == os.getpid())
    os._exit(0)
os.waitpid(child, 0)
print(attempt(fcntl.ioctl, slave, 0x5429, bytes(4)))

# The leader's end: SIGHUP for the foreground group, and the terminal stays usable.
child = os.fork()
if child == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    if os.fork() == 0:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
        os.tcsetpgrp(slave, os.getpid())
        os.write(writing, b"ready")
        os.write(writing, signal.sigwait([signal.SIGHUP]).name.encode())
        os.write(slave, b"alive\n")
        os._exit(0)
    print(os.read(report, 10))
    os._exit(0)
os.waitpid(child, 0)
print(os.read(report, 10), os.read(master, 10))
