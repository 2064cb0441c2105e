"""The build: sources that change while it runs must not count as compiled."""

from pathlib import Path

import pytest

from scripts import build


def test_a_change_during_the_build_is_no_fresh_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "sentry" / "module.py"
    source.parent.mkdir()
    source.write_text("A = 1\n")
    native = tmp_path / "native"
    native.mkdir()
    (native / "key").write_text("key")

    def compile_slowly(_key: str) -> Path:
        source.write_text("A = 2\n")
        return native

    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "TREE", tmp_path / "compiled")
    monkeypatch.setattr(build, "build_extensions", lambda: None)
    monkeypatch.setattr(build, "sources", lambda: [source])
    monkeypatch.setattr(build, "digest_of_files", lambda *_: "key")
    monkeypatch.setattr(build, "build_native", compile_slowly)
    with pytest.raises(SystemExit, match="build again"):
        build.build_tree()
    assert not (native / "key").exists()
    assert not (tmp_path / "compiled" / "manifest").exists()
