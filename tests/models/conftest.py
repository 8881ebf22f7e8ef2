"""The two random models, built once a session into a home of their own."""

from pathlib import Path

import pytest

from workbench.models import fetch_model


@pytest.fixture(scope="session")
def _built_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(home))
        for name in ("tiny-random-llama", "tiny-random-bert"):
            fetch_model(name)
    return home


@pytest.fixture
def tiny_home(_built_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A WORKBENCH_HOME with both random models. Shared: tests only read it."""
    monkeypatch.setenv("WORKBENCH_HOME", str(_built_home))
    return _built_home


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A WORKBENCH_HOME of the test's own."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"
