"""Secrets in a text: keys, tokens, passwords, private keys, each as a masked finding with its place.

The vendors' patterns are those of detect-secrets 1.5 (https://github.com/Yelp/detect-secrets), used as functions on
strings: its file scanner, its settings and its verification, which would send what it found to the vendor, are never
called. What it has no pattern for, or only inside quotes, stands here. Not personal data (`personal.py`).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import pairwise

_SHOWN = 2  # characters of a finding that a report may show


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that should not be trained on: `text[start:end]`, in characters, end exclusive. `masked` hides it."""

    kind: str
    start: int
    end: int
    masked: str


Find = Callable[[str], Iterator[tuple[int, int]]]  # a text → the spans in it


@dataclass(frozen=True, slots=True)
class Detector:
    """One kind of secret. It runs only on texts that hold one of its `hints` (lower case; none: on all)."""

    kind: str
    find: Find
    hints: tuple[str, ...]


# plugin module, class, our name, and what a lower-cased text must hold for it to be worth a look
_PLUGINS = (
    ("aws", "AWSKeyDetector", "aws_key", ("akia", "asia", "abia", "acca", "a3t", "aws")),
    ("artifactory", "ArtifactoryDetector", "artifactory_token", ("akc", "ap")),
    ("azure_storage_key", "AzureStorageKeyDetector", "azure_key", ("accountkey=",)),
    ("cloudant", "CloudantDetector", "cloudant_key", ("cl",)),
    ("discord", "DiscordBotTokenDetector", "discord_token", (".",)),
    ("github_token", "GitHubTokenDetector", "github_token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_")),
    ("gitlab_token", "GitLabTokenDetector", "gitlab_token", ("gl", "gr1348941")),
    ("ibm_cloud_iam", "IbmCloudIamDetector", "ibm_key", ("key", "pwd", "pass", "token")),
    ("ibm_cos_hmac", "IbmCosHmacDetector", "ibm_key", ("secret",)),
    ("jwt", "JwtTokenDetector", "jwt", ("eyj",)),
    ("mailchimp", "MailchimpDetector", "mailchimp_key", ("-us",)),
    ("npm", "NpmDetector", "npm_token", ("_authtoken",)),
    ("openai", "OpenAIDetector", "openai_key", ("sk-",)),
    ("pypi_token", "PypiTokenDetector", "pypi_token", ("pypi-",)),
    ("sendgrid", "SendGridDetector", "sendgrid_key", ("sg.",)),
    ("slack", "SlackDetector", "slack_token", ("xox", "hooks.slack")),
    ("softlayer", "SoftlayerDetector", "softlayer_key", ("sl", "softlayer")),
    ("square_oauth", "SquareOAuthDetector", "square_key", ("sq0csp-",)),
    ("stripe", "StripeDetector", "stripe_key", ("k_live_",)),
    ("telegram_token", "TelegramBotTokenDetector", "telegram_token", (":",)),
    ("twilio", "TwilioKeyDetector", "twilio_key", ("ac", "sk")),
)

_VENDORS = (  # younger than detect-secrets' patterns, or missing there
    ("anthropic_key", r"\bsk-ant-[A-Za-z0-9_-]{20,}", ("sk-ant-",)),
    ("openai_key", r"\bsk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{32,}", ("sk-",)),
    ("google_key", r"\bAIza[0-9A-Za-z_-]{35}", ("aiza",)),
    ("github_token", r"\bgithub_pat_[A-Za-z0-9_]{36,}", ("github_pat_",)),
    ("huggingface_token", r"\bhf_[A-Za-z0-9]{30,}", ("hf_",)),
    ("npm_token", r"\bnpm_[A-Za-z0-9]{36}", ("npm_",)),
    ("slack_token", r"\bxapp-\d-[A-Z0-9]+-\d+-[a-z0-9]{16,}|\bxox[a-z]-[A-Za-z0-9-]{16,}", ("xapp-", "xox")),
    ("stripe_key", r"\b(?:[rs]k_(?:live|test)|whsec)_[0-9a-zA-Z]{16,}", ("k_live_", "k_test_", "whsec_")),
    ("aws_key", r"(?i)aws[\w ]{0,24}(?:key|token)\W{1,6}([0-9a-zA-Z/+]{40})(?![0-9a-zA-Z/+])", ("aws",)),
)

_PRIVATE_KEY = re.compile(
    r"-{2,5} ?BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)? ?-{2,5}"
    r"(?:.*?-{2,5} ?END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)? ?-{2,5})?"
    r"|PuTTY-User-Key-File-\d",
    re.DOTALL,
)
_URL_LOGIN = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/@:'\"]*:([^\s/@'\"]+)@")
_HEADER = re.compile(r"(?i)\bauthorization['\"]?\s*[:=]\s*['\"]?(?:basic|bearer|token)\s+([\w.~+/=-]{8,})")

_NAMES = (
    r"passwor[dt]|passwd|passphrase|passcode|pwd|kennwort|contrase[nñ]a|mot de passe|(?:db|smtp|root|admin|user)_?pass"
    r"|(?:api|auth|access|account|client|db|database|priv|private|secret|service|signing|encryption)[_ -]?(?:key|token)"
    r"|(?:client|app|shared|consumer)[_ -]?secret|secret"
)
_ASSIGNED = re.compile(
    rf"""(?ix) (?:{_NAMES}) (?:s|\d|_\w{{1,20}})? ['"\]]{{0,2}} [ \t]{{0,3}}
    (?: (?P<sign> :=|=>|={{1,3}}) | (?P<said> :|\bis\b(?:\s(?:now|still|always|set\sto|currently))?|\bwas\b|\bto\b) )
    [ \t]{{0,3}} (?: (?P<quote>['"`]) (?P<quoted>[^'"`\n]{{4,80}}) (?P=quote) | (?P<bare>[^\s'"`]{{6,}}) )"""
)
_ASSIGNED_HINTS = ("pass", "pwd", "secret", "key", "token", "kennwort", "contrase")
_PLACEHOLDER = re.compile(
    r"(?i)^(?:<.*>?|\$(?:[{(].*|[A-Z_]+)|\{.*|%\w+%|(.)\1*|x+|your[_-].*|password|passwd|secret|changeme|none|null)$"
)
_PART_NUMBER = re.compile(r"[A-Z]{1,4}-?\d{1,6}[a-z]?")

_RUN = re.compile(r"(?<![\w+/=.@-])[A-Za-z0-9+/_-]{24,}={0,2}(?![\w@])")
_HEX = re.compile(r"[0-9a-f]{32,}|[0-9A-F]{32,}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DIGEST_WORD = re.compile(r"(?i)(?:sha-?\d*|md5|checksum|digest|fingerprint|hash|commit|revision|etag|blob)\W{0,3}$")
_LONG_WORD = re.compile(r"\S{20}")


def find_secrets(text: str) -> list[Finding]:
    """Return the secrets in `text`, in order of place; where two kinds claim the same characters the surer one stays.

    Nothing is sent anywhere. Digests named as such (`sha256:`, `commit`) and placeholders (`<password>`) are none.
    """
    lowered = text.lower()
    spans: list[tuple[str, int, int]] = []
    for detector in _detectors(long_words=_LONG_WORD.search(text) is not None):
        if not detector.hints or any(hint in lowered for hint in detector.hints):
            spans += [(detector.kind, start, end) for start, end in detector.find(text)]
    return without_overlaps(text, spans)


def without_overlaps(text: str, spans: Iterable[tuple[str, int, int]]) -> list[Finding]:
    """Return findings for `spans`, the surer kinds first, without those that touch one before them; in text order."""
    kept: list[tuple[str, int, int]] = []
    for kind, start, end in spans:
        if not any(start < other_end and other_start < end for _, other_start, other_end in kept):
            kept.append((kind, start, end))
    return [
        Finding(kind, start, end, mask(text[start:end])) for kind, start, end in sorted(kept, key=lambda span: span[1])
    ]


def mask(secret: str) -> str:
    """Return what a report may show: the first two characters and the length."""
    return f"{secret[:_SHOWN]}… ({len(secret)} characters)"


@cache
def _detectors(*, long_words: bool) -> tuple[Detector, ...]:
    """Return the detectors, the surest first. Without a word of 20 characters only these few can find anything."""
    short = (
        Detector("private_key", _matches(_PRIVATE_KEY), ("begin ", "putty-user-key")),
        Detector("basic_auth", _url_logins, ("://",)),
        Detector("auth_header", _matches(_HEADER, group=1), ("authorization",)),
        Detector("password", _assigned, _ASSIGNED_HINTS),
    )
    if not long_words:
        return short
    vendors = [Detector(kind, _matches(re.compile(pattern)), hints) for kind, pattern, hints in _VENDORS]
    library = [Detector(kind, _plugin(module, name), hints) for module, name, kind, hints in _PLUGINS]
    return (short[0], *library, *vendors, *short[1:], Detector("random_key", _random_runs, ()))


def _plugin(module: str, name: str) -> Find:
    """Return detect-secrets' pattern as spans. `analyze_string` only: `analyze_line` is what verifies."""
    analyze = getattr(import_module(f"detect_secrets.plugins.{module}"), name)().analyze_string

    def find(text: str) -> Iterator[tuple[int, int]]:
        for secret in {found.strip(' \t\n"=:') for found in analyze(text)}:
            for match in (
                re.finditer(re.escape(secret), text) if len(secret) > 7 else ()
            ):  # a group may be a bare prefix
                yield match.span()
            if len(secret) <= 7:
                yield from _words_with(text, secret)

    return find


def _words_with(text: str, prefix: str) -> Iterator[tuple[int, int]]:
    """Yield the long words that begin with `prefix`: some of the library's groups give `ghp` for the whole token."""
    if prefix:
        yield from (match.span() for match in re.finditer(rf"(?<!\w){re.escape(prefix)}[\w-]{{16,}}", text))


def _matches(pattern: re.Pattern[str], *, group: int | None = None) -> Find:
    """Return the spans of a pattern, of its only group where it has one."""
    chosen = pattern.groups if group is None else group
    return lambda text: (match.span(min(chosen, 1)) for match in pattern.finditer(text))


def _url_logins(text: str) -> Iterator[tuple[int, int]]:
    for match in _URL_LOGIN.finditer(text):
        if not _PLACEHOLDER.match(match[1]):
            yield match.span(1)


def _assigned(text: str) -> Iterator[tuple[int, int]]:
    """Yield the values of what is named like a secret: any word after `password=`, in prose only what looks made up."""
    for match in _ASSIGNED.finditer(text):
        group = "quoted" if match["quoted"] else "bare"
        value = match[group].rstrip(".,;:!?)]}>*") if group == "bare" else match[group]
        if len(value) < 4 or _PLACEHOLDER.match(value) or _PART_NUMBER.fullmatch(value) or "(" in value:
            continue
        if group == "quoted":
            wanted = " " not in value and (match["sign"] is not None or len(value) >= 6 or _looks_made_up(value))
            wanted = wanted or "phrase" in match[0].lower()
        else:
            wanted = len(value) >= 6 and (match["sign"] is not None or _looks_made_up(value))
        if wanted:
            start = match.start(group)
            yield start, start + len(value)


def _looks_made_up(word: str) -> bool:
    """Whether a word mixes letters with digits or signs as passwords do and prose does not."""
    inner = word.strip("-–./'*_")
    letters, digits = sum(char.isalpha() for char in inner), sum(char.isdigit() for char in inner)
    signs = sum(not char.isalnum() and char not in "-–./',:" for char in inner)
    return (letters > 0 and digits + signs > 0 and not re.fullmatch(r"\d+(?:[A-Za-z]{0,3}|(?:-[a-z]+)+)", inner)) or (
        digits >= 4 and signs > 0
    )


def _random_runs(text: str) -> Iterator[tuple[int, int]]:
    """Yield long words that no one would write: hexadecimal keys, base64, alphanumeric tokens."""
    for match in _RUN.finditer(text):
        word = match[0]
        if _DIGEST_WORD.search(text, max(0, match.start() - 24), match.start()):
            continue
        if _is_random_hex(word) if _HEX.fullmatch(word) else _is_random(word):
            yield match.span()


def _is_random_hex(word: str) -> bool:
    return (
        not word.isdigit() and not word.isalpha() and entropy(word) > 2.7
    )  # of at most 4; 32 random digits: about 3.5


def _is_random(word: str) -> bool:
    """Whether neighbours change their class (lower, upper, digit) as often as in random text, and repeat as rarely.

    In random base64 .62 of the neighbours differ, in one case with digits .4; in `camelCaseNames`, `snake_case_names`,
    paths and long-compound-words .1 to .3.
    """
    body = word.rstrip("=")
    n_digits = sum(char.isdigit() for char in body)
    if _UUID.fullmatch(word) or n_digits > 0.8 * len(body) or entropy(body) < 0.78 * math.log2(len(body)):
        return False  # a UUID names things; long numbers are judged by their check digits in personal.py
    neighbours = [(a, b) for a, b in pairwise(body) if a.isalnum() and b.isalnum()]
    changes = sum(_class(a) != _class(b) for a, b in neighbours) / max(1, len(neighbours))
    mixed = any(char.islower() for char in body) and any(char.isupper() for char in body)
    return changes >= 0.36 if mixed else changes >= 0.1 and n_digits >= 2 and body.isalnum()


def _class(char: str) -> int:
    return 0 if char.islower() else 1 if char.isupper() else 2


def entropy(word: str) -> float:
    """Return Shannon's entropy of the word's characters, in bits a character."""
    n = len(word)
    return -sum(count / n * math.log2(count / n) for count in Counter(word).values())
