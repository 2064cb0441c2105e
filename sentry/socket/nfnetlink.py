"""NETLINK_NETFILTER: nf_tables, what rules of iptables in it ask for, and connections.

Changes of nf_tables come in batches, which succeed or fail as a whole (nfnetlink_rcv_batch).
"""

from collections.abc import Callable
from typing import Final

from sentry.abi import nf_tables as abi
from sentry.abi import socket as abi_socket
from sentry.abi.capability import CAP_NET_ADMIN
from sentry.abi.errno import (
    EAFNOSUPPORT,
    EINVAL,
    ENOENT,
    EOPNOTSUPP,
    EPERM,
    ERESTART,
)
from sentry.errors import SysError
from sentry.socket import ctnetlink
from sentry.socket.net_namespace import NetworkNamespace
from sentry.socket.netlink import (
    NLMSG_MIN_TYPE,
    RESPONDERS,
    Acknowledgement,
    Answer,
    LocatedError,
    Request,
    Responder,
    publish,
)
from sentry.socket.netlink_wire import NLMSGHDR_SIZE, RTATTR_SIZE, parse_attributes
from sentry.socket.nftables import changes, dumps, dynamic, objects, set_changes
from sentry.socket.nftables.attributes import Attributes, BadAttributeError, be, listed_at
from sentry.socket.nftables.changes import Change
from sentry.socket.nftables.compat import find_revision
from sentry.socket.nftables.dumps import Shown
from sentry.socket.nftables.ruleset import Journal, Ruleset

HEADER: Final = 4  # struct nfgenmsg

# Importing the module registers its expression.
DYNAMIC: Final = dynamic.Maker

ChangeMaker = Callable[[Change], None]

CHANGES: Final[dict[int, ChangeMaker]] = {
    abi.NFT_MSG_NEWTABLE: changes.new_table,
    abi.NFT_MSG_DELTABLE: changes.delete_table,
    abi.NFT_MSG_DESTROYTABLE: changes.delete_table,
    abi.NFT_MSG_NEWCHAIN: changes.new_chain,
    abi.NFT_MSG_DELCHAIN: changes.delete_chain,
    abi.NFT_MSG_DESTROYCHAIN: changes.delete_chain,
    abi.NFT_MSG_NEWRULE: changes.new_rule,
    abi.NFT_MSG_DELRULE: changes.delete_rule,
    abi.NFT_MSG_DESTROYRULE: changes.delete_rule,
    abi.NFT_MSG_NEWSET: set_changes.new_set,
    abi.NFT_MSG_DELSET: set_changes.delete_set,
    abi.NFT_MSG_DESTROYSET: set_changes.delete_set,
    abi.NFT_MSG_NEWSETELEM: set_changes.new_elements,
    abi.NFT_MSG_DELSETELEM: set_changes.delete_elements,
    abi.NFT_MSG_DESTROYSETELEM: set_changes.delete_elements,
    abi.NFT_MSG_NEWOBJ: objects.new_object,
    abi.NFT_MSG_DELOBJ: objects.delete_object,
    abi.NFT_MSG_DESTROYOBJ: objects.delete_object,
}
# What is no error if it is not there.
DESTROYING: Final = (
    abi.NFT_MSG_DESTROYTABLE,
    abi.NFT_MSG_DESTROYCHAIN,
    abi.NFT_MSG_DESTROYRULE,
    abi.NFT_MSG_DESTROYSET,
    abi.NFT_MSG_DESTROYSETELEM,
    abi.NFT_MSG_DESTROYOBJ,
)


class NetfilterResponder(Responder):
    """The kernel's side of NETLINK_NETFILTER."""

    may_listen = False

    def may_ask(self, request: Request) -> None:
        """SysError(EPERM) for who may not even ask (nfnetlink_rcv)."""
        if not request.creds.has_capability(CAP_NET_ADMIN):
            raise SysError(EPERM)

    def answer(self, namespace: NetworkNamespace, request: Request) -> list[Answer]:
        try:
            return self._answer(namespace, request)
        except BadAttributeError as error:
            raise LocatedError(error.errno, offset_of(request, error)) from None

    def _answer(self, namespace: NetworkNamespace, request: Request) -> list[Answer]:
        self.may_ask(request)
        subsystem, kind = request.kind >> 8, request.kind & 0xFF
        if len(request.payload) < HEADER:
            return []
        family = request.payload[0]
        if subsystem == abi.NFNL_SUBSYS_NFTABLES:
            return self._rules(namespace.nftables, request, kind, family)
        if subsystem == abi.NFNL_SUBSYS_NFT_COMPAT and kind == abi.NFNL_MSG_COMPAT_GET:
            attributes = parse_attributes(request.payload, HEADER)
            return [Answer(request.kind, header(family, 0) + find_revision(family, attributes))]
        if subsystem == abi.NFNL_SUBSYS_CTNETLINK:
            rows = ctnetlink.answer(namespace, request, kind)
            return [
                Answer(abi.NFNL_SUBSYS_CTNETLINK << 8 | one.kind, header(one.family, 0) + one.data)
                for one in rows
            ]
        raise SysError(EINVAL)

    def _rules(self, ruleset: Ruleset, request: Request, kind: int, family: int) -> list[Answer]:
        attributes = parse_attributes(request.payload, HEADER)
        dump = request.is_dump()
        if kind == abi.NFT_MSG_GETGEN:
            found = [dumps.show_generation(ruleset)]
        elif kind == abi.NFT_MSG_GETTABLE:
            found = dumps.get_tables(ruleset, family, attributes, dump=dump)
        elif kind == abi.NFT_MSG_GETCHAIN:
            found = dumps.get_chains(ruleset, family, attributes, dump=dump)
        elif kind == abi.NFT_MSG_GETRULE:
            found = dumps.get_rules(ruleset, family, attributes, dump=dump)
        elif kind == abi.NFT_MSG_GETSET:
            found = dumps.get_sets(ruleset, family, attributes, dump=dump)
        elif kind == abi.NFT_MSG_GETSETELEM:
            found = dumps.get_elements(ruleset, family, attributes, dump=dump)
        elif kind in {abi.NFT_MSG_GETOBJ, abi.NFT_MSG_GETOBJ_RESET}:
            resets = kind == abi.NFT_MSG_GETOBJ_RESET
            found = objects.get_objects(ruleset, family, attributes, dump=dump, resets=resets)
        elif kind == abi.NFT_MSG_GETFLOWTABLE:
            if not dump:
                raise SysError(ENOENT)  # there are none
            found = []
        elif kind in CHANGES:
            raise SysError(EINVAL)  # only in a batch
        else:
            raise SysError(EOPNOTSUPP)
        return [as_answer(ruleset, one) for one in found]

    # Batches.

    def answer_all(
        self, namespace: NetworkNamespace, requests: list[Request]
    ) -> list[Acknowledgement] | None:
        """Take a datagram that is a batch; None if it is none."""
        first = requests[0]
        if first.kind != abi.NFNL_MSG_BATCH_BEGIN or not first.creds.has_capability(CAP_NET_ADMIN):
            return None
        if len(first.payload) < HEADER:
            return []
        subsystem = int.from_bytes(first.payload[2:4], "big")
        if subsystem != abi.NFNL_SUBSYS_NFTABLES:
            return [Acknowledgement(first, EOPNOTSUPP)]
        ruleset = namespace.nftables
        try:
            attributes = parse_attributes(first.payload, HEADER)
            generation = be(attributes, abi.NFNL_BATCH_GENID, 4) if attributes else 0
        except SysError as error:
            return [Acknowledgement(first, error.errno)]
        if generation not in {0, ruleset.generation}:
            return [Acknowledgement(first, ERESTART)]
        batch = Batch(ruleset, requests[1:])
        task = namespace.kernel.current
        if batch.run():
            ruleset.generation = ruleset.generation % 0xFFFF_FFFF + 1
            if task is not None:
                ruleset.last_process = (task.group.pid, task.comm)
            shown = as_answer(ruleset, dumps.show_generation(ruleset))
            protocol = abi_socket.NETLINK_NETFILTER
            publish(namespace, protocol, abi.NFNLGRP_NFTABLES, shown.kind, shown.payload)
        return batch.acknowledgements


class Batch:
    """The messages of a batch after its first."""

    def __init__(self, ruleset: Ruleset, requests: list[Request]) -> None:
        self.ruleset = ruleset
        self.requests = requests
        self.acknowledgements: list[Acknowledgement] = []

    def run(self) -> bool:
        """Do everything or nothing; return whether it was done."""
        failed, journal = self._try(checks_each=False)
        if not failed:
            try:
                journal.check()
            except SysError:
                # Once more, to find the message that makes it wrong (NFT_VALIDATE_DO).
                journal.undo()
                failed, journal = self._try(checks_each=True)
        if failed:
            journal.undo()
            return False
        journal.commit()
        return True

    def _try(self, *, checks_each: bool) -> tuple[bool, Journal]:
        """Make the changes; return whether they are to be taken back."""
        journal = Journal(self.ruleset)
        self.acknowledgements = []
        is_complete = is_wrong = False
        for request in self.requests:
            error = offset = 0
            if request.kind == abi.NFNL_MSG_BATCH_END:
                is_complete = True
                break
            if request.kind == abi.NFNL_MSG_BATCH_BEGIN or len(request.payload) < HEADER:
                self.acknowledgements = []
                is_wrong = True
                break
            try:
                self._change(journal, request)
                if checks_each:
                    journal.check()
            except SysError as failure:
                error = failure.errno
                offset = offset_of(request, failure)
                is_wrong = True
            if error or request.flags & abi_socket.NLM_F_ACK:
                self.acknowledgements.append(Acknowledgement(request, error, offset))
        return is_wrong or not is_complete, journal

    def _change(self, journal: Journal, request: Request) -> None:
        if not request.flags & abi_socket.NLM_F_REQUEST or request.kind < NLMSG_MIN_TYPE:
            raise SysError(EINVAL)
        kind = request.kind & 0xFF
        if request.kind >> 8 != abi.NFNL_SUBSYS_NFTABLES:
            raise SysError(EINVAL)
        maker = CHANGES.get(kind)
        if maker is None:
            raise SysError(EOPNOTSUPP if kind in UNSUPPORTED else EINVAL)
        attributes: Attributes = parse_attributes(request.payload, HEADER)
        family = request.payload[0]
        if family and family not in KNOWN_FAMILIES:
            raise SysError(EAFNOSUPPORT if kind != abi.NFT_MSG_NEWTABLE else EOPNOTSUPP)
        change = Change(self.ruleset, journal, family, request.flags, attributes)
        try:
            maker(change)
        except SysError as error:
            if error.errno != ENOENT or kind not in DESTROYING:
                raise


UNSUPPORTED: Final = (abi.NFT_MSG_NEWFLOWTABLE, abi.NFT_MSG_DELFLOWTABLE)
KNOWN_FAMILIES: Final = (
    abi.NFPROTO_INET,
    abi.NFPROTO_IPV4,
    abi.NFPROTO_ARP,
    abi.NFPROTO_NETDEV,
    abi.NFPROTO_BRIDGE,
    abi.NFPROTO_IPV6,
)


def offset_of(request: Request, error: SysError) -> int:
    """Return where in a message the attribute is that an error is about; 0: nowhere."""
    if not isinstance(error, BadAttributeError):
        return 0
    for kind, _, at in listed_at(request.payload[HEADER:], len(request.payload)):
        if kind == error.kind:
            begin = NLMSGHDR_SIZE + HEADER + at
            return begin if error.inner < 0 else begin + RTATTR_SIZE + error.inner
    return 0


def header(family: int, number: int) -> bytes:
    """Return a struct nfgenmsg."""
    return bytes((family, 0)) + (number & 0xFFFF).to_bytes(2, "big")


def as_answer(ruleset: Ruleset, shown: Shown) -> Answer:
    """Return a message about rules as it goes to user space."""
    kind = abi.NFNL_SUBSYS_NFTABLES << 8 | shown.kind
    return Answer(kind, header(shown.family, ruleset.generation) + shown.attributes)


RESPONDERS[abi_socket.NETLINK_NETFILTER] = NetfilterResponder()
