"""A chat template rendered once in a process of its own, which has little memory, little time and may write no file.

Run by path (`python -I trial.py`), so it starts fast and needs Jinja alone; the gate itself takes only its environment.
It reads JSON from stdin, `{"template", "seconds", "bytes"}`, and writes one word: "fine", or what the template did.
The environment is the one Transformers makes (utils/chat_template_utils.py), as far as a template can tell.
"""

from __future__ import annotations

import json
import resource
import sys
from datetime import datetime

import jinja2
import jinja2.ext
import jinja2.nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_OUTPUT_CHARACTERS = 4 * 2**20
TOKENS = dict.fromkeys(("bos_token", "eos_token", "pad_token", "unk_token"), "<s>")
WORDS = "The quick brown fox jumps over the lazy dog. " * 20


class Generation(jinja2.ext.Extension):
    """`{% generation %}`, with which Transformers marks the model's words; here it shows its content, no more."""

    tags = {"generation"}  # noqa: RUF012  (Jinja reads a set of the class)

    def parse(self, parser: jinja2.parser.Parser) -> list[jinja2.nodes.Node]:
        """Return the block's content as it is."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def main() -> None:
    """Judge the template on stdin; an end without a word means that a limit was met."""
    asked = json.loads(sys.stdin.buffer.readline())
    for kind, most in (
        (resource.RLIMIT_AS, asked["bytes"]),
        (resource.RLIMIT_CPU, asked["seconds"]),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    sys.stdout.write(judge(asked["template"]))


def judge(source: str) -> str:
    """Render `source` over conversations of several lengths; a template may refuse one, but not run wild on it."""
    try:
        template = make_environment().from_string(source)
        for turns in conversations():
            try:
                n_characters = 0
                for piece in template.generate(
                    messages=turns, add_generation_prompt=True, tools=None, documents=None, **TOKENS
                ):
                    n_characters += len(piece)
                    if n_characters > MAX_OUTPUT_CHARACTERS:
                        return f"wrote more than {MAX_OUTPUT_CHARACTERS} characters for {len(turns)} messages"
            except SecurityError as error:
                return f"left its sandbox: {error}"
            except (jinja2.TemplateError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError):
                continue  # it refuses these roles, which is for who uses it to tell
    except SecurityError as error:
        return f"left its sandbox: {error}"
    except (RecursionError, MemoryError, OverflowError) as error:
        return f"ran out of bounds: {type(error).__name__}"
    except (jinja2.TemplateError, SyntaxError, ValueError, TypeError) as error:
        return f"cannot be compiled: {error}"
    return "fine"


def make_environment() -> ImmutableSandboxedEnvironment:
    """Return Jinja as Transformers sets it up for chat templates."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )

    def refuse(message: str) -> None:
        raise jinja2.TemplateError(message)

    environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = lambda layout: datetime(2024, 7, 26).strftime(layout)
    return environment


def conversations() -> list[list[dict[str, str]]]:
    """Return what a template may meet: short and long talks, with and without a system's words."""
    turn = [{"role": "user", "content": WORDS}, {"role": "assistant", "content": WORDS}]
    system = [{"role": "system", "content": WORDS}]
    return [[], turn[:1], system + turn[:1], system + turn, turn * 16 + turn[:1]]


if __name__ == "__main__":
    main()
