"""Personal data in a text: e-mail, phone, IBAN, card, US social security number, IP, birth date, postal address.

What has a check digit is checked (IBAN: ISO 7064 mod 97-10; cards: Luhn, ISO/IEC 7812); the rest needs a shape or a
word beside it that says what it is. Names of people are not looked for: a corpus is full of them, and no pattern tells
a customer from an author. Not secrets (`detectors.py`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from workbench.audit.detectors import Finding, without_overlaps

_EMAIL = re.compile(
    r"(?<![\w.+%-])[A-Za-z0-9](?:[\w.+%'-]{0,62}[\w+-])?@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}\b"
)

# Length of an IBAN by country: the SWIFT registry, release 99.
_IBAN_COUNTRIES = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 "
    "ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 "
    "LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 "
    "PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 "
    "YE30"
)
_IBAN_LENGTHS = {code[:2]: int(code[2:]) for code in _IBAN_COUNTRIES.split()}
_IBAN = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(_IBAN_LENGTHS)})\d\d(?:[ \-]?[A-Za-z0-9]){{11,29}}")
_CARD = re.compile(r"(?<![\d.,/-])(?:\d[ -]?){12,18}\d(?![\d/]|[.,-]\d)")
_CARD_ISSUER = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[68]\d)\d{11}|(?:6011|65\d\d|64[4-9]\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}"
)
_SSN = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w-])")
_SSN_WORD = re.compile(
    r"(?i)(?:\bssn\b|social security)[^\d\n]{0,30}((?!000|666|9)\d{3}[ .]?(?!00)\d\d[ .]?(?!0000)\d{4})(?!\d)"
)

_PHONE_INTERNATIONAL = re.compile(
    r"(?<![\w+])(?:\+|00[ .-]?(?=[1-9]))[ ]?\d{1,4}(?:[ .\-/\u00a0\u2011]{0,2}\(?\d{1,5}\)?){1,7}(?![\w%])"
)
_PHONE_AMERICAN = re.compile(
    r"(?<![\w.,/+-])(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d([-. ]))[2-9]\d\d[-. ]\d{4}(?![\w-]|\.\d)"
)
_PHONE_WORD = re.compile(
    r"(?i)(?:\b(?:tele?)?phone|\btel\b|\bmobile|\bcell|\bfax|\bcall(?:ed|ing)?\b|\bring\b|\bdial\w*|\bwhats ?app"
    r"|\bhotline|\bhandy\b|\btelefon\w*|\btéléphone|\bteléfono|\bsms\b|\b(?:text|reach) (?:me|us|him|her|them)\b"
    r"|\b(?:my|his|her|your|our|their|direct|contact|office|home) number)"
    r"[^\d\n+(]{0,30}(\(?\d[\d() .\-/\u00a0]{4,22}\d)(?![\w%-])"
)
_NO_PHONE = re.compile(
    r" \.\d|\d{4}[-/.]\d\d?[-/.]\d\d?|\d\d?[-/.]\d\d?[-/.](?:19|20)\d\d|(?:19|20)\d\d ?- ?(?:19|20)\d\d"
)

_MONTH = (
    r"(?:jan(?:uary|uar|vier|\.)?|feb(?:ruary|ruar|\.)?|février|mar(?:ch|s|\.)?|märz|apr(?:il|\.)?|avril|ma[yi]"
    r"|june?|juni|juin|july?|juli|juillet|aug(?:ust|\.)?|août|sep(?:t(?:ember|embre)?|\.)?|o[ck]t(?:ober|obre|\.)?"
    r"|nov(?:ember|embre|\.)?|de[cz](?:ember|\.)?|décembre)"
)
_DATE = (
    rf"(?:\d{{1,2}}[./-]\d{{1,2}}[./-](?:\d{{4}}|\d\d)|\d{{4}}[./-]\d{{1,2}}[./-]\d{{1,2}}"
    rf"|\d{{1,2}}(?:st|nd|rd|th|er|\.)?(?: of)? {_MONTH},? \d{{4}}|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}})"
)
_BIRTH = re.compile(
    rf"(?i)(?:\bborn\b|birth ?da(?:te|y)|date of birth|\bd\.?o\.?b\b\.?|\bbirth\b|geboren|geburts\w+|\bnée?\b|naissance"
    rf"|nacimiento|\bnacid[oa]\b|\bnat[oa] il\b)[^\n\d]{{0,30}}?\b({_DATE})(?!\d)"
)
_BIRTH_HINTS = ("born", "birth", "d.o.b", "dob", "gebor", "geburt", "né", "naissance", "naci", "nato il", "nata il")

_IPV4 = re.compile(r"(?<![\w.+-])(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}(?![\w-]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{1,4}(?![\w:])")
_NOT_AN_ADDRESS = re.compile(
    r"(?i)(?:\bv(?:er(?:sion|\.)?)?|release|firmware|build|section|chapter|clause|§|table|figure|step)[ .:]{0,2}$"
    r"|[=<>~]=?\s?$|^\s*$"
)

_STREET = (
    r"(?:street|st\.?|road|rd\.?|avenue|ave\.?|lane|ln\.?|drive|dr\.?|boulevard|blvd\.?|court|ct\.?|square|terrace"
    r"|close|crescent|way|place|pl\.?|parkway|row|gardens|mews)"
)
_STREET_AFTER_NUMBER = (
    rf"\d{{1,5}}[A-Za-z]?,? (?:[A-Z][\w'’.-]+ ){{1,3}}(?i:{_STREET})\b\.?"
    r"|\d{1,4}(?: bis)?,? (?:rue|avenue|boulevard|place|chemin|quai|via|calle|rua) [\w'’ -]{3,40}?"
)
_STREET_BEFORE_NUMBER = (
    r"[A-ZÄÖÜ][\w-]*(?:stra(?:ß|ss)e|str\.|weg|gasse|platz|allee|ufer|damm|straat|laan|gade|vej|gatan)"
    r" \d{1,4} ?[a-z]?\b"
)
_POSTCODE = (
    r"(?:[A-Z]{2} \d{5}(?:-\d{4})?|\b\d{5}(?:-\d{4})? [A-ZÄÖÜÉ][\w'’-]+|\b[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}\b"
    r"|\b\d{4} ?[A-Z]{2} [A-Z]\w+|\b(?:[A-Z]{1,2}-)?\d{4,5} [A-ZÄÖÜÉ][\w'’-]+|\b[A-Z]\d[A-Z] \d[A-Z]\d\b)"
)
_ADDRESS = re.compile(
    rf"(?:{_STREET_AFTER_NUMBER}|{_STREET_BEFORE_NUMBER})[,\n]? ?(?:[A-Z][\w.'’ -]{{1,40}}[,\n] ?){{0,2}}"
    rf"(?:[A-Z][\w.'’-]+ ){{0,3}}{_POSTCODE}"
)
_RESIDENCE = re.compile(
    r"(?:(?i:\blives? (?:at|in)|\bliving at|\breside[sd]? at|\bresident of|\bhome address|\bpostal address|\baddress"
    r"|\bmoved to|\bwohnhaft|\bwohnt|\badresse)\W{1,3}(?:(?i:is|was|at|in|the|der|:)\W{1,2}){0,2})"
    rf"({_STREET_AFTER_NUMBER}(?=\W|$)|{_STREET_BEFORE_NUMBER})"
)
_RESIDENCE_HINTS = ("live", "living", "resid", "address", "moved", "wohn", "adresse")
_SEPARATORS = re.compile(r"[^A-Za-z0-9]")


def find_personal_data(text: str) -> list[Finding]:
    """Return the personal data in `text`, in order of place; what has a check digit goes before what has a shape only.

    Loopback, unspecified and multicast addresses are none, and no version or section numbers. A year of birth alone is
    none. A company's address looks like a person's: it is found too.
    """
    spans = [("email", *match.span()) for match in _EMAIL.finditer(text)] if "@" in text else []
    if any(char.isdigit() for char in text):
        spans += _numbers(text)
    return without_overlaps(text, spans)


def _numbers(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield what has digits in it. Patterns that begin with a word run only where that word stands."""
    lowered = text.lower()

    def holds(words: tuple[str, ...]) -> bool:
        return any(word in lowered for word in words)

    for match in _IBAN.finditer(text):
        if end := _iban_end(match[0]):
            yield "iban", match.start(), match.start() + end
    for match in _CARD.finditer(text):
        if _is_card(_SEPARATORS.sub("", match[0])):
            yield "credit_card", *match.span()
    yield from (("us_ssn", *match.span()) for match in _SSN.finditer(text))
    if holds(("ssn", "social security")):
        yield from (("us_ssn", *match.span(1)) for match in _SSN_WORD.finditer(text))
    if holds(_BIRTH_HINTS):
        yield from (("birth_date", *match.span(1)) for match in _BIRTH.finditer(text))
    for pattern, sign in ((_IPV4, "."), (_IPV6, ":")):
        for match in pattern.finditer(text) if lowered.count(sign) > 1 else ():
            if _is_address(text, match):
                yield "ip_address", *match.span()
    yield from (("postal_address", *match.span()) for match in _ADDRESS.finditer(text))
    if holds(_RESIDENCE_HINTS):
        yield from (("postal_address", *match.span(1)) for match in _RESIDENCE.finditer(text))
    yield from (("phone", start, end) for start, end in _phones(text))


def _iban_end(candidate: str) -> int | None:
    """Return where the IBAN at the start of `candidate` ends, or None. Its country says how long it is."""
    wanted, places = _IBAN_LENGTHS[candidate[:2]], [i for i, char in enumerate(candidate) if char.isalnum()]
    if len(places) < wanted:
        return None
    number = "".join(candidate[place] for place in places[:wanted]).upper()
    value = int("".join(str(int(char, 36)) for char in number[4:] + number[:4]))
    return places[wanted - 1] + 1 if value % 97 == 1 else None


def _is_card(digits: str) -> bool:
    """Whether an issuer uses this prefix and length and the last digit is Luhn's."""
    if not _CARD_ISSUER.fullmatch(digits) or len(set(digits)) < 2:
        return False
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _is_address(text: str, match: re.Match[str]) -> bool:
    before = text[max(0, match.start() - 12) : match.start()].rpartition("\n")[2]
    try:
        address = ipaddress.ip_address(match[0])
    except ValueError:
        return False
    if address.version == 6 and sum(map(bool, match[0].split(":"))) < 3:
        return False  # `[::2]` is a slice, `1::2` a ratio
    if address.is_loopback or address.is_unspecified or address.is_multicast or match[0].startswith("255."):
        return False
    small = address.version == 4 and all(int(part) < 30 for part in match[0].split("."))
    return not (_NOT_AN_ADDRESS.search(before) and (small or before.strip()))


def _phones(text: str) -> Iterator[tuple[int, int]]:
    if "+" in text or "00" in text:
        for match in _PHONE_INTERNATIONAL.finditer(text):
            if 8 <= sum(char.isdigit() for char in match[0]) <= 17 and not _is_spaced_number(match[0]):
                yield match.span()
    yield from (match.span() for match in _PHONE_AMERICAN.finditer(text))
    for match in _PHONE_WORD.finditer(text):
        n_digits = sum(char.isdigit() for char in match[1])
        if 6 <= n_digits <= 15 and not _NO_PHONE.search(match[1]):
            yield match.span(1)


def _is_spaced_number(number: str) -> bool:
    """Whether `00 …` is no dialling prefix: `00` begins a phone number only where 9 digits or more follow."""
    return not number.startswith("+") and sum(char.isdigit() for char in number) < 11
