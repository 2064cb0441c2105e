"""`state`, `list`, `ps` and `debug`: what can be read of containers."""

import posix

from config.decode import Fields
from config.flags import Config
from config.jsontext import dumps
from runsc.errors import NotRunningError, RunscError
from runsc.log import LOG
from runsc.sandbox.namespace_owner import others
from runsc.sandbox.procfs import read_file
from runsc.sandbox.state import STOPPED, Container, container_ids, load_container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from config.jsontext import Json

_COLUMNS = ("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER")
_MIN_WIDTH = 12


def state_text(config: Config, container_id: str) -> str:
    """Return the OCI state object of a container, as text."""
    return dumps(load_container(config.root, container_id).describe(), indent=2) + "\n"


def list_text(config: Config, style: str, *, quiet: bool) -> str:
    """Return all containers: their names, a table, or a list of state objects."""
    states: list[dict[str, Json]] = []
    for name in container_ids(config.root):
        try:
            states.append(load_container(config.root, name).describe())
        except RunscError as error:
            LOG.warning(f"{name}: {error}")
    if quiet:
        return "".join(f"{state['id']}\n" for state in states)
    if style == "json":
        items: list[Json] = list(states)
        return (dumps(items) if items else "null") + "\n"
    rows = [
        [str(state[key]) for key in ("id", "pid", "status", "bundle", "created")] + ["root"]
        for state in states
    ]
    return table([list(_COLUMNS), *rows])


def table(rows: list[list[str]]) -> str:
    """Return rows as text in columns."""
    widths = [
        max(_MIN_WIDTH, *(len(row[column]) for row in rows)) for column in range(len(rows[0]))
    ]
    lines: list[str] = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("   ".join(cells).rstrip() + "\n")
    return "".join(lines)


def ps_text(config: Config, container_id: str, style: str) -> str:
    """Return the host's pids of a container as JSON, or its own processes as a table."""
    container = load_container(config.root, container_id)
    if style == "json":
        pids: list[Json] = list(_host_pids(container))
        return dumps(pids) + "\n"
    rows = [["UID", "PID", "PPID", "CMD"]]
    if container.status() != STOPPED:
        from runsc.sandbox.client import ask

        answer = ask(container, {"do": "ps"})
        rows.extend(_row(item) for item in answer.objects("guest"))
    return table(rows)


def network_text(config: Config, container_id: str) -> str:
    """Return what the sandbox says of its network."""
    from runsc.sandbox.client import ask

    container = load_container(config.root, container_id)
    if container.status() == STOPPED:
        raise NotRunningError
    return ask(container, {"do": "network"}).text("text", "")


def _row(item: Fields) -> list[str]:
    numbers = [str(item.number(name, 0, 0, 1 << 32)) for name in ("uid", "pid", "ppid")]
    return [*numbers, item.text("comm", "")]


def _host_pids(container: Container) -> list[int]:
    """Return the processes of the container that the host sees."""
    if not container.is_alive():
        return []
    found = {container.pid}
    _add_descendants(container.pid, found)
    # The stand-ins of exec are no descendants of the sandbox.
    found |= _cgroup_members(container)
    if not container.sandbox:
        for other in others(container.root, container.container_id):
            if other.sandbox == container.container_id:
                found -= _cgroup_members(other) | {other.pid}
    return sorted(found)


def _cgroup_members(container: Container) -> set[int]:
    if not container.cgroups:
        return set()
    try:
        text = read_file(f"{container.cgroups[0]}/cgroup.procs")
    except OSError as error:
        LOG.debug(f"{container.cgroups[0]}: {error}")
        return set()
    return {int(line) for line in text.split()}


def _add_descendants(host_pid: int, found: set[int]) -> None:
    try:
        threads = posix.listdir(f"/proc/{host_pid}/task")
        for thread in threads:
            for child in read_file(f"/proc/{host_pid}/task/{thread}/children").split():
                if int(child) not in found:
                    found.add(int(child))
                    _add_descendants(int(child), found)
    except (FileNotFoundError, ProcessLookupError):
        return  # it ended while we looked
