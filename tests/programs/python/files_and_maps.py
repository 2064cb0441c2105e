import fcntl
import mmap
import os
import shutil
import sqlite3
import stat
import tempfile

os.chdir(tempfile.mkdtemp())
with open("f", "w+b") as file:
    file.write(b"0123456789" * 1000)
    file.flush()
    with mmap.mmap(file.fileno(), 0) as mapping:
        mapping[0:3] = b"abc"
        print(mapping.find(b"9"), mapping.size(), mapping[:12])
    file.seek(0)
    print(file.read(5), os.pread(file.fileno(), 4, 8), os.fstat(file.fileno()).st_size)
    print(os.pwritev(file.fileno(), [b"xx", b"yy"], 2), os.preadv(file.fileno(), [bytearray(3)], 0))
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if os.fork() == 0:
        with open("f", "r+b") as other:
            try:
                fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
                print("locked twice", flush=True)
            except OSError as error:
                print(type(error).__name__, flush=True)
        os._exit(0)
    os.wait()
shared = mmap.mmap(-1, 8192)
if os.fork() == 0:
    shared[0:5] = b"child"
    os._exit(0)
os.wait()
print(shared[0:5])
private = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
private[0:3] = b"old"
if os.fork() == 0:
    private[0:3] = b"new"
    os._exit(0)
os.wait()
print(private[0:3])
os.makedirs("d/e")
os.symlink("../f", "d/link")
os.link("f", "d/e/hard")
print(sorted(os.walk("d")), os.readlink("d/link"), os.stat("f").st_nlink)
os.chmod("f", 0o4711)
print(stat.filemode(os.stat("f").st_mode), os.access("f", os.X_OK), os.path.samefile("f", "d/link"))
os.utime("f", ns=(10**18 + 1, 10**18 + 2))
print(os.stat("f").st_mtime_ns, os.stat("f").st_atime_ns)
for call in (
    lambda: os.mkdir("d"),
    lambda: os.rmdir("d"),
    lambda: os.open("missing", os.O_RDONLY),
    lambda: os.open("f/x", os.O_RDONLY),
    lambda: os.open("f", os.O_RDONLY | os.O_DIRECTORY),
    lambda: os.rename("d", "d/e/inside"),
    lambda: os.readlink("f"),
    lambda: os.open("n" * 300, os.O_RDONLY),
    lambda: os.write(99, b""),
    lambda: os.lseek(0, 0, 77),
):
    try:
        print(call())
    except OSError as error:
        print(error.errno, error.strerror)
print(shutil.copytree("d", "copy", symlinks=True), sorted(os.listdir("copy")))
directory = os.open("d", os.O_RDONLY)
print(
    sorted(os.listdir(directory)), os.stat("link", dir_fd=directory, follow_symlinks=False).st_size
)
os.rename("d/e", "moved")
os.replace("moved/hard", "f2")
with sqlite3.connect("db") as database:
    database.execute("create table t (n)")
    database.executemany("insert into t values (?)", [(n,) for n in range(1000)])
print(sqlite3.connect("db").execute("select sum(n) from t").fetchone())
with tempfile.NamedTemporaryFile() as named, tempfile.TemporaryFile() as nameless:
    nameless.write(b"x")
    print(os.path.exists(named.name), os.fstat(nameless.fileno()).st_nlink)
print(os.sendfile(os.open("out", os.O_WRONLY | os.O_CREAT), os.open("f", os.O_RDONLY), 0, 100))
memory = os.memfd_create("name")
os.ftruncate(memory, 4096)
print(os.fstat(memory).st_size)
with os.scandir(".") as entries:
    print(sorted((entry.name, entry.is_dir(), entry.is_symlink()) for entry in entries))
