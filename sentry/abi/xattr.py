"""Flags and name prefixes of xattr(7)."""

from typing import Final

XATTR_CREATE: Final = 1
XATTR_REPLACE: Final = 2


XATTR_USER_PREFIX: Final = b"user."
XATTR_TRUSTED_PREFIX: Final = b"trusted."
XATTR_SECURITY_PREFIX: Final = b"security."
XATTR_SYSTEM_PREFIX: Final = b"system."
XATTR_NAME_CAPS: Final = b"security.capability"
XATTR_NAME_POSIX_ACL_ACCESS: Final = b"system.posix_acl_access"
XATTR_NAME_POSIX_ACL_DEFAULT: Final = b"system.posix_acl_default"
