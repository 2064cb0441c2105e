"""The system calls of x86-64 by number (asm/unistd_64.h), with Linux's names."""

from typing import Final

SYS_read: Final = 0
SYS_write: Final = 1
SYS_open: Final = 2
SYS_close: Final = 3
SYS_stat: Final = 4
SYS_fstat: Final = 5
SYS_lstat: Final = 6
SYS_poll: Final = 7
SYS_lseek: Final = 8
SYS_mmap: Final = 9
SYS_mprotect: Final = 10
SYS_munmap: Final = 11
SYS_brk: Final = 12
SYS_rt_sigaction: Final = 13
SYS_rt_sigprocmask: Final = 14
SYS_rt_sigreturn: Final = 15
SYS_ioctl: Final = 16
SYS_pread64: Final = 17
SYS_pwrite64: Final = 18
SYS_readv: Final = 19
SYS_writev: Final = 20
SYS_access: Final = 21
SYS_pipe: Final = 22
SYS_select: Final = 23
SYS_sched_yield: Final = 24
SYS_mremap: Final = 25
SYS_msync: Final = 26
SYS_mincore: Final = 27
SYS_madvise: Final = 28
SYS_shmget: Final = 29
SYS_shmat: Final = 30
SYS_shmctl: Final = 31
SYS_dup: Final = 32
SYS_dup2: Final = 33
SYS_pause: Final = 34
SYS_nanosleep: Final = 35
SYS_getitimer: Final = 36
SYS_alarm: Final = 37
SYS_setitimer: Final = 38
SYS_getpid: Final = 39
SYS_sendfile: Final = 40
SYS_socket: Final = 41
SYS_connect: Final = 42
SYS_accept: Final = 43
SYS_sendto: Final = 44
SYS_recvfrom: Final = 45
SYS_sendmsg: Final = 46
SYS_recvmsg: Final = 47
SYS_shutdown: Final = 48
SYS_bind: Final = 49
SYS_listen: Final = 50
SYS_getsockname: Final = 51
SYS_getpeername: Final = 52
SYS_socketpair: Final = 53
SYS_setsockopt: Final = 54
SYS_getsockopt: Final = 55
SYS_clone: Final = 56
SYS_fork: Final = 57
SYS_vfork: Final = 58
SYS_execve: Final = 59
SYS_exit: Final = 60
SYS_wait4: Final = 61
SYS_kill: Final = 62
SYS_uname: Final = 63
SYS_semget: Final = 64
SYS_semop: Final = 65
SYS_semctl: Final = 66
SYS_shmdt: Final = 67
SYS_msgget: Final = 68
SYS_msgsnd: Final = 69
SYS_msgrcv: Final = 70
SYS_msgctl: Final = 71
SYS_fcntl: Final = 72
SYS_flock: Final = 73
SYS_fsync: Final = 74
SYS_fdatasync: Final = 75
SYS_truncate: Final = 76
SYS_ftruncate: Final = 77
SYS_getdents: Final = 78
SYS_getcwd: Final = 79
SYS_chdir: Final = 80
SYS_fchdir: Final = 81
SYS_rename: Final = 82
SYS_mkdir: Final = 83
SYS_rmdir: Final = 84
SYS_creat: Final = 85
SYS_link: Final = 86
SYS_unlink: Final = 87
SYS_symlink: Final = 88
SYS_readlink: Final = 89
SYS_chmod: Final = 90
SYS_fchmod: Final = 91
SYS_chown: Final = 92
SYS_fchown: Final = 93
SYS_lchown: Final = 94
SYS_umask: Final = 95
SYS_gettimeofday: Final = 96
SYS_getrlimit: Final = 97
SYS_getrusage: Final = 98
SYS_sysinfo: Final = 99
SYS_times: Final = 100
SYS_ptrace: Final = 101
SYS_getuid: Final = 102
SYS_syslog: Final = 103
SYS_getgid: Final = 104
SYS_setuid: Final = 105
SYS_setgid: Final = 106
SYS_geteuid: Final = 107
SYS_getegid: Final = 108
SYS_setpgid: Final = 109
SYS_getppid: Final = 110
SYS_getpgrp: Final = 111
SYS_setsid: Final = 112
SYS_setreuid: Final = 113
SYS_setregid: Final = 114
SYS_getgroups: Final = 115
SYS_setgroups: Final = 116
SYS_setresuid: Final = 117
SYS_getresuid: Final = 118
SYS_setresgid: Final = 119
SYS_getresgid: Final = 120
SYS_getpgid: Final = 121
SYS_setfsuid: Final = 122
SYS_setfsgid: Final = 123
SYS_getsid: Final = 124
SYS_capget: Final = 125
SYS_capset: Final = 126
SYS_rt_sigpending: Final = 127
SYS_rt_sigtimedwait: Final = 128
SYS_rt_sigqueueinfo: Final = 129
SYS_rt_sigsuspend: Final = 130
SYS_sigaltstack: Final = 131
SYS_utime: Final = 132
SYS_mknod: Final = 133
SYS_uselib: Final = 134
SYS_personality: Final = 135
SYS_ustat: Final = 136
SYS_statfs: Final = 137
SYS_fstatfs: Final = 138
SYS_sysfs: Final = 139
SYS_getpriority: Final = 140
SYS_setpriority: Final = 141
SYS_sched_setparam: Final = 142
SYS_sched_getparam: Final = 143
SYS_sched_setscheduler: Final = 144
SYS_sched_getscheduler: Final = 145
SYS_sched_get_priority_max: Final = 146
SYS_sched_get_priority_min: Final = 147
SYS_sched_rr_get_interval: Final = 148
SYS_mlock: Final = 149
SYS_munlock: Final = 150
SYS_mlockall: Final = 151
SYS_munlockall: Final = 152
SYS_vhangup: Final = 153
SYS_modify_ldt: Final = 154
SYS_pivot_root: Final = 155
SYS__sysctl: Final = 156
SYS_prctl: Final = 157
SYS_arch_prctl: Final = 158
SYS_adjtimex: Final = 159
SYS_setrlimit: Final = 160
SYS_chroot: Final = 161
SYS_sync: Final = 162
SYS_acct: Final = 163
SYS_settimeofday: Final = 164
SYS_mount: Final = 165
SYS_umount2: Final = 166
SYS_swapon: Final = 167
SYS_swapoff: Final = 168
SYS_reboot: Final = 169
SYS_sethostname: Final = 170
SYS_setdomainname: Final = 171
SYS_iopl: Final = 172
SYS_ioperm: Final = 173
SYS_create_module: Final = 174
SYS_init_module: Final = 175
SYS_delete_module: Final = 176
SYS_get_kernel_syms: Final = 177
SYS_query_module: Final = 178
SYS_quotactl: Final = 179
SYS_nfsservctl: Final = 180
SYS_getpmsg: Final = 181
SYS_putpmsg: Final = 182
SYS_afs_syscall: Final = 183
SYS_tuxcall: Final = 184
SYS_security: Final = 185
SYS_gettid: Final = 186
SYS_readahead: Final = 187
SYS_setxattr: Final = 188
SYS_lsetxattr: Final = 189
SYS_fsetxattr: Final = 190
SYS_getxattr: Final = 191
SYS_lgetxattr: Final = 192
SYS_fgetxattr: Final = 193
SYS_listxattr: Final = 194
SYS_llistxattr: Final = 195
SYS_flistxattr: Final = 196
SYS_removexattr: Final = 197
SYS_lremovexattr: Final = 198
SYS_fremovexattr: Final = 199
SYS_tkill: Final = 200
SYS_time: Final = 201
SYS_futex: Final = 202
SYS_sched_setaffinity: Final = 203
SYS_sched_getaffinity: Final = 204
SYS_set_thread_area: Final = 205
SYS_io_setup: Final = 206
SYS_io_destroy: Final = 207
SYS_io_getevents: Final = 208
SYS_io_submit: Final = 209
SYS_io_cancel: Final = 210
SYS_get_thread_area: Final = 211
SYS_lookup_dcookie: Final = 212
SYS_epoll_create: Final = 213
SYS_epoll_ctl_old: Final = 214
SYS_epoll_wait_old: Final = 215
SYS_remap_file_pages: Final = 216
SYS_getdents64: Final = 217
SYS_set_tid_address: Final = 218
SYS_restart_syscall: Final = 219
SYS_semtimedop: Final = 220
SYS_fadvise64: Final = 221
SYS_timer_create: Final = 222
SYS_timer_settime: Final = 223
SYS_timer_gettime: Final = 224
SYS_timer_getoverrun: Final = 225
SYS_timer_delete: Final = 226
SYS_clock_settime: Final = 227
SYS_clock_gettime: Final = 228
SYS_clock_getres: Final = 229
SYS_clock_nanosleep: Final = 230
SYS_exit_group: Final = 231
SYS_epoll_wait: Final = 232
SYS_epoll_ctl: Final = 233
SYS_tgkill: Final = 234
SYS_utimes: Final = 235
SYS_vserver: Final = 236
SYS_mbind: Final = 237
SYS_set_mempolicy: Final = 238
SYS_get_mempolicy: Final = 239
SYS_mq_open: Final = 240
SYS_mq_unlink: Final = 241
SYS_mq_timedsend: Final = 242
SYS_mq_timedreceive: Final = 243
SYS_mq_notify: Final = 244
SYS_mq_getsetattr: Final = 245
SYS_kexec_load: Final = 246
SYS_waitid: Final = 247
SYS_add_key: Final = 248
SYS_request_key: Final = 249
SYS_keyctl: Final = 250
SYS_ioprio_set: Final = 251
SYS_ioprio_get: Final = 252
SYS_inotify_init: Final = 253
SYS_inotify_add_watch: Final = 254
SYS_inotify_rm_watch: Final = 255
SYS_migrate_pages: Final = 256
SYS_openat: Final = 257
SYS_mkdirat: Final = 258
SYS_mknodat: Final = 259
SYS_fchownat: Final = 260
SYS_futimesat: Final = 261
SYS_newfstatat: Final = 262
SYS_unlinkat: Final = 263
SYS_renameat: Final = 264
SYS_linkat: Final = 265
SYS_symlinkat: Final = 266
SYS_readlinkat: Final = 267
SYS_fchmodat: Final = 268
SYS_faccessat: Final = 269
SYS_pselect6: Final = 270
SYS_ppoll: Final = 271
SYS_unshare: Final = 272
SYS_set_robust_list: Final = 273
SYS_get_robust_list: Final = 274
SYS_splice: Final = 275
SYS_tee: Final = 276
SYS_sync_file_range: Final = 277
SYS_vmsplice: Final = 278
SYS_move_pages: Final = 279
SYS_utimensat: Final = 280
SYS_epoll_pwait: Final = 281
SYS_signalfd: Final = 282
SYS_timerfd_create: Final = 283
SYS_eventfd: Final = 284
SYS_fallocate: Final = 285
SYS_timerfd_settime: Final = 286
SYS_timerfd_gettime: Final = 287
SYS_accept4: Final = 288
SYS_signalfd4: Final = 289
SYS_eventfd2: Final = 290
SYS_epoll_create1: Final = 291
SYS_dup3: Final = 292
SYS_pipe2: Final = 293
SYS_inotify_init1: Final = 294
SYS_preadv: Final = 295
SYS_pwritev: Final = 296
SYS_rt_tgsigqueueinfo: Final = 297
SYS_perf_event_open: Final = 298
SYS_recvmmsg: Final = 299
SYS_fanotify_init: Final = 300
SYS_fanotify_mark: Final = 301
SYS_prlimit64: Final = 302
SYS_name_to_handle_at: Final = 303
SYS_open_by_handle_at: Final = 304
SYS_clock_adjtime: Final = 305
SYS_syncfs: Final = 306
SYS_sendmmsg: Final = 307
SYS_setns: Final = 308
SYS_getcpu: Final = 309
SYS_process_vm_readv: Final = 310
SYS_process_vm_writev: Final = 311
SYS_kcmp: Final = 312
SYS_finit_module: Final = 313
SYS_sched_setattr: Final = 314
SYS_sched_getattr: Final = 315
SYS_renameat2: Final = 316
SYS_seccomp: Final = 317
SYS_getrandom: Final = 318
SYS_memfd_create: Final = 319
SYS_kexec_file_load: Final = 320
SYS_bpf: Final = 321
SYS_execveat: Final = 322
SYS_userfaultfd: Final = 323
SYS_membarrier: Final = 324
SYS_mlock2: Final = 325
SYS_copy_file_range: Final = 326
SYS_preadv2: Final = 327
SYS_pwritev2: Final = 328
SYS_pkey_mprotect: Final = 329
SYS_pkey_alloc: Final = 330
SYS_pkey_free: Final = 331
SYS_statx: Final = 332
SYS_io_pgetevents: Final = 333
SYS_rseq: Final = 334
SYS_pidfd_send_signal: Final = 424
SYS_io_uring_setup: Final = 425
SYS_io_uring_enter: Final = 426
SYS_io_uring_register: Final = 427
SYS_open_tree: Final = 428
SYS_move_mount: Final = 429
SYS_fsopen: Final = 430
SYS_fsconfig: Final = 431
SYS_fsmount: Final = 432
SYS_fspick: Final = 433
SYS_pidfd_open: Final = 434
SYS_clone3: Final = 435
SYS_close_range: Final = 436
SYS_openat2: Final = 437
SYS_pidfd_getfd: Final = 438
SYS_faccessat2: Final = 439
SYS_process_madvise: Final = 440
SYS_epoll_pwait2: Final = 441
SYS_mount_setattr: Final = 442
SYS_quotactl_fd: Final = 443
SYS_landlock_create_ruleset: Final = 444
SYS_landlock_add_rule: Final = 445
SYS_landlock_restrict_self: Final = 446
SYS_memfd_secret: Final = 447
SYS_process_mrelease: Final = 448
SYS_futex_waitv: Final = 449
SYS_set_mempolicy_home_node: Final = 450
SYS_cachestat: Final = 451
SYS_fchmodat2: Final = 452
SYS_map_shadow_stack: Final = 453
SYS_futex_wake: Final = 454
SYS_futex_wait: Final = 455
SYS_futex_requeue: Final = 456
SYS_statmount: Final = 457
SYS_listmount: Final = 458
SYS_lsm_get_self_attr: Final = 459
SYS_lsm_set_self_attr: Final = 460
SYS_lsm_list_modules: Final = 461
SYS_mseal: Final = 462
SYS_setxattrat: Final = 463
SYS_getxattrat: Final = 464
SYS_listxattrat: Final = 465
SYS_removexattrat: Final = 466
SYS_open_tree_attr: Final = 467
SYS_file_getattr: Final = 468
SYS_file_setattr: Final = 469

NAMES: Final[dict[int, str]] = {
    SYS_read: "read",
    SYS_write: "write",
    SYS_open: "open",
    SYS_close: "close",
    SYS_stat: "stat",
    SYS_fstat: "fstat",
    SYS_lstat: "lstat",
    SYS_poll: "poll",
    SYS_lseek: "lseek",
    SYS_mmap: "mmap",
    SYS_mprotect: "mprotect",
    SYS_munmap: "munmap",
    SYS_brk: "brk",
    SYS_rt_sigaction: "rt_sigaction",
    SYS_rt_sigprocmask: "rt_sigprocmask",
    SYS_rt_sigreturn: "rt_sigreturn",
    SYS_ioctl: "ioctl",
    SYS_pread64: "pread64",
    SYS_pwrite64: "pwrite64",
    SYS_readv: "readv",
    SYS_writev: "writev",
    SYS_access: "access",
    SYS_pipe: "pipe",
    SYS_select: "select",
    SYS_sched_yield: "sched_yield",
    SYS_mremap: "mremap",
    SYS_msync: "msync",
    SYS_mincore: "mincore",
    SYS_madvise: "madvise",
    SYS_shmget: "shmget",
    SYS_shmat: "shmat",
    SYS_shmctl: "shmctl",
    SYS_dup: "dup",
    SYS_dup2: "dup2",
    SYS_pause: "pause",
    SYS_nanosleep: "nanosleep",
    SYS_getitimer: "getitimer",
    SYS_alarm: "alarm",
    SYS_setitimer: "setitimer",
    SYS_getpid: "getpid",
    SYS_sendfile: "sendfile",
    SYS_socket: "socket",
    SYS_connect: "connect",
    SYS_accept: "accept",
    SYS_sendto: "sendto",
    SYS_recvfrom: "recvfrom",
    SYS_sendmsg: "sendmsg",
    SYS_recvmsg: "recvmsg",
    SYS_shutdown: "shutdown",
    SYS_bind: "bind",
    SYS_listen: "listen",
    SYS_getsockname: "getsockname",
    SYS_getpeername: "getpeername",
    SYS_socketpair: "socketpair",
    SYS_setsockopt: "setsockopt",
    SYS_getsockopt: "getsockopt",
    SYS_clone: "clone",
    SYS_fork: "fork",
    SYS_vfork: "vfork",
    SYS_execve: "execve",
    SYS_exit: "exit",
    SYS_wait4: "wait4",
    SYS_kill: "kill",
    SYS_uname: "uname",
    SYS_semget: "semget",
    SYS_semop: "semop",
    SYS_semctl: "semctl",
    SYS_shmdt: "shmdt",
    SYS_msgget: "msgget",
    SYS_msgsnd: "msgsnd",
    SYS_msgrcv: "msgrcv",
    SYS_msgctl: "msgctl",
    SYS_fcntl: "fcntl",
    SYS_flock: "flock",
    SYS_fsync: "fsync",
    SYS_fdatasync: "fdatasync",
    SYS_truncate: "truncate",
    SYS_ftruncate: "ftruncate",
    SYS_getdents: "getdents",
    SYS_getcwd: "getcwd",
    SYS_chdir: "chdir",
    SYS_fchdir: "fchdir",
    SYS_rename: "rename",
    SYS_mkdir: "mkdir",
    SYS_rmdir: "rmdir",
    SYS_creat: "creat",
    SYS_link: "link",
    SYS_unlink: "unlink",
    SYS_symlink: "symlink",
    SYS_readlink: "readlink",
    SYS_chmod: "chmod",
    SYS_fchmod: "fchmod",
    SYS_chown: "chown",
    SYS_fchown: "fchown",
    SYS_lchown: "lchown",
    SYS_umask: "umask",
    SYS_gettimeofday: "gettimeofday",
    SYS_getrlimit: "getrlimit",
    SYS_getrusage: "getrusage",
    SYS_sysinfo: "sysinfo",
    SYS_times: "times",
    SYS_ptrace: "ptrace",
    SYS_getuid: "getuid",
    SYS_syslog: "syslog",
    SYS_getgid: "getgid",
    SYS_setuid: "setuid",
    SYS_setgid: "setgid",
    SYS_geteuid: "geteuid",
    SYS_getegid: "getegid",
    SYS_setpgid: "setpgid",
    SYS_getppid: "getppid",
    SYS_getpgrp: "getpgrp",
    SYS_setsid: "setsid",
    SYS_setreuid: "setreuid",
    SYS_setregid: "setregid",
    SYS_getgroups: "getgroups",
    SYS_setgroups: "setgroups",
    SYS_setresuid: "setresuid",
    SYS_getresuid: "getresuid",
    SYS_setresgid: "setresgid",
    SYS_getresgid: "getresgid",
    SYS_getpgid: "getpgid",
    SYS_setfsuid: "setfsuid",
    SYS_setfsgid: "setfsgid",
    SYS_getsid: "getsid",
    SYS_capget: "capget",
    SYS_capset: "capset",
    SYS_rt_sigpending: "rt_sigpending",
    SYS_rt_sigtimedwait: "rt_sigtimedwait",
    SYS_rt_sigqueueinfo: "rt_sigqueueinfo",
    SYS_rt_sigsuspend: "rt_sigsuspend",
    SYS_sigaltstack: "sigaltstack",
    SYS_utime: "utime",
    SYS_mknod: "mknod",
    SYS_uselib: "uselib",
    SYS_personality: "personality",
    SYS_ustat: "ustat",
    SYS_statfs: "statfs",
    SYS_fstatfs: "fstatfs",
    SYS_sysfs: "sysfs",
    SYS_getpriority: "getpriority",
    SYS_setpriority: "setpriority",
    SYS_sched_setparam: "sched_setparam",
    SYS_sched_getparam: "sched_getparam",
    SYS_sched_setscheduler: "sched_setscheduler",
    SYS_sched_getscheduler: "sched_getscheduler",
    SYS_sched_get_priority_max: "sched_get_priority_max",
    SYS_sched_get_priority_min: "sched_get_priority_min",
    SYS_sched_rr_get_interval: "sched_rr_get_interval",
    SYS_mlock: "mlock",
    SYS_munlock: "munlock",
    SYS_mlockall: "mlockall",
    SYS_munlockall: "munlockall",
    SYS_vhangup: "vhangup",
    SYS_modify_ldt: "modify_ldt",
    SYS_pivot_root: "pivot_root",
    SYS__sysctl: "_sysctl",
    SYS_prctl: "prctl",
    SYS_arch_prctl: "arch_prctl",
    SYS_adjtimex: "adjtimex",
    SYS_setrlimit: "setrlimit",
    SYS_chroot: "chroot",
    SYS_sync: "sync",
    SYS_acct: "acct",
    SYS_settimeofday: "settimeofday",
    SYS_mount: "mount",
    SYS_umount2: "umount2",
    SYS_swapon: "swapon",
    SYS_swapoff: "swapoff",
    SYS_reboot: "reboot",
    SYS_sethostname: "sethostname",
    SYS_setdomainname: "setdomainname",
    SYS_iopl: "iopl",
    SYS_ioperm: "ioperm",
    SYS_create_module: "create_module",
    SYS_init_module: "init_module",
    SYS_delete_module: "delete_module",
    SYS_get_kernel_syms: "get_kernel_syms",
    SYS_query_module: "query_module",
    SYS_quotactl: "quotactl",
    SYS_nfsservctl: "nfsservctl",
    SYS_getpmsg: "getpmsg",
    SYS_putpmsg: "putpmsg",
    SYS_afs_syscall: "afs_syscall",
    SYS_tuxcall: "tuxcall",
    SYS_security: "security",
    SYS_gettid: "gettid",
    SYS_readahead: "readahead",
    SYS_setxattr: "setxattr",
    SYS_lsetxattr: "lsetxattr",
    SYS_fsetxattr: "fsetxattr",
    SYS_getxattr: "getxattr",
    SYS_lgetxattr: "lgetxattr",
    SYS_fgetxattr: "fgetxattr",
    SYS_listxattr: "listxattr",
    SYS_llistxattr: "llistxattr",
    SYS_flistxattr: "flistxattr",
    SYS_removexattr: "removexattr",
    SYS_lremovexattr: "lremovexattr",
    SYS_fremovexattr: "fremovexattr",
    SYS_tkill: "tkill",
    SYS_time: "time",
    SYS_futex: "futex",
    SYS_sched_setaffinity: "sched_setaffinity",
    SYS_sched_getaffinity: "sched_getaffinity",
    SYS_set_thread_area: "set_thread_area",
    SYS_io_setup: "io_setup",
    SYS_io_destroy: "io_destroy",
    SYS_io_getevents: "io_getevents",
    SYS_io_submit: "io_submit",
    SYS_io_cancel: "io_cancel",
    SYS_get_thread_area: "get_thread_area",
    SYS_lookup_dcookie: "lookup_dcookie",
    SYS_epoll_create: "epoll_create",
    SYS_epoll_ctl_old: "epoll_ctl_old",
    SYS_epoll_wait_old: "epoll_wait_old",
    SYS_remap_file_pages: "remap_file_pages",
    SYS_getdents64: "getdents64",
    SYS_set_tid_address: "set_tid_address",
    SYS_restart_syscall: "restart_syscall",
    SYS_semtimedop: "semtimedop",
    SYS_fadvise64: "fadvise64",
    SYS_timer_create: "timer_create",
    SYS_timer_settime: "timer_settime",
    SYS_timer_gettime: "timer_gettime",
    SYS_timer_getoverrun: "timer_getoverrun",
    SYS_timer_delete: "timer_delete",
    SYS_clock_settime: "clock_settime",
    SYS_clock_gettime: "clock_gettime",
    SYS_clock_getres: "clock_getres",
    SYS_clock_nanosleep: "clock_nanosleep",
    SYS_exit_group: "exit_group",
    SYS_epoll_wait: "epoll_wait",
    SYS_epoll_ctl: "epoll_ctl",
    SYS_tgkill: "tgkill",
    SYS_utimes: "utimes",
    SYS_vserver: "vserver",
    SYS_mbind: "mbind",
    SYS_set_mempolicy: "set_mempolicy",
    SYS_get_mempolicy: "get_mempolicy",
    SYS_mq_open: "mq_open",
    SYS_mq_unlink: "mq_unlink",
    SYS_mq_timedsend: "mq_timedsend",
    SYS_mq_timedreceive: "mq_timedreceive",
    SYS_mq_notify: "mq_notify",
    SYS_mq_getsetattr: "mq_getsetattr",
    SYS_kexec_load: "kexec_load",
    SYS_waitid: "waitid",
    SYS_add_key: "add_key",
    SYS_request_key: "request_key",
    SYS_keyctl: "keyctl",
    SYS_ioprio_set: "ioprio_set",
    SYS_ioprio_get: "ioprio_get",
    SYS_inotify_init: "inotify_init",
    SYS_inotify_add_watch: "inotify_add_watch",
    SYS_inotify_rm_watch: "inotify_rm_watch",
    SYS_migrate_pages: "migrate_pages",
    SYS_openat: "openat",
    SYS_mkdirat: "mkdirat",
    SYS_mknodat: "mknodat",
    SYS_fchownat: "fchownat",
    SYS_futimesat: "futimesat",
    SYS_newfstatat: "newfstatat",
    SYS_unlinkat: "unlinkat",
    SYS_renameat: "renameat",
    SYS_linkat: "linkat",
    SYS_symlinkat: "symlinkat",
    SYS_readlinkat: "readlinkat",
    SYS_fchmodat: "fchmodat",
    SYS_faccessat: "faccessat",
    SYS_pselect6: "pselect6",
    SYS_ppoll: "ppoll",
    SYS_unshare: "unshare",
    SYS_set_robust_list: "set_robust_list",
    SYS_get_robust_list: "get_robust_list",
    SYS_splice: "splice",
    SYS_tee: "tee",
    SYS_sync_file_range: "sync_file_range",
    SYS_vmsplice: "vmsplice",
    SYS_move_pages: "move_pages",
    SYS_utimensat: "utimensat",
    SYS_epoll_pwait: "epoll_pwait",
    SYS_signalfd: "signalfd",
    SYS_timerfd_create: "timerfd_create",
    SYS_eventfd: "eventfd",
    SYS_fallocate: "fallocate",
    SYS_timerfd_settime: "timerfd_settime",
    SYS_timerfd_gettime: "timerfd_gettime",
    SYS_accept4: "accept4",
    SYS_signalfd4: "signalfd4",
    SYS_eventfd2: "eventfd2",
    SYS_epoll_create1: "epoll_create1",
    SYS_dup3: "dup3",
    SYS_pipe2: "pipe2",
    SYS_inotify_init1: "inotify_init1",
    SYS_preadv: "preadv",
    SYS_pwritev: "pwritev",
    SYS_rt_tgsigqueueinfo: "rt_tgsigqueueinfo",
    SYS_perf_event_open: "perf_event_open",
    SYS_recvmmsg: "recvmmsg",
    SYS_fanotify_init: "fanotify_init",
    SYS_fanotify_mark: "fanotify_mark",
    SYS_prlimit64: "prlimit64",
    SYS_name_to_handle_at: "name_to_handle_at",
    SYS_open_by_handle_at: "open_by_handle_at",
    SYS_clock_adjtime: "clock_adjtime",
    SYS_syncfs: "syncfs",
    SYS_sendmmsg: "sendmmsg",
    SYS_setns: "setns",
    SYS_getcpu: "getcpu",
    SYS_process_vm_readv: "process_vm_readv",
    SYS_process_vm_writev: "process_vm_writev",
    SYS_kcmp: "kcmp",
    SYS_finit_module: "finit_module",
    SYS_sched_setattr: "sched_setattr",
    SYS_sched_getattr: "sched_getattr",
    SYS_renameat2: "renameat2",
    SYS_seccomp: "seccomp",
    SYS_getrandom: "getrandom",
    SYS_memfd_create: "memfd_create",
    SYS_kexec_file_load: "kexec_file_load",
    SYS_bpf: "bpf",
    SYS_execveat: "execveat",
    SYS_userfaultfd: "userfaultfd",
    SYS_membarrier: "membarrier",
    SYS_mlock2: "mlock2",
    SYS_copy_file_range: "copy_file_range",
    SYS_preadv2: "preadv2",
    SYS_pwritev2: "pwritev2",
    SYS_pkey_mprotect: "pkey_mprotect",
    SYS_pkey_alloc: "pkey_alloc",
    SYS_pkey_free: "pkey_free",
    SYS_statx: "statx",
    SYS_io_pgetevents: "io_pgetevents",
    SYS_rseq: "rseq",
    SYS_pidfd_send_signal: "pidfd_send_signal",
    SYS_io_uring_setup: "io_uring_setup",
    SYS_io_uring_enter: "io_uring_enter",
    SYS_io_uring_register: "io_uring_register",
    SYS_open_tree: "open_tree",
    SYS_move_mount: "move_mount",
    SYS_fsopen: "fsopen",
    SYS_fsconfig: "fsconfig",
    SYS_fsmount: "fsmount",
    SYS_fspick: "fspick",
    SYS_pidfd_open: "pidfd_open",
    SYS_clone3: "clone3",
    SYS_close_range: "close_range",
    SYS_openat2: "openat2",
    SYS_pidfd_getfd: "pidfd_getfd",
    SYS_faccessat2: "faccessat2",
    SYS_process_madvise: "process_madvise",
    SYS_epoll_pwait2: "epoll_pwait2",
    SYS_mount_setattr: "mount_setattr",
    SYS_quotactl_fd: "quotactl_fd",
    SYS_landlock_create_ruleset: "landlock_create_ruleset",
    SYS_landlock_add_rule: "landlock_add_rule",
    SYS_landlock_restrict_self: "landlock_restrict_self",
    SYS_memfd_secret: "memfd_secret",
    SYS_process_mrelease: "process_mrelease",
    SYS_futex_waitv: "futex_waitv",
    SYS_set_mempolicy_home_node: "set_mempolicy_home_node",
    SYS_cachestat: "cachestat",
    SYS_fchmodat2: "fchmodat2",
    SYS_map_shadow_stack: "map_shadow_stack",
    SYS_futex_wake: "futex_wake",
    SYS_futex_wait: "futex_wait",
    SYS_futex_requeue: "futex_requeue",
    SYS_statmount: "statmount",
    SYS_listmount: "listmount",
    SYS_lsm_get_self_attr: "lsm_get_self_attr",
    SYS_lsm_set_self_attr: "lsm_set_self_attr",
    SYS_lsm_list_modules: "lsm_list_modules",
    SYS_mseal: "mseal",
    SYS_setxattrat: "setxattrat",
    SYS_getxattrat: "getxattrat",
    SYS_listxattrat: "listxattrat",
    SYS_removexattrat: "removexattrat",
    SYS_open_tree_attr: "open_tree_attr",
    SYS_file_getattr: "file_getattr",
    SYS_file_setattr: "file_setattr",
}
"""The name of each call."""

NUMBERS: Final[dict[str, int]] = {text: number for number, text in NAMES.items()}
"""The number of each call."""


def name(number: int) -> str:
    """Return the name of a call, or `syscall_` and its number."""
    text = NAMES.get(number)
    return f"syscall_{number}" if text is None else text
