"""File locks: who may have one, who gets it next, and when they go."""

import errno
import fcntl
import os
import signal
import struct
import tempfile
import time

os.chdir(tempfile.mkdtemp())
KINDS = {fcntl.F_RDLCK: "read", fcntl.F_WRLCK: "write", fcntl.F_UNLCK: "none"}


def record(command, fd, kind, start=0, length=0, pid=0):
    packed = struct.pack("hhqqi4x", kind, os.SEEK_SET, start, length, pid)
    try:
        found = struct.unpack("hhqqi4x", fcntl.fcntl(fd, command, packed))
        return KINDS[found[0]], found[2], found[3], found[4]
    except OSError as error:
        return errno.errorcode[error.errno]


def set_lock(fd, kind, start=0, length=0):
    return record(fcntl.F_SETLK, fd, kind, start, length)


def seen_by_another(fd, start=0, length=0):
    """What a child is told about locks that are in the way of a write lock."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        found = record(fcntl.F_GETLK, fd, fcntl.F_WRLCK, start, length)
        if isinstance(found, tuple):
            pid = found[3]
            found = (*found[:3], "parent" if pid == os.getppid() else pid)
        os.write(writer, repr(found).encode())
        os._exit(0)
    os.wait()
    text = os.read(reader, 1000).decode()
    os.close(reader)
    os.close(writer)
    return text


def child(function):
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            status = function() or 0
        finally:
            os._exit(status)
    return pid


def status_of(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


R, W, U = fcntl.F_RDLCK, fcntl.F_WRLCK, fcntl.F_UNLCK
fd = os.open("f", os.O_RDWR | os.O_CREAT)
other = os.open("f", os.O_RDWR)

# Ranges: splitting, joining, changing.
print(set_lock(fd, W, 0, 10), seen_by_another(fd))
print(set_lock(fd, W, 10, 10), seen_by_another(fd), "joined")
print(set_lock(fd, U, 5, 5), seen_by_another(fd), seen_by_another(fd, 5, 3), seen_by_another(fd, 6))
print(
    set_lock(fd, R, 12, 2),
    seen_by_another(fd, 10),
    seen_by_another(fd, 12),
    seen_by_another(fd, 14),
)
print(set_lock(fd, W, 12, 2), seen_by_another(fd, 10))
print(set_lock(fd, U), seen_by_another(fd))
print(set_lock(fd, W, 100), seen_by_another(fd), seen_by_another(fd, 0, 100))
print(set_lock(fd, W, 50, -20), seen_by_another(fd, 0, 100), set_lock(fd, W, -1, 1))
print(record(fcntl.F_GETLK, fd, U), set_lock(fd, 7), record(fcntl.F_OFD_SETLK, fd, W, 0, 0, 1))
print(set_lock(os.open("f", os.O_RDONLY), W), set_lock(os.open("f", os.O_WRONLY), R))

# Any descriptor of the file that is closed takes all of the process's locks along.
set_lock(fd, W)
print(seen_by_another(fd))
os.close(other)
print(seen_by_another(fd), "after close")
set_lock(fd, W)
os.close(os.dup(fd))
print(seen_by_another(fd), "after close of a duplicate")

# Not inherited by fork, kept over exec, gone at the end.
set_lock(fd, W)
print(status_of(child(lambda: set_lock(fd, W) == "EAGAIN")))
set_lock(fd, U)
os.set_inheritable(fd, True)
ready, begun = os.pipe()
os.set_inheritable(begun, True)


def lock_and_exec():
    set_lock(fd, W)
    os.execvp("sh", ["sh", "-c", f"echo x >&{begun}; exec sleep 30"])


holder = child(lock_and_exec)
os.read(ready, 1)
print(set_lock(fd, R))
os.kill(holder, signal.SIGKILL)
print(status_of(holder), set_lock(fd, R))
set_lock(fd, U)

# Who sleeps gets it, in the order in which they came.
set_lock(fd, W)
order, told = os.pipe()


def wait_for_it(number):
    def run():
        record(fcntl.F_SETLKW, fd, W)
        os.write(told, b"%d" % number)
        time.sleep(0.05)

    return run


pids = []
for number in range(3):
    pids.append(child(wait_for_it(number)))
    time.sleep(0.3)
set_lock(fd, U)
print([status_of(pid) for pid in pids], os.read(order, 10))

# A circle of waiters is refused; a signal ends the sleep.
set_lock(fd, W, 0, 1)


def circle():
    set_lock(fd, W, 1, 1)
    os.write(told, b"x")
    record(fcntl.F_SETLKW, fd, W, 0, 1)
    return 5


pid = child(circle)
os.read(order, 1)
time.sleep(0.3)
print(record(fcntl.F_SETLKW, fd, W, 1, 1))
set_lock(fd, U)
print(status_of(pid))


class Alarm(Exception):
    pass


def on_alarm(*_):
    raise Alarm


def blocker():
    set_lock(fd, W)
    fcntl.flock(os.open("f", os.O_RDWR), fcntl.LOCK_EX)
    os.write(told, b"x")
    time.sleep(30)


pid = child(blocker)
os.read(order, 1)
signal.signal(signal.SIGALRM, on_alarm)
for call in (
    lambda: record(fcntl.F_SETLKW, fd, W),
    lambda: fcntl.flock(fd, fcntl.LOCK_EX),
    lambda: record(fcntl.F_OFD_SETLKW, fd, W),
):
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        print(call())
    except Alarm:
        print("interrupted")
os.kill(pid, signal.SIGKILL)
print(status_of(pid))

# Locks of open file descriptions: against each other too, and shared by fork.
one, two = os.open("f", os.O_RDWR), os.open("f", os.O_RDWR)
print(record(fcntl.F_OFD_SETLK, one, W), record(fcntl.F_OFD_SETLK, two, W))
print(record(fcntl.F_OFD_GETLK, two, W), record(fcntl.F_GETLK, two, W))
print(status_of(child(lambda: record(fcntl.F_OFD_SETLK, one, R) == ("read", 0, 0, 0))))
print(record(fcntl.F_OFD_SETLK, two, R))
copy = os.dup(one)
os.close(one)
print(record(fcntl.F_OFD_SETLK, two, W))
os.close(copy)
print(record(fcntl.F_OFD_SETLK, two, W))
os.close(two)


# flock: of the description, lost when a change is refused.
def flock(fd, operation):
    try:
        fcntl.flock(fd, operation | fcntl.LOCK_NB)
        return "ok"
    except OSError as error:
        return errno.errorcode[error.errno]


one, two, three = (os.open("f", os.O_RDONLY) for _ in range(3))
print(flock(one, fcntl.LOCK_SH), flock(two, fcntl.LOCK_SH), flock(one, fcntl.LOCK_EX))
print(flock(two, fcntl.LOCK_EX), flock(three, fcntl.LOCK_SH), flock(one, fcntl.LOCK_SH))
print(flock(two, fcntl.LOCK_SH), flock(three, fcntl.LOCK_SH), flock(three, fcntl.LOCK_UN))
print(set_lock(fd, W), "not in the way of flock")
copy = os.dup(two)
os.close(two)
print(flock(three, fcntl.LOCK_EX), status_of(child(lambda: flock(copy, fcntl.LOCK_UN) != "ok")))
print(flock(three, fcntl.LOCK_EX), flock(one, 16), flock(99, fcntl.LOCK_SH))
