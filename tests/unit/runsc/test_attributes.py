"""Process attributes are set by our extension, or by python-prctl where that is asked for."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
from runsc.sandbox import attributes
attributes.set_name("a-name-of-some-length")
attributes.set_dumpable(dumpable=False)
attributes.set_no_new_privs()
for line in open("/proc/self/status"):
    if line.startswith(("Name:", "NoNewPrivs:")):
        print(*line.split())
"""
# Stands for the package, whose functions have these names (python-prctl, "Functions").
FAKE = """
import ctypes
libc = ctypes.CDLL(None)
def set_name(name): libc.prctl(15, name.encode())
def set_dumpable(flag): libc.prctl(4, flag)
def set_no_new_privs(flag): libc.prctl(38, flag, 0, 0, 0); print("package")
"""


def run(path: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Set the attributes in a process of its own."""
    paths = [str(ROOT), *path, *[each for each in sys.path if each.endswith("site-packages")]]
    script = f"import sys; sys.path[:0] = {paths!r}\n{SCRIPT}"
    argv = [sys.executable, "-I", "-c", script]
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=30)


def test_our_extension_is_the_default() -> None:
    done = run([], {})
    assert done.stdout == "Name: a-name-of-some-\nNoNewPrivs: 1\n", done


@pytest.mark.parametrize("has_package", [True, False])
def test_python_prctl_can_be_asked_for(tmp_path: Path, *, has_package: bool) -> None:
    if has_package:
        (tmp_path / "prctl.py").write_text(FAKE)
    done = run([str(tmp_path)], {"RUNSC_PRCTL_BACKEND": "python-prctl"})
    if has_package:
        assert done.stdout == "package\nName: a-name-of-some-\nNoNewPrivs: 1\n", done
    elif done.returncode:  # unless the real package is installed
        assert "No module named 'prctl'" in done.stderr
