"""Folders made to do harm: each would write a canary file, or read outside, if anything in it were followed.

Made by code, from an honest folder. `MODELS` and `ADAPTERS` are tables of name → what spoils a copy of one. A pickle
here really would run: the suite proves so by loading one itself, once (the positive control).
"""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Spoil = Callable[[Path, Path], None]  # an honest folder to spoil, and the canary that running code would write


class Canary:
    """An object whose unpickling writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def code(canary: Path) -> str:
    """Python that writes the canary when it is imported."""
    return f"import pathlib; pathlib.Path({str(canary)!r}).touch()\n\n\nclass Mine: ...\n"


def update(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file, which is made where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    value = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(value | changes))


def setting(name: str, **changes: Any) -> Spoil:
    """Change settings, with the module they could name beside them where no rule on names would see it."""

    def spoil(folder: Path, canary: Path) -> None:
        (folder / ".hidden").mkdir(exist_ok=True)
        (folder / ".hidden" / "mine.py").write_text(code(canary))
        update(folder / name, **changes)

    return spoil


def pickled(name: str) -> Spoil:
    """Put a pickle that writes the canary beside the weights."""

    def spoil(folder: Path, canary: Path) -> None:
        content = pickle.dumps(Canary(canary))
        (folder / name).parent.mkdir(exist_ok=True)
        if name.endswith((".npy", ".npz")):
            with (folder / name).open("wb") as stream:
                np.save(stream, np.array([Canary(canary)], dtype=object), allow_pickle=True)
        elif name.endswith((".pt", ".pth", ".ckpt")):  # torch's container
            with zipfile.ZipFile(folder / name, "w") as archive:
                archive.writestr("archive/data.pkl", content)
                archive.writestr("archive/version", "3\n")
        else:
            (folder / name).write_bytes(content)

    return spoil


def pickled_weights(folder: Path, canary: Path) -> None:
    """Put a pickle where the weights were, under their name."""
    next(folder.glob("*.safetensors")).write_bytes(pickle.dumps(Canary(canary)))


def plain(name: str, content: str | bytes | None = None) -> Spoil:
    """Put a file of this name into the folder; without content, code that writes the canary."""

    def spoil(folder: Path, canary: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        text = code(canary) if content is None else content
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    return spoil


def modules(type_: str, path: str = "") -> Spoil:
    """Make it a sentence-transformers folder with one module."""
    return plain("modules.json", json.dumps([{"idx": 0, "name": "0", "path": path, "type": type_}]))


def template(text: str) -> Spoil:
    """Give the model a chat template; CANARY in it stands for the path."""

    def spoil(folder: Path, canary: Path) -> None:
        (folder / "chat_template.jinja").write_text(text.replace("CANARY", str(canary)))

    return spoil


def tensors(header: object, n_bytes: int = 8, *, claimed: int | None = None) -> Spoil:
    """Replace the weights by a safetensors file with this header."""

    def spoil(folder: Path, _: Path) -> None:
        raw = header if isinstance(header, bytes) else json.dumps(header).encode()
        length = len(raw) if claimed is None else claimed
        target = next(path for path in folder.glob("*.safetensors"))
        target.write_bytes(length.to_bytes(8, "little") + raw + bytes(n_bytes))

    return spoil


def tensor(dtype: str = "F32", shape: Any = (2,), start: int = 0, stop: int = 8) -> dict[str, Any]:
    """Return one entry of a header."""
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, stop]}


def link(name: str, target: str, *, hard: bool = False) -> Spoil:
    """Link to a place outside, which holds a secret."""

    def spoil(folder: Path, _: Path) -> None:
        secret = folder.parent / "secret.json"
        secret.write_text('{"secret": 1}')
        place = Path(target.replace("SECRET", str(secret)).replace("OUTSIDE", str(folder.parent)))
        (folder / name).hardlink_to(place) if hard else (folder / name).symlink_to(place)

    return spoil


def device(folder: Path, _: Path) -> None:
    """A pipe by the name of a config: reading it would wait for ever."""
    os.mkfifo(folder / "config2.json")


def collide(folder: Path, _: Path) -> None:
    """Two names, one place on other disks."""
    (folder / "CONFIG.json").write_text('{"auto_map": null}')


GADGET = "{{ cycler.__init__.__globals__.os.system('touch CANARY') }}"
WALK = "{% for c in ''.__class__.__mro__[1].__subclasses__() %}{% if c.__name__ == 'Popen' %}"
WALK += "{{ c(['touch', 'CANARY']) }}{% endif %}{% endfor %}"
NESTED = "{% for a in range(9999) %}" * 4 + "{% endfor %}" * 4
DOUBLING = "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x }}"

MODELS: dict[str, Spoil] = {
    **{
        f"pickle {name}": pickled(name)
        for name in (
            *("pytorch_model.bin", "model.pt", "model.pth", "model.ckpt", "weights.pkl", "weights.pickle"),
            *("model.joblib", "data.npy", "data.npz", "rng_state.dat", "1_Pooling/pytorch_model.bin"),
        )
    },
    **{
        f"code {name}": plain(name)
        for name in ("modeling_mine.py", "tokenization_mine.PY", "mine.pyc", "mine.so", "custom_generate/generate.py")
    },
    **{f"format {name}": plain(name, b"x") for name in ("a.h5", "a.onnx", "a.msgpack", "a.gguf", "a.zip", "a.tar")},
    "auto_map": setting("config.json", auto_map={"AutoModel": "mine.Mine"}),
    "auto_map nested": setting("config.json", text_config={"vision": [{"auto_map": {"AutoConfig": "mine.Mine"}}]}),
    "auto_map tokenizer": setting("tokenizer_config.json", auto_map={"AutoTokenizer": ["mine.Mine", None]}),
    "auto_map generation": setting("generation_config.json", auto_map={"x": "mine.Mine"}),
    "attention internal": setting("config.json", _attn_implementation_internal="someone/kernel"),
    "attention hub": setting("config.json", attn_implementation="someone/kernel"),
    "attention dict": setting("config.json", attn_implementation={"text_config": "someone/kernel"}),
    "experts hub": setting("config.json", experts_implementation="someone/kernel"),
    "trust_remote_code": setting("config.json", trust_remote_code=True),
    "custom_pipelines": setting("config.json", custom_pipelines={"x": {"impl": "mine.Mine"}}),
    "weights elsewhere": setting("config.json", transformers_weights="../other/model.safetensors"),
    "weights pickled": setting("config.json", transformers_weights="adapter_model.bin"),
    "tokenizer class": setting("tokenizer_config.json", tokenizer_class="mine.Mine"),
    "tokenizer class file": setting("tokenizer_config.json", tokenizer_class="./mine.py"),
    "slow tokenizer": setting("tokenizer_config.json", slow_tokenizer_class="mine.Mine"),
    "processor class": setting("preprocessor_config.json", processor_class="os.system"),
    "vocabulary elsewhere": setting("tokenizer_config.json", vocab_file="/etc/passwd"),
    "vocabulary above": setting("tokenizer_config.json", fast_tokenizer_files=["../../tokenizer.json"]),
    "base by adapter": plain("adapter_config.json", '{"base_model_name_or_path": "someone/evil", "peft_type": "LORA"}'),
    "base by adapter below": plain("sub/adapter_config.json", "{}"),
    "module of its own": modules("mine.Mine"),
    "module from a package": modules("os.system"),
    "module that imports": modules("sentence_transformers.util.import_from_string"),
    "module that is a model": modules("sentence_transformers.SentenceTransformer"),
    "module path above": modules("sentence_transformers.models.Pooling", "../x"),
    "module path from the root": modules("sentence_transformers.models.Pooling", "/etc"),
    "module activation": setting("2_Dense/config.json", activation_function="os.system"),
    "module activation that hooks": setting(
        "2_Dense/config.json", activation_function="torch.nn.modules.module.register_module_forward_hook"
    ),
    "module word tokenizer": setting("0_Words/wordembedding_config.json", tokenizer_class="mine.Mine"),
    "module arguments": setting("sentence_bert_config.json", model_args={"gguf_file": "../x.gguf"}),
    "module arguments adapter": setting("sentence_bert_config.json", model_kwargs={"adapter_kwargs": {"a": 1}}),
    "module arguments trust": setting("sentence_bert_config.json", config_args={"trust_remote_code": True}),
    "router": plain("router_config.json", '{"types": {"query": "mine.Mine"}}'),
    "router path": plain("router_config.json", '{"types": {"../q": "sentence_transformers.models.Pooling"}}'),
    "activation of a reranker": setting("config.json", sentence_transformers={"activation_fn": "mine.Mine"}),
    "template gadget": template(GADGET),
    "template walk": template(WALK),
    "template item": template("{{ ''['__class__'] }}"),
    "template attr filter": template("{{ '' | attr('__cl' ~ 'ass__') }}"),
    "template map": template("{{ messages | map(attribute='__class__') | list }}"),
    "template format": template("{{ '{0.__class__.__mro__}'.format(messages) }}"),
    "template lipsum": template("{{ lipsum.__globals__['os'].popen('touch CANARY').read() }}"),
    "template include": template("{% include '/etc/passwd' %}"),
    "template ranges": template(NESTED),
    "template range": template("{% for a in range(99999999) %}x{% endfor %}"),
    "template recursion": template("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}"),
    "template loop recursion": template("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}"),
    "template doubling": template(DOUBLING),
    "template product": template("{{ 'a' * 99999999999 }}"),
    "template product of products": template("{{ 'a' * 9999 * 9999 * 9999 }}"),
    "template power": template("{{ 9 ** 9 ** 9 ** 9 }}"),
    "template padding": template("{{ '%999999999d' % 1 }}"),
    "template centre": template("{{ 'a'.center(99999999999) }}"),
    "template brackets": template("{{ " + "(" * 50_000),
    "template no Jinja": template("{% if %}"),
    "template long": template("x" * 200_000),
    "template no text": plain("chat_template.jinja", b"\xff\xfe{{ 1 }}"),
    "template in the config": setting("tokenizer_config.json", chat_template="{{ ''.__class__ }}"),
    "template with a name": setting("tokenizer_config.json", chat_template=[{"name": "x", "template": GADGET}]),
    "template of a tool": plain("additional_chat_templates/tool.jinja", GADGET),
    "template no template": setting("tokenizer_config.json", chat_template={"a": 1}),
    "shards above": plain("model.safetensors.index.json", '{"weight_map": {"a": "../other.safetensors"}}'),
    "shards from the root": plain("model.safetensors.index.json", '{"weight_map": {"a": "/tmp/x.safetensors"}}'),
    "shards pickled": plain("model.safetensors.index.json", '{"weight_map": {"a": "pytorch_model.bin"}}'),
    "shards not there": plain("model.safetensors.index.json", '{"weight_map": {"a": "b.safetensors"}}'),
    "shards hidden": plain("model.safetensors.index.json", '{"weight_map": {"a": ".hidden/b.safetensors"}}'),
    "json twice": plain("config.json", '{"auto_map": {"A": "mine.B"}, "auto_map": null}'),
    "json deep": plain("config.json", "[" * 200_000),
    "json no text": plain("config.json", b"\xff\xfe\x00"),
    "json wide": plain("config.json", '{"auto_map": {"A": "mine.B"}}'.encode("utf-16")),
    "link out": link("vocab.txt", "SECRET"),
    "link to a folder": link("more", "OUTSIDE"),
    "link to nothing": link("vocab.txt", "/nowhere/at/all.txt"),
    "link to a device": link("vocab.txt", "/dev/zero"),
    "link to nothing here": link("vocab.txt", "nothing.txt"),
    "link to itself": link("vocab.txt", "vocab.txt"),
    "hard link": link("config2.json", "SECRET", hard=True),
    "pipe": device,
    "names collide": collide,
}
HEADERS: dict[str, Spoil] = {
    "beyond the file": tensors({"a": tensor(stop=8, shape=(2,)), "b": tensor(start=8, stop=2**40, shape=(2**38,))}),
    "overlap": tensors({"a": tensor(), "b": tensor(start=4, stop=12)}, 12),
    "hole": tensors({"a": tensor(), "b": tensor(start=12, stop=20)}, 20),
    "too short": tensors({"a": tensor()}, 7),
    "too long": tensors({"a": tensor()}, 9),
    "huge header claimed": tensors({"a": tensor()}, claimed=2**62),
    "huge header": tensors(b'{"a": "' + b"x" * 2**20 + b'"}'),
    "deep header": tensors(b"[" * 100_000),
    "wrong dtype size": tensors({"a": tensor(dtype="F64")}),
    "unknown dtype": tensors({"a": tensor(dtype="OBJECT")}),
    "wrong shape": tensors({"a": tensor(shape=(2**31, 2**31, 2**31))}),
    "negative shape": tensors({"a": tensor(shape=(-2,))}),
    "negative offset": tensors({"a": tensor(start=-8, stop=0)}),
    "shape of floats": tensors({"a": tensor(shape=(2.0,))}),
    "name twice": tensors(b'{"a": %s, "a": %s}' % ((json.dumps(tensor()).encode(),) * 2)),
    "metadata nested": tensors({"__metadata__": {"a": {"b": 1}}, "a": tensor()}),
    "no tensors but a list": tensors([]),
    "a pickle by this name": pickled_weights,
}
MODELS |= {f"tensors {name}": spoil for name, spoil in HEADERS.items()}

ADAPTERS: dict[str, Spoil] = {
    **{f"tensors {name}": spoil for name, spoil in HEADERS.items()},
    **{
        f"setting {key}": setting("adapter_config.json", **{key: value})
        for key, value in {
            "auto_mapping": {"base_model_class": "Mine", "parent_library": "mine"},
            "layer_replication": [[0, 9999]],
            "megatron_config": {"a": 1},
            "megatron_core": "mine",
            "runtime_config": {"ephemeral_gpu_offload": True},
            "eva_config": {"a": 1},
            "corda_config": {"cache_file": "/tmp/x.pkl"},
            "loftq_config": {"a": 1},
            "arrow_config": {"a": 1},
            "base_model_name_or_path": "https://elsewhere.example/model",
            "revision": "refs/pr/1",
            "peft_type": "PROMPT_TUNING",
            "task_type": "mine",
            "r": 2**40,
            "target_modules": "(a+)+$",
            "init_lora_weights": "eva",
            "use_bdlora": True,
            "a_key_of_tomorrow": {"import": "mine"},
            "auto_map": {"A": "mine.Mine"},
        }.items()
    },
    "base above": setting("adapter_config.json", base_model_name_or_path="../../other"),
    "base at home": setting("adapter_config.json", base_model_name_or_path="~/other"),
    "pattern of layers": setting("adapter_config.json", rank_pattern={"(x+)*": 4}),
    "pickle": pickled("adapter_model.bin"),
    "code": plain("mine.py"),
    "json twice": plain("adapter_config.json", '{"auto_mapping": {"a": "mine"}, "auto_mapping": null}'),
    "no config": lambda folder, _: (folder / "adapter_config.json").unlink(),
    "no weights": lambda folder, _: (folder / "adapter_model.safetensors").unlink(),
    "another settings file": plain("config.json", "{}"),
    "link out": link("gates.json", "SECRET"),
    "hard link": link("gates.json", "SECRET", hard=True),
}
