"""A virtual machine with Debian's own kernel, for tests of what this machine's kernel lacks.

    python -m scripts.vm [--seconds N] COMMAND ...    run a command in it, with this machine's files
    python -m scripts.vm kernel                       only get the kernel

The machine is emulated in software (QEMU's TCG: no /dev/kvm is needed, and everything takes 20 to
40 times as long). Its root is this machine's, read-only by 9p, under a tmpfs that takes what is
written and goes with it; the command runs in the current directory. It has no network. The kernel
package is unpacked below `.cache/vm`, not installed.

What a command prints is printed, and its exit status is this program's; 124 stands for "not done
in time", 125 for a machine that ended without one. QEMU is a child that dies with this process.
"""

import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "vm"
META_PACKAGE = "linux-image-amd64"  # of Debian; it depends on the newest kernel
QEMU = "qemu-system-x86_64"
INIT = Path(__file__).with_name("vm_init.sh")
# What it takes to get at the root file system; everything else is loaded from there on demand.
BOOT_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
MEMORY_MIB = 2048
DEFAULT_SECONDS = 600
STATUS_LATE = 124  # as of timeout(1)
STATUS_LOST = 125


class VmError(Exception):
    """There is no virtual machine to be had."""


def say(text: str) -> None:
    """Tell the user what takes long."""
    print(f"vm: {text}", file=sys.stderr, flush=True)


def output_of(argv: list[str], cwd: Path | None = None) -> str:
    """Return what a command prints; VmError if it fails."""
    try:
        done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise VmError(f"there is no {argv[0]}") from None
    if done.returncode != 0:
        raise VmError(f"{shlex.join(argv)}: {done.stderr.strip()[-500:]}")
    return done.stdout


# --- the kernel -------------------------------------------------------------------------


class Kernel:
    """An unpacked kernel package."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        images = sorted(directory.glob("boot/vmlinuz-*"))
        if len(images) != 1:
            raise VmError(f"{directory} has {len(images)} kernels")
        self.image = images[0]
        self.version = self.image.name.removeprefix("vmlinuz-")
        self.modules = directory / "lib" / "modules"

    def files_of(self, names: tuple[str, ...]) -> list[Path]:
        """Return the files of modules and of those that they need, in the order of loading."""
        modprobe = ["modprobe", "--show-depends", "-d", str(self.directory), "-S", self.version]
        found: dict[Path, None] = {}
        for name in names:
            for line in output_of([*modprobe, name]).splitlines():
                words = line.split()
                if words[0] == "insmod":  # others are "builtin"
                    found[Path(words[1])] = None
        return list(found)


def kernel() -> Kernel:
    """Return the kernel in the cache, after getting it there if need be."""
    found = sorted(CACHE.glob("linux-image-*/boot/vmlinuz-*"))
    if found:
        return Kernel(found[-1].parent.parent)
    depends = output_of(["apt-cache", "depends", "--important", META_PACKAGE]).split()
    packages = [word for word in depends if word.startswith("linux-image-")][1:]
    if not packages:
        raise VmError(f"{META_PACKAGE} names no kernel")
    say(f"getting {packages[0]} (70 MB)")
    CACHE.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix="partial-", dir=CACHE))
    try:
        # The user _apt may not write here: apt-get says so, and goes on as root.
        output_of(["apt-get", "download", packages[0]], cwd=partial)
        (archive,) = partial.glob("*.deb")
        tree = partial / "tree"
        output_of(["dpkg-deb", "--extract", str(archive), str(tree)])
        output_of(["depmod", "-b", str(tree), Kernel(tree).version])
        tree.rename(CACHE / packages[0])
    finally:
        shutil.rmtree(partial)
    return Kernel(CACHE / packages[0])


# --- the first file system --------------------------------------------------------------


def cpio_entry(number: int, name: str, mode: int, data: bytes = b"") -> bytes:
    """Return a file of a cpio archive of the kind that kernels unpack ("newc", cpio(5))."""
    path = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + path
    return head + bytes(-len(head) & 3) + data + bytes(-len(data) & 3)


def cpio(files: dict[str, tuple[int, bytes]]) -> bytes:
    """Return a cpio archive of files, by their names: mode (with its type) and contents."""
    entries = [
        cpio_entry(number, name, mode, data)
        for number, (name, (mode, data)) in enumerate(files.items(), 1)
    ]
    return b"".join(entries) + cpio_entry(0, "TRAILER!!!", 0)


def initramfs(chosen: Kernel) -> bytes:
    """Return the file system that the kernel starts with: a shell, its script and modules."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise VmError("there is no busybox")
    directory, program, link, file = 0o040755, 0o100755, 0o120777, 0o100644
    directories = ("bin", "dev", "proc", "sys", "modules", "host", "written", "newroot")
    files = dict.fromkeys(directories, (directory, b""))
    files["bin/busybox"] = (program, Path(busybox).read_bytes())
    files["bin/sh"] = (link, b"busybox")
    files["init"] = (program, INIT.read_bytes())
    order = []
    for path in chosen.files_of(BOOT_MODULES):
        order.append(f"/modules/{path.name}\n")
        files[f"modules/{path.name}"] = (file, path.read_bytes())
    files["modules/order"] = (file, "".join(order).encode())
    return cpio(files)


# --- running ----------------------------------------------------------------------------


def qemu_command(chosen: Kernel, initrd: Path, share: Path) -> list[str]:
    """Return QEMU's command line; `share` is a directory that the machine writes into."""
    host = "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"
    shared = f"local,path={share},mount_tag=share,security_model=none"
    return [
        QEMU,
        *("-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max", "-smp", "2"),
        *("-m", str(MEMORY_MIB), "-nodefaults", "-no-user-config", "-display", "none"),
        *("-serial", "stdio", "-no-reboot"),
        *("-kernel", str(chosen.image), "-initrd", str(initrd)),
        *("-virtfs", host, "-virtfs", shared),
        *("-append", "console=ttyS0 loglevel=1 panic=-1 mitigations=off"),
    ]


def script_of(command: list[str], directory: Path, chosen: Kernel, writable: list[Path]) -> str:
    """Return what the machine's init reads: variables of the shell."""
    return (
        f"modules={shlex.quote(str(chosen.modules.resolve()))}\n"
        f"writable={shlex.quote(' '.join(shlex.quote(str(path)) for path in writable))}\n"
        f"directory={shlex.quote(str(directory))}\n"
        f"command={shlex.quote(shlex.join(command))}\n"
    )


def run(command: list[str], seconds: float = DEFAULT_SECONDS) -> int:
    """Run a command in a machine of its own, with its output here; return its exit status."""
    chosen = kernel()
    share = Path(tempfile.mkdtemp(prefix="runsc-vm-"))
    try:
        initrd = share / "initrd"
        initrd.write_bytes(initramfs(chosen))
        # Overlays cannot have their upper directory on one: tests make those here.
        scratch = (ROOT / ".cache" / "scratch").resolve()
        shared = share / "share"
        shared.mkdir()
        (shared / "script").write_text(script_of(command, Path.cwd(), chosen, [scratch]))
        if not boot(qemu_command(chosen, initrd, shared), seconds):
            say(f"not done after {seconds:.0f} s")
            return STATUS_LATE
        status = shared / "status"
        text = status.read_text().strip() if status.exists() else ""
        return int(text) if text else STATUS_LOST
    finally:
        shutil.rmtree(share)


def boot(argv: list[str], seconds: float) -> bool:
    """Run QEMU until it ends; return whether it did in time. It is gone in any case."""
    # Should this process be killed, it is killed, too.
    dying = ["setpriv", "--pdeathsig", "KILL"]
    process = subprocess.Popen([*dying, *argv], stdin=subprocess.DEVNULL)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    finally:
        process.kill()
        process.wait()
    return True


def main(arguments: list[str]) -> int:
    """Run the command line."""
    seconds = float(DEFAULT_SECONDS)
    if arguments[:1] == ["--seconds"]:
        seconds = float(arguments[1])
        arguments = arguments[2:]
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    # Ends by "raise", so that the machine is stopped and its files removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        if arguments == ["kernel"]:
            say(f"kernel {kernel().version}")
            return 0
        return run(arguments, seconds)
    except VmError as error:
        say(str(error))
        return STATUS_LOST


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
