"""The one place that chooses libseccomp's Python binding.

Debian's `seccomp` is one extension module that costs next to nothing;
`pyseccomp` (ctypes) has the same interface and serves where that is not packaged
for this interpreter.  To be imported before confinement: `pyseccomp` runs
ldconfig when it is imported.
"""

import importlib
from types import ModuleType


def load_binding() -> ModuleType:
    """Return the binding, whichever there is; ImportError if there is none."""
    try:
        return importlib.import_module("seccomp")
    except ImportError:
        return importlib.import_module("pyseccomp")
