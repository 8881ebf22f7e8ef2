"""What a chunk says about where it stands: the headings that fit, and the header of the table it starts inside of.

Together they take at most half of a chunk; the outermost headings and the last columns go first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from workbench.contracts import TokenOffsets
from workbench.corpus.cutting import Ruler

HeadingPath = tuple[str, ...]  # headings, outermost first
Place = tuple[HeadingPath, str]  # the headings around a chunk and the header of its table; "": not inside a table

_BAR = re.compile(r"(?<!\\)\|")
_SEPARATOR = re.compile(r"\|?(?:[ \t]*:?-+:?[ \t]*\|)*(?:[ \t]*:?-+:?)?")
_LEAST_HEADER_TOKENS = 12  # below this a cut header says nothing


@dataclass(frozen=True, slots=True)
class Context:
    """The headings and the table header that a chunk carries, and their tokens."""

    headings: HeadingPath
    header: str
    n_tokens: int


def find_header(table: str) -> str:
    """Return the header row of a pipe table, over the shortest line that makes it one; "" where it has none."""
    row, _, rest = table.partition("\n")
    separator = rest.partition("\n")[0].strip()
    if "-" not in separator or "|" not in separator or _SEPARATOR.fullmatch(separator) is None:
        return ""
    row = row.strip()
    return f"{row}\n{_write_separator(len(_cell_ends(row)))}"


def measure_contexts(places: Iterable[Place], offsets: TokenOffsets, limit: int) -> dict[Place, Context]:
    """Return for each place, and for a table's every outer place, what of it fits a chunk of `limit` tokens.

    Headings alone take half of it; beside a table's header they take a quarter.
    """
    wanted = set(places) | {((), "")}
    wanted |= {(path[:n], header) for path, header in wanted if header for n in range(len(path))}
    alone = measure_paths({path for path, header in wanted if not header}, offsets, limit // 2)
    beside = measure_paths({path for path, header in wanted if header}, offsets, limit // 4)
    found: dict[Place, Context] = {(path, ""): measure for path, measure in alone.items()}
    inside = sorted(place for place in wanted if place[1])
    if not inside:
        return found
    headers = sorted({header for _, header in inside})
    rulers = dict(zip(headers, map(Ruler, headers, offsets.token_offsets(headers)), strict=True))
    fitted = [_fit_both(beside[path], header, rulers[header], limit // 2) for path, header in inside]
    lines = ["".join(f"{line}\n" for line in (" > ".join(path), header) if line) for path, header in fitted]
    for place, (path, header), tokens in zip(inside, fitted, offsets.token_offsets(lines), strict=True):
        found[place] = Context(path, header, len(tokens))
    return found


def measure_paths(paths: Iterable[HeadingPath], offsets: TokenOffsets, budget: int) -> dict[HeadingPath, Context]:
    """Return for each path its innermost headings that fit `budget` tokens: the outermost go first."""
    ordered = sorted(paths)
    lines = [" > ".join(path) + "\n" for path in ordered]  # as Chunk.indexed_text writes it
    found: dict[HeadingPath, Context] = {(): Context((), "", 0)}
    for path, line, tokens in zip(ordered, lines, offsets.token_offsets(lines), strict=True):
        ruler = Ruler(line, tokens)
        kept, start = path, 0
        while kept and ruler.count(start, len(line)) > budget:
            start += len(kept[0]) + len(" > ")
            kept = kept[1:]
        found[path] = Context(kept, "", ruler.count(start, len(line)) if kept else 0)
    return found


def fit_header(header: str, ruler: Ruler, budget: int) -> str:
    """Return the header within `budget` tokens: its first cells and " … |", or the beginning of the first one."""
    if ruler.count(0, len(header)) <= budget:
        return header
    if budget < _LEAST_HEADER_TOKENS:
        return ""
    row = header.partition("\n")[0]
    ends = _cell_ends(row)
    n_separator = ruler.count(len(row) + 1, len(header)) / len(ends)  # tokens a column
    for n_cells in range(len(ends) - 1, 0, -1):
        end = ends[n_cells - 1]
        if ruler.count(0, end) + 3 + n_separator * (n_cells + 2) <= budget:
            return f"{row[:end]} … |\n{_write_separator(n_cells + 1)}"
    end = min(ruler.reach(0, budget - 8), ends[0] - 1)
    return f"{row[:end].rstrip()} … |\n{_write_separator(1)}"


def _fit_both(headings: Context, header: str, ruler: Ruler, budget: int) -> Place:
    """Return the headings with the header that fits beside them; the header alone where it would not."""
    if shown := fit_header(header, ruler, budget - headings.n_tokens):
        return headings.headings, shown
    shown = fit_header(header, ruler, budget)
    return (() if shown else headings.headings), shown


def pick_context(contexts: Mapping[Place, Context], path: HeadingPath, header: str) -> Context:
    """Return the measured context; headings that no unit stands under directly are kept whole, uncounted."""
    return contexts.get((path, header)) or Context(path, header, 0)


def _cell_ends(row: str) -> list[int]:
    """Return where each cell of a row ends, its closing bar included."""
    bars = [match.end() for match in _BAR.finditer(row)]
    return (bars[1:] if row.startswith("|") else bars) or [len(row)]


def _write_separator(n_columns: int) -> str:
    return "|" + "-|" * n_columns
