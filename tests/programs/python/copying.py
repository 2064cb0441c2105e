"""sendfile(2) and copy_file_range(2): offsets, partial results, errors."""

import errno
import os
import resource
import signal
import socket
import tempfile

os.chdir(tempfile.mkdtemp())
DATA = bytes(range(256)) * 1500
with open("in", "wb") as file:
    file.write(DATA)
source = os.open("in", os.O_RDONLY)
target = os.open("out", os.O_RDWR | os.O_CREAT)


def attempt(text, function, *arguments):
    try:
        print(text, function(*arguments))
    except OSError as error:
        print(text, errno.errorcode[error.errno])


def where(fd):
    return os.lseek(fd, 0, os.SEEK_CUR)


def all_of(function):
    """Call it until it gives 0; it may stop early."""
    total = 0
    while done := function():
        total += done
    return total


# sendfile: with an offset the input's position stays.
attempt("offset", os.sendfile, target, source, 100, 10)
print(where(source), where(target), os.pread(target, 20, 0) == DATA[100:110])
attempt("position", os.sendfile, target, source, None, 5)
print(where(source), where(target))
print("rest", all_of(lambda: os.sendfile(target, source, None, 1 << 20)), where(source))
attempt("at the end", os.sendfile, target, source, None, 10)
attempt("nothing", os.sendfile, target, source, 0, 0)
attempt("negative", os.sendfile, target, source, -1, 10)
attempt("not open", os.sendfile, 99, source, 0, 1)
attempt("not readable", os.sendfile, target, os.open("x", os.O_WRONLY | os.O_CREAT), 0, 1)
attempt("not writable", os.sendfile, source, source, 0, 1)
attempt("append", os.sendfile, os.open("out", os.O_WRONLY | os.O_APPEND), source, 0, 1)
attempt("directory", os.sendfile, target, os.open(".", os.O_RDONLY), 0, 1)
attempt("zeros", os.sendfile, target, os.open("/dev/zero", os.O_RDONLY), None, 7)

reader, writer = os.pipe()
attempt("from a pipe, offset", os.sendfile, target, reader, 0, 1)
child = os.fork()
if child == 0:
    os.close(writer)
    got = b""
    while piece := os.read(reader, 70_000):
        got += piece
    os._exit(0 if got == DATA else 1)
print("blocking pipe", os.sendfile(writer, source, 0, len(DATA)))
os.close(writer)
print(os.waitpid(child, 0)[1])
os.close(reader)
reader, writer = os.pipe()
os.set_blocking(writer, False)
attempt("non-blocking pipe", os.sendfile, writer, source, 0, 1 << 20)
attempt("full pipe", os.sendfile, writer, source, 0, 1)
os.close(reader)
signal.signal(signal.SIGPIPE, lambda *_: print("SIGPIPE"))
attempt("broken pipe", os.sendfile, writer, source, 0, 1)
left, right = socket.socketpair()
attempt("socket", os.sendfile, left.fileno(), source, 3, 1000)
print(right.recv(2000) == DATA[3:1003])
attempt("from a socket", os.sendfile, target, right.fileno(), None, 1)

# copy_file_range: both positions, or offsets of their own.
os.ftruncate(target, 0)
os.lseek(source, 50, os.SEEK_SET)
os.lseek(target, 0, os.SEEK_SET)
attempt("both positions", os.copy_file_range, source, target, 100)
print(where(source), where(target), os.pread(target, 200, 0) == DATA[50:150])
attempt("offsets", os.copy_file_range, source, target, 10, 0, 1000)
print(where(source), where(target), os.fstat(target).st_size)
attempt("past the end", os.copy_file_range, source, target, 10, 1 << 30, 0)
attempt("nothing", os.copy_file_range, source, target, 0)
attempt("onto itself", os.copy_file_range, target, target, 10, 0, 5)
attempt("beside itself", os.copy_file_range, target, target, 10, 0, 500)
attempt("not readable", os.copy_file_range, os.open("x", os.O_WRONLY), target, 1)
attempt("not writable", os.copy_file_range, source, source, 1, 0, 9999)
attempt("append", os.copy_file_range, source, os.open("out", os.O_WRONLY | os.O_APPEND), 1)
attempt("directory", os.copy_file_range, os.open(".", os.O_RDONLY), target, 1)
attempt("pipe", os.copy_file_range, writer, target, 1)
attempt("device", os.copy_file_range, os.open("/dev/zero", os.O_RDONLY), target, 1)
attempt("another file system", os.copy_file_range, os.open("/etc/passwd", os.O_RDONLY), target, 9)
os.lseek(source, 0, os.SEEK_SET)
os.lseek(target, 0, os.SEEK_SET)
print("all", all_of(lambda: os.copy_file_range(source, target, 1 << 20)))
print(os.pread(target, 1 << 20, 0) == DATA)

signal.signal(signal.SIGXFSZ, lambda *_: print("SIGXFSZ"))
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
os.lseek(target, 990, os.SEEK_SET)
attempt("up to the limit", os.sendfile, target, source, 0, 100)
attempt("over the limit", os.sendfile, target, source, 0, 100)
attempt("range up to the limit", os.copy_file_range, source, target, 100, 0, 995)
attempt("range over the limit", os.copy_file_range, source, target, 100, 0, 1000)
