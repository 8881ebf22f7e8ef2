"""A folder mirrored: exactly what changed is read and embedded, and nothing that is gone can be found."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.cli import main
from workbench.corpus import read_facts
from workbench.errors import ConfigError, EmptyCorpusError, MissingModelError
from workbench.filters import parse_filter
from workbench.library import Library, SyncReport
from workbench.types import Scope

pytestmark = pytest.mark.usefixtures("tiny_home")
SETTINGS = ("models.embedder=tiny-random-bert", "chunking.max_tokens=48", "chunking.overlap_tokens=8")
PAGES = {
    "manual/start.md": "# Start\n\nThe crank starts the engine. Turn it twice.\n\n## Choke\n\nPull it when cold.\n",
    "manual/stop.md": "# Stop\n\nThe brake stops the engine. Hold it down.\n",
    "prices.csv": "part,price\ncrank,12\nbrake,30\n",
    "broken.pdf": "not a PDF at all",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "documents"
    for name, text in PAGES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    opened = Library.open(tmp_path / "library", overrides=SETTINGS)
    yield opened
    opened.close()


def sync(library: Library, folder: Path) -> SyncReport:
    return library.sync([folder])


def embedded(report: SyncReport) -> int:
    return report.update.n_embedded


def test_the_first_sync_takes_everything_in_and_names_what_it_could_not_read(library: Library, folder: Path) -> None:
    report = sync(library, folder)
    assert report.update.added == ("manual/start.md", "manual/stop.md", "prices.csv")
    assert [(failure.source, failure.kind) for failure in report.failures] == [("broken.pdf", "damaged")]
    assert {hit.chunk.document_id for hit in library.search("crank", k=9).ranking} == set(report.update.added)


def test_a_second_sync_reads_nothing(library: Library, folder: Path) -> None:
    sync(library, folder)
    read: list[str] = []
    report = library.sync([folder], on_progress=lambda file: read.append(file.id))
    assert (read, embedded(report), report.update.n_unchanged) == ([], 0, 3)
    assert [failure.source for failure in report.failures] == ["broken.pdf"]  # still true, so still told


def test_change_move_and_removal_cost_what_they_must(library: Library, folder: Path) -> None:
    sync(library, folder)
    (folder / "manual/start.md").write_text(PAGES["manual/start.md"].replace("cold", "very cold"))
    (folder / "engine").mkdir()
    (folder / "manual/stop.md").rename(folder / "engine/stop.md")
    (folder / "prices.csv").unlink()
    plan = library.plan([folder])
    assert [file.id for file in plan.changed] == ["manual/start.md"]
    assert (plan.moved, plan.removed) == ((("manual/stop.md", "engine/stop.md"),), ("prices.csv",))
    report = sync(library, folder)
    assert report.update.changed == ("manual/start.md",)
    assert report.update.moved == (("manual/stop.md", "engine/stop.md"),)
    assert report.update.removed == ("prices.csv",)
    assert embedded(report) == 1  # the section about the choke
    fresh = Library.open(library.folder.with_name("fresh"), overrides=SETTINGS)
    sync(fresh, folder)
    assert fresh.collection.fingerprint == library.collection.fingerprint
    fresh.close()


def test_a_file_that_can_no_longer_be_read_takes_its_document_with_it(library: Library, folder: Path) -> None:
    sync(library, folder)
    (folder / "prices.csv").write_bytes(b"\x00\x01\x02" * 99)
    report = sync(library, folder)
    assert report.update.removed == ("prices.csv",)
    assert "prices.csv" in {failure.source for failure in report.failures}
    assert "prices.csv" not in {facts.id for facts in library.collection.documents()}
    assert embedded(sync(library, folder)) == 0
    (folder / "prices.csv").write_text(PAGES["prices.csv"])
    assert sync(library, folder).update.added == ("prices.csv",)


def test_an_empty_or_missing_folder_removes_nothing(library: Library, folder: Path, tmp_path: Path) -> None:
    sync(library, folder)
    (tmp_path / "empty").mkdir()
    for other in (tmp_path / "empty", tmp_path / "missing"):
        with pytest.raises(EmptyCorpusError, match=other.name):
            sync(library, other)
    assert library.collection.n_documents == 3


def test_metadata_and_permissions_reach_the_search(library: Library, folder: Path, tmp_path: Path) -> None:
    rules = tmp_path / "metadata.csv"
    rules.write_text("path,year,readers\nmanual/*,2020,mechanics\nprices.csv,2024,sales;mechanics\n")
    library.sync([folder], facts=read_facts(rules))

    def found(scope: Scope) -> set[str]:
        return {hit.chunk.document_id for hit in library.search("crank", k=9, scope=scope).ranking}

    assert found(Scope(principals=frozenset({"sales"}))) == {"prices.csv"}
    assert found(Scope(principals=frozenset({"nobody"}))) == set()
    recent = Scope(parse_filter({"year": {"gte": 2021}}))
    assert found(recent) == {"prices.csv"}
    rules.write_text("path,year,readers\nmanual/*,2020,mechanics\nprices.csv,2024,mechanics\n")
    read: list[str] = []
    library.sync([folder], facts=read_facts(rules), on_progress=lambda file: read.append(file.id))
    assert read == ["prices.csv"]
    assert found(Scope(principals=frozenset({"sales"}))) == set()


def test_a_sync_that_forgets_the_rules_is_refused_since_it_would_open_everything(
    library: Library, folder: Path, tmp_path: Path
) -> None:
    rules = tmp_path / "metadata.csv"
    rules.write_text("path,readers\n**,mechanics\n")
    library.sync([folder], facts=read_facts(rules))
    guest = Scope(principals=frozenset({"guest"}))
    with pytest.raises(ConfigError, match=r"--metadata FILE, or .* --no-metadata"):
        sync(library, folder)
    assert library.search("crank", k=9, scope=guest).ranking == ()
    library.sync([folder], drop_facts=True)
    assert library.search("crank", k=9, scope=guest).ranking
    sync(library, folder)


def test_a_refused_sync_keeps_the_settings(library: Library, folder: Path) -> None:
    sync(library, folder)
    wrong = Library.open(library.folder, overrides=["models.embedder=tiny-random-brt"])
    with pytest.raises(MissingModelError), wrong:
        sync(wrong, folder)
    assert Library.open(library.folder).config == library.config


def test_a_collection_does_not_take_itself_in(library: Library, folder: Path) -> None:
    with pytest.raises(ConfigError, match="lies inside"):
        library.sync([library.folder.parent])


def test_numbers_that_only_an_experiment_can_fit_are_refused(tmp_path: Path) -> None:
    for wrong in ("threshold=fitted", "method={kind: fusion, by: log_odds}", "method={kind: fusion, by: convex}"):
        with pytest.raises(ConfigError, match="fitted on the dev questions"):
            Library.open(tmp_path, overrides=[f"retrieval.{wrong}"])


def test_the_settings_are_kept_with_the_collection(library: Library, folder: Path) -> None:
    sync(library, folder)
    again = Library.open(library.folder)
    assert again.config == library.config
    assert embedded(sync(again, folder)) == 0
    again.close()


def test_a_deletion_that_matches_nothing_deletes_nothing(library: Library, folder: Path) -> None:
    sync(library, folder)
    with pytest.raises(ConfigError, match=r"matches 'manual/strat.md'.*did you mean 'manual/start.md'"):
        library.delete(["prices.csv", "manual/strat.md"])
    assert library.delete(["manual/*"]) == ("manual/start.md", "manual/stop.md")
    assert {hit.chunk.document_id for hit in library.search("crank engine", k=9).ranking} == {"prices.csv"}


def test_the_verbs_say_what_they_do(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        # What the console script calls; a process each would import torch each time.
        monkeypatch.setattr(sys, "argv", ["workbench", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, int(ended.value.code or 0), said.out, said.err)

    place, options = str(tmp_path / "kb"), [part for one in SETTINGS for part in ("--set", one)]
    dry = run("sync", place, str(folder), "--dry-run", *options)
    assert "add    prices.csv (" in dry.stdout
    assert not Path(place).exists()
    assert "documents: 3 added" in run("sync", place, str(folder), *options).stdout
    found = run("search", place, "crank", "--filter", json.dumps({"id": "prices.csv"}))
    assert "prices.csv:" in found.stdout
    assert "manual" not in found.stdout
    assert "documents: 3" in run("status", place).stdout
    wrong = run("search", place, "crank", "--filter", "{year")
    assert (wrong.returncode, wrong.stderr[:20]) == (1, "workbench: --filter ")
