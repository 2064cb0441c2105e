"""Exceptions in the log."""

from sentry.log import describe_exception


def fail_twice() -> None:
    try:
        raise ValueError("first")
    except ValueError as error:
        raise RuntimeError("second") from error


def test_an_exception_is_described_with_its_frames_and_cause() -> None:
    try:
        fail_twice()
    except RuntimeError:
        text = describe_exception()
    lines = text.splitlines()
    assert lines[1] == "ValueError: first"
    assert lines[2] == "--- while that was handled:"
    assert lines[-1] == "RuntimeError: second"
    assert text.count(" in fail_twice\n") == 2
    assert __file__ in text


def test_without_an_exception_there_is_nothing() -> None:
    assert describe_exception() == ""
