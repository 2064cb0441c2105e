"""Tables of rules: what a packet meets, in which order, and what becomes of it (iptables(8)).

A table is one sequence of rules.  Chains are stretches of it: a chain is entered by a jump to
its first rule, and its last rule returns.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from netstack.filter.passage import HOOKS, Passage

# Verdicts.  DROP and ACCEPT as NF_ of linux/netfilter.h.
DROP: Final = 0
ACCEPT: Final = 1
CONTINUE: Final = -1  # the next rule
RETURN: Final = -2  # of a chain to its caller
JUMP: Final = -3  # to the rule that the target names

# What one packet may meet in one table.  Chains that call each other twice and more, many levels
# deep, would take for ever otherwise.
MAX_STEPS: Final = 1 << 16

NO_RULE: Final = -1


@mypyc_attr(allow_interpreted_subclasses=True)
class Match:
    """One condition of a rule."""

    needs_tracking = False

    def matches(self, passage: Passage) -> bool:
        """Return whether a packet is meant."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Target:
    """What happens to a packet that a rule is for."""

    needs_tracking = False

    def run(self, passage: Passage, hook: int) -> int:
        """Return a verdict."""
        raise NotImplementedError


class Verdict(Target):
    """Decides, and nothing more; a JUMP has the index of a rule."""

    def __init__(self, verdict: int, index: int = NO_RULE, *, is_goto: bool = False) -> None:
        self.verdict = verdict
        self.index = index
        self.is_goto = is_goto  # a return goes to where the chain that we leave would return to

    def run(self, passage: Passage, hook: int) -> int:
        return self.verdict


class Rule:
    """One rule."""

    def __init__(self, matches: list[Match], target: Target) -> None:
        self.matches = matches
        self.target = target
        self.jump = target if isinstance(target, Verdict) and target.verdict == JUMP else None
        self.packets = 0
        self.bytes = 0


class Table:
    """A table: its rules, and for each hook where it begins and its policy is."""

    def __init__(
        self, name: str, rules: list[Rule], entries: list[int], underflows: list[int]
    ) -> None:
        self.name = name
        self.rules = rules
        self.entries = entries  # by hook; NO_RULE: the table is not asked there
        self.underflows = underflows
        self.overruns = 0  # packets dropped for MAX_STEPS
        self.needs_tracking = any(
            rule.target.needs_tracking or any(match.needs_tracking for match in rule.matches)
            for rule in rules
        )

    def run(self, passage: Passage, hook: int) -> int:
        """Return ACCEPT or DROP."""
        index = self.entries[hook]
        if index < 0:
            return ACCEPT
        rules = self.rules
        callers: list[int] = []
        for _ in range(MAX_STEPS):
            rule = rules[index]
            if not _is_for(rule, passage):
                index += 1
                continue
            rule.packets += 1
            rule.bytes += passage.size()
            jump = rule.jump
            if jump is not None:
                if not jump.is_goto:
                    callers.append(index + 1)
                index = jump.index
                continue
            verdict = rule.target.run(passage, hook)
            if verdict >= 0:
                return verdict
            if verdict == CONTINUE:
                index += 1
            elif callers:
                index = callers.pop()
            else:
                index = self.underflows[hook]
        self.overruns += 1
        return DROP


def _is_for(rule: Rule, passage: Passage) -> bool:
    for match in rule.matches:
        if not match.matches(passage):
            return False
    return True


def empty_table(name: str, hooks: tuple[int, ...]) -> Table:
    """Return a table without rules that accepts everything."""
    entries = [NO_RULE] * HOOKS
    rules: list[Rule] = []
    for hook in hooks:
        entries[hook] = len(rules)
        rules.append(Rule([], Verdict(ACCEPT)))
    rules.append(Rule([], Verdict(DROP)))
    return Table(name, rules, entries, list(entries))
