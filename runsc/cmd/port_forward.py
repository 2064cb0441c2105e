"""`runsc port-forward`."""

import click

from runsc.cmd.command import RunscCommand, submit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runsc.cmd.call import Value


@click.command(
    "port-forward", cls=RunscCommand, context_settings={"allow_interspersed_args": False}
)
@click.option(
    "--stream",
    metavar="SOCKET",
    default="",
    help="Join this Unix socket, where somebody accepts, to the port, instead of listening.",
)
@click.argument("container_id")
@click.argument("ports")
def command(**values: "Value") -> None:
    """Join TCP connections of the host to a port of a container.

    PORTS is LOCAL:REMOTE, ADDRESS:LOCAL:REMOTE, or with --stream REMOTE alone. LOCAL is a port of
    the host, of 127.0.0.1 without ADDRESS, 0 for any that is free; REMOTE a port of the container's
    loopback address. It works with every --network, and ends with the container.
    """
    submit("port-forward", values)
