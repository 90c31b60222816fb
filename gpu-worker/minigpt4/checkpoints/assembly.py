"""Assembles one of the family's checkpoints from the original files.

The folder is built in a hidden folder beside `out`, shard by shard, and renamed when it is
complete. A repeated run continues after the shards that an interrupted one finished, if the input
files and options are the same.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..input_error import InputError
from . import encoder, language_model
from .dimensions import SYNTH, Dimensions, declared, released
from .llama_tokenizer import from_sentencepiece
from .progress import Progress
from .shards import INDEX, Output, divide, index, write_shard
from .sources import Sources, files_of, locate, missing_files, official_files, sha256, verify

MANIFEST = "checkpoint.json"
EDITION = 1  # of the output; a new edition restarts interrupted runs
SHARD_BYTES = 2 * 2**30
SPARE_BYTES = 64 * 2**20  # free space needed beyond the weights


@dataclass(frozen=True)
class Options:
    """How to assemble.

    `accept_other` names parts (qformer, projector, llm) that may differ from the released ones.
    `ignore` has patterns of names of tensors to ignore. `synthetic`: the files are `synth`'s, with
    the dimensions that their synth.json declares.
    """

    accept_other: frozenset[str] = frozenset()
    ignore: tuple[str, ...] = ()
    synthetic: bool = False
    fetch: bool = False
    shard_bytes: int = SHARD_BYTES


@dataclass
class Plan:
    """What the checkpoint will contain."""

    config: dict
    files: dict[str, list[Output]]
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        return sum(output.bytes for outputs in self.files.values() for output in outputs)


def assemble(
    model: str,
    folder: Path | None,
    out: Path,
    given: Sources = Sources(),  # noqa: B008 - immutable
    options: Options = Options(),
) -> Path:
    """Writes the checkpoint folder `out` atomically, and returns it.

    Replaces a checkpoint that is there. checkpoint.json records the model, the digest and the
    sha256 of every file that was read. Raises InputError for input that cannot be used.
    """
    out = out.absolute()
    _check_place(out)
    if folder is not None and not options.synthetic and (folder / SYNTH).exists():
        raise InputError(
            f"{folder / SYNTH}: these are random weights that `synth` wrote, not {model}'s",
            "pass --synthetic to assemble them anyway",
        )
    if options.synthetic and folder is None:
        raise InputError("--synthetic needs synth.json in the folder of --from", "pass --from")
    if options.fetch and folder is None:
        raise InputError("--fetch needs a folder for the files", "pass --from")
    if options.fetch:
        folder.mkdir(parents=True, exist_ok=True)
    dimensions = declared(folder, model) if options.synthetic else released(model)
    sources, missing = locate(model, folder, given)
    if options.fetch:
        from .fetch import fetch_missing

        fetch_missing(model, folder, sources, [item.option for item in missing], options.synthetic)
        sources, missing = locate(model, folder, given)
    if missing:
        raise missing_files(model, missing)
    plan = _plan(model, sources, dimensions, options)
    files = files_of(sources)
    with _workshop(out) as (shop, notes):
        sums = _sums("checking", official_files(model, sources), notes)
        if not options.synthetic:
            verify(model, sources, sums, options.accept_other)
        sums |= _sums("reading", [path for _, path in files if path not in sums], notes)
        recorded: dict[str, dict] = {}
        for option, path in files:
            about = {"bytes": path.stat().st_size, "sha256": sums[path]}
            recorded.setdefault(option, {})[path.name] = about
        about = {"sources": recorded} | ({"synthetic": True} if options.synthetic else {})
        _write(model, plan, about, shop, notes, [sums[path] for _, path in files])
        _put_in_place(shop / "files", out)
    return out


def _check_place(out: Path) -> None:
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not (out / MANIFEST).exists()):
        raise InputError(
            f"{out}: exists and is not a checkpoint folder", "name another one with --out"
        )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out.parent}: cannot be created ({error.strerror})") from None


class _Notes:
    """What an interrupted run leaves for the next one: checksums of inputs, finished shards."""

    def __init__(self, path: Path):
        self._path = path
        self.sums: dict[str, str] = {}
        self.plan, self.shards = "", {}
        try:
            found = json.loads(path.read_text())
            self.sums, self.plan, self.shards = found["sums"], found["plan"], found["shards"]
        except (OSError, ValueError, KeyError, TypeError):
            pass

    def save(self) -> None:
        text = json.dumps({"sums": self.sums, "plan": self.plan, "shards": self.shards})
        part = self._path.with_name("notes.part")
        part.write_text(text)
        part.rename(self._path)


@contextmanager
def _workshop(out: Path) -> Iterator[tuple[Path, _Notes]]:
    """The hidden folder that the checkpoint is built in; kept if writing is interrupted."""
    shop = out.parent / f".{out.name}-assembling"
    try:
        shop.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{out.parent}: cannot be written to ({error.strerror})") from None
    with (shop / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{out}: another process is assembling it", "wait for it") from None
        notes = _Notes(shop / "notes.json")
        try:
            yield shop, notes
        except OSError as error:
            where = error.filename or shop
            raise InputError(
                f"{where}: {error.strerror or error}",
                "finished shards are kept: fix this and run the same command again",
            ) from None
        except InputError:
            if not notes.shards:
                shutil.rmtree(shop)
            raise
        shutil.rmtree(shop)


def _sums(work: str, paths: list[Path], notes: _Notes) -> dict[Path, str]:
    """The sha256 of each file; skips files whose size and time are as noted."""
    keys = {}
    for path in paths:
        stat = path.stat()
        keys[path] = f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}"
    progress = Progress(work, sum(path.stat().st_size for path in paths))
    out = {}
    for path, key in keys.items():
        if key in notes.sums:
            progress.skip(path.stat().st_size)
        else:
            notes.sums[key] = sha256(path, progress.advance)
            notes.save()
        out[path] = notes.sums[key]
    progress.finish()
    return out


def _plan(model: str, sources: Sources, dimensions: Dimensions, options: Options) -> Plan:
    """Opens and checks every part. Raises InputError."""
    words = dimensions.language_model
    ignore, any_qformer = options.ignore, "qformer" in options.accept_other
    any_name = "llm" in options.accept_other
    config = language_model.check_config(
        sources.llm or sources.delta,
        words,
        model,
        delta=sources.delta is not None,
        any_name=any_name,
    )
    outputs = encoder.projector(sources.projector, dimensions, model, ignore)
    if sources.hf_blip2:
        outputs += encoder.blip2(sources.hf_blip2, dimensions, model, ignore, any_qformer)
    else:
        outputs += encoder.originals(
            sources.eva, sources.qformer, dimensions, model, ignore, any_qformer
        )
    if sources.delta:
        base = language_model.check_config(sources.base, words, model, base=True, any_name=any_name)
        spoken = language_model.added(
            sources.delta, sources.base, config, base, words, model, ignore
        )
    else:
        spoken = language_model.merged(sources.llm, config, words, model, ignore)
    floats = [o.dtype for o in spoken if o.dtype in language_model.FLOATS]
    dtype = max(set(floats), key=floats.count)
    text = language_model.text_config(config, words, dtype)
    plan = Plan(
        config=_config(dimensions, text, config.get("quantization_config")),
        files=divide(outputs + spoken, options.shard_bytes),
    )
    plan.texts = _texts(sources, plan.config)
    if (listing := index(plan.files)) is not None:
        plan.texts[INDEX] = listing
    return plan


def _config(dimensions: Dimensions, text: dict, quantisation: dict | None) -> dict:
    from ..config import EVA, MiniGPT4Config

    vision, qformer = dimensions.vision, dimensions.qformer
    config = MiniGPT4Config(
        vision_config={
            "tower": EVA,
            "hidden_size": vision.width,
            "intermediate_size": vision.mlp,
            "num_hidden_layers": vision.blocks,
            "num_attention_heads": vision.heads,
            "image_size": vision.image_size,
            "patch_size": vision.patch,
        },
        qformer_config=qformer
        and {
            "hidden_size": qformer.width,
            "num_hidden_layers": qformer.layers,
            "num_attention_heads": qformer.heads,
            "intermediate_size": qformer.mlp,
            "encoder_hidden_size": vision.width,
            "cross_attention_frequency": qformer.cross_every,
        },
        text_config=text,
        num_image_tokens=dimensions.image_tokens,
        image_token_id=0,
        tie_word_embeddings=False,
        architectures=["MiniGPT4ForConditionalGeneration"],
        dtype=text["dtype"],
    )
    found = json.loads(config.to_json_string(use_diff=False))
    return found | ({"quantization_config": quantisation} if quantisation else {})


def _texts(sources: Sources, config: dict) -> dict[str, str]:
    """tokenizer.json and the other small files."""
    text = config["text_config"]
    folders = [path for path in (sources.llm, sources.delta, sources.base) if path]
    special = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "clean_up_tokenization_spaces": False,
        "model_max_length": text["max_position_embeddings"],
    }
    # 0 as padding would be the image placeholder.
    ids = {
        "bos_token_id": language_model.BOS,
        "eos_token_id": language_model.EOS,
        "pad_token_id": language_model.EOS,
    }
    return {
        "tokenizer.json": _tokenizer(folders, text["vocab_size"]),
        "tokenizer_config.json": json.dumps(special, indent=2) + "\n",
        "generation_config.json": json.dumps(ids, indent=2) + "\n",
    }


def _tokenizer(folders: list[Path], rows: int) -> str:
    from tokenizers import Tokenizer

    for folder in folders:
        file = folder / "tokenizer.model"
        if file.exists():
            try:
                return from_sentencepiece(file, rows).to_str(pretty=True)
            except OSError as error:
                raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    for folder in folders:
        file = folder / "tokenizer.json"
        if file.exists():
            try:
                tokenizer = Tokenizer.from_file(str(file))
            except Exception as error:  # the library raises no more specific exception
                raise InputError(f"{file}: not a tokenizer ({error})") from None
            kind = json.loads(tokenizer.to_str())["model"]
            names = [tokenizer.id_to_token(number) for number in range(3)]
            if not kind.get("byte_fallback") or names != ["<unk>", "<s>", "</s>"]:
                raise InputError(f"{file}: not a LLaMA tokenizer", "bring tokenizer.model")
            if tokenizer.get_vocab_size() > rows:
                raise InputError(
                    f"{file}: has {tokenizer.get_vocab_size()} ids, the language model only {rows}",
                    "use the tokenizer that belongs to the language model",
                )
            return tokenizer.to_str(pretty=True)
    raise InputError(f"{folders[0] / 'tokenizer.model'}: missing", "add the language model's own")


def _write(
    model: str, plan: Plan, about: dict, shop: Path, notes: _Notes, inputs: list[str]
) -> None:
    """Fills `shop`/files; config.json comes last, because no loader reads a folder without it."""
    config = json.dumps(plan.config, indent=2, sort_keys=True) + "\n"
    layout = [
        [name, [[o.name, o.shape, str(o.dtype)] for o in outputs]]
        for name, outputs in plan.files.items()
    ]
    drawn = json.dumps([EDITION, model, layout, inputs, config, plan.texts])
    fingerprint = hashlib.sha256(drawn.encode()).hexdigest()
    files = shop / "files"
    if notes.plan != fingerprint or not files.is_dir():
        shutil.rmtree(files, ignore_errors=True)
        files.mkdir()
        notes.plan, notes.shards = fingerprint, {}
        notes.save()
    for path in files.iterdir():
        if path.name not in notes.shards:
            path.unlink()
    notes.shards = {name: s for name, s in notes.shards.items() if (files / name).exists()}
    todo = {name: outputs for name, outputs in plan.files.items() if name not in notes.shards}
    _check_space(shop, sum(output.bytes for outputs in todo.values() for output in outputs))
    progress = Progress("writing", plan.bytes)
    progress.skip(sum((files / name).stat().st_size for name in notes.shards))
    for name, outputs in todo.items():
        notes.shards[name] = write_shard(files / name, outputs, progress)
        notes.save()
    progress.finish()
    texts = plan.texts | {"config.json": config}
    sums = notes.shards | {n: hashlib.sha256(t.encode()).hexdigest() for n, t in texts.items()}
    manifest = {"model": model, "digest": _digest(sums), **about}
    for name, text in plan.texts.items():
        (files / name).write_text(text, encoding="utf-8")
    (files / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    for path in files.iterdir():
        path.chmod(0o644)
    (files / "config.json").write_text(config)


def _digest(sums: dict[str, str]) -> str:
    """The digest as in checkpoints/embedded.py, from the checksums of the written files."""
    lines = "".join(f"{name} {sums[name]}\n" for name in sorted(sums))
    return hashlib.sha256(lines.encode()).hexdigest()


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed + SPARE_BYTES > free:
        raise InputError(
            f"{folder.parent}: {free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB needed",
            "free some space and run the command again; finished shards are kept",
        )


def _put_in_place(folder: Path, out: Path) -> None:
    folder.chmod(0o755)
    if not out.exists():
        os.replace(folder, out)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{out.name}-old-", dir=out.parent))
    os.replace(out, old / "was")
    os.replace(folder, out)
    shutil.rmtree(old)
