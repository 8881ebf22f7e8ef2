"""A chat template is a program in a stranger's hand: read as a tree, then tried out where it can do no harm.

The tree is refused for what no template needs: private attributes, imports, huge powers, products and ranges. Then a
child renders it under limits of time and memory (`trial.py`). Both happen before any library compiles it. What is left:
a template that behaves for the trial's conversations and wastes time over others; it can do no more than that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from jinja2 import TemplateError, nodes

from workbench.errors import ModelIntegrityError
from workbench.intake import trial
from workbench.intake.children import run_trial

MAX_TEMPLATE_BYTES = 128 * 2**10
MAX_NUMBER = 10_000  # in a product or a range
MAX_LOOPS = 4  # inside each other
TRIAL_CPU_SECONDS = 3
TRIAL_BYTES = 512 * 2**20  # of address space
PRIVATE = re.compile(r"__\w+|\b(mro|func_globals|gi_frame|cr_frame|tb_frame)\b")
REFUSED_NODES = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
REFUSED_NAMES = frozenset({"lipsum", "self", "cycler", "joiner", "environment", "eval", "exec", "open"})


def vet_template_file(path: Path) -> None:
    """Judge a .jinja file. Raises ModelIntegrityError."""
    size = path.stat().st_size
    if size > MAX_TEMPLATE_BYTES:
        raise _refuse(path, f"has {size} bytes, at most {MAX_TEMPLATE_BYTES} are read")
    try:
        vet_template(path, path.read_bytes().decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _refuse(path, f"is no text: {error}") from error


def vet_template(path: Path, template: str) -> None:
    """Judge a chat template that stands in `path`.

    Raises:
        ModelIntegrityError: it is too long, reaches for what no template needs, or ran out of time or memory.
    """
    size = len(template.encode())
    if size > MAX_TEMPLATE_BYTES:
        raise _refuse(path, f"has {size} bytes, at most {MAX_TEMPLATE_BYTES} are read")
    if fault := find_template_fault(template):
        raise _refuse(path, fault)


@lru_cache(maxsize=256)  # the same few templates are judged at every command's every opening of a model
def find_template_fault(template: str) -> str:
    """Return why a template is not let in; "": it is."""
    try:
        tree = trial.make_environment().parse(template)
        return _read_tree(tree) or _try_out(template)
    except TemplateError as error:
        return f"is no Jinja: {' '.join(str(error).split())[:200]}"
    except (RecursionError, MemoryError, ValueError) as error:
        return f"cannot be parsed: {type(error).__name__}"


def _read_tree(tree: nodes.Template) -> str:
    return next(_faults(tree, 0), "")


def _faults(root: nodes.Node, depth: int) -> Iterator[str]:
    rest: list[tuple[nodes.Node, int]] = [(root, depth)]
    while rest:
        node, n_loops = rest.pop()
        if fault := _fault(node):
            yield f"line {node.lineno}: {fault}"
        n_loops += isinstance(node, nodes.For)
        if n_loops > MAX_LOOPS:
            yield f"line {node.lineno}: more than {MAX_LOOPS} loops inside each other"
        rest += [(child, n_loops) for child in node.iter_child_nodes()]


def _fault(node: nodes.Node) -> str:
    match node:
        case nodes.Getattr(attr=name) if name.startswith("_") or PRIVATE.search(name):
            return f"reads the private attribute {name!r}"
        case nodes.Const(value=str() as text) if PRIVATE.search(text) and not text.strip().startswith("<"):
            return f"names {text[:60]!r}, a private attribute"
        case nodes.Name(name=name) if name in REFUSED_NAMES or name.startswith("__"):
            return f"uses {name!r}, which no chat template needs"
        case nodes.Filter(name="attr"):
            return "uses the filter attr, which reads attributes by computed names"
    return "reads other templates" if isinstance(node, REFUSED_NODES) else _excess(node)


def _excess(node: nodes.Node) -> str:
    match node:
        case nodes.Pow():
            return "computes a power"
        case nodes.Mul(left=left, right=right) if _is_large(left) or _is_large(right):
            return f"multiplies by more than {MAX_NUMBER}"
        case nodes.Call(node=nodes.Name(name="range"), args=arguments) if any(map(_is_large, arguments)):
            return f"counts to more than {MAX_NUMBER}"
    return ""


def _is_large(node: nodes.Node) -> bool:
    """Whether an operand is a large number, or a product again: (10 * 10) * 10 could be any."""
    constant = isinstance(node, nodes.Const) and isinstance(node.value, (int, float)) and abs(node.value) > MAX_NUMBER
    return constant or isinstance(node, nodes.Mul)


def _try_out(template: str) -> str:
    """Render the template in a child; the child's word, or which limit ended it."""
    return run_trial(trial.__file__, {"template": template}, seconds=TRIAL_CPU_SECONDS, memory=TRIAL_BYTES)


def _refuse(path: Path, fault: str) -> ModelIntegrityError:
    return ModelIntegrityError(f"{path}: its chat template {fault}; it is a program and was not let in")
