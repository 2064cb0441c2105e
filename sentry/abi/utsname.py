"""struct new_utsname of uname(2)."""

from typing import Final

UTSNAME_FIELD_SIZE: Final = 65
UTSNAME_SIZE: Final = 390
HOST_NAME_MAX: Final = 64
