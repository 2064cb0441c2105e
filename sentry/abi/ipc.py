"""System V IPC: shmget(2), semget(2), msgget(2); POSIX queues: mq_open(2)."""

from struct import Struct
from typing import Final

IPC_PRIVATE: Final = 0
IPC_RMID: Final = 0
IPC_SET: Final = 1
IPC_STAT: Final = 2
IPC_INFO: Final = 3

IPC_CREAT: Final = 0o1000
IPC_EXCL: Final = 0o2000
IPC_NOWAIT: Final = 0o4000

IPC_64: Final = 0x100
IPCMNI: Final = 32_768

# Shared memory
SHM_RDONLY: Final = 0o10000
SHM_RND: Final = 0o20000
SHM_REMAP: Final = 0o40000
SHM_EXEC: Final = 0o100000
SHM_HUGETLB: Final = 0o4000
SHM_NORESERVE: Final = 0o10000
SHM_DEST: Final = 0o1000
SHM_LOCKED: Final = 0o2000

SHM_LOCK: Final = 11
SHM_UNLOCK: Final = 12
SHM_STAT: Final = 13
SHM_INFO: Final = 14
SHM_STAT_ANY: Final = 15
SHMLBA: Final = 4096
SHMMIN: Final = 1
SHMMNI: Final = 4096

# Semaphores
GETPID: Final = 11
GETVAL: Final = 12
GETALL: Final = 13
GETNCNT: Final = 14
GETZCNT: Final = 15
SETVAL: Final = 16
SETALL: Final = 17
SEM_STAT: Final = 18
SEM_INFO: Final = 19
SEM_STAT_ANY: Final = 20
SEMVMX: Final = 32_767
SEMMNI: Final = 32_000
SEMMSL: Final = 32_000
SEMMNS: Final = 1_024_000_000
SEMOPM: Final = 500

SEM_UNDO: Final = 0x1000

# Messages
MSG_STAT: Final = 11
MSG_INFO: Final = 12
MSG_STAT_ANY: Final = 13
MSGMAX: Final = 8192
MSGMNB: Final = 16_384
MSGMNI: Final = 32_000

MSG_NOERROR: Final = 0o10000
MSG_EXCEPT: Final = 0o20000
MSG_COPY: Final = 0o40000

# POSIX queues
MQ_PRIO_MAX: Final = 32_768

# struct ipc64_perm: key, uid, gid, cuid, cgid, mode, seq; and what follows it in each kind.
IPC64_PERM: Final = Struct("<iIIIIIH22x")
SHMID64_DS: Final = Struct("<QqqqiiQ16x")  # segsz, atime, dtime, ctime, cpid, lpid, nattch
SEMID64_DS: Final = Struct("<q8xq8xQ16x")  # otime, ctime, nsems
MSQID64_DS: Final = Struct("<qqqQQQii16x")  # stime, rtime, ctime, cbytes, qnum, qbytes, pids
SHMINFO64: Final = Struct("<5Q32x")  # shmmax, shmmin, shmmni, shmseg, shmall
SHM_INFO_STRUCT: Final = Struct("<i4x5Q")  # used_ids, shm_tot, shm_rss, shm_swp, two of swapping
SEMINFO: Final = Struct("<10i")  # map, mni, mns, mnu, msl, opm, ume, usz, vmx, aem
MSGINFO: Final = Struct("<7iH2x")  # pool, map, max, mnb, mni, ssz, tql, seg
SEMBUF: Final = Struct("<Hhh")  # sem_num, sem_op, sem_flg
