"""The model card of an adapter: README.md for people, and beside it what a machine needs to use the adapter elsewhere.

Numbers come from gates.json and the passport in the folder, so that the card cannot say anything else than they do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workbench.config import dump_config
from workbench.config.base import Knobs
from workbench.gates.losses import END
from workbench.gates.results import GateReport, read_report
from workbench.models.activation import recorded_invocation
from workbench.models.adapters import read_passport
from workbench.runs import write_atomically
from workbench.types import Adapter

CARD, TEMPLATE, CONFIG = "README.md", "chat_template.jinja", "config.yaml"


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What the folder itself does not know yet."""

    base: str  # the base model's name
    base_licence: str
    template: str  # the chat template's text
    config: Knobs  # the resolved config or recipe
    rows: Mapping[str, int]  # training rows by generator or task
    held_out_rows: int
    step: int  # which was kept
    n_steps: int


def write_card(folder: Path, facts: CardFacts) -> None:
    """Write README.md, chat_template.jinja and config.yaml into an adapter's folder, after its gates were run.

    Raises:
        MissingModelError: the folder holds no adapter.
    """
    adapter, report, invocation = read_passport(folder), read_report(folder), recorded_invocation(folder)
    write_atomically(folder / TEMPLATE, facts.template)
    write_atomically(folder / CONFIG, dump_config(facts.config))
    sections = (
        _front_matter(facts),
        _title(adapter, facts),
        _training(adapter, facts, report),
        _gates(report),
        _loading(adapter, facts, invocation),
        _limits(adapter, facts, report),
    )
    write_atomically(folder / CARD, "\n".join(sections))


def write_merged_card(adapter: Adapter, base: str, base_licence: str) -> str:
    """Return the README of a model that `adapter` was merged into."""
    return f"""---
base_model: {base}
library_name: transformers
pipeline_tag: text-generation
license: unknown
---

# {base} with {adapter.name} merged in

The weights of {base} (licence: {base_licence}) plus the LoRA adapter `{adapter.name}` (rank {adapter.rank}, alpha
{adapter.alpha}, training rows `{adapter.trained_on[:16]}`). No licence was chosen for the sum: the base model's applies
to its part. `merged_from.json` names both and says how close the merged logits are to those of the two apart.
"""


def _front_matter(facts: CardFacts) -> str:
    return f"""---
base_model: {facts.base}
library_name: peft
pipeline_tag: text-generation
license: unknown
tags:
  - lora
---
"""


def _title(adapter: Adapter, facts: CardFacts) -> str:
    acts = (
        "It acts from the question on: what stands before it (system text, passages) is read by the base model."
        if adapter.acts_from == "question"
        else "It acts on the whole prompt, as plain LoRA does."
    )
    return f"""# {adapter.name}: a LoRA adapter for {facts.base}

Rank {adapter.rank}, alpha {adapter.alpha}. {acts}

Licence: none was chosen for this adapter. The base model's is {facts.base_licence}; that of the training rows is not
known to the program that wrote this card. Whoever passes the adapter on must find out.
"""


def _training(adapter: Adapter, facts: CardFacts, report: GateReport | None) -> str:
    counts = "\n".join(f"| {name} | {count} |" for name, count in sorted(facts.rows.items()))
    loss = next((result.says for result in report.results if result.name == END), "") if report else ""
    return f"""## What it was trained on

| rows | number |
|---|--:|
{counts}
| **all** | **{sum(facts.rows.values())}** |

{facts.held_out_rows} rows were held out, of documents or questions that were not trained on. Step {facts.step} of
{facts.n_steps} was kept. {loss}

Fingerprint of the rows (SHA-256): `{adapter.trained_on}`. The settings are in `{CONFIG}`.
"""


def _gates(report: GateReport | None) -> str:
    if report is None:
        return "## Gates\n\nNone was run.\n"
    rows = "\n".join(f"| {result.name} | {result.status} | {_in_cell(result.says)} |" for result in report.results)
    return f"""## Gates

| gate | result | what was found |
|---|---|---|
{rows}

In full: `gates.json`.
"""


def _loading(adapter: Adapter, facts: CardFacts, invocation: tuple[int, ...] | None) -> str:
    code = f"""## How to load it

```python
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("BASE")  # the folder or hub name of {facts.base}
model = PeftModel.from_pretrained(model, "THIS_FOLDER").eval()
tokenizer = AutoTokenizer.from_pretrained("BASE")
```

The base must have the fingerprint `{adapter.base_fingerprint[:16]}` and the chat template in `{TEMPLATE}` (hash
`{adapter.template_hash[:16]}`): the adapter was trained on nothing else.
"""
    if adapter.acts_from == "prompt":
        return code
    if invocation is None:
        return f"""{code}
Loaded like this, PEFT applies the adapter to the whole prompt, passages included, on which it was not trained: answers
will differ from the measured ones. `adapter_config.json` names no invocation tokens, because in some training row the
question could not be found by them. To switch as it was trained, run the part before the question with
`model.disable_adapter()` and `use_cache=True`, then the rest with the adapter on and the cache as `past_key_values`.
"""
    return f"""{code}
`adapter_config.json` names the tokens that open every question (`alora_invocation_tokens: {list(invocation)}`). A PEFT
that knows activated LoRA (tested with 0.21.2) finds their last place in a prompt and lets the adapter act from there
on, which gives the logits measured here. Encode what stands before the question and the rest apart, as in training.
An older PEFT, or another engine that ignores these tokens, applies the adapter to the whole prompt, on which it was not
trained. A question or a given answer that itself holds these tokens is read otherwise there than here.
"""


def _limits(adapter: Adapter, facts: CardFacts, report: GateReport | None) -> str:
    lines = [
        "One seed was trained; the intervals above are over documents, not over seeds.",
        "The held-out rows come from the same corpus: nothing here says how it does on other questions.",
    ]
    if adapter.acts_from == "question":
        lines.append("It cannot be merged into the base, which would make it read the passages too.")
    if report is not None and report.failed:
        lines.append(f"It failed {len(report.failed)} of {len(report.results)} gates (above).")
    if facts.step == 0:
        lines.append("The step kept is 0: the held-out loss never fell, and the adapter changes nothing.")
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines) + "\n"


def _in_cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
