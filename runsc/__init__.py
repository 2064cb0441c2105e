"""The OCI runtime: commands, the host side, and the sandbox process."""
