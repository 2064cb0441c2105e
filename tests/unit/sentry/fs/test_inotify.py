"""Events that nobody reads are bounded, whatever the guest's own limits say."""

from collections.abc import Iterator

import pytest

from sentry.abi.inotify import IN_CREATE, IN_Q_OVERFLOW
from sentry.fs import inotify


@pytest.fixture
def use() -> Iterator[inotify.InotifyUse]:
    limits = inotify.INOTIFY.limits
    before = limits["max_queued_events"]
    limits["max_queued_events"] = inotify.INT_MAX
    yield inotify.INOTIFY
    limits["max_queued_events"] = before


def queue(file: inotify.InotifyFile, count: int) -> None:
    for number in range(count):
        file.instance._queue(inotify.Event(1, IN_CREATE, 0, b"%d" % number))


def test_all_instances_together_are_bounded(use: inotify.InotifyUse) -> None:
    first, second = inotify.InotifyFile(0, 0), inotify.InotifyFile(1000, 0)
    queue(first, inotify.MAX_WAITING - 1)
    queue(second, 10)
    masks = [event.mask for event in second.instance.events]
    assert masks == [IN_CREATE, IN_Q_OVERFLOW]
    first.release()
    assert use.waiting == 2
    queue(second, 1)
    assert second.instance.events[-1].mask == IN_CREATE
    second.release()
    assert (use.waiting, use.instances) == (0, {})
