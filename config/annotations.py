"""What the annotations of a container may change of the flags.

An annotation `dev.gvisor.flag.NAME` or `dev.runsc.flag.NAME` of config.json asks
for another value of a flag. Who writes annotations (a pod, `docker run
--annotation`) is trusted less than who starts the runtime, so a flag changes only
as its rule in the table says: what the command line and --config gave are limits.
"""

from config.flags import (
    ANY,
    LAST,
    LOWER,
    OVERRIDE,
    TIGHTEN,
    Config,
    Flag,
    FlagError,
    Value,
    find,
)

PREFIXES = ("dev.gvisor.flag.", "dev.runsc.flag.")


def apply_annotations(config: Config, annotations: dict[str, str]) -> list[str]:
    """Set the flags that `annotations` name; return a warning for each that is not allowed.

    FlagError for those where to go on would hide that a limit is not what was asked for.
    """
    warnings: list[str] = []
    given: dict[str, str] = {}  # the names of the flags seen, and their values
    operator = {name: config.get(name) for name in _names(annotations)}
    overrides = config.allow_flag_override
    for key, text in annotations.items():
        name = _name_of(key)
        if not name:
            continue
        flag = find(name)
        if flag is None:
            warnings.append(f"annotation {key}: unknown flag, ignored")
            continue
        if given.setdefault(name, text) != text:
            raise FlagError(f"annotation {key}: {text!r} contradicts {given[name]!r}")
        try:
            value = flag.parse(text)
            _check(flag, operator[name], value, text, overrides=overrides)
        except FlagError as error:
            if flag.strict:
                raise FlagError(f"annotation {key}: {error}") from None
            warnings.append(f"annotation {key}: {error}, ignored")
            continue
        setattr(config, flag.attribute, value)
    return warnings


def _name_of(key: str) -> str:
    """Return the flag that an annotation is about, empty if it is about none."""
    for prefix in PREFIXES:
        if key.startswith(prefix):
            return key[len(prefix) :]
    return ""


def _names(annotations: dict[str, str]) -> list[str]:
    names = [_name_of(key) for key in annotations]
    return [name for name in names if find(name) is not None]


def _check(flag: Flag, old: Value, new: Value, text: str, *, overrides: bool) -> None:
    """Raise FlagError if an annotation must not change `flag` from `old`, the operator's, to `new`.

    With `overrides` (--allow-flag-override) it may change those that have no rule, too;
    what limits a container stays a limit.
    """
    if flag.rule == ANY or (flag.rule == OVERRIDE and overrides):
        return
    if flag.rule == OVERRIDE:
        if new != old:
            raise FlagError(f"not allowed to set it to {text!r} without --allow-flag-override")
    elif flag.rule == LAST:
        if new != flag.choices[-1]:
            raise FlagError(f"not allowed to set it to {text!r}, only to {flag.choices[-1]}")
    elif flag.rule == LOWER:
        if not new:
            raise FlagError("0 is no limit")
        if isinstance(old, int) and isinstance(new, int) and old and new > old:
            raise FlagError(f"not allowed to set it to {text!r}, more than the operator's {old}")
    elif new != old and not (flag.rule == TIGHTEN and _is_tighter(flag, old, new)):
        raise FlagError(f"not allowed to set it to {text!r}")


def _is_tighter(flag: Flag, old: Value, new: Value) -> bool:
    """Say whether `new` lets the container do no more than `old`."""
    if flag.choices:
        return flag.choices.index(str(new)) >= flag.choices.index(str(old))
    # What widens is false unless the operator asks for it.
    return new == flag.default
