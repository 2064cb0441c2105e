#!/bin/sh
# The checks, then all tests in two processes; or, with arguments for pytest, some in one process.
# Tests run even when checks fail.
set -u
cd "$(dirname "$0")/.."

lint=0
if [ $# -eq 0 ]; then
    .venv/bin/python -m scripts.lint || lint=$?
fi
.venv/bin/python -m scripts.rootfs > /dev/null || exit 1
if [ $# -eq 0 ]; then
    set -- --numprocesses 2 --dist loadfile --no-loadscope-reorder
else
    set -- -p no:xdist "$@"
fi
.venv/bin/python -m pytest "$@"
tests=$?
[ $tests -ne 0 ] && exit $tests
exit $lint
