"""Credentials of a task (credentials(7), capabilities(7))."""


class Credentials:
    """Who a task is and what it may do; replaced, never changed, once shared.

    Capability sets are bit masks by capability number.
    """

    def __init__(self) -> None:
        self.uid = 0
        self.euid = 0
        self.suid = 0
        self.fsuid = 0
        self.gid = 0
        self.egid = 0
        self.sgid = 0
        self.fsgid = 0
        self.groups: tuple[int, ...] = ()
        self.permitted = 0
        self.effective = 0
        self.inheritable = 0
        self.bounding = 0
        self.ambient = 0
        self.securebits = 0
        self.no_new_privs = False

    def copy(self) -> "Credentials":
        """Return a copy to change."""
        new = Credentials()
        new.uid, new.euid, new.suid, new.fsuid = self.uid, self.euid, self.suid, self.fsuid
        new.gid, new.egid, new.sgid, new.fsgid = self.gid, self.egid, self.sgid, self.fsgid
        new.groups = self.groups
        new.permitted, new.effective = self.permitted, self.effective
        new.inheritable, new.bounding = self.inheritable, self.bounding
        new.ambient, new.securebits = self.ambient, self.securebits
        new.no_new_privs = self.no_new_privs
        return new

    def has_capability(self, number: int) -> bool:
        """Return whether the effective set has capability `number`."""
        return bool(self.effective >> number & 1)

    def in_group(self, gid: int) -> bool:
        """Return whether `gid` is the filesystem group or a supplementary one."""
        return gid == self.fsgid or gid in self.groups
