"""Paths of the command line, made absolute before anything changes directory."""

import posix


def absolute(path: str) -> str:
    """Return `path` from the root, by the working directory; links are not resolved."""
    if not path.startswith("/"):
        path = f"{posix.getcwd()}/{path}"
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return "/" + "/".join(parts)
