"""`runsc delete`."""

import click

from runsc.cmd.command import RunscCommand, submit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runsc.cmd.call import Value


@click.command("delete", cls=RunscCommand)
@click.option("-f", "--force", is_flag=True, help="Kill what runs; unknown is no error.")
@click.argument("container_ids", metavar="CONTAINER_ID...", nargs=-1)
def command(**values: "Value") -> None:
    """Remove containers.

    Without --force only such that have ended or were never started.
    """
    submit("delete", values)
