"""Source code and settings files: one block a definition, under the line that names it.

No parser: what starts at the left margin behind a blank line opens a definition, and so does a function or class
indented once. Its heading is that opening, comments and decorators included, so a chunk from deep inside a long
function still says whose it is. The text is the file's own, so spans point at what its author wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from workbench.corpus.assembly import choose_title
from workbench.corpus.cleaning import clean_text
from workbench.corpus.describing import describe, invisible_letters
from workbench.corpus.guards import read_text
from workbench.types import Block, BlockKind, Parsed

LANGUAGES = {
    ".bash": "shell",
    ".c": "c",
    ".cc": "c++",
    ".cfg": "settings",
    ".cpp": "c++",
    ".cs": "c#",
    ".css": "css",
    ".go": "go",
    ".h": "c",
    ".hpp": "c++",
    ".ini": "settings",
    ".java": "java",
    ".js": "javascript",
    ".jsx": "javascript",
    ".kt": "kotlin",
    ".lua": "lua",
    ".mjs": "javascript",
    ".php": "php",
    ".pl": "perl",
    ".ps1": "powershell",
    ".py": "python",
    ".r": "r",
    ".rb": "ruby",
    ".rs": "rust",
    ".scala": "scala",
    ".sh": "shell",
    ".sql": "sql",
    ".swift": "swift",
    ".toml": "toml",
    ".ts": "typescript",
    ".tsx": "typescript",
    ".yaml": "yaml",
    ".yml": "yaml",
}
_CLOSING = re.compile(r"[})\]]|(?:else|elif|except|finally|catch|end|fi|done|esac|then|begin)\b", re.IGNORECASE)
_DEFINITION = re.compile(
    r"(?:(?:pub(?:\([^)]*\))?|public|private|protected|internal|static|abstract|final|export|default|async|unsafe|"
    r"override|virtual|open|const|inline)\s+)*"
    r"(?:def|class|function|func|fn|fun|interface|struct|enum|impl|trait|type|module|namespace|object|sub)\b"
)
_LEADING = re.compile(r"//|/\*|\*|--|@|#(?!include|define|if|pragma|undef)|\"\"\"|'''|;")
_MAX_INDENT = 8  # columns; what is defined deeper belongs to its definition
_MAX_LEAD_LINES = 40  # comments above a definition that still are part of its opening


def read_code(path: Path) -> Parsed:
    """Read source code. Raises UnreadableDocumentError for binary files and unknown encodings."""
    raw, encoding = read_text(path)
    text = clean_text(raw).strip("\n").rstrip()
    blocks = tuple(find_blocks(text))
    metadata = describe(
        text,
        format_="code",
        encoding=encoding,
        programming_language=LANGUAGES.get(path.suffix.lower()),
        hidden=[invisible_letters(raw)],
    )
    return Parsed(choose_title(path, text, (), (path.name,)), text, blocks, metadata)


def find_blocks(text: str) -> Iterator[Block]:
    """Yield a heading for each definition's opening, and what follows it as code."""
    lines = text.split("\n")
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    openings = find_openings(lines)
    for (first, level), (following, _) in zip(openings, [*openings[1:], (len(lines), 0)], strict=True):
        body = find_signature(lines, first, following) + 1
        for begin, end, kind in ((first, body, BlockKind.HEADING), (body, following, BlockKind.CODE)):
            span = text[starts[begin] : starts[end]] if begin < end else ""
            if span.strip():
                start = starts[begin] + len(span) - len(span.lstrip())
                stop = starts[begin] + len(span.rstrip())
                yield Block(start, stop, kind, level if kind is BlockKind.HEADING else 0)


def find_openings(lines: Sequence[str]) -> list[tuple[int, int]]:
    """Return (line, heading level) of each place behind a blank line where a definition starts."""
    openings: list[tuple[int, int]] = []
    after_blank = True
    for n, line in enumerate(lines):
        bare = line.lstrip()
        if not bare:
            after_blank = True
            continue
        indent = len(line[: len(line) - len(bare)].expandtabs(4))
        if not openings or (after_blank and indent == 0 and not _CLOSING.match(bare)):
            openings.append((n, 1))
        elif after_blank and 0 < indent <= _MAX_INDENT:
            signature = lines[find_signature(lines, n, len(lines))].lstrip()
            if _DEFINITION.match(signature):
                openings.append((n, 2))
        after_blank = False
    return openings


def find_signature(lines: Sequence[str], first: int, following: int) -> int:
    """Return the line, from `first` on, that names what is defined: the first one that is no comment or decorator."""
    for n in range(first, min(following, first + _MAX_LEAD_LINES)):
        bare = lines[n].strip()
        if not bare:
            break
        if not _LEADING.match(bare):
            return n
    return first
