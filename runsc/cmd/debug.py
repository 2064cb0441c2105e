"""`runsc debug`."""

import click

from runsc.cmd.command import RunscCommand, submit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runsc.cmd.call import Value


@click.command("debug", cls=RunscCommand, context_settings={"allow_interspersed_args": True})
@click.option(
    "--net",
    is_flag=True,
    help="Print interfaces, queues, routes, neighbours, sockets, and what was dropped and why.",
)
@click.argument("container_id")
def command(**values: "Value") -> None:
    """Look into a running sandbox."""
    submit("debug", values)
