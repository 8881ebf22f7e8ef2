"""EPUB: the chapters in spine order, each read as the HTML it is; title, author, date and language from the package.

Not read: the navigation document, pictures, fonts, scripts, footnotes shown elsewhere. Encrypted books are refused.
Source: EPUB 3.3 (W3C), which reads EPUB 2 as well.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path, PurePosixPath
from posixpath import normpath
from urllib.parse import unquote
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from workbench.corpus.assembly import assemble, choose_title
from workbench.corpus.cleaning import read_bytes
from workbench.corpus.describing import describe
from workbench.corpus.guards import open_archive, read_member
from workbench.corpus.html import Page, read_page
from workbench.errors import UnreadableDocumentError
from workbench.types import Parsed

MAX_CHAPTERS = 5_000
_CONTAINER, _RIGHTS = "META-INF/container.xml", "META-INF/rights.xml"
_PAGE_TYPES = {"application/xhtml+xml", "text/html", "application/xml"}


def read_epub(path: Path) -> Parsed:
    """Read a book. Raises UnreadableDocumentError: no EPUB, copy-protected, damaged, unpacks too large, no text."""
    with open_archive(read_bytes(path), path.name, member=_CONTAINER, format_="EPUB book") as archive:
        if _RIGHTS in archive.namelist():
            raise UnreadableDocumentError(f"{path.name} is copy-protected; get a free copy of it", "encrypted")
        package_path = find_package(archive, path.name)
        package = parse_xml(archive, package_path, path.name)
        chapters = list(find_chapters(package, package_path))
        if len(chapters) > MAX_CHAPTERS:
            message = f"{path.name} has {len(chapters):,} chapters, the limit is {MAX_CHAPTERS:,}; split the book"
            raise UnreadableDocumentError(message, "too_large")
        pages = [read_chapter(archive, chapter, path.name) for chapter in chapters]
    text, blocks = assemble(chain.from_iterable(page.pieces for page in pages))
    if not text:
        raise UnreadableDocumentError(f"{path.name} shows no words in its {len(pages)} chapters", "no_text")
    hidden = [words for page in pages for words in page.hidden]
    titles, authors, languages = (core_facts(package, key) for key in ("title", "creator", "language"))
    metadata = describe(
        text,
        format_="epub",
        author=", ".join(authors),
        publisher=", ".join(core_facts(package, "publisher")),
        keywords=", ".join(core_facts(package, "subject")),
        created=next(iter(core_facts(package, "date")), None),
        modified=find_modified(package),
        language=next(iter(languages), None),
        hidden=hidden,
    )
    return Parsed(choose_title(path, text, blocks, titles), text, blocks, metadata)


def find_package(archive: zipfile.ZipFile, name: str) -> str:
    """Return the path of the package document inside the archive."""
    container = parse_xml(archive, _CONTAINER, name)
    for element in find_all(container, "rootfile"):
        if full := element.get("full-path"):
            return full
    raise UnreadableDocumentError(f"{name} is damaged: {_CONTAINER} names no package", "damaged")


def find_chapters(package: Element, package_path: str) -> Iterator[str]:
    """Yield the archive paths of the chapters in reading order, without the navigation document."""
    items = {item.get("id"): item for item in find_all(package, "item")}
    for reference in find_all(package, "itemref"):
        item = items.get(reference.get("idref"))
        if item is None or item.get("media-type") not in _PAGE_TYPES or "nav" in (item.get("properties") or "").split():
            continue
        target = unquote((item.get("href") or "").split("#")[0])
        yield normpath(str(PurePosixPath(package_path).parent / target))


def read_chapter(archive: zipfile.ZipFile, member: str, name: str) -> Page:
    """Read one chapter. Raises UnreadableDocumentError where the book names one that is not in it."""
    return read_page(read_member(archive, member, name), f"{name}/{member}")


def parse_xml(archive: zipfile.ZipFile, member: str, name: str) -> Element:
    """Return the root of an XML member. Raises UnreadableDocumentError: malformed, or with entities."""
    try:
        root: Element = fromstring(read_member(archive, member, name))
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise UnreadableDocumentError(f"{name} is damaged: {member}: {error}", "damaged") from error
    return root


def core_facts(package: Element, key: str) -> list[str]:
    """Return the texts of the Dublin Core elements of this name, in order."""
    return [text for element in find_all(package, key) if (text := " ".join("".join(element.itertext()).split()))]


def find_modified(package: Element) -> str | None:
    """Return the date of the last change, which EPUB 3 books must state."""
    found = (e.text for e in find_all(package, "meta") if e.get("property") == "dcterms:modified")
    return next(found, None)


def find_all(root: Element, tag: str) -> Iterator[Element]:
    """Yield the elements of this local name, whatever their namespace."""
    return (element for element in root.iter() if element.tag.rpartition("}")[2] == tag)
