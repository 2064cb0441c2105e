"""Finding what a message of nf_tables names: chains, rules, sets; and verdicts."""

from sentry.abi import nf_tables as abi
from sentry.abi.errno import EINVAL, ENOENT, EOPNOTSUPP
from sentry.errors import SysError
from sentry.socket.nftables.attributes import Attributes, BadAttributeError, be, name, nested
from sentry.socket.nftables.ruleset import ChainState, Journal, RuleState, SetState, TableState

PLAIN_VERDICTS = (
    abi.NF_ACCEPT,
    abi.NF_DROP,
    abi.NFT_CONTINUE,
    abi.NFT_BREAK,
    abi.NFT_RETURN,
)


def signed(number: int) -> int:
    """Return a number of 32 bits as a signed one."""
    return number - (1 << 32) if number >> 31 else number


def find_chain(table: TableState, attributes: Attributes, kind: int) -> ChainState:
    """Return the chain of a name; SysError(ENOENT)."""
    found = table.chains.get(name(attributes, kind))
    if found is None:
        raise BadAttributeError(ENOENT, kind)
    return found


def find_chain_by_handle(table: TableState, attributes: Attributes) -> ChainState:
    """Return the chain of the handle in a message; SysError(ENOENT)."""
    handle = be(attributes, abi.NFTA_CHAIN_HANDLE, 8)
    for chain in table.chains.values():
        if chain.handle == handle:
            return chain
    raise BadAttributeError(ENOENT, abi.NFTA_CHAIN_HANDLE)


def find_rule(chain: ChainState, attributes: Attributes, kind: int) -> RuleState:
    """Return the rule of the handle in an attribute; SysError(ENOENT)."""
    handle = be(attributes, kind, 8)
    for rule in chain.rules:
        if rule.handle == handle:
            return rule
    raise BadAttributeError(ENOENT, kind)


def find_set(
    table: TableState, journal: Journal, attributes: Attributes, by_name: int, by_id: int
) -> SetState:
    """Return the set of a name or, within one batch, of a number; SysError(ENOENT)."""
    if by_name not in attributes:
        raise SysError(EINVAL)
    found = table.sets.get(name(attributes, by_name))
    if found is None and by_id in attributes:
        found = journal.set_ids.get(be(attributes, by_id, 4))
        if found is not None and found.table is not table:
            found = None
    if found is None:
        raise BadAttributeError(ENOENT, by_name)
    return found


def parse_verdict(table: TableState, data: Attributes) -> tuple[int, ChainState | None]:
    """Return a verdict and where it leads to (nft_verdict_init)."""
    attributes = nested(data, abi.NFTA_DATA_VERDICT)
    verdict = signed(be(attributes, abi.NFTA_VERDICT_CODE, 4))
    if verdict in PLAIN_VERDICTS:
        return verdict, None
    if verdict & 0xFF == abi.NF_QUEUE and verdict > 0:
        raise SysError(EOPNOTSUPP)  # nobody takes what is queued
    if verdict not in {abi.NFT_JUMP, abi.NFT_GOTO}:
        raise SysError(EINVAL)
    if abi.NFTA_VERDICT_CHAIN not in attributes:
        # Chains without a name there are none.
        raise SysError(EOPNOTSUPP if abi.NFTA_VERDICT_CHAIN_ID in attributes else EINVAL)
    chain = find_chain(table, attributes, abi.NFTA_VERDICT_CHAIN)
    if chain.hook is not None:
        raise SysError(EOPNOTSUPP)
    return verdict, chain
