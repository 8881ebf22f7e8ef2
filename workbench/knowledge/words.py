"""BM25 over words: one tantivy index of all chunks, in a folder that is written once and never changed.

Words: runs of letters and digits (so "E-104" is "e" and "104"), lower-cased, without the 33 English stop words of
Lucene, cut to their English stem (Snowball: "prices" and "price" are one word). Accents stay; scripts written without
spaces are not cut into words, so they match by whole runs only. A question is the OR of its words, never a query
language: no character in it has a meaning. Scores are Lucene's BM25 (k1 1.2, b 0.75, lengths rounded to one byte).

Source: Robertson and Zaragoza, 2009, https://doi.org/10.1561/1500000019
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterable
from pathlib import Path

from tantivy import (
    Document,
    Filter,
    Index,
    Occur,
    Query,
    Schema,
    SchemaBuilder,
    TextAnalyzer,
    TextAnalyzerBuilder,
    Tokenizer,
)

from workbench.errors import WorkbenchError
from workbench.knowledge.ties import Scored, take_best
from workbench.runs import new_folder, sync_folder
from workbench.types import Chunk

ANALYZER_NAME = "words"
LONGEST_WORD_BYTES = 255
WRITER_MEMORY_BYTES = 64 * 2**20  # one thread and one flush below this: one segment, documents in order


def build_analyzer() -> TextAnalyzer:
    """Return the one way text becomes words, for chunks and questions alike."""
    return (
        TextAnalyzerBuilder(Tokenizer.simple())
        .filter(Filter.remove_long(LONGEST_WORD_BYTES))
        .filter(Filter.lowercase())
        .filter(Filter.stopword("english"))
        .filter(Filter.stemmer("english"))
        .build()
    )


def write_words(folder: Path, chunks: Iterable[Chunk]) -> str:
    """Write an index of `chunks` as `folder` and return the SHA-256 (hex) over its files.

    Raises:
        OSError: the disk is full or failing; `folder` is as before.
    """
    with new_folder(folder) as temporary:
        index = Index(_build_schema(), path=str(temporary))
        index.register_tokenizer(ANALYZER_NAME, build_analyzer())
        writer = index.writer(WRITER_MEMORY_BYTES, 1)
        try:
            for chunk in chunks:
                writer.add_document(Document(id=chunk.id, text=chunk.indexed_text))
            writer.commit()
            writer.wait_merging_threads()
        except WorkbenchError:  # the chunks could not be read
            raise
        except ValueError as error:  # all that tantivy says of a failed write
            raise OSError(errno.EIO, str(error), str(folder)) from error
        sync_folder(temporary)
    return fingerprint_words(folder)


def fingerprint_words(folder: Path) -> str:
    """Return the SHA-256 (hex) over names and bytes of an index's files, without tantivy's empty lock files.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix != ".lock":
            content = path.read_bytes()
            digest.update(f"{path.name}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()


def _build_schema() -> Schema:
    return (
        SchemaBuilder()
        .add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
        .add_text_field("text", tokenizer_name=ANALYZER_NAME, index_option="freq")
        .build()
    )


class WordIndex:
    """An index opened from its folder; its files stay readable to this object even when the folder is removed."""

    def __init__(self, folder: Path, sha256: str, n_chunks: int) -> None:
        """Check and open the folder.

        Raises:
            FileNotFoundError: there is none.
            ValueError: its SHA-256 or its number of chunks is another than recorded.
        """
        found = fingerprint_words(folder)
        if found != sha256:
            raise ValueError(f"SHA-256 is {found[:12]}, recorded is {sha256[:12]}")
        index = Index.open(str(folder))
        index.config_reader("manual")  # the default would watch a folder that never changes
        index.reload()
        self._schema = index.schema
        self._searcher = index.searcher()
        self._analyzer = build_analyzer()
        if self._searcher.num_docs != n_chunks:
            raise ValueError(f"{self._searcher.num_docs} entries for {n_chunks} chunks")

    def search(self, question: str, *, k: int) -> Scored:
        """Return the `k` best chunk ids by BM25; a word asked twice counts twice; equal scores in order of id.

        No word of the question in any chunk, or none but stop words in the question: nothing is found.
        """
        words = self._analyzer.analyze(question)
        clauses = [(Occur.Should, Query.term_query(self._schema, "text", word, "freq")) for word in words]
        query = Query.boolean_query(clauses)

        def fetch(limit: int) -> Scored:
            hits = self._searcher.search(query, limit, count=False).hits
            return [(self._searcher.doc(address)["id"][0], float(score)) for score, address in hits]

        return take_best(fetch, k, self._searcher.num_docs)
