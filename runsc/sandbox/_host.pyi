# The functions of `host_build.DECLARATIONS`; cffi types them at run time.
from typing import Any

ffi: Any
lib: Any
