"""The slow way through a command line, for people: help, mistakes, unusual forms."""

import sys

import click

from runsc.cmd.command import make_group
from runsc.cmd.perform import read_config
from runsc.errors import RunscError
from runsc.log import LOG


def run_click(words: list[str]) -> int:
    """Have click carry out the command line; return the exit status."""
    group = make_group()
    try:
        result = group.main(args=list(words), prog_name="runsc", standalone_mode=False)
        status = result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        sys.stdout.write(error.ctx.get_help() + "\n")
        status = RunscError.exit_status
    except click.ClickException as error:
        _open_log(error)
        LOG.failure(f"{_sentence(error)} (see {_help_words(error)})")
        status = RunscError.exit_status
    except click.Abort:
        LOG.failure("interrupted")
        status = RunscError.exit_status
    sys.stdout.flush()
    return status


def _sentence(error: click.ClickException) -> str:
    """Return click's words in the form of our own messages."""
    text = error.format_message()
    return (text[:1].lower() + text[1:]).rstrip(".")


def _open_log(error: click.ClickException) -> None:
    """Open --log when the global flags could be read, so that the caller sees the mistake."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return
    flags = context.find_root().obj
    try:
        LOG.open(read_config(flags or {}), "", context.info_name or "")
    except (RunscError, OSError) as problem:
        LOG.debug(str(problem))


def _help_words(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{context.command_path if context is not None else 'runsc'} --help"
