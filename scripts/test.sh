#!/bin/sh
# The checks, then the tests; arguments go to pytest.  Both run even when the first fails.
set -u
cd "$(dirname "$0")/.."

lint=0
if [ $# -eq 0 ]; then
    .venv/bin/python -m scripts.lint || lint=$?
fi
.venv/bin/python -m scripts.rootfs > /dev/null || exit 1
# One process: a worker of xdist loses its channel among tests that close descriptors.
.venv/bin/python -m pytest -p no:xdist "$@"
tests=$?
[ $tests -ne 0 ] && exit $tests
exit $lint
