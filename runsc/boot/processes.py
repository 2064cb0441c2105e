"""Makes guest processes from OCI process objects: the container's init, and `exec`."""

from config.oci import Process
from runsc.boot.accounts import home_of
from runsc.boot.identity import credentials_of, limits_of
from runsc.boot.programs import FoundProgram, check_program, failure, find_program, reason_of
from runsc.errors import RunscError
from sentry.abi.resource import RLIMIT_NOFILE, RLIMIT_STACK
from sentry.abi.stat import S_IFDIR
from sentry.errors import SysError
from sentry.kernel.exec import credentials_after, is_secure
from sentry.kernel.fdtable import FdTable
from sentry.kernel.kernel import Kernel
from sentry.kernel.spawn import ContainerPlace, NewProcess, spawn
from sentry.kernel.task import Task
from sentry.loader.program import Loader, Opener, Program
from sentry.vfs.creds import Credentials
from sentry.vfs.file import File
from sentry.vfs.mount import FsContext, VfsPath
from sentry.vfs.path import resolve


def environment(process: Process, context: FsContext) -> list[bytes]:
    """Return the environment of a process; a HOME that is missing or empty is its user's."""
    env = [text.encode() for text in process.env if text != "HOME="]
    if not any(item.startswith(b"HOME=") for item in env):
        env.append(b"HOME=" + home_of(context, process.user.uid))
    return env


class ContextOpener(Opener):
    """Opens programs for a process that does not exist yet."""

    def __init__(self, context: FsContext, creds: Credentials) -> None:
        self._context = context
        self._creds = creds

    def open_program(self, name: bytes) -> File:
        """Return the program or interpreter `name`, acquired."""
        return self.open_place(resolve(self._context, self._creds, name))

    def open_place(self, place: VfsPath) -> File:
        """Return the program at a place, acquired; SysError if it may not be executed."""
        check_program(self._creds, place)
        inode = place.dentry.inode
        assert inode is not None
        file = inode.open(place, 0, self._creds)
        if file.path is None:
            file.path = place
        return file.acquire()


class ProcessMaker:
    """Makes processes of one container."""

    def __init__(
        self,
        kernel: Kernel,
        loader: Loader,
        place: ContainerPlace,
        file_limits: tuple[int, int],
    ) -> None:
        self._kernel = kernel
        self._loader = loader
        self._place = place
        self._namespace = place.mounts
        self._file_limits = file_limits

    def make(self, process: Process, files: list[File], *, make_cwd: bool) -> Task:
        """Return a task that is ready to run `process`; raise RunscError saying why not.

        `files` become its descriptors 0, 1, 2, ....  The program is found,
        checked and loaded here, so that what is wrong is said before anything runs.
        """
        creds = credentials_of(process)
        limits = limits_of(process, self._file_limits)
        context = self._context(process, creds, make_cwd=make_cwd)
        found = find_program(context, creds, process.args[0], process.env)
        opener = ContextOpener(context, creds)
        try:
            file = opener.open_place(found.place)
            program = self._program(process, context, found, file)
            new_creds = credentials_after(creds, file.attributes(), found.place.mount)
            program.creds = new_creds
            program.is_secure = is_secure(creds, new_creds)
            program.stack_limit = limits.soft[RLIMIT_STACK]
            program.origin = self._place.cgroup.origin
            loaded = self._loader.load(program, opener)
            table = FdTable(limits.soft[RLIMIT_NOFILE])
            for file in files:
                table.install(file, cloexec=False)
            comm = found.name.rpartition(b"/")[2]
            new = NewProcess(new_creds, table, context, limits, comm, self._place)
            return spawn(self._kernel, loaded.thread, loaded.mm, new)
        except SysError as error:
            raise failure(process.args[0], reason_of(error)) from None

    def _program(
        self, process: Process, context: FsContext, found: FoundProgram, file: File
    ) -> Program:
        args = [text.encode() for text in process.args]
        return Program(file, found.name, args, environment(process, context))

    def _context(self, process: Process, creds: Credentials, *, make_cwd: bool) -> FsContext:
        context = self._namespace.context()
        if process.user.umask >= 0:
            context.umask = process.user.umask
        cwd = process.cwd.encode()
        try:
            if make_cwd:
                context.cwd = self._namespace.make_place(cwd, S_IFDIR, create=True)
            place = resolve(context, creds, cwd)
        except SysError as error:
            raise RunscError(
                f"unable to start container process: chdir to cwd ({process.cwd!r}): "
                + reason_of(error)
            ) from None
        if place.dentry.kind != S_IFDIR:
            raise RunscError(
                f"unable to start container process: chdir to cwd ({process.cwd!r}): "
                "not a directory"
            )
        context.cwd = place
        return context
