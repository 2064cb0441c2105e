"""`runsc create`."""

import click

from runsc.cmd.command import RunscCommand, submit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runsc.cmd.call import Value


@click.command("create", cls=RunscCommand)
@click.option(
    "-b",
    "--bundle",
    metavar="DIR",
    default=".",
    help="The bundle; the working directory when not given.",
)
@click.option(
    "--pid-file",
    metavar="FILE",
    default="",
    help="Where the pid of the process on the host is written.",
)
@click.option(
    "--console-socket",
    metavar="SOCKET",
    default="",
    help="Where the master of the terminal is sent.",
)
@click.option(
    "--preserve-fds",
    metavar="N",
    default=0,
    type=int,
    help="Pass N descriptors on, from 3.",
)
@click.option("--no-pivot", is_flag=True, help="Accepted for runc's callers; has no effect.")
@click.option("--no-new-keyring", is_flag=True, help="Accepted for runc's callers; has no effect.")
@click.option(
    "--user-log",
    metavar="FILE",
    default="",
    help="Accepted for callers; has no effect.",
)
@click.argument("container_id")
def command(**values: "Value") -> None:
    """Create a container: everything but run its program.

    The bundle holds config.json; `start` runs the program.
    """
    submit("create", values)
