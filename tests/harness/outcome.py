"""What a command did."""

import subprocess


class Outcome:
    """Exit status and output of a finished command."""

    def __init__(self, status: int, stdout: bytes, stderr: bytes) -> None:
        self.status = status
        self.stdout = stdout
        self.stderr = stderr

    @property
    def out(self) -> str:
        """Standard output as text."""
        return self.stdout.decode(errors="replace")

    @property
    def err(self) -> str:
        """Standard error as text."""
        return self.stderr.decode(errors="replace")

    def check(self) -> "Outcome":
        """Return itself, but fail the test unless the command succeeded."""
        assert self.status == 0, self.describe()
        return self

    def describe(self) -> str:
        """Return everything, for a failing test."""
        return f"status {self.status}\nstdout: {self.out[-4000:]}\nstderr: {self.err[-4000:]}"


def run(
    argv: list[str],
    stdin: bytes = b"",
    timeout: float = 60.0,
    env: dict[str, str] | None = None,
    cwd: str | None = None,
) -> Outcome:
    """Run a command to its end; one that does not end in time is killed and fails the test."""
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        cwd=cwd,
        start_new_session=True,
    ) as process:
        try:
            stdout, stderr = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            try:
                stdout, stderr = process.communicate(timeout=5)
            except subprocess.TimeoutExpired:
                stdout, stderr = b"", b"(a process that is left holds the output open)"
            late = Outcome(-9, stdout, stderr)
            raise AssertionError(
                f"not done after {timeout} s: {' '.join(argv)}\n{late.describe()}"
            ) from None
        return Outcome(process.returncode, stdout, stderr)
