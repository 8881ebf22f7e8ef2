"""The page's files without a browser: nothing from outside, nothing inline, every file there and used."""

import re
import tomllib
from fnmatch import fnmatch
from html.parser import HTMLParser
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "workbench" / "serving" / "page"
FILES = sorted(path for path in PAGE.iterdir() if path.is_file())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
NAMESPACE = "http://www.w3.org/2000/svg"  # a name, never fetched


def code_of(path: Path) -> str:
    """The file without its comments, which may name sources."""
    text = path.read_text(encoding="utf-8").replace(NAMESPACE, "")
    return re.sub(r"/\*.*?\*/|<!--.*?-->", "", text, flags=re.DOTALL)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def tags_of(name: str) -> list[tuple[str, dict[str, str | None]]]:
    tags = Tags()
    tags.feed((PAGE / name).read_text(encoding="utf-8"))
    return tags.found


def test_nothing_comes_from_outside() -> None:
    outside = [
        (path.name, url) for path in FILES for url in re.findall(r"\w+://[^\s\"']+|[\"'(]//\w[^\s\"']*", code_of(path))
    ]
    assert outside == []
    assert not [path.name for path in FILES if path.suffix == ".css" and re.search(r"url\(|@import", code_of(path))]


def test_nothing_is_inline() -> None:
    for name in ("index.html", "icon.svg"):
        for tag, attributes in tags_of(name):
            assert not [key for key in attributes if key.startswith("on") or key == "style"], (name, tag)
            assert tag != "style"
            assert tag != "script" or attributes["src"]


def test_no_script_parses_text_as_markup_or_code() -> None:
    ways = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|srcdoc"
    ways += r"|\beval\(|new Function|javascript:|setAttribute\(\"style\"|style:"
    assert not [(path.name, found) for path in SCRIPTS for found in re.findall(ways, code_of(path))]


def test_every_file_is_there_and_reached_from_the_document() -> None:
    wanted = {
        str(value)
        for _, attributes in tags_of("index.html")
        for key, value in attributes.items()
        if key in ("src", "href")
    }
    reached = {"index.html"} | {value.removeprefix("/page/") for value in wanted if value.startswith("/page/")}
    waiting = list(reached)
    while waiting:
        name = waiting.pop()
        new = set(re.findall(r"from \"\./([\w.]+)\"", (PAGE / name).read_text(encoding="utf-8"))) - reached
        reached |= new
        waiting += new
    assert reached == {path.name for path in FILES}


def test_every_file_is_packaged_and_stays_readable() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = config["tool"]["setuptools"]["package-data"]["workbench"]
    assert not [path.name for path in FILES if not any(fnmatch(f"x/{path.name}", pattern) for pattern in patterns)]
    assert not [path.name for path in FILES if len(path.read_text(encoding="utf-8").splitlines()) > 250]
    assert not [path.name for path in SCRIPTS if not path.read_text(encoding="utf-8").startswith("/**")]
