"""The routed arm through the server: the draft comes from the engine, and the choice is the bench's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import write_experiment
from tests.serving.conftest import Running, start
from tests.test_asking import ARMS, learn_by_lot
from workbench.bench import Bench
from workbench.config import load_config


@pytest.fixture(scope="module")
def routing(built_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server over an experiment whose router looks at everything: the draft, the search, the question."""
    folder = tmp_path_factory.mktemp("routing")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(built_home))
        patch.setattr("workbench.verdict.routing.FEWEST", 5)
        patch.setattr("workbench.verdict.routing.learn", learn_by_lot)
        Bench(load_config(write_experiment(folder), overrides=[ARMS]), out=folder / "runs" / "tiny").evaluate()
        yield from start(folder, serving=folder / "serving", overrides=(ARMS,))


def test_a_question_is_routed_as_the_bench_routes_it(routing: Running) -> None:
    chosen = set()
    for question in routing.bench.parts.questions.test:
        with routing.service.engine.exclusive():  # the bench generates with the same model
            expected = routing.bench.ask(question.text, arm="r")
        body = {"model": "r", "messages": [{"role": "user", "content": question.text}]}
        with routing.client() as client:
            found = client.post("/v1/chat/completions", json=body).json()
            streamed = client.post("/v1/chat/completions", json=body | {"stream": True}).text
        assert expected.route is not None
        assert found["route"]["arm"] == expected.route.arm
        assert found["route"]["why"].startswith("expected f1 less the weight of its seconds")
        assert found["choices"][0]["message"]["content"] == expected.generation.text
        assert f'"route": {{"arm": "{expected.route.arm}"' in streamed and streamed.endswith("data: [DONE]\n\n")
        chosen.add(expected.route.arm)
    assert len(chosen) > 1  # else this test could not tell


def test_a_router_is_not_asked_of_a_collection_that_it_was_not_fitted_on(routing: Running) -> None:
    with routing.client() as client:
        client.post("/v1/collections", json={"name": "other"})
        body = {"model": "r", "messages": [{"role": "user", "content": "Who?"}], "rag_collection": "other"}
        answer = client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 400
    assert "was fitted on the collection 'small'" in answer.json()["error"]["message"]
