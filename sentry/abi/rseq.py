"""Numbers of rseq(2) (linux/rseq.h)."""

from typing import Final

RSEQ_CPU_ID_UNINITIALIZED: Final = -1
RSEQ_CPU_ID_REGISTRATION_FAILED: Final = -2
RSEQ_FLAG_UNREGISTER: Final = 1

RSEQ_SIZE: Final = 32
RSEQ_SIG: Final = 0x5305_3053
