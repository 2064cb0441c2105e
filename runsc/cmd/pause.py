"""`runsc pause`."""

import click

from runsc.cmd.command import RunscCommand, submit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runsc.cmd.call import Value


@click.command("pause", cls=RunscCommand)
@click.argument("container_id")
def command(**values: "Value") -> None:
    """Stop all processes of a container where they are.

    `resume` lets them go on; signals wait for it, SIGKILL does not.
    """
    submit("pause", values)
