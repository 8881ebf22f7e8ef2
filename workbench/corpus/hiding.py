"""Whether an HTML element hides its words from people by its own attributes: tricks that put text before models only.

Style sheets are not read, so a class can hide what this calls visible. White text counts as hidden only where nothing
around it could give it another background: losing a visible table header would be worse than keeping a trick.
`aria-hidden` hides from screen readers alone: people see such words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from selectolax.lexbor import LexborNode

_DECLARATION = re.compile(r"([a-z-]+)\s*:\s*([^;]+)", re.IGNORECASE)
_HIDING_VALUES = {  # property → the values that show nothing
    "display": re.compile(r"none"),
    "visibility": re.compile(r"hidden|collapse"),
    "opacity": re.compile(r"0*(\.0*)?%?"),
    "font-size": re.compile(r"0*(\.\d+)?(px|pt|em|rem|%|vw|vh)?"),  # below one unit nothing can be read
    "color": re.compile(r"transparent|rgba\([^)]*,\s*0*(\.0+)?\s*\)|#[0-9a-f]{6}00|#[0-9a-f]{3}0"),
    "text-indent": re.compile(r"-\d{4,}.*"),
    "left": re.compile(r"-\d{4,}.*"),
    "top": re.compile(r"-\d{4,}.*"),
    "clip": re.compile(r"rect\((0(px)?[\s,]*|1px[\s,]*){4}\)"),
}
_NAMED = {"white": "ffffff", "black": "000000", "snow": "fffafa", "ivory": "fffff0"}
_NEARLY = 24  # largest difference of a colour channel, of 255, that nobody can read


def hides(node: LexborNode) -> bool:
    """Whether this element, and all in it, is not shown."""
    attributes = node.attributes
    if "hidden" in attributes:
        return True
    style = attributes.get("style")
    if not style:
        return False
    declared = read_style(style)
    return any(_shows_nothing(key, value) for key, value in declared.items()) or _same_colours(node, declared)


def read_style(style: str) -> dict[str, str]:
    """Return the declarations of a `style` attribute, in lower case."""
    return {key.lower(): value.lower().replace("!important", "").strip() for key, value in _DECLARATION.findall(style)}


def _shows_nothing(key: str, value: str) -> bool:
    pattern = _HIDING_VALUES.get(key)
    if pattern is None or pattern.fullmatch(value) is None:
        return False
    return key != "font-size" or not value.endswith(("em", "%", "vw", "vh")) or not value.strip("0.remvwh%")


def _same_colours(node: LexborNode, declared: Mapping[str, str]) -> bool:
    """Whether the text has its background's colour; where no element brings one, the page is white."""
    text = _colour(declared.get("color", ""))
    if text is None:
        return False
    own = declared.get("background-color", declared.get("background"))
    background = _colour(own) if own is not None else (None if _may_be_painted(node) else (255, 255, 255))
    return background is not None and all(abs(a - b) <= _NEARLY for a, b in zip(text, background, strict=True))


def _may_be_painted(node: LexborNode | None) -> bool:
    """Whether this element or one around it may have a background: by style, attribute, or a class we do not know."""
    while node is not None and node.is_element_node:
        attributes = node.attributes
        if attributes.keys() & {"class", "id", "bgcolor", "background"} or "background" in (
            attributes.get("style") or ""
        ):
            return True
        node = node.parent
    return False


def _colour(value: str) -> tuple[int, ...] | None:
    """Return red, green and blue of a colour, 0 to 255; None for one that is not written out."""
    if match := re.match(r"rgba?\((\d+)[\s,]+(\d+)[\s,]+(\d+)", value):
        return tuple(int(part) for part in match.groups())
    digits = _NAMED.get(value, value.removeprefix("#") if value.startswith("#") else "")
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    return tuple(bytes.fromhex(digits)) if re.fullmatch(r"[0-9a-f]{6}", digits) else None
