"""Where the sentry says what happened; the boot code decides where it goes."""

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
