"""The training benchmark with the random model and a peer of thirty lines: the same task, figures worked by hand."""

import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

SCRIPTS = Path(__file__).parent.parent / "scripts"
sys.path.insert(0, str(SCRIPTS))

import bench_training  # noqa: E402
from peft import get_peft_model  # noqa: E402
from retrieval_bench.compare import BenchError  # noqa: E402
from training_bench import child  # noqa: E402
from training_bench.compare import Host, refuse_different_tasks, run_task, summarise  # noqa: E402
from training_bench.flops import Geometry, count_ours, count_trl, shared_beginning  # noqa: E402
from training_bench.ours import to_example  # noqa: E402
from training_bench.roads import Ground, Road, lay_out  # noqa: E402
from training_bench.rows import RowSet, part_rows  # noqa: E402
from training_bench.session import ROUNDING, compare_trainers  # noqa: E402
from training_bench.task import Row, Task  # noqa: E402

from workbench.config import RecipeConfig  # noqa: E402
from workbench.models import find_model  # noqa: E402
from workbench.models.adapters import peft_quieted  # noqa: E402
from workbench.models.lora_methods import create_adapter  # noqa: E402
from workbench.models.prefix import PrefixStore, decoder  # noqa: E402
from workbench.training.loss import CompletionLoss  # noqa: E402
from workbench.types import TrainingExample  # noqa: E402

from .tiny import load_tiny  # noqa: E402

RECIPE = RecipeConfig(r=4, alpha=8, epochs=2, batch_size=2, micro_batch_size=2)
BEGINNING = list(range(65, 75))  # ten tokens: enough to be shared


class PlainTrainer:
    """What of SFTTrainer the benchmark relies on, over whole logits: an honest peer."""

    def __init__(self, *, model: Any, args: Any, train_dataset: Any, processing_class: Any, **kwargs: Any) -> None:
        with peft_quieted():
            self.model = get_peft_model(model, kwargs["peft_config"])
        self.args, self.callbacks, self.rows = args, kwargs["callbacks"], train_dataset.to_list()
        self.state = SimpleNamespace(log_history=[{"train_runtime": 0.0}])

    def train(self) -> None:
        parameters = [tensor for tensor in self.model.parameters() if tensor.requires_grad]
        self.optimizer = torch.optim.AdamW(parameters, lr=self.args.learning_rate, weight_decay=self.args.weight_decay)
        size, n_seen = self.args.per_device_train_batch_size, 0
        schedule: Any = self.create_scheduler(len(self.rows) // size)  # type: ignore[attr-defined]
        for start in range(0, len(self.rows), size):
            batch = self.rows[start : start + size]
            for callback in self.callbacks:
                callback.on_step_begin()
            loss = sum(self._loss(row) for row in batch) / sum(sum(row["completion_mask"]) for row in batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, self.args.max_grad_norm)
            self.optimizer.step()
            schedule.step()
            self.optimizer.zero_grad()
            for callback in self.callbacks:
                callback.on_step_end()
            n_seen += sum(len(row["input_ids"]) for row in batch)
            self.state.log_history.append({"loss": loss.item(), "num_tokens": n_seen})

    def _loss(self, row: dict[str, list[int]]) -> Any:
        ids = torch.tensor([row["input_ids"]])
        labels = torch.where(torch.tensor([row["completion_mask"]]) == 1, ids, -100)
        logits = self.model(input_ids=ids).logits
        return torch.nn.functional.cross_entropy(logits[0, :-1], labels[0, 1:], reduction="sum")


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put `PlainTrainer` where TRL would be."""
    trl: Any = ModuleType("trl")
    trl.SFTTrainer, trl.SFTConfig = PlainTrainer, SimpleNamespace
    monkeypatch.setitem(sys.modules, "trl", trl)
    sys.modules.pop("training_bench.peer_trl", None)
    yield
    sys.modules.pop("training_bench.peer_trl", None)


def make_rows(n: int = 4) -> list[Row]:
    """Rows that begin alike, then differ in text and length; three tokens carry loss."""
    rows = []
    for number in range(n):
        ids = BEGINNING + [80 + number] * (3 + number) + [100, 101 + number, 2]
        rows.append(Row(ids, [0] * (len(ids) - 3) + [1] * 3, n_prefix=len(BEGINNING)))
    return rows


def make_road(work: Path, **changes: Any) -> Road:
    ground = Ground(
        "tiny-random-llama", find_model("tiny-random-llama", kind="generator").folder, "cpu", "float32", "none", work
    )
    return lay_out(make_rows(), RECIPE, ground, epochs=2, seed=3, **changes)


def run_here(task: Task, host: Host) -> dict[str, Any]:
    """Train in this process."""
    del host
    folder = Path(tempfile.mkdtemp(dir=Path(task.rows).parent))  # a checkpoint in it would be resumed
    return child.train(replace(task, folder=str(folder)))


@pytest.mark.usefixtures("tiny_home", "peer")
def test_both_train_the_same(tmp_path: Path) -> None:
    road = make_road(tmp_path, held_out=make_rows(2))
    ours, theirs = (run_here(road.task_of(*who), Host(Path(), (), 1)) for who in (("ours", "prompt"), ("trl", "same")))
    assert len(ours["losses"]) == len(ours["step_seconds"]) == len(theirs["step_seconds"]) == 4
    # Not the first step alone: rates, order, clipping and the start of A are the same too.
    assert ours["losses"] == pytest.approx(theirs["losses"], abs=1e-4)
    assert ours["held_out_loss"] == pytest.approx(theirs["held_out_loss"], abs=1e-4)
    assert theirs["tokens_seen"] == sum(road.step_tokens)
    # A kernel counts resident pages by processor and adds them up roughly: a peak read later may be a page lower.
    assert ours["peak_bytes"] >= ours["loaded_bytes"] - 2**20 > 0


@pytest.mark.usefixtures("tiny_home", "peer")
def test_a_run_prints_ratios_and_keeps_every_figure(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, peers = tmp_path / "out", tmp_path / "peers"
    peers.mkdir()
    quick = ["--rounds", "1", "--steps", "1", "--reader-steps", "1", "--prefill-rows", "9", "--epochs", "2"]
    quality = ["--quality-rows", "4", "--held-out", "2", "--seeds", "2", "--settings", "same,default"]
    where = ["--config", str(experiment), "--peer-path", str(peers), "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["bench_training", *where, *quick, *quality])
    monkeypatch.setattr(bench_training, "compare_trainers", lambda *given: compare_trainers(*given, run=run_here))
    assert bench_training.main() == 0
    told = capsys.readouterr().out
    assert "ours/prompt against trl/same" in told
    assert "ours/question against trl/default" in told
    assert "by operations alone" in told
    found = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    assert found["closed_book"]["first_losses_apart"] < ROUNDING[found["dtype"]]
    prefill = found["reader"]["prefill"]["contestants"]
    assert not prefill["ours/question"]["extrapolated"]
    assert prefill["trl/same"]["extrapolated"]
    assert found["reader"]["prefill"]["about"]["rows"] == 8  # nine cut to whole batches
    losses = found["quality"]["contestants"]
    assert losses["ours/prompt"]["losses"] == pytest.approx(losses["trl/same"]["losses"], abs=1e-4)


def test_minima_are_over_rounds_and_the_first_step_does_not_count() -> None:
    def run(*seconds: float) -> dict[str, Any]:
        sizes = {"peak_bytes": 1, "loaded_bytes": 1}
        return sizes | {"step_seconds": seconds, "seconds": sum(seconds) + 1, "losses": [1.0], "versions": {}}

    summary = summarise([run(9, 2, 4), run(8, 3, 1)], [100, 10, 20], n_warm=1)
    assert summary["step_seconds"] == [8, 2, 1]
    assert summary["tokens_a_second"] == (10 + 20) / (2 + 1)
    assert summary["other_seconds"] == 1


def test_another_first_loss_is_another_task() -> None:
    assert refuse_different_tasks({"losses": [2.0]}, {"losses": [2.0005]}) == pytest.approx(0.0005)
    with pytest.raises(BenchError, match=r"2\.00000 for us and 2\.00200 for the peer"):
        refuse_different_tasks({"losses": [2.0]}, {"losses": [2.002]})


def test_operations_by_hand() -> None:
    geometry = Geometry(n_linear=100, n_lora=10, n_output=1000, attention=1)
    row = Row([1, 2, 3, 4], [0, 0, 0, 1], n_prefix=2)
    # Four tokens: 4 * (4 * 100 + 6 * 10), attention 12 * (1 + 2 + 3 + 4); logits of three tokens three times.
    plain = 4 * 460 + 12 * 10
    assert count_trl(geometry, [[row]], checkpointing=False, on_gpu=False) == plain + 6 * 1000 * 3
    assert count_trl(geometry, [[row]], checkpointing=False, on_gpu=True) == plain + 6 * 1000
    again = 4 * 2 * 110 + 4 * 10
    assert count_trl(geometry, [[row]], checkpointing=True, on_gpu=True) == plain + 6 * 1000 + again
    assert count_ours(geometry, [[row]], acts_from="prompt") == plain + 4 * 1000
    # Two epochs behind the prefix: it is read once, 2 * 2 * 100 + 4 * (1 + 2); the rest is trained twice.
    behind = 2 * 460 + 12 * (3 + 4) + 4 * 1000
    assert count_ours(geometry, [[row], [row]], acts_from="question") == 412 + 2 * behind


def test_geometry_counts_the_models_parameters(tiny_home: Path) -> None:
    model, _ = load_tiny()
    geometry = Geometry.read(find_model("tiny-random-llama", kind="generator").folder, r=4)
    linear = [m for name, m in model.named_modules() if isinstance(m, torch.nn.Linear) and name != "lm_head"]
    assert geometry.n_linear == sum(layer.weight.numel() for layer in linear)
    assert geometry.n_lora == sum(4 * (layer.in_features + layer.out_features) for layer in linear)
    assert geometry.n_output == model.get_output_embeddings().weight.numel()


def test_the_beginning_counted_once_is_the_one_run_once(tiny_home: Path) -> None:
    model, _ = load_tiny()
    seen: list[int] = []
    hook = decoder(model).register_forward_pre_hook(
        lambda _, __, given: seen.append(given["input_ids"].numel()), with_kwargs=True
    )
    rows = make_rows()
    adapted = create_adapter(model, "reader", RECIPE, seed=0).model
    loss = CompletionLoss(adapted, adapter="reader", prefixes=PrefixStore(max_bytes=0, evict=False), pad_id=2)
    loss([to_example(row, acts_from="prompt") for row in rows])
    hook.remove()
    n_shared = shared_beginning(rows)
    assert n_shared == len(BEGINNING)
    assert sum(seen) == n_shared + sum(len(row.token_ids) - n_shared for row in rows)


def test_no_document_stands_behind_both_sides() -> None:
    groups = ("a", "a", "b", "c", "c", "c")
    examples = tuple(TrainingExample(str(n), (n, 1), (False, True), 0) for n in range(6))
    rows = RowSet(examples, groups, RECIPE)
    learnt, held_out = part_rows(rows, n_rows=2, n_held_out=3)
    assert [row.token_ids[0] for row in held_out] == [0, 1, 2]
    assert [row.token_ids[0] for row in learnt] == [3, 4]
    with pytest.raises(BenchError, match="4 rows and 3 held out"):
        part_rows(rows, n_rows=4, n_held_out=3)


def test_too_little_memory_is_told_before_the_start(tmp_path: Path, tiny_home: Path) -> None:
    with pytest.raises(BenchError, match="--peer-memory-gib"):
        run_task(make_road(tmp_path).task, Host(Path(sys.executable), (), 1, least_bytes=2**60))


def test_a_peer_that_is_not_there_is_told_how_to_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench_training", "--peer-path", str(tmp_path / "no"), "--out", str(tmp_path)])
    assert bench_training.main() == 1
    assert "pip install --no-deps --target PEERS" in capsys.readouterr().err
