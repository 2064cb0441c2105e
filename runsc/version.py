"""The version of runsc and of the specification that it follows."""

VERSION = "0.1.0"
SPEC_VERSION = "1.2.0"
