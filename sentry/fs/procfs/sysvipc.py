"""/proc/sysvipc: what there is of System V IPC, as ipcs(1) reads it."""

from sentry.fs.ipc_namespace import IpcNamespace
from sentry.fs.procfs.system_files import SystemText
from sentry.kernel.ipc import IpcObject
from sentry.kernel.message_queues import MessageQueue
from sentry.kernel.semaphores import SemaphoreSet
from sentry.kernel.shared_memory import PAGE, Segment


def _owners(found: IpcObject) -> str:
    return f"{found.uid:5} {found.gid:5} {found.creator_uid:5} {found.creator_gid:5}"


class IpcText(SystemText):
    """A file about the objects of whoever reads it."""

    def namespace(self) -> IpcNamespace:
        """Return the reader's namespace."""
        current = self.kernel.current
        return IpcNamespace() if current is None else current.ipc


class SegmentsFile(IpcText):
    """Segments of shared memory."""

    def generate(self) -> bytes:
        text = (
            "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid"
            "  cgid      atime      dtime      ctime                   rss                  swap\n"
        )
        for found in self.namespace().segments.objects.values():
            assert isinstance(found, Segment)
            text += (
                f"{found.key:10} {found.number:10}  {found.mode:4o} {found.size:21}"
                f" {found.creator:5} {found.last_user:5}  {found.attached:5} {_owners(found)}"
                f" {found.attach_time:10} {found.detach_time:10} {found.change_time:10}"
                f" {found.resident_pages() * PAGE:21} {0:21}\n"
            )
        return text.encode()


class SemaphoresFile(IpcText):
    """Sets of semaphores."""

    def generate(self) -> bytes:
        text = (
            "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n"
        )
        for found in self.namespace().semaphores.objects.values():
            assert isinstance(found, SemaphoreSet)
            text += (
                f"{found.key:10} {found.number:10}  {found.mode:4o} {len(found.values):10}"
                f" {_owners(found)} {found.operation_time:10} {found.change_time:10}\n"
            )
        return text.encode()


class QueuesFile(IpcText):
    """Message queues."""

    def generate(self) -> bytes:
        text = (
            "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid"
            "      stime      rtime      ctime\n"
        )
        for found in self.namespace().messages.objects.values():
            assert isinstance(found, MessageQueue)
            text += (
                f"{found.key:10} {found.number:10}  {found.mode:4o}  {found.size:10}"
                f" {len(found.messages):10} {found.last_sender:5} {found.last_receiver:5}"
                f" {_owners(found)} {found.send_time:10} {found.receive_time:10}"
                f" {found.change_time:10}\n"
            )
        return text.encode()
