"""How our commands differ from click's: flags as Go programs spell them, lazy loading."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from config.flags import BOOL, FLAGS, parse_bool
from runsc.cmd.call import Call
from runsc.cmd.catalogue import COMMANDS
from runsc.cmd.perform import perform
from runsc.version import SPEC_VERSION, VERSION

if TYPE_CHECKING:
    from runsc.cmd.call import Value

HELP_NAMES = {"help_option_names": ["-h", "--help"]}


def normalise(
    ctx: click.Context, words: list[str], *, interspersed: bool
) -> tuple[list[str], dict[str, bool]]:
    """Return `words` as click wants them, and the booleans that they set.

    `-name` becomes `--name`, `--name value` becomes `--name=value`; booleans
    are taken out, because `--name=false` is nothing that click knows.
    """
    options: dict[str, click.Option] = {}
    for parameter in ctx.command.params:
        # --version and the like end the parsing; click does them where they stand.
        if isinstance(parameter, click.Option) and parameter.expose_value:
            for spelling in parameter.opts:
                options[spelling.lstrip("-")] = parameter
    kept: list[str] = []
    truths: dict[str, bool] = {}
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word in {"--", "-"} or not word.startswith("-"):
            if word == "--" or not interspersed:
                return kept + words[at - 1 :], truths
            kept.append(word)
            continue
        dashes = 2 if word.startswith("--") else 1
        name, equals, text = word[dashes:].partition("=")
        option = options.get(name)
        if option is None or (dashes == 2 and len(name) == 1):
            kept.append(word)
            continue
        long_name = max(option.opts, key=len)
        if option.is_flag:
            truth = parse_bool(text) if equals else True
            if truth is None:
                raise click.UsageError(f"{long_name}: {text!r} is neither true nor false", ctx)
            truths[option.name or ""] = truth
        elif equals or at < len(words):
            if not equals:
                text = words[at]
                at += 1
            kept.append(f"{long_name}={text}")
        else:
            kept.append(word)  # click says that the value is missing
    return kept, truths


class RunscCommand(click.Command):
    """One command."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - click's
        kwargs.setdefault("context_settings", {}).update(HELP_NAMES)
        super().__init__(*args, **kwargs)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words, truths = normalise(ctx, args, interspersed=ctx.allow_interspersed_args)
        rest = super().parse_args(ctx, words)
        ctx.params.update(truths)
        return rest


class RunscGroup(click.Group):
    """`runsc` itself; a command's module is loaded when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, _ in COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = import_module(f"runsc.cmd.{cmd_name.replace('-', '_')}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words, truths = normalise(ctx, args, interspersed=False)
        rest = super().parse_args(ctx, words)
        ctx.params.update(truths)
        given = ctx.params.items()
        names = {flag.attribute: flag.name for flag in FLAGS}
        ctx.obj = {
            names[name]: value
            for name, value in given
            if name in truths or (value is not None and not isinstance(value, bool))
        }
        return rest


def global_options() -> list[click.Parameter]:
    """Return the options that the table of global flags describes."""
    options: list[click.Parameter] = []
    for flag in FLAGS:
        text = flag.help_text
        if flag.choices:
            text += f" One of: {', '.join(choice for choice in flag.choices if choice)}."
        if flag.default:
            text += f" Default: {flag.default}."
        if flag.kind == BOOL:
            options.append(click.Option([f"--{flag.name}"], is_flag=True, help=text))
        else:
            metavar = flag.metavar or "NAME"
            options.append(
                click.Option([f"--{flag.name}"], default=None, metavar=metavar, help=text)
            )
    return options


def submit(name: str, values: "dict[str, Value]") -> None:
    """Carry out what click understood, and end with the status of that."""
    context = click.get_current_context()
    parent = context.parent
    flags: dict[str, bool | str] = dict(parent.obj) if parent is not None else {}
    context.exit(perform(Call(name, flags, values)))


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        click.echo(f"runsc version {VERSION}\nspec: {SPEC_VERSION}")
        ctx.exit(0)


def make_group() -> RunscGroup:
    """Return the whole command line."""
    version = click.Option(
        ["-v", "--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_print_version,
        help="Print the version and exit.",
    )
    return RunscGroup(
        name="runsc",
        params=[*global_options(), version],
        help="Run OCI containers on a kernel of their own.",
        context_settings=HELP_NAMES,
        no_args_is_help=True,
        invoke_without_command=False,
    )
