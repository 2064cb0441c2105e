"""File systems and files that are not of a file system; imports kernel, vfs, mm, platform, abi."""
