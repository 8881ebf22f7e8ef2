"""What users say about documents: typed metadata, permissions that fail closed, faults with their lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.corpus import FactRule, FactRules, apply_facts, check_matched, parse_readers, read_document, read_facts
from workbench.errors import ConfigError, UnreadableDocumentError
from workbench.types import Document


def make_document(id_: str, readers: tuple[str, ...] | None = None, **metadata: Any) -> Document:
    return Document(id_, id_, "title", "text", (), "0" * 64, metadata, readers)


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


FILES = {
    "metadata.csv": (
        "path,year,weight,code,draft,team,since,readers\n"
        "manuals/a.md,2024,1.5,007,true,Ünit,2024-03-01,hr; legal\n"
        '"manuals/**",2023,2,12,false,"north, south",,*\n'
    ),
    "metadata.jsonl": (
        '{"path": "manuals/a.md", "year": 2024, "weight": 1.5, "code": "007", "draft": true, "team": "Ünit", '
        '"since": "2024-03-01", "readers": ["legal", "hr"]}\n\n'
        '{"path": "manuals/**", "year": 2023, "weight": 2.0, "code": "12", "draft": false, "team": "north, south", '
        '"since": null, "readers": "*"}\n'
    ),
    "metadata.yaml": (
        "- path: manuals/a.md\n  year: 2024\n  weight: 1.5\n  code: '007'\n  draft: true\n  team: Ünit\n"
        "  since: 2024-03-01\n  readers: [hr, legal]\n"
        "- {path: manuals/**, year: 2023, weight: 2.0, code: '12', draft: false, team: 'north, south', readers: '*'}\n"
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_the_three_formats_say_the_same(name: str, tmp_path: Path) -> None:
    rules = read_facts(write(tmp_path, name, FILES[name])).rules
    shown = [(rule.path, dict(rule.facts), rule.readers) for rule in rules]
    first = {"year": 2024, "weight": 1.5, "code": "007", "draft": True, "team": "Ünit", "since": "2024-03-01"}
    second = {"year": 2023, "weight": 2.0, "code": "12", "draft": False, "team": "north, south"}
    assert shown == [("manuals/a.md", first, ("hr", "legal")), ("manuals/**", second, ("*",))]
    for rule in rules:
        kinds = {"year": int, "weight": float, "code": str, "draft": bool, "team": str, "since": str}
        assert all(type(value) is kinds[key] for key, value in rule.facts.items())


def test_later_rules_win_over_earlier_ones_and_all_over_the_document(tmp_path: Path) -> None:
    rules = FactRules(
        tmp_path / "m.csv",
        [
            FactRule("a.md", {"team": "first", "year": 1}, ("hr",), 2),
            FactRule("*.md", {"team": "second"}, None, 3),
            FactRule("b.md", {}, ("*",), 4),
        ],
    )
    document = apply_facts(make_document("a.md", team="own", language="en"), rules)
    assert document.metadata == {"team": "second", "year": 1, "language": "en"}
    assert document.readers == ("hr",)
    assert apply_facts(make_document("b.md", readers=("own",)), rules).readers is None  # lifted by the rule
    assert apply_facts(make_document("c.md", readers=("own",)), rules).readers == ("own",)  # a rule that does not say
    untouched = make_document("sub/a.md", readers=("own",), team="own")
    assert apply_facts(untouched, rules) == untouched


@pytest.mark.parametrize(
    ("glob", "matched", "others"),
    [
        ("*.md", ["a.md"], ["b/a.md", "a.mdx", "b/a.md.md"]),
        ("**/*.md", ["a.md", "b/a.md", "b/c/a.md"], ["a.txt"]),
        ("b/**", ["b/a.md", "b/c/a.md"], ["a.md", "bb/a.md"]),
        ("b/**/c.md", ["b/c.md", "b/x/y/c.md"], ["b/xc.md", "c.md"]),
        ("?.md", ["a.md", "é.md"], ["ab.md", "/.md"]),
        ("[ab].md", ["a.md", "b.md", "[ab].md"], ["c.md"]),
        ("[!ab].md", ["c.md"], ["a.md", "/.md"]),
        ("a+(b)|.md", ["a+(b)|.md"], ["aab.md"]),
        ("a[.md", ["a[.md"], ["a.md"]),
    ],
)
def test_globs_match_whole_paths(glob: str, matched: list[str], others: list[str]) -> None:
    rules = FactRules(Path("m.csv"), [FactRule(glob, {}, None, 1)])
    assert [id_ for id_ in matched + others if rules.matching(id_)] == matched


@given(st.text(min_size=1, max_size=12))
def test_a_path_without_signs_matches_itself_alone(path: str) -> None:
    rules = FactRules(Path("m.csv"), [FactRule(path, {}, None, 1)])
    assert rules.matching(path)
    if not set(path) & set("*?["):
        assert not rules.matching(path + "x")


def test_a_rule_that_matches_nothing_is_reported_and_refused_where_it_guards(tmp_path: Path) -> None:
    text = "path,team,readers\nmanual/a.md,x,hr\n*.txt,y,*\nmanuals/b.md,z,*\n"
    rules = read_facts(write(tmp_path, "m.csv", text))
    ids = ["manuals/a.md", "manuals/b.md"]
    with pytest.raises(ConfigError) as caught:
        check_matched(rules, ids)
    assert str(caught.value).splitlines() == [
        "m.csv:2: `path` 'manual/a.md' matches no file; did you mean 'manuals/a.md'? (it sets `readers`)",
        "m.csv:3: `path` '*.txt' matches no file; mend its path or take the rule out (it sets `readers`)",
    ]
    plain = read_facts(write(tmp_path, "m.jsonl", '{"path": "*.txt", "team": "y"}\n{"path": "**", "team": "z"}\n'))
    assert check_matched(plain, ids) == [
        "m.jsonl:1: `path` '*.txt' matches no file; mend its path or take the rule out"
    ]


FAULTS = {
    "m.csv": (
        'path;year;readers;title\na.md;1;hr;x\n;1;hr;\nb.md;1;;\nc.md;1;"hr;*";\nd.md;1\n',
        ["2: `title`", "3: `path` is ''", "4: `readers` is empty", "5: `readers` is 'hr;*'", "6: the row has 2 cells"],
    ),
    "n.csv": ("year,team\n1,x\n", ["1: the header is ['year', 'team']"]),
    "o.csv": ('path,team\na.md,"open\n', ["2: is not CSV"]),
    "m.jsonl": (
        '{"path": "a.md", "tags": [1]}\n{"path": 5}\n[1]\n{"path": "b.md", "x": NaN}\n'
        '{"path": "c", "readers": null}\n{',
        [
            "3: is a JSON list",
            "6: is not JSON",
            "1: `tags` is [1]",
            "2: `path` is 5",
            "4: `x` is nan",
            "5: `readers` is empty",
        ],
    ),
    "m.yaml": (
        "- path: a.md\n  readers: []\n- team: x\n\n- text\n- path: b.md\n  not: 1\n  deep: {x: 1}\n"
        "- path: c\n  readers: 5\n",
        [
            "5: is 'text'",
            "1: `readers` is empty",
            "3: `path` is None",
            "6: `not`",
            "6: `deep`",
            "9: `readers` is 5",
        ],
    ),
    "n.yaml": ("a.md: {team: x}\n", ["1: holds CommentedMap"]),
    "o.yml": ("- path: [\n", ["1: is not YAML"]),
}


@pytest.mark.parametrize("name", FAULTS)
def test_all_faults_are_reported_at_once_with_their_lines(name: str, tmp_path: Path) -> None:
    text, expected = FAULTS[name]
    with pytest.raises(ConfigError) as caught:
        read_facts(write(tmp_path, name, text))
    lines = sorted(str(caught.value).splitlines())
    assert len(lines) == len(expected), lines
    for line, start in zip(lines, sorted(f"{name}:{one}" for one in expected), strict=True):
        assert line.startswith(start)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"comes as \.csv, .*not as '\.txt'"):
        read_facts(tmp_path / "m.txt")
    with pytest.raises(ConfigError, match=r"m\.csv: cannot be read"):
        read_facts(tmp_path / "m.csv")
    (tmp_path / "m.csv").write_bytes(b"path\n\xff")
    with pytest.raises(ConfigError, match="in UTF-8"):
        read_facts(tmp_path / "m.csv")


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("hr", ("hr",)),
        (" legal ;hr; hr", ("hr", "legal")),
        ("[hr, 'legal team']", ("hr", "legal team")),
        (["legal", " hr "], ("hr", "legal")),
        (("cn=a,dc=b",), ("cn=a,dc=b",)),
        ("*", ("*",)),
    ],
)
def test_readers_are_written_as_a_list_or_as_text(written: object, names: tuple[str, ...]) -> None:
    assert parse_readers(written) == names


@pytest.mark.parametrize("written", ["", " ; ", "[]", [], [""], (), "*; hr", ["*", "hr"], [5], 5, None, {"hr": 1}])
def test_readers_that_name_nobody_or_everybody_and_some_are_refused(written: object) -> None:
    with pytest.raises(ConfigError, match="`readers` is"):
        parse_readers(written)


@pytest.mark.parametrize("front", ["readers: [hr, legal]", "readers:\n  - legal\n  - hr", "readers: legal; hr"])
def test_front_matter_becomes_permissions(front: str, tmp_path: Path) -> None:
    document = read_document(write(tmp_path, "a.md", f"---\n{front}\nteam: x\n---\n\nSome words.\n"), tmp_path)
    assert document.readers == ("hr", "legal")
    assert document.metadata["team"] == "x"
    assert "readers" not in document.metadata


@pytest.mark.parametrize("front", ["readers:", "readers: []", "readers: ''", "readers: 5", "readers: {a: b}"])
def test_front_matter_that_names_nobody_hides_the_file_instead_of_showing_it(front: str, tmp_path: Path) -> None:
    path = write(tmp_path, "a.md", f"---\n{front}\n---\n\nSome words.\n")
    with pytest.raises(UnreadableDocumentError) as caught:
        read_document(path, tmp_path)
    assert caught.value.kind == "permissions"


def test_everybody_may_be_said_in_front_matter(tmp_path: Path) -> None:
    document = read_document(write(tmp_path, "a.md", "---\nreaders: '*'\n---\n\nSome words.\n"), tmp_path)
    assert document.readers is None
