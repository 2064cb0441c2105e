"""Changes a directory tree at random, and tells what every step did and what is there at the end.

argv: the directory, the seed, how many steps.  Natively and in a sandbox the output is the same
as long as both have the same tree below the same kind of overlay.
"""

import errno
import os
import random
import stat
import sys

root, seed, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rng = random.Random(seed)
os.chdir(root)
os.umask(0o022)
NAMES = ["a", "b", "c", "d", "f", "g", "hard1", "hard2", "link", "fifo", "empty", "new", "big"]
held: list[int] = []  # open descriptors, which must keep seeing their files


def some_path() -> str:
    return "/".join(rng.choice(NAMES) for _ in range(rng.choice((1, 1, 2, 2, 3))))


def some_directory() -> str:
    found = ["."]
    for top, names, _ in os.walk("."):
        found += [os.path.join(top, name) for name in sorted(names)]
    return rng.choice(sorted(found))


def near() -> str:
    """A name in a directory that exists: more likely to do something."""
    return os.path.join(some_directory(), rng.choice(NAMES)) if rng.random() < 0.8 else some_path()


def write(path: str) -> object:
    flags = os.O_WRONLY | rng.choice(
        (0, os.O_CREAT, os.O_TRUNC, os.O_APPEND, os.O_CREAT | os.O_EXCL)
    )
    fd = os.open(path, flags | os.O_NONBLOCK, rng.choice((0o600, 0o644, 0o4755)))
    try:
        return os.pwrite(fd, rng.randbytes(rng.choice((1, 10, 5000))), rng.choice((0, 3, 70000)))
    finally:
        os.close(fd)


def read(path: str) -> object:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return hash_of(os.pread(fd, 1 << 20, 0))
    finally:
        os.close(fd)


def hash_of(data: bytes) -> tuple[int, int]:
    return len(data), sum(data[i] * (i % 251 + 1) for i in range(len(data))) & 0xFFFF


def hold(path: str) -> object:
    if len(held) > 8:
        os.close(held.pop(0))
    held.append(os.open(path, rng.choice((os.O_RDONLY, os.O_RDWR)) | os.O_NONBLOCK))
    return len(held)


def use_held(path: str) -> object:
    if not held:
        return None
    fd = rng.choice(held)
    found = os.fstat(fd)
    result: list[object] = [oct(found.st_mode)]
    if stat.S_ISREG(found.st_mode):
        result.append(found.st_size)
        result.append(hash_of(os.pread(fd, 1 << 20, 0)))
        # Linux answers EEXIST for a file whose name is gone and that was not copied up before.
        is_named = not os.readlink(f"/proc/self/fd/{fd}").endswith(" (deleted)")
        if rng.random() < 0.3 and is_named:
            os.fchmod(fd, rng.choice((0o640, 0o755)))
    elif stat.S_ISDIR(found.st_mode):
        result.append(sorted(os.listdir(fd)))
    return result


def times(path: str) -> object:
    os.utime(path, ns=(10**18 + 5, 10**18 + 7), follow_symlinks=False)
    return os.lstat(path).st_mtime_ns


def attribute(path: str) -> object:
    if not os.path.isfile(path) and not os.path.isdir(path):
        return None
    kind = rng.randrange(3)
    if kind == 0:
        os.setxattr(path, "user.k", b"%d" % rng.randrange(9))
    elif kind == 1:
        os.removexattr(path, "user.k")
    return sorted((n, os.getxattr(path, n)) for n in os.listxattr(path) if n.startswith("user."))


def rename(path: str) -> object:
    return os.rename(path, near())


def link(path: str) -> object:
    return os.link(path, near(), follow_symlinks=False)


def look(path: str) -> object:
    found = os.lstat(path)
    size = 0 if stat.S_ISDIR(found.st_mode) else found.st_size
    nlink = 0 if stat.S_ISDIR(found.st_mode) else found.st_nlink
    return oct(found.st_mode), size, nlink, found.st_uid, found.st_gid


def resize(path: str) -> object:
    if stat.S_ISREG(os.stat(path).st_mode):
        os.truncate(path, rng.choice((0, 1, 4096, 100000)))
    return None


def unnamed(path: str) -> object:
    fd = os.open(some_directory(), os.O_TMPFILE | os.O_RDWR, 0o600)
    os.write(fd, b"unnamed")
    size = os.fstat(fd).st_size, os.fstat(fd).st_nlink
    os.close(fd)
    return size


ACTIONS = {
    write: 6, read: 3, hold: 4, use_held: 6, times: 1, attribute: 2, rename: 7, link: 3, look: 3,
    resize: 2, unnamed: 1,
    os.mkdir: 4, os.rmdir: 5, os.unlink: 6,
    lambda path: os.symlink("target", path): 1,
    lambda path: os.mkfifo(path): 1,
    lambda path: os.chmod(path, rng.choice((0o700, 0o755, 0o2775))): 2,
    lambda path: os.chown(path, rng.choice((0, 7)), -1, follow_symlinks=False): 2,
    lambda path: sorted(os.listdir(path)): 3,
    lambda path: sorted((e.name, e.is_dir(follow_symlinks=False)) for e in os.scandir(path)): 1,
}  # fmt: skip


def tell(path: str) -> None:
    found = os.lstat(path)
    text = [path, *map(str, look(path))]
    if stat.S_ISLNK(found.st_mode):
        text.append(os.readlink(path))
    if stat.S_ISREG(found.st_mode):
        text.append(str(read(path)))
    print(*text)
    if stat.S_ISDIR(found.st_mode):
        entries = {entry.name: entry.inode() for entry in os.scandir(path)}
        for name in sorted(entries):
            child = os.path.join(path, name)
            if os.lstat(child).st_ino != entries[name]:
                print("d_ino differs from st_ino", child)
            tell(child)


numbers: dict[str, int] = {}
functions, weights = list(ACTIONS), list(ACTIONS.values())
for step in range(steps):
    action = rng.choices(functions, weights)[0]
    path = near()
    try:
        result: object = action(path)
    except OSError as error:
        result = errno.errorcode[error.errno or 0]
    print(step, getattr(action, "__name__", "?"), path, result)
tell(".")
