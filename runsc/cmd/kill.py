"""`runsc kill`."""

import click

from runsc.cmd.command import RunscCommand, submit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runsc.cmd.call import Value


@click.command("kill", cls=RunscCommand, context_settings={"allow_interspersed_args": False})
@click.option("-a", "--all", "everyone", is_flag=True, help="Signal every process.")
@click.argument("container_id")
@click.argument("signal", default="TERM")
def command(**values: "Value") -> None:
    """Send a signal to a container.

    SIGNAL is a number or a name, TERM when not given.
    """
    submit("kill", values)
