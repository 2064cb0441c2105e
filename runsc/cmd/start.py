"""`runsc start`."""

import click

from runsc.cmd.command import RunscCommand, submit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runsc.cmd.call import Value


@click.command("start", cls=RunscCommand)
@click.argument("container_id")
def command(**values: "Value") -> None:
    """Run the program of a created container."""
    submit("start", values)
