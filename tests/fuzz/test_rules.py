"""Frames of any bytes past a rule set that looks at everything: each packet gets a verdict."""

import random
from pathlib import Path

import pytest

from netstack.filter.hooks import PacketFilter
from netstack.filter.passage import HOOKS
from netstack.filter.table import ACCEPT, DROP
from sentry.socket.netlink import Request
from sentry.socket.netlink_wire import parse_messages
from sentry.socket.nfnetlink import Batch
from sentry.socket.nftables.ruleset import Ruleset
from sentry.vfs.creds import Credentials
from tests.fuzz.frames import World, seeds, steps
from tests.fuzz.test_frames import change
from tests.unit.netstack.harness import SECOND

ROUNDS = 600
# As nft sends it: sets, maps, states, translation, answers.
BATCH = Path(__file__).parents[1] / "unit/sentry/socket/nft_batch.bin"


class Filtered(World):
    """The same world with the rules, and forwarding."""

    def __init__(self, policy: int) -> None:
        super().__init__()
        four = PacketFilter(self.stack, self.stack.networks[4])
        self.ruleset = Ruleset({4: four, 6: PacketFilter(self.stack, self.stack.networks[6], four)})
        creds = Credentials()
        requests = [
            Request(one, creds, is_strict=False) for one in parse_messages(BATCH.read_bytes())
        ]
        assert Batch(self.ruleset, requests[1:]).run()
        for rules in self.ruleset.filters.values():
            for hook in range(HOOKS):
                for step in rules.steps[hook]:
                    if hasattr(step, "policy"):
                        step.policy = policy
        self.stack.settings.ip_forward = self.stack.settings.ipv6_forwarding = True
        self.stack.settings.icmp_ratelimit = 0


def run(data: bytes, policy: int) -> None:
    world = Filtered(policy)
    for flags, frame in steps(data):
        world.step(flags, frame)
    connections = world.ruleset.filters[4].connections
    assert len(connections.order) <= 200
    world.environment.advance(500_000 * SECOND)
    assert not connections.order
    assert not connections.connections


@pytest.mark.parametrize("policy", [ACCEPT, DROP])
def test_seeds_pass_rules(policy: int) -> None:
    for data in seeds().values():
        run(data, policy)


def test_changed_seeds_pass_rules() -> None:
    chance = random.Random(1624)
    inputs = list(seeds().values())
    for _ in range(ROUNDS):
        data = chance.choice(inputs)
        if chance.random() < 0.3:
            data += chance.choice(inputs)
        run(change(data, chance), chance.choice((ACCEPT, DROP)))


def test_rules_are_met() -> None:
    world = Filtered(ACCEPT)
    for data in seeds().values():
        for flags, frame in steps(data):
            world.step(flags, frame)
    counted = [
        part.code
        for table in world.ruleset.tables.values()
        for chain in table.chains.values()
        for rule in chain.rules
        for part in rule.expressions
        if part.name == "counter"
    ]
    assert any(code.packets for code in counted)
    assert world.ruleset.filters[4].connections.order
