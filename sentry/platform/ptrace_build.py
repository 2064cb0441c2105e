"""Describes the C extension `sentry.platform._ptrace` to cffi; runs at build time only."""

import shutil
import tempfile
from pathlib import Path

from cffi import FFI

NATIVE = Path(__file__).resolve().parent / "ptrace" / "native"

# One translation unit, in this order.
SOURCES = ("stops.c", "events.c", "memory.c", "frames.c", "placement.c", "template.c", "files.c")

ffibuilder = FFI()
ffibuilder.cdef("""
struct pt_stop;
struct pt_stop *pt_stop_buffer(void);
void pt_resume(int tid, int action, long result);
int pt_wait(int tid, int action, long result, int running);
int pt_get_registers(int tid, unsigned long *regs);
int pt_get_guest_registers(int tid, unsigned long *regs);
int pt_set_registers(int tid, const unsigned long *regs);
int pt_interrupt(int tid);
int pt_leave_vsyscall(int tid, long result);
int pt_kill_group(int tgid);
int pt_exit_thread(int tid);
int pt_exit_past_call(int tid, unsigned long *saved);
long pt_execute(int tid, unsigned long *saved, int at_call, long number, long a0, long a1,
                long a2, long a3, long a4, long a5);
long pt_rewrite(int tid, int *moved, long a0, long a1, long a2, long a3, long a4, long a5);
long pt_clone(int tid, unsigned long *saved, int at_call, unsigned long flags);

int pt_due_events(void);
void pt_events_done(void);
int pt_may_defer(void);
int pt_note_deferred(int waits);
int pt_due_fd(int index);
unsigned pt_due_bits(int index);
int pt_timer_fd(void);
int pt_watch(int fd, unsigned events, int is_new);
int pt_unwatch(int fd);
int pt_set_timer(long deadline_ns);
int pt_tick_fd(void);
int pt_set_tick(long delay_ns);

int pt_cpu_count(void);
int pt_current_cpu(void);
int pt_place(int tid, int cpu);

int pt_fp_frame_size(void);
int pt_enter_handler(int tid, unsigned long *regs, int known, int action, long result,
                     const char *packed);
int pt_leave_handler(int tid);

char *pt_copy_buffer(void);
long pt_read(int pid, unsigned long address, unsigned long size);
long pt_read_into(int pid, unsigned long address, char *to, unsigned long size);
long pt_read_parts(int pid, unsigned long, unsigned long, unsigned long, unsigned long,
    unsigned long, unsigned long, unsigned long, unsigned long);
long pt_write_parts(int pid, const char *data, unsigned long, unsigned long, unsigned long,
    unsigned long, unsigned long, unsigned long, unsigned long, unsigned long);
long pt_write(int pid, unsigned long address, const char *data, unsigned long size);
void pt_begin_pieces(unsigned long address);
void pt_add_piece(const char *data, unsigned long size);
long pt_write_pieces(int pid);
long pt_read_string(int pid, unsigned long address, unsigned long limit);
long pt_read_from_host(int pid, int fd, unsigned long address, unsigned long size, long offset);
long pt_write_to_host(int pid, int fd, unsigned long address, unsigned long size, long offset);

unsigned char *pt_list_page(void);
int pt_make_template(void);
int pt_run_list(int tid, int is_last);
int pt_spawn(int template);
int pt_reset_fp_state(int tid);
unsigned long pt_put_filter(void);
int pt_start(void);
void pt_reap(int tid);
void pt_stop(void);

int pt_allocate(int fd, int mode, long offset, long length);
char *pt_stat_buffer(void);
int pt_stat_at(int dir_fd, const char *name);
int pt_stat_fd(int fd);
int pt_open_at(int dir_fd, const char *name, int flags, unsigned mode);
int pt_close(int fd);
int pt_rename(int old_dir_fd, const char *old_name, int dir_fd, const char *name, unsigned flags);
""")
ffibuilder.set_source(
    "sentry.platform._ptrace",
    "\n".join(f'#line 1 "{name}"\n{(NATIVE / name).read_text()}' for name in SOURCES),
    extra_compile_args=["-O2", "-Wall", "-Wextra", "-Wno-unused-parameter"],
)


def compile_in_place() -> None:
    """Build the extension beside this file; what else the compiler writes goes elsewhere."""
    with tempfile.TemporaryDirectory() as directory:
        built = Path(ffibuilder.compile(tmpdir=directory))
        shutil.copy(built, Path(__file__).resolve().parent / built.name)


if __name__ == "__main__":
    compile_in_place()
