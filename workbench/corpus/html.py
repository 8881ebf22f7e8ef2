"""HTML: the words a person sees, in reading order. Scripts, styles, navigation and hidden elements are dropped.

Not a browser: style sheets are not read, nothing is fetched. Tables become pipe tables unless they only lay out a page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from selectolax.lexbor import LexborHTMLParser, LexborNode

from workbench.corpus.assembly import Piece, assemble, choose_title, format_table
from workbench.corpus.cleaning import decode_text, read_bytes, squeeze_spaces
from workbench.errors import UnreadableDocumentError
from workbench.types import BlockKind, Parsed

_CHARSET = re.compile(rb"<(?:meta|\?xml)[^>]*?(?:charset|encoding)\s*=\s*[\"']?([A-Za-z0-9_.:-]+)", re.IGNORECASE)
_DROPPED = frozenset(
    {"script", "style", "nav", "noscript", "template", "svg", "iframe", "object", "button", "select", "dialog", "head"}
)
_HIDING_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
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


def read_html(path: Path) -> Parsed:
    """Read an HTML file. Raises UnreadableDocumentError for binary files and pages without visible words."""
    data = read_bytes(path)
    declared = _CHARSET.search(data[:2048])
    source, encoding = decode_text(data, path.name, declared=declared[1].decode("ascii") if declared else None)
    tree = LexborHTMLParser(source)
    text, blocks = assemble(read_blocks(tree.body) if tree.body is not None else ())
    if not text:
        raise UnreadableDocumentError(f"{path.name} shows no words: its page is empty or drawn by scripts", "no_text")
    tops = [text[block.start : block.end] for block in blocks if block.level == 1]
    named = tree.css_first("head > title")
    # A single h1 is the better title: <title> often carries the site's name as well.
    candidates = (tops[0] if len(tops) == 1 else None, named.text() if named is not None else None)
    metadata = {"format": "html", "encoding": encoding}
    return Parsed(choose_title(path, text, blocks, candidates), text, blocks, metadata)


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
    return (
        node.tag in _DROPPED
        or "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or attributes.get("role") == "navigation"
        or bool(_HIDING_STYLE.search(attributes.get("style") or ""))
    )
