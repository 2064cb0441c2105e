"""The cases of tests/guests, natively and in the sandbox."""

import pytest

from tests.syscalls.guests import Guests, expected_failures, programs


@pytest.mark.root
@pytest.mark.timeout(900)
def test_guest(guests: Guests, world: str, program: str, case: str) -> None:
    report = guests.result(world, program, case)
    assert not report, report


def test_expected_failures_name_cases() -> None:
    known = {f"{program}.{case}" for program, cases in programs().items() for case in cases}
    assert not set(expected_failures()) - known


def test_names_are_unique_in_a_program() -> None:
    for program, cases in programs().items():
        assert len(cases) == len(set(cases)), program
