"""Control groups (cgroups(7)): the processes of one container, to signal and freeze together."""

from sentry.kernel.thread_group import ThreadGroup


class ControlGroup:
    """Processes that were forked by each other, whatever pid namespace they are in."""

    def __init__(self) -> None:
        self.members: dict[ThreadGroup, None] = {}  # in the order of their birth, zombies too
        self.origin = 0  # what fresh address spaces are copies of (Platform.make_origin)

    def add(self, group: ThreadGroup) -> None:
        """Make a new process a member."""
        self.members[group] = None
        group.cgroup = self

    def remove(self, group: ThreadGroup) -> None:
        """Forget a process that was reaped."""
        self.members.pop(group, None)

    def living(self) -> list[ThreadGroup]:
        """Return the members that have not ended."""
        return [group for group in self.members if not group.is_zombie]
