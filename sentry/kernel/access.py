"""Who may look into another process (ptrace(2), "Ptrace access mode checking")."""

from typing import Final

from sentry.kernel.task import Task
from sentry.vfs.creds import Credentials

CAP_SYS_PTRACE: Final = 19


def may_access(creds: Credentials, target: Task, *, own: bool) -> bool:
    """Return whether `creds` may attach to `target` (PTRACE_MODE_ATTACH_REALCREDS)."""
    if own or creds.has_capability(CAP_SYS_PTRACE):
        return True
    other = target.creds
    same_user = creds.uid == other.uid == other.euid == other.suid
    same_group = creds.gid == other.gid == other.egid == other.sgid
    allowed = other.permitted & ~creds.permitted == 0
    return same_user and same_group and allowed and target.mm.is_dumpable
