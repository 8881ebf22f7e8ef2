"""The router on disk: it chooses as the one in memory did, and what is wrong with its file is one clear line."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.verdict.test_router_embedding import embed, kinds_of, with_vectors
from tests.verdict.test_routing import routed, split, study
from workbench.errors import RunMismatchError
from workbench.verdict.router_features import EMBEDDING, read_features
from workbench.verdict.saved_router import SavedRouter, read_router, refuse_stale

NUMBERS = np.arange(200)


@pytest.fixture(scope="module")
def router() -> SavedRouter:
    made = study(split, 5, told=False)
    return with_vectors(made, embed(made, [int(kind) for kind in kinds_of(5)])).router


def save(router: SavedRouter, folder: Path) -> Path:
    path = folder / "router_model.json"
    path.write_text(router.model_dump_json())
    return path


def test_it_chooses_for_every_question_as_in_memory(router: SavedRouter, tmp_path: Path) -> None:
    made = study(split, 5, told=False)
    features = read_features(made, embed(made, [int(kind) for kind in kinds_of(5)]))
    assert features is not None and EMBEDDING in router.features
    loaded = read_router(save(router, tmp_path))
    assert loaded == router
    chosen = [
        [one.choose(features.seen.take(NUMBERS[place : place + 1])) for place in NUMBERS] for one in (router, loaded)
    ]
    assert chosen[0] == chosen[1]
    kinds = np.array(kinds_of(5))
    takes_rag = np.array([one.arm == "rag" for one in chosen[0]])
    assert (takes_rag == kinds).mean() > 0.85  # rag is right for these, and it has learnt so


def test_it_says_why(router: SavedRouter) -> None:
    made = study(split, 5, told=False)
    features = read_features(made, embed(made, [int(kind) for kind in kinds_of(5)]))
    assert features is not None
    route = router.choose(features.seen.take(NUMBERS[:1]))
    best = max(route.expected, key=lambda name: route.expected[name])
    assert route.arm == best and set(route.expected) == {"base", "rag", "lora"}
    assert EMBEDDING in route.why and f"{route.expected[best]:.3f}" in route.why
    always = routed(study(lambda draws, _: (1.0, 0.0), 0)).router
    assert always.choose(None).arm == "rag" and "answers every question" in always.choose(None).why


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda text: text[: len(text) // 2], "Invalid JSON"),
        (lambda text: text.replace('"format":1', '"format":2'), "it has format 2, this version reads 1"),
        (lambda text: text.replace('"n":200', '"n":201'), "its fingerprint does not match"),
        (lambda text: json.dumps(json.loads(text) | {"model": None}), "its fingerprint does not match"),
        (lambda text: text.replace('"intercepts":[', '"intercepts":[0.0,'), "weights do not fit"),
        (lambda text: text.replace('"intercepts":[', '"intercepts":[NaN,'), "is damaged"),
    ],
    ids=["torn", "other_format", "edited", "no_model", "shapes", "not_finite"],
)
def test_a_damaged_file_is_told_with_the_next_command(
    router: SavedRouter, tmp_path: Path, damage: object, told: str
) -> None:
    assert callable(damage)
    path = save(router, tmp_path)
    path.write_text(damage(path.read_text()))
    with pytest.raises(RunMismatchError, match=told) as error:
        read_router(path)
    assert "workbench evaluate CONFIG --out" in str(error.value) and "\n" not in str(error.value)


def test_none_and_a_stale_one_are_told(router: SavedRouter, tmp_path: Path) -> None:
    with pytest.raises(RunMismatchError, match=r"holds no router yet .*workbench evaluate CONFIG"):
        read_router(tmp_path / "router_model.json")
    path = tmp_path / "router_model.json"
    refuse_stale(router, path, fitted_on=router.fitted_on)
    for other in ("f" * 64, None):
        with pytest.raises(RunMismatchError, match=r"was fitted .*workbench evaluate CONFIG"):
            refuse_stale(router, path, fitted_on=other)
