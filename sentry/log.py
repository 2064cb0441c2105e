"""Where the sentry says what happened; the boot code decides where it goes."""

import sys

from mypy_extensions import mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class Log:
    """A log that forgets everything; the boot code passes a better one."""

    def debug(self, text: str) -> None:
        """Note something for who looks closely."""

    def info(self, text: str) -> None:
        """Note something of interest to the operator."""

    def warning(self, text: str) -> None:
        """Note something that went wrong."""


def describe_exception() -> str:
    """Return the exception that is being handled, as `describe_error` has it."""
    return describe_error(sys.exc_info()[1])


def describe_error(error: BaseException | None) -> str:
    """Return an exception with its frames, innermost last, and what it came from.

    As the standard library's `traceback`, which is dear to load and would look
    for the source code.
    """
    parts: list[str] = []
    while error is not None and len(parts) < 8:
        lines = []
        frame = error.__traceback__
        while frame is not None:
            code = frame.tb_frame.f_code
            lines.append(f"  {code.co_filename}:{frame.tb_lineno} in {code.co_name}\n")
            frame = frame.tb_next
        parts.append(f"{''.join(lines)}{type(error).__name__}: {error}\n")
        hidden = None if error.__suppress_context__ else error.__context__
        error = error.__cause__ or hidden
    return "--- while that was handled:\n".join(reversed(parts))
