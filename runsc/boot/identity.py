"""Who a guest process is: credentials and limits from the OCI process object."""

from config.oci import Process
from runsc.errors import RunscError
from sentry.abi.capability import NUMBERS
from sentry.abi.resource import NAMES as LIMIT_NAMES
from sentry.abi.resource import RLIMIT_NOFILE
from sentry.kernel.limits import Limits
from sentry.vfs.creds import Credentials


def credentials_of(process: Process) -> Credentials:
    """Return the credentials that the process has before it executes its program.

    What becomes of the capability sets then is execve(2)'s doing, as with any
    runtime: for a user other than root only the ambient set stays effective.
    """
    creds = Credentials()
    user = process.user
    creds.uid = creds.euid = creds.suid = creds.fsuid = user.uid
    creds.gid = creds.egid = creds.sgid = creds.fsgid = user.gid
    creds.groups = tuple(user.additional_gids)
    sets = process.capabilities
    if sets is not None:
        creds.bounding = _mask("bounding", sets.bounding)
        creds.permitted = _mask("permitted", sets.permitted)
        creds.effective = _mask("effective", sets.effective) & creds.permitted
        creds.inheritable = _mask("inheritable", sets.inheritable)
        ambient = _mask("ambient", sets.ambient)
        # capabilities(7): ambient is at most what is permitted and inheritable.
        creds.ambient = ambient & creds.permitted & creds.inheritable
    creds.no_new_privs = process.no_new_privileges
    return creds


def _mask(kind: str, names: list[str]) -> int:
    mask = 0
    for name in names:
        number = NUMBERS.get(name)
        if number is None:
            raise RunscError(f"process.capabilities.{kind}: unknown capability {name!r}")
        mask |= 1 << number
    return mask


def limits_of(process: Process, files: tuple[int, int]) -> Limits:
    """Return the resource limits of the process (getrlimit(2)).

    They bind the guest only: nothing is set on the host, so any value is
    possible.  `files` are the soft and hard RLIMIT_NOFILE of who started the
    sandbox, which its program inherits, as it would natively.
    """
    limits = Limits()
    limits.soft[RLIMIT_NOFILE], limits.hard[RLIMIT_NOFILE] = files
    for limit in process.rlimits:
        if limit.kind not in LIMIT_NAMES:
            raise RunscError(f"process.rlimits: unknown limit {limit.kind!r}")
        if limit.soft > limit.hard:
            raise RunscError(f"process.rlimits: {limit.kind}: soft is above hard")
        number = LIMIT_NAMES.index(limit.kind)
        limits.soft[number] = limit.soft
        limits.hard[number] = limit.hard
    return limits
