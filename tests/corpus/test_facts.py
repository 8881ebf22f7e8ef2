"""What users say about documents: typed metadata, permissions that fail closed, faults with their lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.corpus import (
    FactRule,
    FactRules,
    apply_facts,
    check_matched,
    match_ids,
    parse_readers,
    read_document,
    read_facts,
)
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


OWN_KEYS = {
    "a.csv": "Path,READERS,team\na.md,hr,x\n",
    "b.csv": "path;team; Readers \na.md;x;hr\n",
    "a.jsonl": '{"PATH": "a.md", " Readers": ["hr"], "team": "x"}\n',
    "b.jsonl": '{"path": "a.md", "ｒｅａｄｅｒｓ": "hr", "team": "x"}\n',
    "a.yaml": "- Path: a.md\n  READERS: [hr]\n  team: x\n",
    "b.yaml": "- &guarded {path: b.md, Readers: [hr], team: x}\n- {<<: *guarded, path: a.md}\n",
}


@pytest.mark.parametrize("name", OWN_KEYS)
def test_readers_and_path_are_known_however_they_are_written(name: str, tmp_path: Path) -> None:
    rules = read_facts(write(tmp_path, name, OWN_KEYS[name]))
    assert dict(rules.rules[-1].facts) == {"team": "x"}
    assert apply_facts(make_document("a.md"), rules).readers == ("hr",)


NEAR_KEYS = ["reader", "Readres", "raeders", "readers_", "Readers (groups)", "allowed readers", "allowedReaders"]


@pytest.mark.parametrize("key", [*NEAR_KEYS, "read\u200bers", "r\u0435aders"])  # the last with a Cyrillic letter
@pytest.mark.parametrize("name", ["m.csv", "m.jsonl", "m.yaml"])
def test_a_key_that_nearly_says_readers_is_refused_instead_of_shown_to_everybody(
    key: str, name: str, tmp_path: Path
) -> None:
    rows = {
        "m.csv": f"path,{key}\na.md,hr\n",
        "m.jsonl": f'\n{{"path": "a.md", "{key}": ["hr"]}}\n',
        "m.yaml": f"\n- path: a.md\n  ? {key}\n  : [hr]\n",
    }
    with pytest.raises(ConfigError, match=rf"^{name}:2: `.*` reads like `readers`"):
        read_facts(write(tmp_path, name, rows[name]))


def test_no_single_slip_of_the_finger_makes_another_key_of_readers(tmp_path: Path) -> None:
    word = "readers"
    slips = {word[:n] + word[n + 1 :] for n in range(7)}
    slips |= {word[:n] + other + word[n + 1 :] for n in range(7) for other in "xq_1é"}
    slips |= {word[:n] + other + word[n:] for n in range(8) for other in "xq_1é"}
    slips |= {word[:n] + word[n + 1] + word[n] + word[n + 2 :] for n in range(6)}
    text = "".join(f'{{"path": "a.md", "{slip}": ["hr"]}}\n' for slip in sorted(slips))
    with pytest.raises(ConfigError, match=rf"\n\.\.\. and {len(slips) - 20} more$"):
        read_facts(write(tmp_path, "m.jsonl", text))


def test_keys_that_only_share_letters_with_readers_are_facts(tmp_path: Path) -> None:
    keys = ["years", "read", "ready", "readme", "orders", "address", "leader", "header", "proofreader"]
    rules = read_facts(write(tmp_path, "m.csv", f"path,{','.join(keys)}\na.md{',x' * len(keys)}\n")).rules
    assert dict(rules[0].facts) == dict.fromkeys(keys, "x")


DOUBLES = {
    "a.csv": ("path,readers,Readers\na.md,hr,*\n", "1: the header is"),
    "a.jsonl": ('\n{"path": "a.md", "readers": ["hr"], "readers": ["*"]}\n', "2: .*names `readers` twice"),
    "b.jsonl": ('{"path": "a.md", "readers": ["hr"], "READERS": ["*"]}\n', "1: `readers` and `READERS`"),
    "c.jsonl": ('{"path": "a.md", "Path": "b.md", "team": "x"}\n', "1: `path` and `Path`"),
    "d.jsonl": ('{"path": "a.md", "readers": null, "Readers": "*"}\n', "1: `readers` and `Readers`"),
    "a.yaml": ("- path: a.md\n  readers: [hr]\n  readers: ['*']\n", "1: is not YAML.*duplicate key"),
    "b.yaml": ("- team: y\n  path: b\n- path: a.md\n  readers: [hr]\n  Readers: '*'\n", "3: `readers` and `Readers`"),
}


@pytest.mark.parametrize("name", DOUBLES)
def test_no_key_is_said_twice(name: str, tmp_path: Path) -> None:
    text, fault = DOUBLES[name]
    with pytest.raises(ConfigError, match=f"^{name}:{fault}"):
        read_facts(write(tmp_path, name, text))


BROKEN = {
    "a.csv": ('"pa"th,team\na.md,x\n', "1: is not CSV"),
    "b.csv": ("path,team\na.md,x\n[z-a].txt,y\n", r"3: .*'\[z-a\]\.txt' is no pattern.*z-a"),
    "a.jsonl": ('\n{"path": "a.md", "year": ' + "9" * 5_000 + "}\n", "2: cannot be read.*5000 digits"),
    "b.jsonl": ('{"path": "[z-a].txt", "team": "x"}\n', "1: .* is no pattern"),
    "a.yaml": ("- {path: a.md, team: x}\n- {path: '[z-a].txt', team: x}\n", "2: .* is no pattern"),
    "b.yaml": ("- path: a.md\n  year: " + "9" * 5_000 + "\n", "1: is not YAML"),
    "c.yaml": ("- path: a.md\n  year: !!int\n", "1: is not YAML"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_no_library_can_read_is_a_fault_with_its_line(name: str, tmp_path: Path) -> None:
    text, fault = BROKEN[name]
    with pytest.raises(ConfigError, match=f"^{name}:{fault}"):
        read_facts(write(tmp_path, name, text))


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("a/b.md", ["a/b.md"]),
        ("./a/b.md", ["a/b.md"]),
        ("a/*", ["a/b.md", "a/x[1].md"]),
        ("*.md", ["top.md"]),
        ("**/*.md", ["top.md", "a/b.md", "a/c/d.md", "a/x[1].md"]),
        ("a/**", ["a/b.md", "a/c/d.md", "a/x[1].md"]),
        ("a/x[1].md", ["a/x[1].md"]),
        ("a[.-0]b.md", []),  # a range never crosses folders either
        ("a[^x]b.md", []),
        ("[a--b]*", None),
        ("[z-a]", None),
    ],
)
def test_a_pattern_picks_ids_as_a_rule_does(pattern: str, matched: list[str] | None) -> None:
    ids = ["top.md", "a/b.md", "a/c/d.md", "a/x[1].md"]
    if matched is None:
        with pytest.raises(ConfigError, match="is no pattern"):
            match_ids(pattern, ids)
    else:
        assert match_ids(pattern, ids) == matched
