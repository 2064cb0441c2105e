"""What connection tracking sees of a TCP connection from the flags that pass (RFC 9293, 3.3.2).

Sequence numbers are not looked at: a segment outside of the window passes as one inside.
"""

from __future__ import annotations

from typing import Final

NONE: Final = 0
SYN_SENT: Final = 1
SYN_RECEIVED: Final = 2
ESTABLISHED: Final = 3
FIN_WAIT: Final = 4  # one side has closed
CLOSE_WAIT: Final = 5  # and was acknowledged
LAST_ACK: Final = 6  # both have
TIME_WAIT: Final = 7
CLOSED: Final = 8  # reset

# nf_conntrack_tcp_timeout_*, seconds.
TIMEOUTS: Final = (120, 120, 60, 432000, 120, 60, 30, 120, 10)

FIN: Final = 0x01
SYN: Final = 0x02
RST: Final = 0x04
ACK: Final = 0x10


class TcpState:
    """The state of one connection as a bystander knows it."""

    def __init__(self) -> None:
        self.state = NONE
        self.closed_by_reply = False  # who sent the first FIN

    def timeout(self) -> int:
        """Return the seconds that the connection may be silent."""
        return TIMEOUTS[self.state]

    def take(self, flags: int, *, is_reply: bool) -> bool:
        """Note a segment; False if it cannot belong to the connection."""
        if flags & (SYN | FIN) == SYN | FIN or flags & (SYN | RST) == SYN | RST:
            return False
        if not flags & (SYN | RST | ACK):
            return False
        if flags & RST:
            if self.state == NONE:
                return False
            self.state = CLOSED
            return True
        if flags & SYN:
            return self._take_syn(flags, is_reply=is_reply)
        if flags & FIN:
            return self._take_fin(is_reply=is_reply)
        return self._take_ack(is_reply=is_reply)

    def _take_syn(self, flags: int, *, is_reply: bool) -> bool:
        state = self.state
        if flags & ACK:
            if state == NONE or (not is_reply and state == SYN_SENT):
                return False
            if state == SYN_SENT:
                self.state = SYN_RECEIVED
            return True
        if not is_reply and state in {NONE, TIME_WAIT, CLOSED, LAST_ACK}:
            self.state = SYN_SENT  # the same ports once more
        elif is_reply and state == SYN_SENT:
            self.state = SYN_RECEIVED  # both open at once
        return True

    def _take_fin(self, *, is_reply: bool) -> bool:
        state = self.state
        if state in {NONE, SYN_SENT}:
            return False
        if state in {SYN_RECEIVED, ESTABLISHED}:
            self.state = FIN_WAIT
            self.closed_by_reply = is_reply
        elif state in {FIN_WAIT, CLOSE_WAIT} and is_reply != self.closed_by_reply:
            self.state = LAST_ACK
        return True

    def _take_ack(self, *, is_reply: bool) -> bool:
        state = self.state
        if state == NONE:
            self.state = ESTABLISHED  # it began before anybody looked
        elif state == SYN_SENT:
            return is_reply  # an answer to a SYN of an older connection; else out of place
        elif state == SYN_RECEIVED:
            if not is_reply:
                self.state = ESTABLISHED
        elif state == FIN_WAIT:
            if is_reply != self.closed_by_reply:
                self.state = CLOSE_WAIT
        elif state == LAST_ACK and is_reply == self.closed_by_reply:
            self.state = TIME_WAIT
        return True
