"""`runsc state`."""

import click

from runsc.cmd.command import RunscCommand, submit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runsc.cmd.call import Value


@click.command("state", cls=RunscCommand)
@click.argument("container_id")
def command(**values: "Value") -> None:
    """Print the state of a container as JSON."""
    submit("state", values)
