"""Tests of overlays by themselves: several layers, a host directory above, limits, numbers."""

import gc
import os
from pathlib import Path

import pytest

from sentry.abi.errno import ENOSPC, ENOTEMPTY, EPERM, EXDEV
from sentry.abi.fcntl import O_RDONLY, O_RDWR
from sentry.abi.stat import S_IFCHR, S_IFDIR, S_IFMT
from sentry.errors import SysError
from sentry.fs.host.filesystem import HostFilesystem
from sentry.fs.overlay.filesystem import USER, Layer, MemoryLayers, OverlayFilesystem
from sentry.fs.overlay.inode import OverlayInode
from sentry.fs.tmpfs import TmpFilesystem
from sentry.mm.io import KernelSink, KernelSource
from sentry.platform import hostfiles
from sentry.vfs.file import File
from sentry.vfs.inode import AttributeChange, Inode
from sentry.vfs.mount import Dentry, Mount, VfsPath
from sentry.vfs.namespace import privileged


def host_tree(path: Path) -> HostFilesystem:
    return HostFilesystem(hostfiles.open_directory(os.fsencode(path)), is_exclusive=True)


def at(filesystem: OverlayFilesystem, path: str) -> Inode | None:
    """Look a path up, as a walk with an empty cache does."""
    inode: Inode | None = filesystem.root()
    for name in path.split("/"):
        assert inode is not None
        inode = inode.lookup(name.encode())
    return inode


def there(filesystem: OverlayFilesystem, path: str) -> OverlayInode:
    inode = at(filesystem, path)
    assert isinstance(inode, OverlayInode)
    return inode


def names(inode: Inode) -> list[str]:
    return sorted(entry.name.decode() for entry in inode.entries())


def opened(filesystem: OverlayFilesystem, inode: Inode, flags: int = O_RDONLY) -> File:
    mount = Mount(1, filesystem, filesystem.dentry(), 0)
    place = VfsPath(mount, Dentry(filesystem.dentry(), b"x", inode))
    return inode.open(place, flags, privileged()).acquire()


def contents(filesystem: OverlayFilesystem, inode: Inode) -> bytes:
    file = opened(filesystem, inode)
    sink = KernelSink(1 << 16)
    file.try_pread(sink, 0)
    file.drop()
    return bytes(sink.data)


def error_of(function: object, *arguments: object) -> int:
    assert callable(function)
    with pytest.raises(SysError) as caught:
        function(*arguments)
    return caught.value.errno


@pytest.fixture
def lower(tmp_path: Path) -> Path:
    tree = tmp_path / "lower"
    (tree / "dir/sub").mkdir(parents=True)
    (tree / "dir/file").write_bytes(b"below")
    (tree / "dir/sub/deep").write_bytes(b"deep")
    (tree / "file").write_bytes(b"contents")
    os.link(tree / "file", tree / "other")
    return tree


@pytest.fixture
def overlay(lower: Path) -> OverlayFilesystem:
    return MemoryLayers(1 << 20).over(host_tree(lower))


def test_numbers_stay_at_copy_up_and_are_those_of_the_entries(overlay: OverlayFilesystem) -> None:
    for path in ("dir", "dir/file", "dir/sub/deep"):
        before = there(overlay, path).attributes()
        change = AttributeChange()
        change.mode = 0o700
        there(overlay, path).set_attributes(change)
        gc.collect()
        after = there(overlay, path).attributes()
        assert (after.dev, after.ino) == (before.dev, before.ino) == there(overlay, path).key()
        assert after.dev == overlay.device
        parent, _, name = ("./" + path).rpartition("/")
        directory = overlay.root() if parent == "." else there(overlay, parent[2:])
        numbers = {entry.name: entry.ino for entry in directory.entries()}
        assert numbers[name.encode()] == after.ino


def test_the_names_of_a_lower_file_part_at_copy_up(overlay: OverlayFilesystem) -> None:
    assert there(overlay, "file").key() == there(overlay, "other").key()
    file = opened(overlay, there(overlay, "file"), O_RDWR)
    file.try_pwrite(KernelSource(b"CON"), 0)
    file.drop()
    assert contents(overlay, there(overlay, "file")) == b"CONtents"
    assert contents(overlay, there(overlay, "other")) == b"contents"
    assert there(overlay, "file").key() != there(overlay, "other").key()


def test_an_inode_held_from_before_sees_a_copy_up_by_another(overlay: OverlayFilesystem) -> None:
    held, held_dir = there(overlay, "dir/file"), there(overlay, "dir")
    reader = opened(overlay, held)
    writer = opened(overlay, there(overlay, "dir/file"), O_RDWR)
    writer.try_pwrite(KernelSource(b"above"), 0)
    writer.drop()
    assert contents(overlay, held) == b"above"
    sink = KernelSink(10)
    reader.try_read(sink)
    reader.drop()
    assert bytes(sink.data) == b"above"
    there(overlay, "dir").create(b"new", 0o600, 0, 0)
    assert names(held_dir) == ["file", "new", "sub"]


def test_nodes_that_nobody_holds_are_forgotten(overlay: OverlayFilesystem) -> None:
    before = overlay.tree.live_count()
    held = [there(overlay, "dir/sub/deep")]
    assert overlay.tree.live_count() > before
    held.clear()
    gc.collect()
    assert overlay.tree.live_count() == before


def test_a_reader_goes_on_after_the_name_is_removed(overlay: OverlayFilesystem) -> None:
    inode, directory = there(overlay, "dir/file"), there(overlay, "dir")
    reader = opened(overlay, inode)
    directory.unlink(b"file", inode)
    assert reader.attributes().nlink == 0
    change = AttributeChange()
    change.mode = 0o600
    reader.set_attributes(change)  # copied up without a name
    assert reader.attributes().mode & 0o777 == 0o600
    sink = KernelSink(10)
    reader.try_read(sink)
    assert bytes(sink.data) == b"below"
    assert names(directory) == ["sub"]
    reader.drop()


def test_a_removed_directory_comes_back_empty(overlay: OverlayFilesystem) -> None:
    root, directory = overlay.root(), there(overlay, "dir")
    assert error_of(root.rmdir, b"dir", directory) == ENOTEMPTY
    assert error_of(root.rename, b"dir", root, b"moved", 0) == EXDEV
    sub = there(overlay, "dir/sub")
    sub.unlink(b"deep", there(overlay, "dir/sub/deep"))
    directory.rmdir(b"sub", sub)
    directory.unlink(b"file", there(overlay, "dir/file"))
    root.rmdir(b"dir", directory)
    assert at(overlay, "dir") is None
    made = root.mkdir(b"dir", 0o755, 0, 0)
    assert names(made) == []
    root.rename(b"dir", root, b"moved", 0)
    assert names(there(overlay, "moved")) == []


def test_guests_make_no_whiteouts_and_see_no_marks(overlay: OverlayFilesystem) -> None:
    root = overlay.root()
    assert error_of(root.mknod, b"w", S_IFCHR | 0o600, 0, 0, 0) == EPERM
    root.unlink(b"file", there(overlay, "file"))
    made = root.mkdir(b"file", 0o755, 0, 0)
    assert made.listxattr() == []
    assert error_of(made.getxattr, b"trusted.overlay.opaque") != 0
    assert names(root) == ["dir", "file", "other"]


def test_a_copy_up_that_finds_no_room_changes_nothing(tmp_path: Path) -> None:
    tree = tmp_path / "big"
    tree.mkdir()
    (tree / "large").write_bytes(b"x" * 300_000)
    with (tree / "sparse").open("wb") as file:
        file.truncate(1 << 30)
        file.seek(1 << 29)
        file.write(b"data")
    overlay = MemoryLayers(200_000).over(host_tree(tree))
    change = AttributeChange()
    change.mode = 0o600
    assert error_of(there(overlay, "large").set_attributes, change) == ENOSPC
    assert there(overlay, "large").attributes().size == 300_000
    assert overlay.statfs()[2] == overlay.statfs()[3], "something is left of the attempt"
    change.size = 10
    there(overlay, "large").set_attributes(change)  # only what stays is copied
    assert contents(overlay, there(overlay, "large")) == b"x" * 10


def test_holes_stay_holes(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    with (tree / "sparse").open("wb") as file:
        file.truncate(64 << 20)
        file.seek(32 << 20)
        file.write(b"data")
    overlay = MemoryLayers(128 << 20).over(host_tree(tree))
    file = opened(overlay, there(overlay, "sparse"), O_RDWR)
    found = file.attributes()
    assert found.size == 64 << 20
    assert found.blocks * 512 < 1 << 20
    sink = KernelSink(6)
    file.try_pread(sink, (32 << 20) - 1)
    assert bytes(sink.data) == b"\0data\0"
    file.drop()


def test_several_lower_layers(tmp_path: Path, lower: Path) -> None:
    top = tmp_path / "top"
    (top / "dir").mkdir(parents=True)
    (top / "dir/added").write_bytes(b"1")
    (top / "file").mkdir()  # hides the file of that name
    os.mknod(top / "dir/file", 0o600 | S_IFCHR, 0)
    (top / "other").mkdir()
    os.setxattr(top / "other", "user.overlay.opaque", b"y")
    layers = [host_tree(top), host_tree(lower)]
    overlay = OverlayFilesystem([Layer(fs, fs.root()) for fs in layers], None, None, USER)
    assert overlay.is_read_only
    assert names(overlay.root()) == ["dir", "file", "other"]
    assert names(there(overlay, "dir")) == ["added", "sub"]
    assert at(overlay, "dir/file") is None
    assert there(overlay, "file").mode() & S_IFMT == S_IFDIR
    assert there(overlay, "dir").attributes().nlink == 1
    assert contents(overlay, there(overlay, "dir/sub/deep")) == b"deep"


def test_an_upper_layer_of_the_host_is_one_that_linux_understands(
    tmp_path: Path, lower: Path
) -> None:
    (tmp_path / "upper").mkdir()
    (tmp_path / "work").mkdir()
    whole = host_tree(tmp_path)
    upper, work = whole.root().lookup(b"upper"), whole.root().lookup(b"work")
    assert upper is not None
    below = host_tree(lower)
    overlay = OverlayFilesystem([Layer(below, below.root())], Layer(whole, upper), work, USER)
    root = overlay.root()
    root.unlink(b"file", there(overlay, "file"))
    directory = there(overlay, "dir")
    directory.unlink(b"file", there(overlay, "dir/file"))
    directory.mkdir(b"file", 0o755, 0, 0)
    status = (tmp_path / "upper/file").lstat()
    assert status.st_mode & S_IFMT == S_IFCHR
    assert status.st_rdev == 0
    assert os.getxattr(tmp_path / "upper/dir/file", "user.overlay.opaque") == b"y"
    assert os.listdir(tmp_path / "work") == []
    old = there(overlay, "other")
    root.rename(b"other", directory, b"moved", 0)
    old.moved(directory, b"moved")
    assert contents(overlay, there(overlay, "dir/moved")) == b"contents"
    assert at(overlay, "other") is None
    assert (tmp_path / "upper/dir/moved").read_bytes() == b"contents"
    assert sorted(path.name for path in lower.iterdir()) == ["dir", "file", "other"]


def test_what_is_made_is_bounded(lower: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overlay = MemoryLayers(1 << 20).over(host_tree(lower))
    memory = overlay._layers[0].filesystem
    assert isinstance(memory, TmpFilesystem)
    monkeypatch.setattr("sentry.fs.tmpfs.MAX_INODES", memory.inodes + 2)
    root = overlay.root()
    root.create(b"one", 0o600, 0, 0)
    root.create(b"two", 0o600, 0, 0)
    assert error_of(root.create, b"three", 0o600, 0, 0) == ENOSPC
    assert error_of(root.unlink, b"file", there(overlay, "file")) == ENOSPC
    assert names(root) == ["dir", "file", "one", "other", "two"]
