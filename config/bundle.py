"""Reading a bundle: a directory with a config.json."""

import posix

from config.decode import FieldError, Fields
from config.jsontext import MAX_TEXT_BYTES, JsonError, loads
from config.oci import Process, Spec, read_process, read_spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from config.jsontext import Json


class BundleError(ValueError):
    """A bundle or a file of one is wrong; the message says where and what."""


def read_bounded(path: str) -> bytes:
    """Return the bytes of a small file; raise OSError, or BundleError when it is not small."""
    host_fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
    try:
        chunks: list[bytes] = []
        total = 0
        while chunk := posix.read(host_fd, 65536):
            chunks.append(chunk)
            total += len(chunk)
            if total > MAX_TEXT_BYTES:
                raise BundleError(f"{path}: larger than {MAX_TEXT_BYTES} bytes")
    finally:
        posix.close(host_fd)
    return b"".join(chunks)


def read_document(bundle: str) -> "dict[str, Json]":
    """Return config.json of the bundle as it is written."""
    path = f"{bundle}/config.json"
    try:
        return Fields(loads(read_bounded(path)), "").values
    except (FieldError, JsonError) as error:
        raise BundleError(f"{path}: {error}") from None
    except IsADirectoryError:
        raise BundleError(f"{path}: not a file") from None
    except FileNotFoundError:
        # Not the words "no such file": callers read those as "command not found".
        raise BundleError(f"bundle {bundle} has no config.json") from None


def load_spec(bundle: str) -> Spec:
    """Return the Spec of the bundle (an absolute path), its paths made absolute."""
    try:
        spec = read_spec(read_document(bundle))
    except FieldError as error:
        raise BundleError(f"{bundle}/config.json: {error}") from None
    spec.root.path = _absolute(bundle, spec.root.path)
    for mount in spec.mounts:
        if mount.is_bind:
            mount.source = _absolute(bundle, mount.source)
    return spec


def load_process(path: str) -> "tuple[Process, dict[str, Json]]":
    """Return the Process that a file of `exec --process` holds, and its JSON object."""
    try:
        fields = Fields(loads(read_bounded(path)), "")
        return read_process(fields), fields.values
    except (FieldError, JsonError) as error:
        raise BundleError(f"{path}: {error}") from None


def _absolute(bundle: str, path: str) -> str:
    return path if path.startswith("/") else f"{bundle}/{path}"
