"""`runsc run`."""

import click

from runsc.cmd.command import RunscCommand, submit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runsc.cmd.call import Value


@click.command("run", cls=RunscCommand)
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
@click.option("-d", "--detach", is_flag=True, help="Return when the program runs.")
@click.option("--keep", is_flag=True, help="Do not remove the container at its end.")
@click.option("--no-subreaper", is_flag=True, help="Accepted for runc's callers; has no effect.")
@click.option("--no-pivot", is_flag=True, help="Accepted for runc's callers; has no effect.")
@click.option("--no-new-keyring", is_flag=True, help="Accepted for runc's callers; has no effect.")
@click.argument("container_id")
def command(**values: "Value") -> None:
    """Create and start a container, and stay until it ends.

    The exit status is the program's, 128+n when a signal ended it.
    """
    submit("run", values)
