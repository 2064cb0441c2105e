"""Fixtures of the tests of the command line."""

from tests.harness.pods import first, make, shared

__all__ = ["first", "make", "shared"]
