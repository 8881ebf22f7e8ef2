"""Planted secrets and personal data: seeded, in sentences of many forms. Every value is made up here."""

import base64
import json
import random
import string
from collections.abc import Callable, Iterator
from datetime import date
from typing import NamedTuple

ALNUM = string.ascii_letters + string.digits
LOWER = string.ascii_lowercase + string.digits
UPPER = string.ascii_uppercase + string.digits
URL_SAFE = ALNUM + "-_"
WORDS = ("copper", "maple", "harbour", "signal", "lantern", "meadow", "orchid", "falcon", "granite", "velvet", "saddle")
HOSTS = ("mail.orrinmouth.net", "brissel-shop.de", "intern.kaldry.co.uk", "sub.tarn.io", "fellowmere.org", "post.fr")

SENTENCES = (
    "{}",
    "Use {} for the upload.",
    "Support wrote: {} and nothing else.",
    "Where do I find {}, please?",
    "The old one was revoked, the new one is {}.",
    "# settings\nregion: north\nvalue: {}\n",
    '{{"name": "export", "value": "{}"}}',
    "(see {})",
    "Ticket 4711: customer sent {}; please file it.",
    "Nach dem Umzug gilt {} für alle Geräte.",
    "Q: what did Oswin note?\nA: {}\n",
    "curl -s https://api.brissel.test/v2/items -H 'X-Note: {}'",
)
NAMED = ("password", "passwd", "db_password", "PWD", "api_key", "API key", "client_secret", "auth_token", "passphrase")
PROSE = ("The {} is {}.", "Your {} is now {} until Friday.", "{}: {}", "Our {} was {} before the move.")
ASSIGNED = ("{}={}", "{} = '{}'", '{}: "{}"', "export {}={}", '"{}": "{}"', "{} := {}", "--{}={}", "{} => '{}'")


class Planted(NamedTuple):
    kind: str
    text: str
    value: str  # what must lie inside, or hold, the finding


def _draw(rng: random.Random, alphabet: str, n: int) -> str:
    return "".join(rng.choices(alphabet, k=n))


def _jwt(rng: random.Random) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    head = part({"alg": "HS256", "typ": "JWT"})
    return f"{head}.{part({'sub': str(rng.randint(1, 10**9)), 'name': rng.choice(WORDS)})}.{_draw(rng, URL_SAFE, 43)}"


def _private_key(rng: random.Random) -> str:
    name = rng.choice(
        ("RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY")
    )
    body = "\n".join(base64.b64encode(rng.randbytes(48)).decode() for _ in range(3))
    return f"-----BEGIN {name}-----\n{body}\n-----END {name}-----"


def _password(rng: random.Random) -> str:
    word = rng.choice(WORDS)
    return rng.choice(
        (
            f"{word.title()}{rng.randint(10, 9999)}!",
            f"{word[:4]}&{rng.randint(10, 99)}{rng.choice(WORDS)[:4].upper()}",
            _draw(rng, ALNUM + "!$%&*#", 10) + "7q",
            f"{word}-{rng.choice(WORDS)}-{rng.randint(10, 99)}",
            f"{word[0].upper()}{word[1:]}_{rng.randint(1950, 2026)}",
        )
    )


def _iban(rng: random.Random) -> str:
    country, bank = rng.choice((("DE", 18), ("GB", 0), ("FR", 23), ("NL", 0), ("ES", 20), ("AT", 16), ("CH", 17)))
    body = _draw(rng, string.digits, bank)
    if country == "GB":
        body = _draw(rng, string.ascii_uppercase, 4) + _draw(rng, string.digits, 14)
    if country == "NL":
        body = _draw(rng, string.ascii_uppercase, 4) + _draw(rng, string.digits, 10)
    number = int("".join(str(int(char, 36)) for char in f"{body}{country}00"))
    plain = f"{country}{98 - number % 97:02}{body}"
    return plain if rng.random() < 0.5 else " ".join(plain[at : at + 4] for at in range(0, len(plain), 4))


def _card(rng: random.Random) -> str:
    prefix, n = rng.choice((("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("34", 15), ("37", 15), ("6011", 16)))
    body = prefix + _draw(rng, string.digits, n - len(prefix) - 1)
    total = sum(sum(divmod(int(d) * 2, 10)) if i % 2 == 0 else int(d) for i, d in enumerate(reversed(body)))
    digits = body + str(-total % 10)
    separator = rng.choice(("", " ", "-"))
    return separator.join(digits[at : at + 4] for at in range(0, n, 4)) if n == 16 else digits


def _phone(rng: random.Random) -> str:
    def digit() -> str:
        return str(rng.randint(2, 9))

    def digits(n: int) -> str:
        return _draw(rng, string.digits, n)

    three = digit() + digits(2)
    return rng.choice(
        (
            f"+1 ({three}) {digit()}{digits(2)}-{digits(4)}",
            f"({three}) {digit()}{digits(2)}-{digits(4)}",
            f"{three}-{digit()}{digits(2)}-{digits(4)}",
            f"{three}.{digit()}{digits(2)}.{digits(4)}",
            f"+49 {digit()}{digits(2)} {digits(7)}",
            f"+44 20 {digits(4)} {digits(4)}",
            f"+44{digit()}{digits(9)}",
            f"0049 {digit()}{digits(2)} {digits(3)} {digits(4)}",
            f"+33 {digit()} {digits(2)} {digits(2)} {digits(2)} {digits(2)}",
            f"call 0{digit()}{digits(2)} {digits(3)} {digits(4)}",
            f"Tel. 0{digit()}{digits(2)}/{digits(6)}",
            f"mobile: 07{digits(3)} {digits(6)}",
        )
    )


def _birth_date(rng: random.Random) -> str:
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1930, 2015)
    name = date(2000, month, 1).strftime("%B")
    written = rng.choice(
        (f"{year}-{month:02}-{day:02}", f"{day:02}.{month:02}.{year}", f"{month}/{day}/{year}", f"{day} {name} {year}",
         f"{name} {day}, {year}", f"{day}th of {name} {year}")
    )  # fmt: skip
    return rng.choice(("born on {}", "date of birth: {}", "DOB {}", "her birthday is {}", "geboren am {}")).format(
        written
    )


def _address(rng: random.Random) -> str:
    n, word = rng.randint(1, 240), rng.choice(WORDS).title()
    street = rng.choice(("Street", "Road", "Lane", "Avenue", "St", "Close"))
    return rng.choice(
        (
            f"{n} {word} {street}, Springfield, IL {rng.randint(10000, 99999)}",
            f"{n} {word} {street}, London SW1A {rng.randint(1, 9)}AA",
            f"{word}straße {n}, {rng.randint(10000, 99999)} Berlin",
            f"{word}weg {n}\n{rng.randint(10000, 99999)} Hamburg",
            f"lives at {n} {word} {street}",
            f"home address: {n} {word} {street}",
            f"{n} rue de {word}, {rng.randint(10000, 99999)} Lyon",
        )
    )


def _ip(rng: random.Random) -> str:
    if rng.random() < 0.25:
        return "2001:db8:" + ":".join(f"{rng.randint(4096, 65535):x}" for _ in range(6))
    return f"{rng.choice((10, 84, 172, 192, 203))}.{rng.randint(0, 254)}.{rng.randint(0, 254)}.{rng.randint(1, 254)}"


def _email(rng: random.Random) -> str:
    a, b = rng.sample(WORDS, 2)
    local = rng.choice((f"{a}.{b}", f"{a}{rng.randint(1, 99)}", f"{a[0]}.{b}+news", f"{a}_{b}", a.title(), "o'" + b))
    return f"{local}@{rng.choice(HOSTS)}"


SECRETS: dict[str, Callable[[random.Random], str]] = {
    "aws_key": lambda r: r.choice(("AKIA", "ASIA")) + _draw(r, UPPER, 16),
    "github_token": lambda r: r.choice(
        (r.choice(("ghp_", "gho_", "ghs_")) + _draw(r, ALNUM, 36), "github_pat_" + _draw(r, ALNUM, 60))
    ),
    "gitlab_token": lambda r: "glpat-" + _draw(r, ALNUM, 20),
    "slack_token": lambda r: r.choice(
        (
            f"xoxb-{r.randint(10**10, 10**11)}-{r.randint(10**11, 10**12)}-{_draw(r, ALNUM, 24)}",
            f"https://hooks.slack.com/services/T{_draw(r, UPPER, 8)}/B{_draw(r, UPPER, 8)}/{_draw(r, ALNUM, 24)}",
        )
    ),
    "stripe_key": lambda r: r.choice(("sk_live_", "rk_live_", "sk_test_")) + _draw(r, ALNUM, 24),
    "jwt": _jwt,
    "private_key": _private_key,
    "basic_auth": lambda r: (
        f"{r.choice(('https', 'postgres', 'amqp', 'redis', 'ftp'))}://{r.choice(WORDS)}:"
        f"{_draw(r, ALNUM + '!$&*', 12)}9z@{r.choice(HOSTS)}{r.choice(('', '/db', ':5432/main'))}"
    ),
    "random_key": lambda r: r.choice(
        (
            r.randbytes(r.randint(16, 32)).hex(),
            base64.b64encode(r.randbytes(r.randint(20, 64))).decode(),
            base64.urlsafe_b64encode(r.randbytes(r.randint(24, 48))).decode(),
            _draw(r, LOWER, r.randint(28, 40)),
        )
    ),
    "openai_key": lambda r: "sk-proj-" + _draw(r, ALNUM, 48),
    "google_key": lambda r: "AIza" + _draw(r, URL_SAFE, 35),
    "huggingface_token": lambda r: "hf_" + _draw(r, ALNUM, 34),
    "sendgrid_key": lambda r: f"SG.{_draw(r, URL_SAFE, 22)}.{_draw(r, URL_SAFE, 43)}",
    "auth_header": lambda r: f"Authorization: {r.choice(('Basic', 'Bearer'))} {_draw(r, ALNUM, r.randint(12, 40))}",
}
PERSONAL: dict[str, Callable[[random.Random], str]] = {
    "email": _email,
    "phone": _phone,
    "iban": _iban,
    "credit_card": _card,
    "us_ssn": lambda r: f"{r.randint(1, 665):03}-{r.randint(1, 99):02}-{r.randint(1, 9999):04}",
    "ip_address": _ip,
    "birth_date": _birth_date,
    "postal_address": _address,
}


def plant(n: int, *, seed: int) -> Iterator[Planted]:
    """Yield `n` planted texts of every kind, each kind in every sentence in turn."""
    rng = random.Random(seed)
    for kind, make in {**SECRETS, **PERSONAL}.items():
        for number in range(n):
            value = make(rng)
            yield Planted(kind, SENTENCES[number % len(SENTENCES)].format(value), value)
    for number in range(n):
        name, value = NAMED[number % len(NAMED)], _password(rng)
        form = (PROSE if number % 3 == 0 and name.islower() else ASSIGNED)[
            number % 4 if number % 3 == 0 else number % 8
        ]
        yield Planted("password", form.format(name, value), value)
