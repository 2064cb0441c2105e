"""What a signal handler finds on its stack: struct rt_sigframe of x86-64.

From the stack pointer upwards: the return address (sa_restorer), struct
ucontext, siginfo_t; above it, on a 64-byte boundary, the extended state that
`fpstate` of the sigcontext points to (asm/sigframe.h, asm/sigcontext.h,
asm-generic/ucontext.h).
"""

from struct import Struct
from typing import Final

# struct rt_sigframe
FRAME_SIZE: Final = 440
FRAME_RESTORER_OFFSET: Final = 0
FRAME_UCONTEXT_OFFSET: Final = 8
FRAME_SIGINFO_OFFSET: Final = 312

# struct ucontext, as the kernel has it: one word of signal mask
UCONTEXT_SIZE: Final = 304
UC_FLAGS_OFFSET: Final = 0
UC_LINK_OFFSET: Final = 8
UC_STACK_OFFSET: Final = 16
UC_MCONTEXT_OFFSET: Final = 40
UC_SIGMASK_OFFSET: Final = 296

# uc_flags
UC_FP_XSTATE: Final = 0x1
UC_SIGCONTEXT_SS: Final = 0x2
UC_STRICT_RESTORE_SS: Final = 0x4

# struct sigcontext_64, from UC_MCONTEXT_OFFSET
SIGCONTEXT_SIZE: Final = 256
SC_R8_OFFSET: Final = 0
SC_R9_OFFSET: Final = 8
SC_R10_OFFSET: Final = 16
SC_R11_OFFSET: Final = 24
SC_R12_OFFSET: Final = 32
SC_R13_OFFSET: Final = 40
SC_R14_OFFSET: Final = 48
SC_R15_OFFSET: Final = 56
SC_DI_OFFSET: Final = 64
SC_SI_OFFSET: Final = 72
SC_BP_OFFSET: Final = 80
SC_BX_OFFSET: Final = 88
SC_DX_OFFSET: Final = 96
SC_AX_OFFSET: Final = 104
SC_CX_OFFSET: Final = 112
SC_SP_OFFSET: Final = 120
SC_IP_OFFSET: Final = 128
SC_FLAGS_OFFSET: Final = 136
SC_CS_OFFSET: Final = 144  # 16 bits, as the next three
SC_GS_OFFSET: Final = 146
SC_FS_OFFSET: Final = 148
SC_SS_OFFSET: Final = 150
SC_ERR_OFFSET: Final = 152
SC_TRAPNO_OFFSET: Final = 160
SC_OLDMASK_OFFSET: Final = 168
SC_CR2_OFFSET: Final = 176
SC_FPSTATE_OFFSET: Final = 184

# r8..r15, di, si, bp, bx, dx, ax, cx, sp, ip, flags, cs, gs, fs, ss, err, trapno, oldmask,
# cr2, fpstate and eight reserved words
SIGCONTEXT: Final = Struct("<18Q4H5Q64x")

# struct _fpstate_64: the FXSAVE area, whose last 48 bytes the processor leaves to software
FXSAVE_SIZE: Final = 512
FPSTATE_ALIGN: Final = 64
SW_RESERVED_OFFSET: Final = 464
FP_XSTATE_MAGIC1: Final = 0x4650_5853
FP_XSTATE_MAGIC2: Final = 0x4650_5845
FP_XSTATE_MAGIC2_SIZE: Final = 4
XSTATE_HEADER_OFFSET: Final = 512
XSTATE_HEADER_SIZE: Final = 64
XFEATURE_MASK_FPSSE: Final = 0x3
MXCSR_OFFSET: Final = 24
MXCSR_MASK_OFFSET: Final = 28

# magic1, extended_size (with magic2), xfeatures, xstate_size (without)
SW_RESERVED: Final = Struct("<IIQI28x")

# The bytes below the stack pointer that the ABI leaves to leaf functions.
RED_ZONE_SIZE: Final = 128

# Segment selectors of user code
USER_CS: Final = 0x33
USER_DS: Final = 0x2B

# Flags of the processor: what sigreturn lets through (FIX_EFLAGS), and single stepping
EFLAGS_FIXED: Final = 0x0000_0002
EFLAGS_TF: Final = 0x0000_0100
EFLAGS_DF: Final = 0x0000_0400
EFLAGS_RF: Final = 0x0001_0000
EFLAGS_RESTORED: Final = 0x0005_0DD5  # AC OF DF TF SF ZF AF PF CF RF
