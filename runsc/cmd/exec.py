"""`runsc exec`."""

import click

from runsc.cmd.command import RunscCommand, submit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runsc.cmd.call import Value


@click.command("exec", cls=RunscCommand, context_settings={"allow_interspersed_args": False})
@click.option(
    "-p",
    "--process",
    metavar="FILE",
    default="",
    help="An OCI process object that says what to run.",
)
@click.option("-d", "--detach", is_flag=True, help="Return when the process runs.")
@click.option(
    "--pid-file",
    metavar="FILE",
    default="",
    help="Where the pid of the process on the host is written.",
)
@click.option(
    "--internal-pid-file",
    metavar="FILE",
    default="",
    help="Where the pid in the container is written.",
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
@click.option("-t", "--tty", is_flag=True, help="Give the process a terminal.")
@click.option(
    "--cwd",
    metavar="DIR",
    default="",
    help="Working directory of the process.",
)
@click.option(
    "-e",
    "--env",
    metavar="NAME=VALUE",
    multiple=True,
    help="Set a variable of the environment.",
)
@click.option(
    "-u",
    "--user",
    metavar="UID[:GID]",
    default="",
    help="Whom the process runs as.",
)
@click.option(
    "-g",
    "--additional-gids",
    metavar="GID",
    multiple=True,
    help="Add a supplementary group.",
)
@click.option(
    "-c",
    "--cap",
    metavar="NAME",
    multiple=True,
    help="Add a capability.",
)
@click.option("--no-new-privs", is_flag=True, help="Let the process gain no privileges.")
@click.option(
    "--apparmor",
    metavar="PROFILE",
    default="",
    help="Accepted for callers; has no effect.",
)
@click.option(
    "--process-label",
    metavar="LABEL",
    default="",
    help="Accepted for callers; has no effect.",
)
@click.option(
    "--cgroup",
    metavar="PATH",
    default="",
    help="Accepted for callers; has no effect.",
)
@click.option("--ignore-paused", is_flag=True, help="Accepted for callers; has no effect.")
@click.argument("container_id")
@click.argument("args", nargs=-1)
def command(**values: "Value") -> None:
    """Run another process in a container.

    The exit status is the program's; 255 when it could not be started.
    """
    submit("exec", values)
