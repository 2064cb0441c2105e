"""`runsc ps`."""

import click

from runsc.cmd.command import RunscCommand, submit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runsc.cmd.call import Value


@click.command("ps", cls=RunscCommand, context_settings={"allow_interspersed_args": False})
@click.option(
    "-f",
    "--format",
    type=click.Choice(["table", "json"]),
    default="table",
    help="How to print them.",
)
@click.argument("container_id")
@click.argument("args", nargs=-1)
def command(**values: "Value") -> None:
    """List the processes of a container.

    As JSON: the pids of the host. As a table: the container's own view.
    """
    submit("ps", values)
