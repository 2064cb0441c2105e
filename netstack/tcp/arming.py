"""When what is in flight is sent again: the retransmission timer (RFC 6298; RFC 8985, 7.2)."""

from netstack.tcp.connection import Connection
from netstack.tcp.states import (
    CA_CWR,
    CA_OPEN,
    MS,
    RTX_LOSS_PROBE,
    RTX_TIMEOUT,
    SECOND,
    SYN_RECEIVED,
    SYN_SENT,
)


def arm_retransmit(connection: Connection, now: int) -> None:
    """Set the retransmission timer, or the loss probe before it (RFC 8985, 7.2)."""
    timeout = user_timeout_left(connection, connection.rtt.timeout(), now)
    probe = loss_probe_timeout(connection)
    if probe > 0:
        # A probe in the timeout's place, if that would come first (7.2, last paragraph).
        connection.set_retransmit(RTX_LOSS_PROBE, now + min(probe, timeout))
    else:
        connection.set_retransmit(RTX_TIMEOUT, now + timeout)


def loss_probe_timeout(connection: Connection) -> int:
    """Return the PTO of RFC 8985, 7.2; 0 if no probe is to be sent."""
    settings = connection.protocol.settings
    if (
        settings.early_retransmit == 0
        or not connection.has_sack
        or connection.ca_state not in (CA_OPEN, CA_CWR)
        or connection.scoreboard.sacked_bytes
        or connection.tlp_end > 0
        or connection.retransmits
        or connection.state in (SYN_SENT, SYN_RECEIVED)
    ):
        return 0
    if connection.rtt.srtt == 0:
        return SECOND
    timeout = 2 * connection.rtt.srtt
    if len(connection.scoreboard.items) == 1 and (
        connection.snd_nxt - connection.snd_una <= connection.mss
    ):
        timeout += 200 * MS  # the peer may delay its acknowledgment
    else:
        timeout += 2 * MS
    return timeout


def user_timeout_left(connection: Connection, timeout: int, now: int) -> int:
    """Return `timeout`, shortened so that TCP_USER_TIMEOUT is not overstayed (RFC 5482)."""
    limit = connection.options.user_timeout
    if not limit or not connection.first_timeout_ns or not connection.retransmits:
        return timeout
    left = connection.first_timeout_ns + limit - now
    return max(min(timeout, left), MS)
