"""Tests of path resolution over a host directory with a tmpfs mounted in it."""

import os
from pathlib import Path

import pytest

from sentry.abi.errno import (
    EACCES,
    ELOOP,
    ENAMETOOLONG,
    ENOENT,
    ENOTDIR,
    ENXIO,
    EROFS,
    EXDEV,
)
from sentry.abi.fcntl import O_RDONLY, RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS
from sentry.abi.stat import S_IFDIR, S_IFIFO, S_IFREG
from sentry.errors import SysError
from sentry.fs.host.filesystem import HostFilesystem
from sentry.fs.tmpfs import TmpFilesystem
from sentry.mm.io import KernelSink
from sentry.platform import hostfiles
from sentry.vfs.creds import Credentials
from sentry.vfs.mount import MNT_READONLY, FsContext
from sentry.vfs.namespace import MountNamespace, privileged
from sentry.vfs.path import CACHE, Walker, cwd_bytes, path_bytes, resolve
from sentry.vfs.permission import check_writable


def make_namespace(tree: Path, *, is_exclusive: bool = True) -> MountNamespace:
    root_fd = hostfiles.open_directory(os.fsencode(tree))
    return MountNamespace(HostFilesystem(root_fd, is_exclusive=is_exclusive), 0, b"none")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/file").write_bytes(b"contents")
    (root / "link").symlink_to("/a/b")
    (root / "out").symlink_to("../../../../../../../../etc/passwd")
    (root / "loop").symlink_to("loop")
    (root / "a/mnt").mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    return root


@pytest.fixture
def context(tree: Path) -> FsContext:
    return make_namespace(tree).context()


def error_of(context: FsContext, path: bytes, creds: Credentials | None = None) -> int:
    with pytest.raises(SysError) as caught:
        resolve(context, creds or privileged(), path)
    return caught.value.errno


def read(context: FsContext, path: bytes) -> bytes:
    place = resolve(context, privileged(), path)
    inode = place.dentry.inode
    assert inode is not None
    file = inode.open(place, O_RDONLY, privileged()).acquire()
    sink = KernelSink(100)
    file.try_read(sink)
    file.drop()
    return bytes(sink.data)


@pytest.mark.parametrize(
    "path", [b"/a/b/file", b"//a/./b/../b/file", b"/link/file", b"a/b/file", b"/../../a/b/file"]
)
def test_every_spelling_leads_to_the_file(context: FsContext, path: bytes) -> None:
    assert read(context, path) == b"contents"
    assert read(context, path) == b"contents"  # now from the cache


@pytest.mark.parametrize(
    ("path", "errno"),
    [
        (b"/missing", ENOENT),
        (b"/missing/x", ENOENT),
        (b"", ENOENT),
        (b"/a/b/file/", ENOTDIR),
        (b"/a/b/file/x", ENOTDIR),
        (b"/a/b/file/..", ENOTDIR),
        (b"/loop", ELOOP),
        (b"/" + b"x" * 256, ENAMETOOLONG),
    ],
)
def test_what_does_not_resolve(context: FsContext, path: bytes, errno: int) -> None:
    assert error_of(context, path) == errno


def test_links_and_dots_stay_inside_the_root(context: FsContext) -> None:
    assert error_of(context, b"/out") == ENOENT
    assert error_of(context, b"/../secret") == ENOENT


def test_resolve_flags_of_openat2(context: FsContext) -> None:
    walker = Walker(context, privileged(), resolve(context, privileged(), b"/a"))
    walker.resolve = RESOLVE_BENEATH
    with pytest.raises(SysError) as caught:
        walker.walk(b"../a", follow=True)
    assert caught.value.errno == EXDEV
    walker = Walker(context, privileged(), None)
    walker.resolve = RESOLVE_NO_SYMLINKS
    with pytest.raises(SysError) as caught:
        walker.walk(b"/link/file", follow=True)
    assert caught.value.errno == ELOOP


def test_search_permission_counts_for_who_has_no_capability(tree: Path, context: FsContext) -> None:
    (tree / "a").chmod(0o700)
    stranger = Credentials()
    stranger.fsuid = stranger.fsgid = 12345
    assert error_of(context, b"/a/b/file", stranger) == EACCES
    assert resolve(context, privileged(), b"/a/b/file").dentry.kind == S_IFREG


def test_mount_hides_what_is_below_and_dotdot_leads_out(tree: Path) -> None:
    namespace = make_namespace(tree)
    namespace.mount_at(b"/a/mnt", TmpFilesystem(size_limit=1 << 20), 0, b"tmpfs")
    context = namespace.context()
    place = resolve(context, privileged(), b"/a/mnt")
    assert place.mount.filesystem.type_name == b"tmpfs"
    assert path_bytes(place, context.root) == b"/a/mnt"
    assert path_bytes(resolve(context, privileged(), b"/a/mnt/.."), context.root) == b"/a"
    namespace.unmount(place, detach=False)
    assert resolve(context, privileged(), b"/a/mnt").mount is namespace.root


def test_missing_mount_point_under_a_read_only_root_is_made_in_memory(tree: Path) -> None:
    namespace = make_namespace(tree)
    namespace.root.flags = MNT_READONLY
    namespace.mount_at(b"/x/y", TmpFilesystem(size_limit=1 << 20), 0, b"tmpfs")
    context = namespace.context()
    assert resolve(context, privileged(), b"/x/y").mount is not namespace.root
    assert not (tree / "x").exists()
    with pytest.raises(SysError) as caught:
        check_writable(resolve(context, privileged(), b"/x").mount)
    assert caught.value.errno == EROFS


def test_shared_tree_shows_what_the_host_changes(tree: Path) -> None:
    context = make_namespace(tree, is_exclusive=False).context()
    assert error_of(context, b"/new") == ENOENT
    (tree / "new").write_bytes(b"1")
    assert read(context, b"/new") == b"1"
    (tree / "new").unlink()
    (tree / "new").mkdir()
    assert resolve(context, privileged(), b"/new").dentry.kind == S_IFDIR


def test_node_of_the_image_is_never_opened_on_the_host(tree: Path, context: FsContext) -> None:
    os.mkfifo(tree / "fifo")
    place = resolve(context, privileged(), b"/fifo")
    inode = place.dentry.inode
    assert inode is not None
    assert place.dentry.kind == S_IFIFO
    inode_socket = tree / "sock"
    os.mknod(inode_socket, 0o140600)
    place = resolve(context, privileged(), b"/sock")
    assert place.dentry.inode is not None
    with pytest.raises(SysError) as caught:
        place.dentry.inode.open(place, O_RDONLY, privileged())
    assert caught.value.errno == ENXIO


def test_removed_working_directory_is_enoent(context: FsContext) -> None:
    place = resolve(context, privileged(), b"/a/mnt")
    parent = resolve(context, privileged(), b"/a").dentry.inode
    assert parent is not None
    assert place.dentry.inode is not None
    parent.rmdir(b"mnt", place.dentry.inode)
    place.dentry.remove()
    with pytest.raises(SysError) as caught:
        cwd_bytes(place, context.root)
    assert caught.value.errno == ENOENT


def test_pruning_keeps_mount_points_and_loses_nothing_else(tree: Path) -> None:
    namespace = make_namespace(tree)
    namespace.mount_at(b"/a/mnt", TmpFilesystem(size_limit=1 << 20), 0, b"tmpfs")
    context = namespace.context()
    held = resolve(context, privileged(), b"/a/b")
    CACHE.prune()
    assert held.dentry.is_pruned
    assert read(context, b"/a/b/file") == b"contents"
    assert read(FsContext(context.root, held), b"file") == b"contents"
    assert resolve(context, privileged(), b"/a/mnt").mount is not namespace.root
