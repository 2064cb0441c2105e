"""overlayfs: writable file systems over others that are only read."""
