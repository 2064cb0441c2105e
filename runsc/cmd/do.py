"""`runsc do`."""

import click

from runsc.cmd.command import RunscCommand, submit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runsc.cmd.call import Value


@click.command("do", cls=RunscCommand, context_settings={"allow_interspersed_args": False})
@click.option(
    "--cwd",
    metavar="DIR",
    default=".",
    help="Working directory of the command.",
)
@click.option("--readonly", is_flag=True, help="Let writes to the root file system fail.")
@click.argument("args", nargs=-1)
def command(**values: "Value") -> None:
    """Run a command in a throw-away sandbox over the host's files.

    What it writes stays in memory and is gone at its end.
    """
    submit("do", values)
