#!/bin/sh
# The tests that need another kernel, in a virtual machine, for at most SECONDS_VM; arguments go to
# pytest.
set -u
cd "$(dirname "$0")/.."

[ $# -gt 0 ] || set -- tests/vm
.venv/bin/python -m scripts.rootfs > /dev/null || exit 1
# Everything is slow in there: only the plugin that setup.cfg has options for.
exec .venv/bin/python -m scripts.vm --seconds "${SECONDS_VM:-780}" \
    /usr/bin/env PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 .venv/bin/python -m pytest \
    -p pytest_timeout -p no:cacheprovider --color=no --timeout=240 "$@"
