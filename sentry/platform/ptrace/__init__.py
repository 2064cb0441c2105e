"""The platform that runs guests as traced host processes (ptrace(2), seccomp(2))."""
