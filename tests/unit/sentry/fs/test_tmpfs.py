"""Tests of tmpfs: what may be mapped, and what counts."""

import mmap

import pytest

from sentry.abi.errno import EACCES, ENOMEM, ENOSPC
from sentry.abi.fcntl import O_RDONLY, O_RDWR, O_WRONLY
from sentry.abi.mman import MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE
from sentry.errors import SysError
from sentry.fs.tmpfs import TmpFilesystem
from sentry.mm.io import KernelSource
from sentry.vfs.file import File
from sentry.vfs.inode import AttributeChange, Inode
from sentry.vfs.mount import Mount, VfsPath
from sentry.vfs.namespace import privileged

PAGE = 4096


@pytest.fixture
def filesystem() -> TmpFilesystem:
    return TmpFilesystem(size_limit=16 * PAGE)


def opened(filesystem: TmpFilesystem, inode: Inode, flags: int) -> File:
    dentry = filesystem.dentry()
    return inode.open(VfsPath(Mount(1, filesystem, dentry, 0), dentry), flags, privileged())


def resize(inode: Inode, size: int) -> None:
    change = AttributeChange()
    change.size = size
    inode.set_attributes(change)


def test_a_reader_maps_shared_but_cannot_write(filesystem: TmpFilesystem) -> None:
    inode = filesystem.root().create(b"f", 0o600, 0, 0)
    writer = opened(filesystem, inode, O_RDWR).acquire()
    writer.try_write(KernelSource(b"contents"))
    reader = opened(filesystem, inode, O_RDONLY).acquire()
    host_fd = reader.mmap_host_fd(PROT_READ, MAP_SHARED)
    with mmap.mmap(host_fd, 8, mmap.MAP_SHARED, mmap.PROT_READ) as mapping:
        writer.try_pwrite(KernelSource(b"CON"), 0)
        assert mapping[:8] == b"CONtents"
    with pytest.raises(PermissionError):
        mmap.mmap(host_fd, 8, mmap.MAP_SHARED, mmap.PROT_WRITE)
    with pytest.raises(SysError) as caught:
        reader.mmap_host_fd(PROT_READ | PROT_WRITE, MAP_SHARED)
    assert caught.value.errno == EACCES
    with pytest.raises(SysError):
        opened(filesystem, inode, O_WRONLY).mmap_host_fd(PROT_READ, MAP_SHARED)
    for file in (reader, writer):
        file.drop()


def test_what_can_be_written_through_a_mapping_counts(filesystem: TmpFilesystem) -> None:
    inode = filesystem.root().create(b"f", 0o600, 0, 0)
    file = opened(filesystem, inode, O_RDWR).acquire()
    resize(inode, 1 << 30)  # a hole costs nothing
    assert filesystem.used == 0
    file.mmap_host_fd(PROT_READ | PROT_WRITE, MAP_PRIVATE)
    with pytest.raises(SysError) as caught:
        file.mmap_host_fd(PROT_READ | PROT_WRITE, MAP_SHARED)
    assert caught.value.errno == ENOMEM
    resize(inode, 4 * PAGE)
    file.mmap_host_fd(PROT_READ | PROT_WRITE, MAP_SHARED)
    assert filesystem.used == 4 * PAGE
    with pytest.raises(SysError) as caught:
        resize(inode, 17 * PAGE)
    assert caught.value.errno == ENOSPC
    filesystem.root().unlink(b"f", inode)
    file.drop()
    assert filesystem.used == 0
