"""`runsc resume`."""

import click

from runsc.cmd.command import RunscCommand, submit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runsc.cmd.call import Value


@click.command("resume", cls=RunscCommand)
@click.argument("container_id")
def command(**values: "Value") -> None:
    """Let the processes of a paused container go on."""
    submit("resume", values)
