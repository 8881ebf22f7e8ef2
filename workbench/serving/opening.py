"""The parts of a server put together, in an order that finds mistakes before anything heavy is loaded."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from workbench.access import AuditLog, KeyStore, RateLimit, refuse_open_bind
from workbench.answering import Answering
from workbench.bench import Bench
from workbench.collection_shelf import CollectionShelf
from workbench.config import LibraryConfig, dump_config
from workbench.monitoring.logs import FeedbackLog, QueryLog
from workbench.runs import write_atomically
from workbench.serving.admission import Admission
from workbench.serving.drafts import Drafts
from workbench.serving.metrics import Metrics
from workbench.serving.service import Service
from workbench.serving.trainings import Trainings, training_command
from workbench.watching import log_folder

log = logging.getLogger(__name__)
SEARCHES, FILLINGS = 4, 2  # threads that search, and threads that take documents in
CONFIG = "config.yaml"


@contextmanager
def open_service(bench: Bench) -> Iterator[Service]:
    """Open a server's parts over a bench and close them after the block; the engine drains.

    Raises:
        ConfigError: it would be open to others without a key, or the config contradicts itself or the model.
        KeyFileError: keys were made for it once and are not there, or cannot be read.
        BusyError: another server has the folder.
    """
    config = bench.config.serving
    folder = config.folder_beside(bench.run_folder.folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = KeyStore(folder)
    keys.require_those_made()
    refuse_open_bind(config.host, keys)
    bench.parts.check()
    bench.index()
    with ExitStack() as parts:
        shelf = parts.enter_context(_open_shelf(bench, folder))
        engine = bench.open_engine()
        parts.callback(lambda: engine.close(drain_seconds=0.0))
        answering = Answering(
            bench,
            finder=lambda name, retrieval, scope: shelf.finder(name, retrieval, scope=scope),
            generate=Drafts(engine, bench.config),
            engine=engine,
        )
        write_atomically(folder / CONFIG, dump_config(bench.config))
        trainings = Trainings(
            training_command(folder / CONFIG, bench.run_folder.folder),
            bench.run_folder.folder,
            folder,
            on_done=lambda name: _take_over(answering, name),
        )
        parts.callback(trainings.close)
        logs = log_folder(bench.config, bench.run_folder.folder)
        admission = Admission(slots=config.slots, queue=config.queue)
        yield Service(
            bench=bench,
            answering=answering,
            engine=engine,
            shelf=shelf,
            keys=keys,
            rates=RateLimit(config.requests_per_minute),
            admission=admission,
            audit=AuditLog(folder / "audit", content=config.audit_content),
            queries=parts.enter_context(QueryLog(logs, mode=config.query_log)),
            feedback=parts.enter_context(FeedbackLog(logs)),
            metrics=Metrics(lambda: engine.load, lambda: admission.taken),
            trainings=trainings,
            searching=parts.enter_context(ThreadPoolExecutor(SEARCHES, "search")),
            filling=parts.enter_context(ThreadPoolExecutor(FILLINGS, "fill")),
            folder=folder,
        )


def _open_shelf(bench: Bench, folder: Path) -> CollectionShelf:
    experiment = bench.config
    defaults = LibraryConfig(
        models=experiment.models,
        chunking=experiment.chunking,
        index=experiment.index,
        limits=experiment.corpus.limits,
        offline=experiment.offline,
    )
    return CollectionShelf(
        folder / "collections",
        defaults,
        embedder=bench.parts.embedder,
        reranker=lambda: bench.parts.reranker,
        adopted={experiment.name: bench.parts.collection_folder},
    )


def _take_over(answering: Answering, adapter: str) -> None:
    try:
        answering.refresh()
    except Exception:
        log.exception("adapter %r was trained, but cannot be taken over before a restart", adapter)
