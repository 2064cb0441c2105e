#!/bin/sh
# Install what is missing, and say so: Debian packages and a virtual environment in .venv.
# Usage: scripts/setup.sh build|run|test|vm    (each includes the ones before it)
set -eu
cd "$(dirname "$0")/.."

build="ca-certificates gcc libc6-dev libseccomp2 python3 python3-dev python3-seccomp python3-venv"
run="busybox-static debootstrap"
test="containernetworking-plugins docker.io git iproute2 kmod musl musl-dev musl-tools podman procps
 strace util-linux"
vm="qemu-system-x86"

say() { echo "setup: $*" >&2; }

case "${1:-build}" in
build) wanted=$build ;;
run) wanted="$build $run" ;;
test) wanted="$build $run $test" ;;
vm) wanted="$build $run $test $vm" ;;
*) say "unknown stage $1"; exit 2 ;;
esac

# --- Debian packages -----------------------------------------------------------------------------

missing=""
for package in $wanted; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
if [ -n "$missing" ]; then
    if [ "$(id -u)" != 0 ]; then
        say "these packages are missing, and installing them needs root:$missing"
        exit 1
    fi
    say "installing packages:$missing"
    export DEBIAN_FRONTEND=noninteractive
    mkdir -p .cache
    log=.cache/apt.log
    apt_get() {
        apt-get -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 "$@" > $log 2>&1 || {
            say "apt-get $1 failed; the end of $log:"
            tail -n 20 $log >&2
            exit 1
        }
    }
    apt_get update
    # Services are not wanted, only their programs: no package may start one.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' > $policy
        chmod 755 $policy
        trap 'rm -f $policy' EXIT
    fi
    # shellcheck disable=SC2086
    apt_get install -y --no-install-recommends $missing
fi

# --- the virtual environment ---------------------------------------------------------------------

# The interpreter is the system's: bin/runsc is started by it, and nobody else's is optimised as well.
python=/usr/bin/python3
content=$($python -c 'import sys; print(sys.version)'; cat requirements/*.txt "$0")
stamp=.venv/setup-stamp
if [ "$content" != "$(cat $stamp 2>/dev/null || true)" ]; then
    say "installing Python packages into .venv"
    [ -x .venv/bin/python ] || $python -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/dev.txt >&2
    # Debian's binding is one file that holds libseccomp; it fits only the system's own Python.
    suffix=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')
    binding=/usr/lib/python3/dist-packages/seccomp$suffix
    packages=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    if [ -e "$binding" ]; then
        ln -sf "$binding" "$packages/"
    else
        say "python3-seccomp does not fit $python; taking pyseccomp"
        .venv/bin/python -m pip install --quiet --disable-pip-version-check pyseccomp >&2
    fi
    printf '%s\n' "$content" > $stamp
fi
