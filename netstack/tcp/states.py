"""Connection states and the codes of TCP_INFO, by Linux's numbers (include/net/tcp_states.h)."""

from typing import Final

ESTABLISHED: Final = 1
SYN_SENT: Final = 2
SYN_RECEIVED: Final = 3
FIN_WAIT1: Final = 4
FIN_WAIT2: Final = 5
TIME_WAIT: Final = 6
CLOSED: Final = 7
CLOSE_WAIT: Final = 8
LAST_ACK: Final = 9
LISTEN: Final = 10
CLOSING: Final = 11

NAMES: Final = (
    "",
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
)

# States of loss recovery (tcpi_ca_state).
CA_OPEN: Final = 0
CA_DISORDER: Final = 1  # something was SACKed or acknowledged twice
CA_CWR: Final = 2  # the window is being reduced because of ECN
CA_RECOVERY: Final = 3  # fast recovery
CA_LOSS: Final = 4  # after a retransmission timeout

# What the retransmission timer stands for.
RTX_NONE: Final = 0
RTX_TIMEOUT: Final = 1
RTX_LOSS_PROBE: Final = 2  # RFC 8985, 7
RTX_REORDER: Final = 3  # RFC 8985, 6.2, step 5
RTX_WINDOW_PROBE: Final = 4

MS: Final = 1_000_000
SECOND: Final = 1_000_000_000
