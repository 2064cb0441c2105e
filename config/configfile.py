"""The file of --config: flags as TOML, in the form in which containerd's shims have them.

    [runsc_config]
    debug = "true"
    qdisc-tbf-rate = 1000000

Keys of other tables are the shim's own. The command line goes before the file.
"""

import tomllib

from config.flags import Config, FlagError, find

TABLE = "runsc_config"
MAX_SIZE = 1 << 20


def read_flags(path: str) -> dict[str, bool | str]:
    """Return the flags of a file, as text; FlagError if it cannot be read or has what is no flag.

    Each value is checked, so that the message names the file.
    """
    try:
        with open(path, "rb") as file:
            text = file.read(MAX_SIZE + 1).decode()
    except OSError as error:
        raise FlagError(f"--config: {path}: {(error.strerror or 'error').lower()}") from None
    except UnicodeDecodeError:
        raise FlagError(f"--config: {path}: not UTF-8") from None
    if len(text) > MAX_SIZE:
        raise FlagError(f"--config: {path}: more than {MAX_SIZE} bytes")
    try:
        table = tomllib.loads(text).get(TABLE, {})
    except tomllib.TOMLDecodeError as error:
        raise FlagError(f"--config: {path}: {error}") from None
    if not isinstance(table, dict):
        raise FlagError(f"--config: {path}: {TABLE} is no table")
    flags: dict[str, bool | str] = {}
    scratch = Config()
    for name, value in table.items():
        if find(name) is None or name == "config":
            raise FlagError(f"--config: {path}: [{TABLE}] {name}: there is no such flag")
        if not isinstance(value, bool | str | int):
            raise FlagError(f"--config: {path}: [{TABLE}] {name}: neither text nor number")
        text = str(value).lower() if isinstance(value, bool) else str(value)
        flags[name] = text
        try:
            scratch.set(name, text)
        except FlagError as error:
            raise FlagError(f"--config: {path}: {error}") from None
    return flags
