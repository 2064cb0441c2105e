"""The fast walker understands what click understands."""

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runsc.cmd import command as command_module
from runsc.cmd import gen_grammar
from runsc.cmd._grammar import COMMANDS, GLOBALS
from runsc.cmd.catalogue import COMMANDS as CATALOGUE
from runsc.cmd.dispatch import HANDLERS
from runsc.cmd.walker import walk


@pytest.fixture
def by_click(monkeypatch):
    seen = []

    def remember(call):
        seen.append(call)
        return 0

    monkeypatch.setattr(command_module, "perform", remember)

    def parse(words):
        seen.clear()
        try:
            command_module.make_group().main(
                args=list(words), prog_name="runsc", standalone_mode=False
            )
        except click.ClickException:
            return None
        return seen[0] if seen else None

    return parse


def test_the_table_is_fresh():
    assert gen_grammar.main(["--check"]) == 0


def test_every_command_has_a_line_a_module_and_a_handler():
    names = {name for name, _ in CATALOGUE}
    assert names == set(HANDLERS) == set(COMMANDS)
    group = command_module.make_group()
    context = click.Context(group)
    for name, line in CATALOGUE:
        made = group.get_command(context, name)
        assert (made.help or "").split("\n")[0] == line


def flag_words(table):
    """Draw one flag of the table in one of its spellings, sometimes with a value."""
    value = st.sampled_from(
        ["true", "false", "json", "text", "7", "-1", "x", "", "/a b", "-d", "--"]
    )

    def spell(name, dashes, joined, text):
        flag = "-" * dashes + name
        return [f"{flag}={text}"] if joined == 2 else [flag] if joined == 1 else [flag, text]

    name = st.sampled_from([*table, "nosuch", "h"])
    return st.builds(spell, name, st.integers(1, 2), st.integers(0, 2), value)


@st.composite
def command_lines(draw):
    words = [w for part in draw(st.lists(flag_words(GLOBALS), max_size=3)) for w in part]
    name = draw(st.sampled_from(sorted(COMMANDS)))
    part = flag_words(COMMANDS[name][0]) if COMMANDS[name][0] else st.nothing()
    plain = st.sampled_from(["id", "9", "sh", "-c", "--", "-", "TERM", "a=b"]).map(lambda w: [w])
    rest = draw(st.lists(part | plain, max_size=5))
    return [*words, name, *(w for group in rest for w in group)]


# The fixture only replaces what every example replaces anew.
@settings(
    max_examples=400, deadline=None, suppress_health_check=list(settings().suppress_health_check)
)
@given(data=st.data())
def _check(parse, data):
    words = data.draw(command_lines())
    walked = walk(words)
    if walked is None:
        return
    clicked = parse(words)
    assert clicked is not None, words
    assert (walked.command, walked.flags, walked.values) == (
        clicked.command,
        clicked.flags,
        clicked.values,
    )


def test_the_walker_and_click_agree(by_click):
    _check(by_click)


GLOBAL_WORDS = ["--root", "/run/x/moby", "--log", "/b/log.json", "--log-format", "json"]


@pytest.mark.parametrize(
    "words",
    [
        "create --bundle /b --pid-file /b/init.pid ID",
        "create --bundle /b --pid-file /b/init.pid --console-socket /tmp/p ID",
        "create --bundle /b --pid-file /p --preserve-fds 2 ID",
        "start ID",
        "state ID",
        "kill ID 15",
        "kill --all ID 9",
        "kill -a ID KILL",
        "delete ID",
        "delete --force ID",
        "exec --process /tmp/p --detach --pid-file /b/e.pid ID",
        "exec --process /tmp/p --console-socket /tmp/s --detach --pid-file /b/e.pid ID",
        "exec --pid-file /p --process /f --detach --tty ID",
        "exec -d --user 1:2 -e A=B ID sh -c true",
        "ps --format json ID",
        "run --keep --bundle /b ID",
        "run -no-subreaper --bundle /b ID",
        "features",
    ],
)
@pytest.mark.parametrize("prefix", [[], GLOBAL_WORDS, [*GLOBAL_WORDS, "--systemd-cgroup"]])
def test_the_forms_of_container_managers_need_no_click(words, prefix, by_click):
    line = [*prefix, *words.split()]
    walked = walk(line)
    assert walked is not None
    clicked = by_click(line)
    assert (walked.flags, walked.values) == (clicked.flags, clicked.values)


@pytest.mark.parametrize(
    "words", ["", "--help", "kill", "kill --help ID", "state", "state a b", "nosuch", "list --x"]
)
def test_help_and_mistakes_go_to_click(words):
    assert walk(words.split()) is None
