"""What waits at a Unix socket to be received: bytes or messages, and where the urgent byte is.

Linux's rules of urgent data (manage_oob, net/unix/af_unix.c): the byte is a
message of its own.  Once it was read with MSG_OOB an empty message stays in
its place as the mark.  A read does not go on beyond either; one that starts
there leaves an urgent byte out, unless it is inline (SO_OOBINLINE).
"""

from collections import deque

from sentry.abi import socket as abi
from sentry.abi.errno import EFAULT, EINVAL
from sentry.errors import SysError
from sentry.mm.io import Sink
from sentry.socket.base import Message
from sentry.socket.in_flight import IN_FLIGHT


class Inbox:
    """The messages of one socket, oldest first."""

    def __init__(self) -> None:
        self.messages: deque[Message] = deque()
        self.size = 0  # bytes that are to be read
        self.urgent: Message | None = None  # the last message with an urgent byte, unread
        self.is_inline = False  # SO_OOBINLINE
        self.peek_offset = -1  # SO_PEEK_OFF; negative: always the front

    def append(self, message: Message) -> None:
        """Put a message behind all others."""
        self.messages.append(message)
        self.size += len(message.data)

    def drop_all(self) -> bool:
        """Forget everything; return whether there was something that nobody had read."""
        messages = self.messages
        self.messages = deque()
        self.urgent = None
        self.size = 0
        is_unread = bool(messages) and (len(messages) > 1 or not messages[0].is_spent)
        for message in messages:
            _forget(message)
        return is_unread

    def next_size(self) -> int:
        """Return the size of the first message, 0 if there is none."""
        return len(self.messages[0].data) if self.messages else 0

    def is_at_mark(self) -> bool:
        """Return whether urgent data, or its place, is what comes next (SIOCATMARK)."""
        if not self.messages:
            return False
        first = self.messages[0]
        if first is self.urgent:
            return True
        if not first.is_spent:
            return False
        urgent = self.urgent
        return urgent is None or (len(self.messages) > 1 and self.messages[1] is urgent)

    # Packets.

    def read_packet(self, sink: Sink, message: Message, flags: int, *, is_record: bool) -> int:
        """Read one message; -1: there is none behind SO_PEEK_OFF.  `is_record`: with MSG_EOR."""
        peek = bool(flags & abi.MSG_PEEK)
        index, skip = self._find_packet(peek=peek)
        if index < 0:
            return -1
        first = self.messages[index]
        data = first.data[skip:] if skip else first.data
        size = len(data)
        try:
            done = sink.put(data) if size else 0
        except SysError:
            if not peek:
                self._lose_packet()
            raise
        message.ucred = first.ucred
        message.address = first.address
        if done < size:
            message.flags |= abi.MSG_TRUNC
        if is_record:
            message.flags |= first.flags & abi.MSG_EOR
        if peek:
            _share_rights(first, message)
            self._move_peek(done)
        else:
            message.rights = first.rights
            self.messages.popleft()
            self.size -= size
            self._move_peek(-size)
        return size if flags & abi.MSG_TRUNC else done

    def _find_packet(self, *, peek: bool) -> tuple[int, int]:
        """Return which message comes next, and how much of it is passed over; -1: none."""
        offset = self.peek_offset
        if not peek or offset < 0:
            return (0, 0) if self.messages else (-1, 0)
        for index, message in enumerate(self.messages):
            size = len(message.data)
            if offset < size or (offset == 0 and not message.was_peeked):
                message.was_peeked = True
                return index, offset
            offset -= size
        return -1, 0

    def _lose_packet(self) -> None:
        """Drop a message for which the reader's memory was bad, as Linux does."""
        lost = self.messages.popleft()
        self.size -= len(lost.data)
        _forget(lost)

    def _move_peek(self, count: int) -> None:
        """Move SO_PEEK_OFF: on by what was peeked at, back by what was taken."""
        if self.peek_offset >= 0:
            self.peek_offset = max(self.peek_offset + count, 0)

    # Streams.

    def read_stream(self, sink: Sink, message: Message, *, peek: bool, by_sender: bool) -> int:
        """Read bytes of several messages, up to one with descriptors; -1: there is nothing.

        `by_sender`: not of different senders (SO_PASSCRED).  Descriptors come with
        the bytes before them that are read in the same call (unix(7)).
        """
        skip = max(self.peek_offset, 0) if peek else 0
        index = 0
        done = -1
        while done < 0 or sink.room:
            index = self._pass_mark(index, peek=peek, is_first=done < 0)
            while 0 <= index < len(self.messages) and skip >= len(self.messages[index].data):
                skip -= len(self.messages[index].data)
                index += 1
            if not 0 <= index < len(self.messages):
                return done
            first = self.messages[index]
            if done >= 0 and by_sender and first.ucred != message.ucred:
                return done
            try:
                count = sink.put(first.data[skip:] if skip else first.data) if sink.room else 0
            except SysError:
                if done > 0:
                    return done
                raise
            message.ucred = first.ucred
            message.address = first.address
            done = max(done, 0) + count
            has_rights = bool(first.rights)
            if peek:
                if has_rights:
                    _share_rights(first, message)
                self._move_peek(count)
                skip = 0
                index += 1
            else:
                self._take(first, message, count)
                if first.data:
                    return done
            if has_rights:
                return done
        return done

    def _take(self, first: Message, message: Message, count: int) -> None:
        """Take `count` bytes of the first message, and its descriptors."""
        if first.rights:
            message.rights = first.rights
            first.rights = []
        self.size -= count
        self._move_peek(-count)
        if count == len(first.data):
            self.messages.popleft()
            first.data = b""
        else:
            first.data = first.data[count:]

    def _pass_mark(self, index: int, *, peek: bool, is_first: bool) -> int:
        """Return the message to go on with in the place of the one at `index`; -1: none.

        `is_first`: nothing was read yet in this call.
        """
        messages = self.messages
        if index >= len(messages):
            return -1
        first = messages[index]
        if first is not self.urgent and not first.is_spent:
            return index
        if first.is_spent:
            if not is_first and self.urgent is None:
                return -1
            if peek:
                index += 1
            else:
                _forget(messages.popleft())
            if index >= len(messages):
                return -1
            first = messages[index]
        if first is not self.urgent:
            return index
        if not is_first:
            return -1
        if self.is_inline:
            if not peek:
                self.urgent = None
        elif peek:
            index += 1
        else:
            self.urgent = None
            self.size -= len(first.data)
            _forget(messages.popleft())
        return index

    # Urgent data.

    def read_urgent(self, sink: Sink, message: Message, *, peek: bool) -> int:
        """Read the urgent byte (MSG_OOB); SysError(EINVAL) if there is none, or it is inline."""
        urgent = self.urgent
        if urgent is None or self.is_inline:
            raise SysError(EINVAL)
        data = urgent.data
        if not peek:
            self.urgent = None
            self.size -= len(data)
            urgent.data = b""
            urgent.is_spent = True
            index = self.messages.index(urgent)
            if index > 0 and self.messages[index - 1].is_spent:
                _forget(self.messages[index - 1])
                del self.messages[index - 1]
        if sink.put(data) < len(data):
            raise SysError(EFAULT)
        message.ucred = urgent.ucred
        message.flags |= abi.MSG_OOB
        return len(data)


def _forget(message: Message) -> None:
    """Drop a message with what nobody received of it."""
    if message.rights:
        IN_FLIGHT.drop(message.rights)
        message.rights = []


def _share_rights(first: Message, message: Message) -> None:
    """Give a reader that only peeks descriptors of its own."""
    message.rights = list(first.rights)
    IN_FLIGHT.count += len(first.rights)
    for file in first.rights:
        file.acquire()
