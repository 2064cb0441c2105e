"""What is in flight, and what of it is SACKed, lost, or sent again (RFC 6675, RFC 8985)."""

import heapq
from bisect import bisect_right
from operator import attrgetter
from typing import Final

_START: Final = attrgetter("start")


class Sent:
    """A range of sequence numbers that was sent in one packet (of one or more segments)."""

    def __init__(self, start: int, end: int, now: int) -> None:
        self.start = start
        self.end = end
        self.sent_ns = now  # of the last transmission
        self.first_ns = now  # of the first one
        self.transmissions = 1
        self.sacked = False
        self.lost = False
        self.resent = False  # a retransmission is thought to be in flight
        self.is_gone = False  # acknowledged, and out of the scoreboard
        self.delivered = 0  # the connection's `delivered` when it was sent
        # Neighbours in the order of transmission.
        self.older: Sent | None = None
        self.newer: Sent | None = None


class Scoreboard:
    """Ranges in the order of their numbers and in the order of their transmission."""

    def __init__(self) -> None:
        self.items: list[Sent] = []
        self.sacked_bytes = 0
        self.lost_bytes = 0
        self.resent_bytes = 0
        self.highest_sacked = 0  # end of the highest SACKed range
        self.oldest: Sent | None = None  # by time of transmission; SACKed ones are not listed
        self.newest: Sent | None = None
        # A heap by sequence number; entries may have become stale.
        self._to_resend: list[tuple[int, int, Sent]] = []
        self._count = 0

    def is_empty(self) -> bool:
        """Return whether nothing is in flight."""
        return not self.items

    def add(self, start: int, end: int, now: int) -> Sent:
        """Note new data that was sent."""
        sent = Sent(start, end, now)
        self.items.append(sent)
        self._link(sent, self.newest)
        return sent

    # The list by time.

    def _link(self, sent: Sent, after: Sent | None) -> None:
        """Put `sent` behind `after`; None: first."""
        sent.older = after
        following = self.oldest if after is None else after.newer
        sent.newer = following
        if after is None:
            self.oldest = sent
        else:
            after.newer = sent
        if following is None:
            self.newest = sent
        else:
            following.older = sent

    def _unlink(self, sent: Sent) -> None:
        """Take `sent` off the list by time; harmless if it is not on it."""
        older = sent.older
        newer = sent.newer
        if older is not None:
            older.newer = newer
        elif self.oldest is sent:
            self.oldest = newer
        else:
            return
        if newer is not None:
            newer.older = older
        else:
            self.newest = older
        sent.older = None
        sent.newer = None

    # What acknowledgments do.

    def split(self, index: int, position: int) -> Sent:
        """Split the range of that index at sequence number `position`; return the second half."""
        first = self.items[index]
        second = Sent(position, first.end, first.sent_ns)
        second.first_ns = first.first_ns
        second.transmissions = first.transmissions
        second.sacked = first.sacked
        second.lost = first.lost
        second.resent = first.resent
        second.delivered = first.delivered
        first.end = position
        self.items.insert(index + 1, second)
        if second.lost and not second.resent:
            self._queue(second)
        elif not first.sacked:
            self._link(second, first)
        return second

    def remove_front(self, una: int) -> list[Sent]:
        """Take out and return the ranges below `una`; one in part is cut."""
        items = self.items
        count = 0
        total = len(items)
        while count < total and items[count].end <= una:
            count += 1
        if count < total and items[count].start < una:
            self.split(count, una)
            count += 1
        removed = items[:count]
        del items[:count]
        for sent in removed:
            size = sent.end - sent.start
            if sent.sacked:
                self.sacked_bytes -= size
            else:
                self._unlink(sent)
                if sent.lost:
                    self.lost_bytes -= size
                if sent.resent:
                    self.resent_bytes -= size
            sent.is_gone = True
        return removed

    def find(self, position: int) -> int:
        """Return the index of the range that holds `position`, or of the first behind it."""
        items = self.items
        index = bisect_right(items, position, key=_START)
        if index and items[index - 1].end > position:
            return index - 1
        return index

    def resume(self, start: int, known: int) -> int:
        """Return where to go on with a block from `start` that was taken up to `known` before.

        Its last segment was passed over if it was reported in part only.
        """
        if known <= start:
            return start
        index = self.find(known - 1)
        if index < len(self.items) and not self.items[index].sacked:
            return max(start, self.items[index].start)
        return known

    def mark_sacked(self, start: int, end: int, mss: int) -> list[Sent]:
        """Mark what lies in a SACK block; return the ranges that are newly marked.

        A range of several segments is split on its segments' boundaries only, so
        that odd blocks cannot make many ranges of it.
        """
        marked: list[Sent] = []
        items = self.items
        index = self.find(start)
        while index < len(items):
            sent = items[index]
            if sent.start >= end:
                break
            if not sent.sacked:
                if sent.start < start:
                    cut = sent.start - (sent.start - start) // mss * mss
                    if cut < sent.end:
                        self.split(index, cut)
                    index += 1
                    continue
                if sent.end > end:
                    cut = (end - sent.start) // mss * mss
                    if cut == 0:
                        break  # a piece of one segment: wait for the rest
                    self.split(index, sent.start + cut)
                self._sack(sent)
                marked.append(sent)
            index += 1
        return marked

    def _sack(self, sent: Sent) -> None:
        """Mark one range as received by the peer."""
        size = sent.end - sent.start
        sent.sacked = True
        self._unlink(sent)
        self.sacked_bytes += size
        if sent.lost:
            sent.lost = False
            self.lost_bytes -= size
        if sent.resent:
            sent.resent = False
            self.resent_bytes -= size
        if sent.end > self.highest_sacked:
            self.highest_sacked = sent.end

    def forget_sacks(self) -> None:
        """The peer dropped what it had SACKed (RFC 2018, 8): nothing is SACKed any more."""
        for sent in self.items:
            if sent.sacked:
                sent.sacked = False
                self._link(sent, None)
        self.sacked_bytes = 0
        self.highest_sacked = 0

    # Losses.

    def mark_lost(self, sent: Sent) -> bool:
        """Mark a range, or its retransmission, as lost; False if that is known."""
        size = sent.end - sent.start
        if sent.lost and not sent.resent:
            return False
        if sent.resent:
            sent.resent = False
            self.resent_bytes -= size
        if not sent.lost:
            sent.lost = True
            self.lost_bytes += size
        # A lost range is not watched any more until it is sent again.
        self._unlink(sent)
        self._queue(sent)
        return True

    def _queue(self, sent: Sent) -> None:
        """Enter a lost range among those to be sent again."""
        self._count += 1
        heapq.heappush(self._to_resend, (sent.start, self._count, sent))

    def forget_losses(self) -> None:
        """Take back that anything not yet sent again is lost."""
        for sent in self.items:
            if sent.lost and not sent.resent:
                sent.lost = False
                self.lost_bytes -= sent.end - sent.start
                self._link(sent, None)
        self._to_resend.clear()

    def next_lost(self) -> Sent | None:
        """Return the lost range to be sent again next; None if there is none."""
        queue = self._to_resend
        while queue:
            sent = queue[0][2]
            if not (sent.is_gone or sent.sacked or sent.resent or not sent.lost):
                return sent
            heapq.heappop(queue)
        return None

    def index_of(self, sent: Sent) -> int:
        """Return the index of a range."""
        return bisect_right(self.items, sent.start, key=_START) - 1

    def on_resent(self, sent: Sent, now: int) -> None:
        """Note that a range was sent again."""
        if not sent.resent:
            sent.resent = True
            self.resent_bytes += sent.end - sent.start
        sent.sent_ns = now
        sent.transmissions += 1
        self._unlink(sent)
        self._link(sent, self.newest)

    def absorb_next(self, index: int) -> None:
        """Make one range of that of `index` and the one behind it, which is not SACKed."""
        sent = self.items[index]
        following = self.items[index + 1]
        size = following.end - following.start
        self._unlink(following)
        following.is_gone = True
        if following.lost:
            self.lost_bytes -= size
        if following.resent:
            self.resent_bytes -= size
        if sent.lost:
            self.lost_bytes += size
        if sent.resent:
            self.resent_bytes += size
        sent.transmissions = max(sent.transmissions, following.transmissions)
        sent.end = following.end
        del self.items[index + 1]

    def in_flight(self) -> int:
        """Return the bytes thought to be in the network: `pipe` of RFC 6675."""
        items = self.items
        if not items:
            return 0
        total = items[-1].end - items[0].start
        return total - self.sacked_bytes - self.lost_bytes + self.resent_bytes

    def clear(self) -> None:
        """Forget everything."""
        for sent in self.items:
            sent.older = None
            sent.newer = None
        self.items.clear()
        self._to_resend.clear()
        self.oldest = self.newest = None
        self.sacked_bytes = self.lost_bytes = self.resent_bytes = 0
