"""The host's files: a container's root and its bind mounts, through directory descriptors."""
