"""`runsc features`."""

import click

from runsc.cmd.command import RunscCommand, submit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runsc.cmd.call import Value


@click.command("features", cls=RunscCommand)
def command(**values: "Value") -> None:
    """Print what the runtime supports as JSON."""
    submit("features", values)
