"""The file of --config."""

import pytest

from config.configfile import read_flags
from config.flags import FlagError
from runsc.cmd.perform import read_config
from runsc.errors import UsageError


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "runsc.toml"
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        return str(path)

    return write


FULL = """
log_path = "/var/log/shim"
[runsc_config]
debug = "true"
qdisc = "tbf"
qdisc-tbf-rate = 1000000
qdisc-tbf-burst = "0x20000"
gso = false
"""


def test_values_are_text_numbers_or_truths(write):
    assert read_flags(write(FULL)) == {
        "debug": "true", "qdisc": "tbf", "qdisc-tbf-rate": "1000000",
        "qdisc-tbf-burst": "0x20000", "gso": "false",
    }  # fmt: skip
    assert read_flags(write("log_level = 'debug'")) == {}


def test_the_command_line_goes_before_the_file(write):
    config = read_config({"config": write(FULL), "qdisc": "fifo", "gso": True})
    assert (config.qdisc, config.gso, config.debug) == ("fifo", True, True)
    assert (config.qdisc_tbf_rate, config.qdisc_tbf_burst) == (10**6, 1 << 17)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[runsc_config", "at end of document"),
        ("runsc_config = 1", "runsc_config is no table"),
        ("[runsc_config]\nnosuch = 1", "nosuch: there is no such flag"),
        ("[runsc_config]\nconfig = '/x'", "config: there is no such flag"),
        ("[runsc_config]\ndebug = 1.5", "debug: neither text nor number"),
        ("[runsc_config]\nqdisc = ['tbf']", "qdisc: neither text nor number"),
        ("[runsc_config]\nqdisc-tbf-rate = '1mbit'", "bytes per second; 1mbit would be 125000"),
        ("[runsc_config]\nqdisc-tbf-rate = -1", "no whole number"),
        ("\udcff", "not UTF-8"),
        ("#" * ((1 << 20) + 1), "more than 1048576 bytes"),
    ],
)
def test_mistakes_are_told_with_the_file(write, text, words):
    path = write(text)
    with pytest.raises(FlagError) as caught:
        read_flags(path)
    assert str(caught.value).startswith(f"--config: {path}: ")
    assert words in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match=f"--config: {tmp_path}/none: no such file"):
        read_config({"config": f"{tmp_path}/none"})
