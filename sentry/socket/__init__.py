"""Sockets; imports fs, kernel, vfs, mm, platform, abi, and netstack."""
