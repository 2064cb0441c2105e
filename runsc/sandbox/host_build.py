"""Builds `runsc.sandbox._host`, the C extension behind `hostcalls` (cffi, API mode)."""

import shutil
import tempfile
from pathlib import Path

from cffi import FFI

DECLARATIONS = """
long host_unshare(unsigned long flags);
long host_setns(int fd, int type);
long host_mount(const char *source, const char *target, const char *type,
                unsigned long flags, const char *data);
long host_umount2(const char *target, int flags);
long host_pivot_root(const char *new_root, const char *put_old);
long host_open_tree(int dir_fd, const char *path, unsigned int flags);
long host_move_mount(int from_fd, const char *from, int to_fd, const char *to,
                     unsigned int flags);
long host_mount_setattr(int dir_fd, const char *path, unsigned int flags,
                        uint64_t set, uint64_t clear, uint64_t propagation);
long host_fsopen(const char *type, unsigned int flags);
long host_fsconfig(int fs_fd, unsigned int command, const char *key, const char *value,
                   int aux);
long host_fsmount(int fs_fd, unsigned int flags, unsigned int attributes);
long host_close_range(unsigned int first, unsigned int last, unsigned int flags);
long host_sethostname(const char *name, size_t size);
long host_setdomainname(const char *name, size_t size);
long host_prctl(int option, unsigned long a, unsigned long b, unsigned long c,
                unsigned long d);
long host_capget(uint64_t *effective, uint64_t *permitted, uint64_t *inheritable);
long host_capset(uint64_t effective, uint64_t permitted, uint64_t inheritable);
long host_signalfd(uint64_t mask);
long host_report_refused_calls(int fd);
"""

ffibuilder = FFI()
ffibuilder.cdef(DECLARATIONS)
ffibuilder.set_source(
    "runsc.sandbox._host",
    Path(__file__).with_name("hostcalls.c").read_text(encoding="utf-8"),
    extra_compile_args=["-O2", "-Wall", "-Wextra", "-Wno-unused-parameter"],
)


def build_in_place() -> None:
    """Put the extension beside this file, and nothing else."""
    with tempfile.TemporaryDirectory() as scratch:
        built = Path(ffibuilder.compile(tmpdir=scratch))
        shutil.move(built, Path(__file__).with_name(built.name))


if __name__ == "__main__":
    build_in_place()
