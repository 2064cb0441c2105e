"""What the Makefile runs: set-up, build, root file systems, installation."""
