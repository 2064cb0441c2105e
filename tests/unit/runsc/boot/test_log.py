"""The sandbox's debug log."""

import json
import os

from runsc.boot.log import BootLog, format_time, printable


def written(**kinds):
    read_end, write_end = os.pipe()
    log = BootLog(write_end, **kinds)
    log.debug("looked\nclosely")
    log.info("went \x1b[31mred")
    log.warning("wrong: é")
    os.close(write_end)
    with os.fdopen(read_end, encoding="utf-8") as file:
        return file.read().splitlines()


def test_text_lines_have_a_time_and_a_level():
    lines = written(json=False, debug=True)
    assert [line.split(" ", 1)[1] for line in lines] == [
        "D looked",
        "D closely",
        "I went \\x1b[31mred",
        "W wrong: é",
    ]


def test_json_lines_have_the_three_fields():
    lines = [json.loads(line) for line in written(json=True, debug=False)]
    assert [(line["level"], line["msg"]) for line in lines] == [
        ("info", "went \x1b[31mred"),
        ("warning", "wrong: é"),
    ]
    assert lines[0]["time"].endswith("Z")


def test_a_log_that_cannot_be_written_is_given_up():
    read_end, write_end = os.pipe()
    os.close(read_end)
    log = BootLog(write_end, json=False, debug=True)
    log.info("lost")
    os.close(write_end)
    log.info("lost too")


def test_time_is_rfc_3339():
    assert format_time(1_700_000_000_123_456_789) == "2023-11-14T22:13:20.123456Z"


def test_control_characters_are_escaped():
    assert printable("a\tb\x07\x9b") == "a\\tb\\x07\\x9b"
