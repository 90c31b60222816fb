"""The configuration of a run: defaults of model and stage, then a JSON file, then flags.

The family's defaults are those of the paper (https://arxiv.org/abs/2304.10592) and its release's
train_configs. A wrong value raises InputError, which names the field.
"""

import difflib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from pathlib import Path

from ..input_error import InputError
from ..models import FAMILY, MODELS
from .data_sets import DATA_SETS, OWN
from .settings import Many, Maybe, Number, Scales, Switch, Text, unusable

# The four lines of the original's prompts/alignment.txt, after the image.
ALIGNMENT_PROMPTS = (
    "Describe this image in detail.",
    "Take a look at this image and describe what you notice.",
    "Please provide a detailed description of the picture.",
    "Could you describe the contents of this image for me?",
)
FRESH, CHECKPOINT = "fresh", "checkpoint"
PER_BATCH, PER_SAMPLE = "batch", "sample"


@dataclass(frozen=True)
class Source:
    """Photos with captions. With `weight` 0 only the photos are used, by answers that name them.

    In the order of the keys' SHA-256, the first `test` photos are held out for testing and the
    next `choose` for choosing.
    """

    set: str
    path: str
    weight: float
    test: int
    choose: int


@dataclass(frozen=True)
class Answers:
    """A JSONL file of answers about photos, as one task of stage 2."""

    task: str
    path: str
    weight: float


WEIGHT = Number(least=0)
COUNT = Number(least=0, whole=True)


def _parts(text: str) -> tuple[str | None, str, float | None]:
    """`[NAME=]PATH[@WEIGHT]`"""
    name, equals, path = text.partition("=")
    if not equals or "/" in name:
        name, path = None, text
    before, at, weight = path.rpartition("@")
    try:
        return (name, before, float(weight)) if at else (name, path, None)
    except ValueError:
        return name, path, None


def _entry(name: str, value: object, known: tuple[str, ...], needed: str) -> Mapping:
    if not isinstance(value, Mapping):
        raise unusable(name, value, f"an object with {', '.join(known)}")
    for key in value:
        if key not in known:
            raise InputError(f"{name}.{key} is not known", f"use {', '.join(known)}")
    if needed not in value:
        raise InputError(f"{name}.{needed} is missing", f"set {name}.{needed} to the data's path")
    return value


@dataclass(frozen=True)
class SourceKind:
    """Fills in missing values by the data set's defaults."""

    stage: int
    repeated: bool = False

    def check(self, name: str, value: object) -> Source:
        value = _entry(name, value, ("set", "path", "weight", "test", "choose"), "path")
        path = Text(wanted="a path").check(f"{name}.path", value["path"])
        given = value.get("set")
        if given is not None and given not in DATA_SETS:
            raise unusable(f"{name}.set", given, f"one of {', '.join(DATA_SETS)}, or leave it out")
        known = given or next((part for part in Path(path).parts if part in DATA_SETS), OWN)
        about = DATA_SETS[known]
        weight = value.get("weight")
        weight = about.weights[self.stage - 1] if weight is None else weight
        return Source(
            set=known,
            path=path,
            weight=float(WEIGHT.check(f"{name}.weight", weight)),
            test=int(COUNT.check(f"{name}.test", value.get("test", about.test))),
            choose=int(COUNT.check(f"{name}.choose", value.get("choose", about.choose))),
        )

    def read(self, name: str, text: str) -> dict:
        given, path, weight = _parts(text)
        return {"path": path, "set": given, "weight": weight}


@dataclass(frozen=True)
class AnswersKind:
    repeated: bool = False

    def check(self, name: str, value: object) -> Answers:
        value = _entry(name, value, ("task", "path", "weight"), "path")
        path = Text(wanted="a path").check(f"{name}.path", value["path"])
        weight = value.get("weight")
        return Answers(
            task=Text().check(f"{name}.task", value.get("task") or Path(path).stem),
            path=path,
            weight=float(WEIGHT.check(f"{name}.weight", 1.0 if weight is None else weight)),
        )

    def read(self, name: str, text: str) -> dict:
        task, path, weight = _parts(text)
        return {"path": path, "task": task, "weight": weight}


def setting(kind: object, about: str, default: object = None, free: bool = False) -> Field:
    """`free`: the value may change when a training is resumed."""
    return field(default=default, metadata={"kind": kind, "about": about, "free": free})


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides what a run computes, and where it reads and writes."""

    model: str = setting(Text(among=MODELS), "the model whose projection learns")
    stage: int = setting(Number(1, 2, whole=True), "1: captions; 2: answers in conversation")
    checkpoint: str = setting(Text(wanted="a folder"), "folder that `assemble` wrote", free=True)
    out: str = setting(Text(wanted="a folder"), "folder for the projection and its log", free=True)
    cache: str = setting(
        Text(wanted="a folder"), "folder for cached features; default: beside --out",
        free=True,
    )  # fmt: skip
    data: tuple[Source, ...] = setting(
        Many(SourceKind(1)), "photos with captions, as [SET=]PATH[@WEIGHT]; may be repeated", ()
    )
    answers: tuple[Answers, ...] = setting(
        Many(AnswersKind()), "JSONL of answers, as [TASK=]PATH[@WEIGHT]; may be repeated", ()
    )
    start: str = setting(
        Text(), f"projection to start with: a file, `{FRESH}` or `{CHECKPOINT}`", FRESH, free=True
    )
    seed: int = setting(COUNT, "seed of everything random", 42)
    steps: int = setting(Number(1, whole=True), "steps of the optimiser")
    batch: int = setting(
        Number(1, whole=True), "samples whose target tokens are averaged: one GPU's batch"
    )
    batches: int = setting(
        Number(1, whole=True), "batches of a step, averaged; shared by the GPUs", 1
    )
    at_once: int | None = setting(
        Maybe(Number(1, whole=True)), "samples of a batch in memory at once; none: all", free=True
    )
    mixing: str = setting(
        Text(among=(PER_BATCH, PER_SAMPLE)), "whether the source is drawn per batch or per sample"
    )
    lr_start: float = setting(Number(least=0), "learning rate of the first step")
    lr_peak: float = setting(Number(above=0), "learning rate at the end of the warmup")
    lr_min: float = setting(Number(least=0), "learning rate at the end of the cosine")
    warmup: int = setting(COUNT, "steps of warmup")
    lr_scale: Mapping[str, float] = setting(
        Scales(), "PREFIX=FACTOR for the learning rate of these parameters; may be repeated"
    )
    weight_decay: float = setting(Number(least=0), "AdamW's weight decay; biases have none")
    beta1: float = setting(Number(least=0, below=1), "AdamW's beta 1", 0.9)
    beta2: float = setting(Number(least=0, below=1), "AdamW's beta 2", 0.999)
    epsilon: float = setting(Number(above=0), "AdamW's epsilon", 1e-8)
    clip: float | None = setting(Maybe(Number(above=0)), "largest norm of the gradient; none: off")
    text_tokens: int = setting(Number(1, whole=True), "tokens kept of a target, including its end")
    clean: bool = setting(Switch(), "clean captions as BLIP does: lowercase, few signs")
    caption_words: int = setting(Number(1, whole=True), "words kept of a cleaned caption", 50)
    captions: int = setting(
        Number(1, whole=True), "captions of a photo per sample, behind one prefix", 1
    )
    prompts: tuple[str, ...] = setting(
        Many(Text()), "question for a description; one is drawn per batch; may be repeated", ()
    )
    mirror: bool = setting(Switch(), "mirror half of the photos", False)
    live: bool = setting(Switch(), "encode photos at each step instead of once, cached", False)
    cache_dtype: str = setting(
        Text(among=("float32", "float16", "bfloat16")), "precision of cached features", "float32"
    )
    precision: str = setting(
        Text(among=("auto", "float32", "bf16", "fp16", "int8")),
        "precision of the frozen language model; int8: of its linear layers, on a CPU",
        "auto",
    )
    device: str = setting(
        Text(among=("auto", "cpu", "cuda")), "device to run on", "auto", free=True
    )
    threads: int | None = setting(
        Maybe(Number(1, whole=True)), "CPU threads; none: PyTorch's choice", free=True
    )
    save_every: int = setting(Number(1, whole=True), "steps between checkpoints", 100, free=True)
    validate_every: int = setting(
        COUNT, "steps between evaluations of the loss on the choosing set; 0: never", 0, free=True
    )
    damaged_share: float = setting(
        Number(0, 1), "share of samples that may be damaged; more is an error", 0.01, free=True
    )
    duplicate_bits: int = setting(
        Number(0, 32, whole=True), "bits of 64 in which near-duplicates may differ", 8
    )

    def identity(self) -> dict:
        """The settings that identify a training: no paths, and no `free` settings."""
        out = {}
        for each in fields(self):
            if not each.metadata["free"]:
                out[each.name] = getattr(self, each.name)
        out["data"] = [{k: v for k, v in asdict(s).items() if k != "path"} for s in self.data]
        out["answers"] = [{k: v for k, v in asdict(a).items() if k != "path"} for a in self.answers]
        return json.loads(json.dumps(out))

    def digest(self) -> str:
        return hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode()).hexdigest()

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


FIELDS: Mapping[str, Field] = {each.name: each for each in fields(TrainConfig)}

PAPER = {
    1: {
        "steps": 20_000, "batch": 64, "batches": 4, "mixing": PER_BATCH,
        "lr_start": 1e-6, "lr_peak": 1e-4, "lr_min": 8e-5, "warmup": 5000,
        "weight_decay": 0.05, "text_tokens": 32, "clean": True, "save_every": 500,
    },
    2: {
        "steps": 1000, "batch": 12, "batches": 1, "mixing": PER_BATCH,
        "lr_start": 1e-6, "lr_peak": 3e-5, "lr_min": 1e-5, "warmup": 200,
        "weight_decay": 0.05, "text_tokens": 160, "clean": False,
    },
}  # fmt: skip
# For a small projection and a small language model on a CPU: few samples, larger steps, every
# caption of a photo at once.
EMBEDDED = {
    1: {
        "steps": 2000, "batch": 16, "mixing": PER_SAMPLE, "lr_start": 1e-5, "lr_peak": 2e-4,
        "lr_min": 2e-5, "warmup": 20, "weight_decay": 0.0, "beta2": 0.98, "text_tokens": 32,
        "clean": True, "captions": 5, "mirror": True, "validate_every": 100,
    },
    2: {
        "steps": 1000, "batch": 8, "mixing": PER_SAMPLE, "lr_start": 1e-5, "lr_peak": 1e-4,
        "lr_min": 1e-5, "warmup": 20, "weight_decay": 0.0, "beta2": 0.98, "text_tokens": 160,
        "clean": False, "mirror": True, "validate_every": 100,
    },
}  # fmt: skip
# mini starts from a fit in closed form. A step in its raw features' weights moves all columns at
# once, so the rate that suits its class columns makes the loss rise there (docs/training.md).
RATES = {"nano": {"classes": 10.0}, "mini": {"classes": 5.0, "raw.weight": 0.1}}
# The language model of mini takes ten times as long for a photo as nano's.
LARGE = {1: {"steps": 1600, "batch": 8, "at_once": 4, "warmup": 30}, 2: {"at_once": 4}}


def defaults(model: str, stage: int) -> dict[str, object]:
    """The default settings of this model and stage."""
    out: dict[str, object] = {"lr_scale": {}}
    if stage == 2:
        out |= {"prompts": ALIGNMENT_PROMPTS, "start": ""}
    if model in FAMILY:
        return out | PAPER[stage]
    out["lr_scale"] = RATES[model]
    return out | EMBEDDED[stage] | (LARGE[stage] if model == "mini" else {})


def read_file(path: Path) -> dict[str, object]:
    """The settings of a JSON file. Raises InputError."""
    try:
        found = json.loads(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})", "check --config") from None
    except ValueError as error:
        raise InputError(f"{path}: is not JSON ({error})", "fix the file") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: holds no JSON object", 'write settings as {"steps": 100}')
    return found


def make(model: str, stage: int, *layers: Mapping[str, object]) -> TrainConfig:
    """Makes the configuration of a run; later layers override earlier ones. Raises InputError."""
    given: dict[str, object] = {}
    for layer in layers:
        for name in layer:
            if name not in FIELDS:
                near = difflib.get_close_matches(name, FIELDS, 1)
                hint = f"did you mean {near[0]}?" if near else f"settings: {', '.join(FIELDS)}"
                raise InputError(f"{name}: there is no such setting", hint)
        given |= layer
    for name, fixed in (("model", model), ("stage", stage)):
        if given.setdefault(name, fixed) != fixed:
            raise InputError(
                f"{name}: the file says {given[name]!r}, the command {fixed!r}",
                f"take {name} out of the file, or change the command",
            )
    values: dict[str, object] = {}
    given = defaults(model, stage) | given
    if "out" in given and given.get("cache") is None:
        given["cache"] = str(Path(str(given["out"])).absolute().parent / "features")
    for name, each in FIELDS.items():
        kind = Many(SourceKind(stage)) if name == "data" else each.metadata["kind"]
        if name in given:
            values[name] = given[name] if name == "start" and not given[name] else kind.check(
                name, given[name]
            )  # fmt: skip
        elif name in ("checkpoint", "out"):
            raise InputError(f"{name}: is not given", f"pass --{name} DIR")
        else:
            values[name] = each.default
    config = TrainConfig(**values)
    _together(config)
    return config


def _together(config: TrainConfig) -> None:
    """Checks settings that depend on each other. Raises InputError."""
    c = config
    if not c.data:
        raise InputError("data: is not given", "pass --data [SET=]PATH")
    if c.stage == 1 and c.answers:
        raise InputError("answers: stage 1 learns from captions only", "use answers in stage 2")
    if c.stage == 2 and not c.prompts:
        raise InputError("prompts: the list is empty", "give at least one question")
    if not any(part.weight for part in (*c.data, *c.answers)):
        sets = ", ".join(source.set for source in c.data)
        raise InputError(
            f"data: nothing of {sets} is to be learned from in stage {c.stage}",
            "pass --answers TASK=FILE.jsonl, or give the data a weight, as PATH@1",
        )
    if not c.start:
        raise InputError(
            "start: stage 2 starts with stage 1's projection",
            f"pass --from STAGE1/projection.safetensors, or --from {CHECKPOINT}",
        )
    if c.warmup > c.steps:
        raise InputError(
            f"warmup: {c.warmup} steps are more than steps, {c.steps}", "shorten the warmup too"
        )
    for name in ("lr_min", "lr_start"):
        if getattr(c, name) > c.lr_peak:
            raise InputError(
                f"{name}: {getattr(c, name)} is above lr_peak, {c.lr_peak}",
                f"give {name} at most lr_peak",
            )
    if c.precision == "fp16" and c.device == "cpu":
        raise InputError("precision: fp16 needs a GPU", "use bf16 or float32 on the CPU")
    if c.precision == "int8" and c.device == "cuda":
        raise InputError("precision: int8 is for the CPU", "use bf16 or fp16 on a GPU")
