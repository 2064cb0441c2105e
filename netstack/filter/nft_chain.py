"""Chains of nf_tables and how packets go through them (nft(8)).

A rule is a row of expressions that work on registers; it ends at the first that does not say
CONTINUE.  Verdicts have the numbers of linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from netstack.filter.hooks import Step
from netstack.filter.passage import HOOKS, Passage
from netstack.filter.table import ACCEPT, DROP, MAX_STEPS

if TYPE_CHECKING:
    from netstack.filter.nft_set import NftSet

CONTINUE: Final = -1
BREAK: Final = -2  # the next rule
JUMP: Final = -3
GOTO: Final = -4
RETURN: Final = -5

REGISTERS: Final = 64  # bytes of all registers
WORD: Final = 4
MAX_DEPTH: Final = 16  # chains that call each other (NFT_JUMP_STACK_SIZE)
ALL_HOOKS: Final = (1 << HOOKS) - 1


class Frame:
    """What the expressions of one packet share."""

    def __init__(self, passage: Passage, hook: int) -> None:
        self.passage = passage
        self.hook = hook
        self.registers = bytearray(REGISTERS)
        self.target: NftChain | None = None  # of a JUMP or GOTO
        self.packets = 1

    def store(self, at: int, data: bytes) -> None:
        """Put data into registers, with zeros up to the next one."""
        end = at + len(data)
        self.registers[at:end] = data
        while end % WORD:
            self.registers[end] = 0
            end += 1

    def load(self, at: int, size: int) -> bytes:
        """Return what is in registers."""
        return bytes(self.registers[at : at + size])


@mypyc_attr(allow_interpreted_subclasses=True)
class Expression:
    """One part of a rule."""

    needs_tracking = False

    def run(self, frame: Frame) -> int:
        """Return CONTINUE, BREAK or a verdict."""
        raise NotImplementedError

    def target(self) -> NftChain | None:
        """Return the chain that this leads to, if there is one."""
        return None

    def set_used(self) -> NftSet | None:
        """Return the set that this looks into, if there is one."""
        return None


class NftRule:
    """One rule, as packets meet it."""

    def __init__(self, expressions: list[Expression]) -> None:
        self.expressions = expressions
        self.needs_tracking = any(one.needs_tracking for one in expressions)


class NftChain:
    """A chain, as packets meet it."""

    def __init__(self) -> None:
        self.rules: list[NftRule] = []


class ChainStep(Step):
    """A chain that begins at hooks, with what becomes of packets at its end."""

    def __init__(self, chain: NftChain, priority: int, *, reroutes: bool) -> None:
        super().__init__(priority, reroutes=reroutes)
        self.chain = chain
        self.policy = ACCEPT
        self.overruns = 0  # packets dropped for MAX_STEPS
        # Of the policy, while anybody wants them.
        self.counts = False
        self.packets = 0
        self.bytes = 0

    def run(self, passage: Passage, hook: int) -> int:
        frame = Frame(passage, hook)
        callers: list[tuple[NftChain, int]] = []
        chain = self.chain
        index = 0
        for _ in range(MAX_STEPS):
            if index >= len(chain.rules):
                if not callers:
                    return self._end(passage)
                chain, index = callers.pop()
                continue
            verdict = run_rule(chain.rules[index], frame)
            index += 1
            if verdict == BREAK:
                continue
            if verdict >= 0:
                return ACCEPT if verdict == ACCEPT else DROP
            if verdict == RETURN:
                index = len(chain.rules)
                continue
            target = frame.target
            if target is None or len(callers) >= MAX_DEPTH:
                return DROP
            if verdict == JUMP:
                callers.append((chain, index))
            chain, index = target, 0
        self.overruns += 1
        return DROP

    def _end(self, passage: Passage) -> int:
        if self.counts:
            self.packets += 1
            self.bytes += passage.size()
        return self.policy


def run_rule(rule: NftRule, frame: Frame) -> int:
    """Return the verdict of a rule; BREAK if it has none."""
    for expression in rule.expressions:
        verdict = expression.run(frame)
        if verdict != CONTINUE:
            return verdict
    return BREAK
