"""Packet sockets (packet(7)): frames as they pass an interface."""

from struct import Struct
from typing import Final

from netstack.bpf import BpfProgram
from netstack.errors import NetError
from netstack.packet_socket import Frame, FrameAddresses, PacketEndpoint
from sentry.abi import socket as abi
from sentry.abi.errno import EBUSY, EFAULT, EINVAL, EMSGSIZE, ENXIO, EOPNOTSUPP
from sentry.abi.ioctl import SIOCINQ
from sentry.errors import SysError
from sentry.kernel.task import Task
from sentry.mm.io import Sink, Source
from sentry.socket.base import Message
from sentry.socket.inet import InetSocket
from sentry.socket.net_errors import as_sys_error
from sentry.socket.net_namespace import NetworkNamespace
from sentry.socket.packet_ring import HEADER_SIZES, REQUEST, TPACKET_V1, PacketRing
from sentry.vfs.caller import Caller

_INT: Final = Struct("<i")
_SOCKADDR_LL: Final = Struct("<HHiHBB8s")
_NETWORK_ORDER: Final = Struct(">H")
_STATISTICS: Final = Struct("<II")
_MREQ: Final = Struct("<iHH8s")  # struct packet_mreq
_AUXDATA: Final = Struct("<IIIHHHH")  # struct tpacket_auxdata
FRAME_MAX: Final = 1 << 17
ARPHRD_ETHER: Final = 1
ARPHRD_LOOPBACK: Final = 772
ARPHRD_NONE: Final = 0xFFFE
TP_STATUS_USER: Final = 1
TP_STATUS_CSUM_VALID: Final = 1 << 7

PACKET_ADD_MEMBERSHIP: Final = 1
PACKET_DROP_MEMBERSHIP: Final = 2
PACKET_STATISTICS: Final = 6
PACKET_AUXDATA: Final = 8
PACKET_RX_RING: Final = 5
PACKET_VERSION: Final = 10
PACKET_HDRLEN: Final = 11
PACKET_RESERVE: Final = 12
PACKET_TIMESTAMP: Final = 17
PACKET_IGNORE_OUTGOING: Final = 23
PACKET_MR_MULTICAST: Final = 0
PACKET_MR_PROMISC: Final = 1
PACKET_MR_ALLMULTI: Final = 2
MODES: Final = {PACKET_MR_PROMISC: 0x100, PACKET_MR_ALLMULTI: 0x200}  # IFF_PROMISC, IFF_ALLMULTI


class Addresses(FrameAddresses):
    """Tells the ring of a socket where frames came from."""

    def __init__(self, sock: "PacketSocket") -> None:
        self.sock = sock

    def address_of(self, frame: Frame) -> bytes:
        return self.sock.pack(frame.interface_index, frame.ethertype, frame.kind, frame.source)


class PacketSocket(InetSocket):
    """A socket of AF_PACKET."""

    def __init__(
        self, task: Task, namespace: NetworkNamespace, kind: int, protocol: int, ethertype: int
    ) -> None:
        super().__init__(task, namespace, abi.AF_PACKET, kind, protocol)
        self.endpoint = PacketEndpoint(namespace.stack, kind == abi.SOCK_RAW, ethertype)
        self.endpoint.addresses = Addresses(self)
        self.wants_auxdata = False
        self.version = TPACKET_V1  # PACKET_VERSION
        self.reserve = 0  # PACKET_RESERVE
        self.ring: PacketRing | None = None
        self.attach(self.endpoint)

    def bind(self, task: Task, address: bytes) -> None:
        index, protocol, _ = unpack_sockaddr_ll(address)
        try:
            self.endpoint.bind(index, protocol)
        except NetError as error:
            raise as_sys_error(error) from None

    def try_connect(self, task: Task, address: bytes) -> int | None:
        raise SysError(EOPNOTSUPP)

    def name(self) -> bytes:
        endpoint = self.endpoint
        return self.pack(endpoint.interface_index, endpoint.protocol, 0, b"")

    def peer_name(self) -> bytes:
        raise SysError(EOPNOTSUPP)

    def shutdown(self, how: int) -> None:
        raise SysError(EOPNOTSUPP)

    def pack(self, index: int, ethertype: int, kind: int, source: bytes) -> bytes:
        """Return a struct sockaddr_ll."""
        interface = self.stack.interfaces.get(index)
        hardware = 0
        if interface is not None:
            hardware = ARPHRD_ETHER if interface.link.address else ARPHRD_NONE
            if interface.link.is_loopback:
                hardware = ARPHRD_LOOPBACK
            source = source or (interface.link.address if kind == 0 else b"")
        swapped: int = int.from_bytes(_NETWORK_ORDER.pack(ethertype & 0xFFFF), "little")
        return _SOCKADDR_LL.pack(
            abi.AF_PACKET, swapped, index, hardware, kind, len(source), source.ljust(8, b"\0")
        )

    # Data.

    def try_write(self, source: Source) -> int | None:
        return self._send(source, b"")

    def try_send(
        self, task: Task, source: Source, message: Message, address: bytes, flags: int
    ) -> int | None:
        return self._send(source, address)

    def _send(self, source: Source, address: bytes) -> int | None:
        index, protocol, destination = 0, 0, b""
        if address:
            index, protocol, destination = unpack_sockaddr_ll(address)
        elif not self.endpoint.interface_index:
            raise SysError(ENXIO)
        size = source.size
        if size > FRAME_MAX:
            raise SysError(EMSGSIZE)
        data = source.take(size)
        if len(data) < size:
            raise SysError(EFAULT)
        try:
            done = self.endpoint.send(data, index, protocol, destination)
        except NetError as error:
            raise as_sys_error(error) from None
        self.stack.flush()
        return done

    def try_read(self, sink: Sink) -> int | None:
        return self.try_receive(sink, Message(b""), 0)

    def try_receive(self, sink: Sink, message: Message, flags: int) -> int | None:
        try:
            frame = self.endpoint.receive(peek=bool(flags & abi.MSG_PEEK))
        except NetError as error:
            raise as_sys_error(error) from None
        if frame is None:
            return None
        size = len(frame.data)
        done = sink.put(frame.data) if size and sink.room else 0
        message.address = self.pack(
            frame.interface_index, frame.ethertype, frame.kind, frame.source
        )
        if done < size:
            message.flags |= abi.MSG_TRUNC
        if self.wants_auxdata:
            message.control.append((abi.SOL_PACKET, PACKET_AUXDATA, auxdata(frame)))
        return size if flags & abi.MSG_TRUNC else done

    def attach_filter(self, program: BpfProgram | None) -> None:
        self.endpoint.filter = program

    def ioctl(self, caller: Caller, request: int, argument: int) -> int:
        if request == SIOCINQ:
            try:
                frame = self.endpoint.receive(peek=True)
            except NetError as error:
                raise as_sys_error(error) from None
            return self.write_number(caller, argument, 0 if frame is None else len(frame.data))
        return super().ioctl(caller, request, argument)

    # Options.

    def get_special(self, level: int, option: int) -> bytes | None:
        if level != abi.SOL_PACKET:
            return super().get_special(level, option)
        if option == PACKET_STATISTICS:
            packets, drops = self.endpoint.take_statistics()
            return _STATISTICS.pack(packets, drops)
        if option == PACKET_AUXDATA:
            return _INT.pack(int(self.wants_auxdata))
        if option == PACKET_IGNORE_OUTGOING:
            return _INT.pack(int(self.endpoint.ignores_outgoing))
        if option == PACKET_VERSION:
            return _INT.pack(self.version)
        if option == PACKET_RESERVE:
            return _INT.pack(self.reserve)
        return None

    def asks_with_value(self, level: int, option: int) -> bool:
        return level == abi.SOL_PACKET and option == PACKET_HDRLEN

    def get_option_for(self, task: Task, level: int, option: int, value: bytes) -> bytes:
        """PACKET_HDRLEN: the size of the headers of a version."""
        if len(value) < 4:
            raise SysError(EINVAL)
        size = HEADER_SIZES.get(_INT.unpack_from(value)[0])
        if size is None:
            raise SysError(EINVAL)
        return _INT.pack(size)

    def mmap_host_fd(self, prot: int, flags: int) -> int:
        if self.ring is None:
            raise SysError(EINVAL)
        return self.ring.memory.fd

    def set_special(self, task: Task, level: int, option: int, value: bytes) -> bool:
        if level != abi.SOL_PACKET:
            return super().set_special(task, level, option, value)
        if option in (PACKET_ADD_MEMBERSHIP, PACKET_DROP_MEMBERSHIP):
            self._change_membership(option, value)
            return True
        if option == PACKET_RX_RING:
            self._set_ring(value)
            return True
        if len(value) < 4:
            raise SysError(EINVAL)
        is_on = any(value[:4])
        number: int = _INT.unpack_from(value)[0]
        if option == PACKET_AUXDATA:
            self.wants_auxdata = is_on
        elif option == PACKET_IGNORE_OUTGOING:
            self.endpoint.ignores_outgoing = is_on
        elif option in (PACKET_VERSION, PACKET_RESERVE):
            if self.ring is not None:
                raise SysError(EBUSY)
            if number < 0 or (option == PACKET_VERSION and number not in HEADER_SIZES):
                raise SysError(EINVAL)
            if option == PACKET_VERSION:
                self.version = number
            else:
                self.reserve = number
        elif option == PACKET_TIMESTAMP:
            self.values[(abi.SOL_PACKET, option)] = number  # there are only times of software
        else:
            return False
        return True

    def _set_ring(self, value: bytes) -> None:
        """PACKET_RX_RING: make the ring, or with no blocks take it away."""
        if len(value) < REQUEST.size:
            raise SysError(EINVAL)
        _, blocks, _, frames = REQUEST.unpack_from(value)
        made: PacketRing | None = None
        if blocks:
            if self.ring is not None:
                raise SysError(EBUSY)
            request = value[: REQUEST.size]
            made = PacketRing(request, self.version, self.reserve, self.kind == abi.SOCK_RAW)
        elif frames:
            raise SysError(EINVAL)
        self.ring = made
        self.endpoint.ring = made

    def _change_membership(self, option: int, value: bytes) -> None:
        if len(value) < _MREQ.size:
            raise SysError(EINVAL)
        index, kind, _, _ = _MREQ.unpack_from(value)
        flag = MODES.get(kind)
        if flag is None:
            if kind == PACKET_MR_MULTICAST:
                return  # every frame for a group is seen already
            raise SysError(EINVAL)
        if option == PACKET_ADD_MEMBERSHIP:
            self.endpoint.add_membership(index, flag)
        else:
            self.endpoint.drop_membership(index, flag)

    def apply_buffers(self, *, send: bool) -> None:
        if not send:
            self.endpoint.receive_limit = self.receive_buffer


def unpack_sockaddr_ll(data: bytes) -> tuple[int, int, bytes]:
    """Return interface, ethertype and hardware address of a struct sockaddr_ll."""
    if len(data) < 12 or abi.family_of(data) != abi.AF_PACKET:
        raise SysError(EINVAL)
    _, protocol, index, _, _, size, address = _SOCKADDR_LL.unpack(data[:20].ljust(20, b"\0"))
    ethertype = (protocol & 0xFF) << 8 | protocol >> 8
    return index, ethertype, address[: min(size, 8)]


def auxdata(frame: Frame) -> bytes:
    """Return the struct tpacket_auxdata of a frame."""
    status = TP_STATUS_USER | (TP_STATUS_CSUM_VALID if frame.checksum else 0)
    return _AUXDATA.pack(status, frame.length, len(frame.data), 0, frame.network, 0, 0)
