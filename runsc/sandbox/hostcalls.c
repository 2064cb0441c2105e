/* Host calls that Python's os module lacks: mechanism only, every decision is in Python.
 *
 * Every function returns the call's result, or -errno.
 */

#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static long result_of(long result)
{
    return result < 0 ? -errno : result;
}

static long host_unshare(unsigned long flags)
{
    return result_of(syscall(SYS_unshare, flags));
}

static long host_setns(int fd, int type)
{
    return result_of(syscall(SYS_setns, fd, type));
}

static long host_mount(const char *source, const char *target, const char *type,
                       unsigned long flags, const char *data)
{
    return result_of(mount(source, target, type, flags, data));
}

static long host_umount2(const char *target, int flags)
{
    return result_of(umount2(target, flags));
}

static long host_pivot_root(const char *new_root, const char *put_old)
{
    return result_of(syscall(SYS_pivot_root, new_root, put_old));
}

static long host_open_tree(int dir_fd, const char *path, unsigned int flags)
{
    return result_of(syscall(SYS_open_tree, dir_fd, path, flags));
}

static long host_move_mount(int from_fd, const char *from, int to_fd, const char *to,
                            unsigned int flags)
{
    return result_of(syscall(SYS_move_mount, from_fd, from, to_fd, to, flags));
}

/* struct mount_attr of linux/mount.h, which cannot be included beside sys/mount.h. */
struct attributes {
    uint64_t set;
    uint64_t clear;
    uint64_t propagation;
    uint64_t userns_fd;
};

static long host_mount_setattr(int dir_fd, const char *path, unsigned int flags,
                               uint64_t set, uint64_t clear, uint64_t propagation)
{
    struct attributes attributes = {set, clear, propagation, 0};
    return result_of(syscall(SYS_mount_setattr, dir_fd, path, flags, &attributes,
                             sizeof(attributes)));
}

static long host_fsopen(const char *type, unsigned int flags)
{
    return result_of(syscall(SYS_fsopen, type, flags));
}

static long host_fsconfig(int fs_fd, unsigned int command, const char *key, const char *value,
                          int aux)
{
    return result_of(syscall(SYS_fsconfig, fs_fd, command, key, value, aux));
}

static long host_fsmount(int fs_fd, unsigned int flags, unsigned int attributes)
{
    return result_of(syscall(SYS_fsmount, fs_fd, flags, attributes));
}

static long host_close_range(unsigned int first, unsigned int last, unsigned int flags)
{
    return result_of(syscall(SYS_close_range, first, last, flags));
}

static long host_sethostname(const char *name, size_t size)
{
    return result_of(syscall(SYS_sethostname, name, size));
}

static long host_setdomainname(const char *name, size_t size)
{
    return result_of(syscall(SYS_setdomainname, name, size));
}

static long host_prctl(int option, unsigned long a, unsigned long b, unsigned long c,
                       unsigned long d)
{
    return result_of(syscall(SYS_prctl, option, a, b, c, d));
}

static long host_capget(uint64_t *effective, uint64_t *permitted, uint64_t *inheritable)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    long result;

    memset(data, 0, sizeof(data));
    result = result_of(syscall(SYS_capget, &header, data));
    if (result < 0)
        return result;
    *effective = data[0].effective | (uint64_t)data[1].effective << 32;
    *permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    *inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
    return 0;
}

static long host_capset(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {
        {(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
        {(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)},
    };
    return result_of(syscall(SYS_capset, &header, data));
}

/* Blocks the signals of `mask` (bit n-1 is signal n) and returns a descriptor that reads them. */
static long host_signalfd(uint64_t mask)
{
    sigset_t set;
    int number;

    sigemptyset(&set);
    for (number = 1; number <= 64; number++)
        if (mask >> (number - 1) & 1)
            sigaddset(&set, number);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    return result_of(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

/* Where a call that the filter refuses is reported before the process ends. */
static int report_fd = -1;

static void on_refused_call(int number, siginfo_t *info, void *context)
{
    ucontext_t *at = context;
    static const char hex[] = "0123456789abcdef";
    char line[] = "host filter: refused call 0000 at 0x0000000000000000, argument 0x0000000000000000\n";
    char *call = strstr(line, "0000");
    char *where = strstr(line, "at 0x") + 5;
    char *argument = strstr(line, "argument 0x") + 11;
    uint64_t ip = (uint64_t)at->uc_mcontext.gregs[REG_RIP];
    uint64_t first = (uint64_t)at->uc_mcontext.gregs[REG_RDI];
    unsigned int nr = (unsigned int)info->si_syscall;
    int i;

    (void)number;
    for (i = 3; i >= 0; i--, nr /= 10)
        call[i] = (char)('0' + nr % 10);
    for (i = 15; i >= 0; i--, ip >>= 4, first >>= 4) {
        where[i] = hex[ip & 15];
        argument[i] = hex[first & 15];
    }
    if (write(report_fd, line, sizeof(line) - 1) < 0)
        _exit(3);
    _exit(2);
}

/* With a filter that traps: name the refused call on `fd`, then end with status 2. */
static long host_report_refused_calls(int fd)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_sigaction = on_refused_call;
    action.sa_flags = SA_SIGINFO;
    report_fd = fd;
    return result_of(sigaction(SIGSYS, &action, NULL));
}
