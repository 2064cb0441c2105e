"""`runsc spec`."""

import click

from runsc.cmd.command import RunscCommand, submit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runsc.cmd.call import Value


@click.command("spec", cls=RunscCommand, context_settings={"allow_interspersed_args": False})
@click.option(
    "-b",
    "--bundle",
    metavar="DIR",
    default=".",
    help="The bundle; the working directory when not given.",
)
@click.option(
    "--cwd",
    metavar="DIR",
    default="/",
    help="Working directory of the program.",
)
@click.argument("args", nargs=-1)
def command(**values: "Value") -> None:
    """Write a config.json to start from.

    ARGS become the program, `sh` when not given.
    """
    submit("spec", values)
