"""HTML: the words a person sees, in reading order. Scripts, styles, navigation and hidden elements are dropped.

Not a browser: style sheets are not read, nothing is fetched. Tables become pipe tables unless they only lay out a page.
Text hidden by an element's own attributes is counted in `metadata["hidden_characters"]`: people do not see it, and it
is a common way to talk to models behind their backs. EPUB chapters and mail bodies are read by the same code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from selectolax.lexbor import LexborHTMLParser, LexborNode

from workbench.corpus.assembly import Piece, assemble, choose_title, format_table
from workbench.corpus.cleaning import read_bytes, squeeze_spaces
from workbench.corpus.describing import describe, invisible_letters
from workbench.corpus.front_matter import refuse_readers
from workbench.corpus.guards import decode_text_file
from workbench.corpus.hiding import hides
from workbench.errors import UnreadableDocumentError
from workbench.types import BlockKind, Parsed

_CHARSET = re.compile(rb"<(?:meta|\?xml)[^>]*?(?:charset|encoding)\s*=\s*[\"']?([A-Za-z0-9_.:-]+)", re.IGNORECASE)
_DROPPED = frozenset(
    {"script", "style", "nav", "noscript", "template", "svg", "iframe", "object", "button", "select", "dialog", "head"}
)
_META_FACTS = {  # names of <meta> elements, best first
    "author": ("author", "dc.creator", "article:author"),
    "created": ("article:published_time", "dcterms.created", "dc.date", "date"),
    "modified": ("article:modified_time", "dcterms.modified", "last-modified"),
    "keywords": ("keywords",),
}
_FURNITURE_ROLES = frozenset({"navigation", "search"})
# fmt: off
_INLINE = frozenset({
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "img",
    "input", "ins", "kbd", "label", "mark", "meter", "output", "q", "s", "samp", "small", "span", "strike", "strong",
    "sub", "sup", "time", "tt", "u", "var", "wbr",
})
# fmt: on
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_LISTS = frozenset({"ul", "ol", "menu"})
_MAX_INDENTS = 8  # deeper nesting is not shown: hostile pages would grow with its square
_LAYOUT_SIGNS = "h1, h2, h3, h4, h5, h6, table table, pre, article, section"


FRONT_MATTER_BYTES = 256_000  # of the beginning, where front matter could stand


@dataclass(frozen=True, slots=True)
class Page:
    """An HTML page, read: what people see, what is hidden from them, and what its head says."""

    pieces: tuple[Piece, ...]
    hidden: tuple[str, ...]
    title: str | None
    language: str | None
    facts: dict[str, str]  # keys of _META_FACTS
    encoding: str


def read_html(path: Path) -> Parsed:
    """Read an HTML file.

    Raises:
        UnreadableDocumentError: a binary file, a page without visible words, or front matter that names readers, which
            nobody would heed here.
    """
    data = read_bytes(path)
    refuse_readers(data[:FRONT_MATTER_BYTES].decode(errors="replace"), path.name)  # site generators put it into pages
    page = read_page(data, path.name)
    text, blocks = assemble(page.pieces)
    if not text:
        raise UnreadableDocumentError(f"{path.name} shows no words: its page is empty or drawn by scripts", "no_text")
    tops = [text[block.start : block.end] for block in blocks if block.level == 1]
    # A single h1 is the better title: <title> often carries the site's name as well.
    candidates = (tops[0] if len(tops) == 1 else None, page.title)
    metadata = describe(
        text, format_="html", encoding=page.encoding, hidden=page.hidden, language=page.language, **page.facts
    )
    return Parsed(choose_title(path, text, blocks, candidates), text, blocks, metadata)


def read_page(data: bytes, name: str, *, declared: str | None = None) -> Page:
    """Return the page in `data`; `declared` is the encoding named outside of it, as mails do.

    Raises:
        UnreadableDocumentError: binary, or no encoding fits.
    """
    named = _CHARSET.search(data[:2048])
    source, encoding = decode_text_file(data, name, declared=declared or (named[1].decode("ascii") if named else None))
    tree = LexborHTMLParser(source)
    if tree.body is None:
        return Page((), (), None, None, {}, encoding)
    title, html = tree.css_first("head > title"), tree.css_first("html")
    metas: dict[str, str] = {}
    for meta in tree.css("head > meta[content]"):
        key = meta.attributes.get("name") or meta.attributes.get("property") or ""
        metas.setdefault(key.lower(), meta.attributes.get("content") or "")
    facts = {
        key: found for key, names in _META_FACTS.items() if (found := next(filter(None, map(metas.get, names)), ""))
    }
    hidden = (*find_hidden(tree.body), invisible_letters(source))
    language = html.attributes.get("lang") or html.attributes.get("xml:lang") if html is not None else None
    words = title.text() if title is not None else None
    return Page(tuple(read_blocks(tree.body)), hidden, words, language, facts, encoding)


def find_hidden(body: LexborNode) -> Iterator[str]:
    """Yield the words of each element that hides them by its own attributes; scripts and navigation are not hidden."""
    stack = [body]
    while stack:
        node = stack.pop()
        for child in node.iter(include_text=False):
            if child.tag in _DROPPED:
                continue
            if hides(child):
                yield squeeze_spaces(child.text(deep=True))
            else:
                stack.append(child)


def read_blocks(body: LexborNode) -> Iterator[Piece]:
    """Yield the blocks below `body` in reading order; words outside any block become paragraphs."""
    words: list[str] = []
    for node, entering in walk(body, whole=is_block):
        if node.is_text_node:
            words.append(node.text_content or "")
        elif node.tag == "br":
            words.append(" ")
        elif node.tag not in _INLINE:
            yield Piece(squeeze_spaces("".join(words)), BlockKind.PARAGRAPH)
            words.clear()
            if entering and is_block(node):
                yield from read_block(node)


def is_block(node: LexborNode) -> bool:
    """Whether the element is one block by itself: a heading, a list, preformatted text, a table of data."""
    if node.tag == "table":
        rows = node.css("tr")
        return node.css_first(_LAYOUT_SIGNS) is None and any(len(row.css("td, th")) > 1 for row in rows)
    return node.tag == "pre" or node.tag in _HEADINGS or node.tag in _LISTS


def read_block(node: LexborNode) -> Iterator[Piece]:
    """Yield the element, for which `is_block` holds, as one piece; a table's caption comes before it."""
    tag = node.tag or ""
    if tag in _HEADINGS:
        yield Piece(visible_words(node), BlockKind.HEADING, int(tag[1]))
    elif tag in _LISTS:
        yield Piece("\n".join(list_items(node)), BlockKind.LIST)
    elif tag == "pre":
        texts = ("\n" if child.tag == "br" else child.text_content or "" for child, entering in walk(node) if entering)
        yield Piece("".join(texts), BlockKind.CODE)
    else:
        for caption in node.css("caption"):
            if not is_hidden(caption):
                yield Piece(visible_words(caption), BlockKind.PARAGRAPH)
        rows = [[visible_words(cell) for cell in row.css("td, th")] for row in node.css("tr")]
        yield Piece(format_table([row for row in rows if row]), BlockKind.TABLE)


def list_items(top: LexborNode) -> Iterator[str]:
    """Yield one line an item, marked and indented as in Markdown; nested lists follow their item.

    Words of a list outside its items are one too, without a number, as browsers show them.
    """
    nesting: list[str] = []  # the lists and items that are open
    counts: list[int] = []  # items so far of each open list
    loose: list[str] = []
    for node, entering in walk(top):
        tag = node.tag or ""
        if node.is_text_node:
            loose += [node.text_content or ""] if nesting[-1] != "li" else []
        elif tag not in _LISTS and tag != "li":
            loose += [" "] if tag not in _INLINE else []
        else:
            indent = "  " * min(len(counts) - 1, _MAX_INDENTS)
            if words := squeeze_spaces("".join(loose)):
                yield f"{indent}- {words}"
            loose.clear()
            if tag == "li" and entering and (words := visible_words(node, without=_LISTS)):
                counts[-1] += 1
                numbered = next(name for name in reversed(nesting) if name != "li") == "ol"
                yield f"{indent}{f'{counts[-1]}.' if numbered else '-'} {words}"
            if entering:
                nesting.append(tag)
                counts += [0] if tag != "li" else []
            elif nesting.pop() != "li":
                counts.pop()


def visible_words(top: LexborNode, *, without: frozenset[str] = frozenset()) -> str:
    """Return the words below `top` on one line, blocks parted by a space; subtrees of tags in `without` left out."""
    words: list[str] = []
    for node, _ in walk(top, whole=lambda node: node.tag in without):
        if node.is_text_node:
            words.append(node.text_content or "")
        elif node.tag not in _INLINE:
            words.append(" ")
    return squeeze_spaces("".join(words))


def walk(
    top: LexborNode, *, whole: Callable[[LexborNode], bool] = lambda node: False
) -> Iterator[tuple[LexborNode, bool]]:
    """Yield each node with True on the way in and, for elements, with False on the way out; hidden ones are skipped.

    An element below `top` for which `whole` holds is yielded on the way in only, without its children.
    The stack is our own: pages may nest deeper than Python recurses.
    """
    stack = [(top, True)]
    while stack:
        node, entering = stack.pop()
        yield node, entering
        if entering and node.is_element_node and (node is top or not whole(node)):
            stack.append((node, False))
            children = [child for child in node.iter(include_text=True) if not is_hidden(child)]
            stack.extend((child, True) for child in reversed(children))


def is_hidden(node: LexborNode) -> bool:
    """Whether a person does not see this node: comments, scripts, navigation, hidden elements."""
    if not node.is_element_node:
        return not node.is_text_node
    attributes = node.attributes
    return node.tag in _DROPPED or attributes.get("role") in _FURNITURE_ROLES or hides(node)
