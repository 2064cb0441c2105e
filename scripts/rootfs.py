"""Root file systems for bundles: two of Debian (or Ubuntu), static busybox, musl.

Each is made once below `.cache/rootfs/`, named by everything that went into it, and is only ever
read afterwards: who wants to write in one works on a copy or an overlay.
"""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "rootfs"
DEBIAN_PACKAGES = (
    "bzip2",
    "file",
    "gcc",
    "git",
    "libc6-dev",
    "make",
    "procps",
    "python3",
    "sqlite3",
    "xz-utils",
)
# What speaks TCP, UDP and ICMP, for tests of the network; peers on the host run from here as well.
NETWORK_PACKAGES = (
    "bind9-dnsutils",
    "conntrack",
    "curl",
    "dnsmasq-base",
    "iperf3",
    "iproute2",
    "iptables",
    "iputils-ping",
    "nftables",
    "nginx-light",
    "openssh-client",
    "openssh-server",
    "procps",
    "python3",
    "redis-server",
    "socat",
    "traceroute",
)
GUEST_ENV = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
}
VERSION = 1  # of what the functions below make


class RootfsError(Exception):
    """A root file system could not be made."""


def say(text: str) -> None:
    """Tell the user what takes long."""
    print(f"rootfs: {text}", file=sys.stderr, flush=True)


def run(argv: list[str], log: Path, env: dict[str, str] | None = None) -> None:
    """Run a command with its output in `log`; a failure shows the end of it."""
    with log.open("ab") as file:
        file.write(f"$ {' '.join(argv)}\n".encode())
        file.flush()
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=env, check=False
        )
    if done.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise RootfsError(f"{argv[0]} ended with {done.returncode}; the end of {log}:\n{tail}")


def os_release() -> dict[str, str]:
    """Return the fields of os-release(5) of this machine."""
    fields = {}
    for line in Path("/etc/os-release").read_text().splitlines():
        name, _, value = line.partition("=")
        fields[name] = value.strip('"')
    return fields


def apt_mirror(suite: str) -> str | None:
    """Return where this machine's apt takes `suite` from, if it has lists of it."""
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)"],
        capture_output=True,
        text=True,
        check=False,
    )
    for line in done.stdout.splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[:2] == [suite, "main"] and fields[2].startswith("http"):
            return fields[2]
    return None


def download_env() -> dict[str, str]:
    """Return the environment of debootstrap: apt's proxy holds for it as well."""
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    done = subprocess.run(
        ["apt-config", "shell", "PROXY", "Acquire::http::Proxy"],
        capture_output=True,
        text=True,
        check=False,
    )
    proxy = done.stdout.strip().removeprefix("PROXY=").strip("'")
    if proxy and proxy != "DIRECT":
        env.setdefault("http_proxy", proxy)
    return env


def digest(*parts: object) -> str:
    """Return a short name for what a tree is made from."""
    return hashlib.sha256(json.dumps([VERSION, *parts], default=str).encode()).hexdigest()[:12]


@contextlib.contextmanager
def making(name: str) -> Iterator[tuple[Path, bool]]:
    """Yield where to make the tree, and whether it still has to be made.

    The tree appears under its final name only when it is complete, and of two processes that want
    the same one the second waits for the first.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    final = CACHE / name
    with (CACHE / f"{name}.lock").open("w") as lock:
        os.lockf(lock.fileno(), os.F_LOCK, 0)
        if final.is_dir():
            yield final, False
            return
        partial = CACHE / f"{name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        yield partial, True
        partial.rename(final)


def debian() -> Path:
    """Return a minimal system of the host's own distribution with the tools the tests use."""
    return _bootstrapped("debian", DEBIAN_PACKAGES)


def network() -> Path:
    """Return the same distribution with servers and clients of the network."""
    return _bootstrapped("network", NETWORK_PACKAGES)


def _bootstrapped(name: str, packages: tuple[str, ...]) -> Path:
    """Return a minimal system with `packages`."""
    release = os_release()
    suite = release["VERSION_CODENAME"]
    with making(f"{name}-{digest(suite, packages)}") as (tree, wanted):
        if wanted:
            say(f"bootstrapping {suite} with {', '.join(packages)} (some minutes, once)")
            log = CACHE / f"debootstrap-{name}.log"
            log.unlink(missing_ok=True)
            options = ["--variant=minbase", f"--include={','.join(packages)}"]
            if release["ID"] == "ubuntu":
                options.append("--components=main,universe")
            mirror = apt_mirror(suite)
            where = [suite, str(tree)] + ([mirror] if mirror else [])
            run(["debootstrap", *options, *where], log, download_env())
            _finish_debian(tree)
    return CACHE / tree.name.removesuffix(".partial")


def _finish_debian(tree: Path) -> None:
    """Remove what only installing needs and fix what depends on this machine."""
    for path in (tree / "var/cache/apt/archives").glob("*.deb"):
        path.unlink()
    shutil.rmtree(tree / "var/lib/apt/lists", ignore_errors=True)
    (tree / "etc/hostname").write_text("runsc\n")
    (tree / "etc/resolv.conf").write_text("")
    (tree / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")


def _skeleton(tree: Path) -> None:
    """Make the directories and account files that every system has."""
    for name in ("bin", "dev", "etc", "lib", "proc", "root", "sbin", "sys", "tmp", "usr/bin"):
        (tree / name).mkdir(parents=True)
    (tree / "usr/sbin").mkdir()
    (tree / "var").mkdir()
    (tree / "tmp").chmod(0o1777)
    (tree / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"
    )
    (tree / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    (tree / "etc/hosts").write_text("127.0.0.1 localhost\n")


def busybox() -> Path:
    """Return a system of nothing but the host's static busybox."""
    program = Path("/bin/busybox")
    with making(f"busybox-{digest(_file_digest(program))}") as (tree, wanted):
        if wanted:
            _skeleton(tree)
            shutil.copy(program, tree / "bin/busybox")
            applets = subprocess.run(
                [str(program), "--list-full"], capture_output=True, text=True, check=True
            ).stdout.split()
            for applet in applets:
                link = tree / applet
                if link.parent.is_dir() and not link.exists():
                    link.symlink_to("/bin/busybox")
    return CACHE / tree.name.removesuffix(".partial")


def _file_digest(path: Path) -> str:
    if not path.is_file():
        raise RootfsError(f"{path} is missing; `make setup` installs it")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _musl_loader() -> Path:
    found = sorted(Path("/lib").glob("ld-musl-*.so.1"))
    if not found:
        raise RootfsError("/lib/ld-musl-*.so.1 is missing; `make setup` installs it")
    return found[0]


def musl() -> Path:
    """Return a system whose shell tools and programs are dynamically linked to musl.

    busybox itself stays the static one (Debian has no other); the programs compiled here from
    tests/programs/musl/*.c use musl's loader and C library.
    """
    loader = _musl_loader()
    sources = sorted((ROOT / "tests/programs/musl").glob("*.c"))
    inputs = [_file_digest(path) for path in (Path("/bin/busybox"), loader, *sources)]
    base = busybox()
    with making(f"musl-{digest(inputs)}") as (tree, wanted):
        if wanted:
            subprocess.run(["cp", "-a", str(base), str(tree)], check=True)
            shutil.copy(loader.resolve(), tree / "lib" / "libc.so")
            (tree / "lib" / loader.name).symlink_to("libc.so")
            for source in sources:
                output = str(tree / "usr/bin" / source.stem)
                argv = ["musl-gcc", "-O1", "-Wall", "-o", output, str(source), "-lpthread"]
                run(argv, CACHE / "musl.log")
    return CACHE / tree.name.removesuffix(".partial")


def python_tests() -> Path:
    """Return the package `test` of debian()'s Python, with Debian's package of its test suite.

    It is only unpacked: it needs nothing besides, and belongs over the directory of that name.
    """
    base = debian()
    library = next(base.glob("usr/lib/python3.*/test")).parent
    status = (base / "var/lib/dpkg/status").read_text()
    stanza = status[status.index(f"\nPackage: lib{library.name}-stdlib\n") + 1 :]
    version = stanza[stanza.index("\nVersion: ") :].split(maxsplit=2)[1]
    package = f"lib{library.name}-testsuite"
    with making(f"python-tests-{digest(package, version)}") as (tree, wanted):
        if wanted:
            say(f"fetching {package} {version} (once)")
            subprocess.run(["cp", "-a", str(library / "test"), str(tree)], check=True)
            _unpack(package, version, f"usr/lib/{library.name}/test", tree)
    return CACHE / tree.name.removesuffix(".partial")


def _unpack(package: str, version: str, inside: str, target: Path) -> None:
    """Add one directory of a Debian package, in this version if it is still to be had."""
    log = CACHE / "python-tests.log"
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        fetch = ["sh", "-c", f"cd {scratch} && {{ apt-get download {package}={version} || "]
        fetch[2] += f"apt-get download {package}; }} && dpkg-deb -x {package}_*.deb tree"
        run(fetch, log, download_env())
        run(["cp", "-a", f"{scratch}/tree/{inside}/.", str(target)], log)


MAKERS = {
    "debian": debian,
    "network": network,
    "busybox": busybox,
    "musl": musl,
    "python-tests": python_tests,
}


def main(names: list[str]) -> int:
    """Make the named root file systems (all by default) and print where they are."""
    try:
        for name in names or sorted(MAKERS):
            print(MAKERS[name]())
    except (RootfsError, KeyError) as error:
        say(f"failed: {error}")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
