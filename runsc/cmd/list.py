"""`runsc list`."""

import click

from runsc.cmd.command import RunscCommand, submit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runsc.cmd.call import Value


@click.command("list", cls=RunscCommand)
@click.option(
    "-f",
    "--format",
    type=click.Choice(["table", "json"]),
    default="table",
    help="How to print them.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print the names only.")
def command(**values: "Value") -> None:
    """List the containers."""
    submit("list", values)
