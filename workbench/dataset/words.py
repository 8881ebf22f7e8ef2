"""English words that carry grammar rather than meaning, and the inflections that questions need. No parser, no model.

Wrong now and then, which costs one odd question: the retriever round trip and a reader's eye are behind it.
"""

from __future__ import annotations

import re


def word_set(text: str) -> frozenset[str]:
    """Return the words of `text`."""
    return frozenset(text.split())


DETERMINERS = word_set("a an the its their your our his her this that these those each every any no some one")
PREPOSITIONS = word_set(
    "about above across after against along among around at before behind below beneath beside between "
    "beyond by during except for from in inside into like near of off on onto out outside over past per "
    "since through to toward towards under until up upon via with within without than as"
)
AUXILIARIES = word_set(
    "is are was were be been has have had can could may might must shall should will would does do did"
)
OTHERS = word_set(
    "and or but nor so yet if when while where which who whom whose what that than then though although "
    "because unless whether not never also only just even still too very it they he she we you i them him "
    "us me there here how why again already always often once twice now well much many more most less "
    "least few all both another such same own else either neither however therefore thus hence meanwhile "
    "otherwise instead"
)
FUNCTION_WORDS = DETERMINERS | PREPOSITIONS | AUXILIARIES | OTHERS
PRONOUNS = word_set("it they he she this these that those we you")
NUMBER_WORDS = word_set(
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand"
)
SINGULAR_UNITS = word_set(
    "percent bar kilohertz megahertz hertz ph dc ac lumen degree am pm gigabyte micrometre millimetre metre"
)
# Verbs that often open an instruction. A sentence that begins with one tells the reader what to do.
IMPERATIVES = word_set(
    "centre add allow apply ask attach avoid book bring build buy call change charge check choose clean close "
    "connect convert count cut delete dial dip disconnect do download draw dry empty enter expect feed "
    "fill find fit fix flush follow give go grease hang hold immerse insert install keep leave let lift "
    "look loosen lower make mark measure mount move note open order pack place plug pour prepare press "
    "pull pump push put raise read record reduce register release remove renew repeat replace report "
    "reset return rinse run scrape screw seal select send set shake sign slope soak stand start stay stop "
    "store straighten swap switch take tap tell thin tighten tilt touch transfer try turn type unplug "
    "update use wait walk warm wash watch wear weigh wipe write"
)
_IRREGULAR = {"has": "have", "does": "do", "goes": "go", "is": "be"}
_NOT_VERBS = word_set("this its us plus minus always perhaps besides sometimes series less gas bus lens")


def base_form(verb: str) -> str | None:
    """Return the base of a verb in the third person singular ("weighs" → "weigh"); None: it cannot be one."""
    if verb in _IRREGULAR:
        return _IRREGULAR[verb]
    if verb in _NOT_VERBS or not re.fullmatch(r"[a-z]{2,}s", verb) or verb.endswith(("ss", "us", "is")):
        return None
    if verb.endswith("ies") and len(verb) > 4:
        return f"{verb[:-3]}y"
    return verb[:-2] if verb.endswith(("ches", "shes", "sses", "xes", "zes")) else verb[:-1]


def content_words(text: str) -> list[str]:
    """Return the words of `text` that carry meaning, in order, as written."""
    return [word for word in re.findall(r"[\w.,'-]*\w", text) if word.lower() not in FUNCTION_WORDS]


def lower_first(text: str, names: frozenset[str] | None = None) -> str:
    """Return `text` with a small first letter where its first word is an ordinary one.

    Args:
        names: words that keep their capital; None: only words of grammar and of instruction lose theirs.
    """
    first = re.match(r"[A-Z][a-z]*(?=[\s,-](?![A-Z])|$)", text)
    if first is None or first[0] == "I":
        return text
    word = first[0].lower()
    plain = word in FUNCTION_WORDS | IMPERATIVES if names is None else first[0] not in names
    return word + text[len(word) :] if plain else text


def upper_first(text: str) -> str:
    """Return `text` with a capital first letter."""
    return text[:1].upper() + text[1:]


def one_line(text: str) -> str:
    """Return `text` with every run of blanks as one space."""
    return " ".join(text.split())
