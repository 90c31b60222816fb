"""Runs one training, from its data to its projection.

All random draws depend only on the seed and the step. A checkpoint has the projection, the
optimiser and the position in the metrics, so a killed run continues as if it had never stopped.
"""

import hashlib
import json
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from transformers.utils.logging import disable_progress_bar

from ..input_error import InputError
from ..modeling import MiniGPT4ForConditionalGeneration
from ..models import FAMILY, TEMPLATE
from . import loss_plot, photos
from .batches import Batch, Batches
from .config import CHECKPOINT, FRESH, TrainConfig
from .files import FileSums
from .learner import DTYPES, Learner
from .material import gather
from .optimiser import Optimiser
from .outcome import BadData, Diverged, Interrupted
from .progress import Progress
from .ranks import Ranks
from .run_folder import PROJECTION, RunFolder, code_version, read_projection
from .survey import Features, PhotoEncoder, Survey, encoder_digest
from .texts import Texts

MOST_OVERFLOWS = 24  # steps in a row that fp16 may skip; each one halves the scale
NAMED = 8


class Stop:
    """SIGTERM and SIGINT stop the run after the step; a second SIGINT ends it at once."""

    def __init__(self) -> None:
        self.wanted = False

    def _ask(self, number: int, _frame: object) -> None:
        if self.wanted and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.wanted = True

    @contextmanager
    def listening(self) -> Iterator[None]:
        before = {n: signal.signal(n, self._ask) for n in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def check(self) -> None:
        """Stops at once, where there is nothing to save."""
        if self.wanted:
            raise Interrupted


@dataclass(frozen=True)
class Step:
    """The results of a step, over all ranks. `norm` is None if fp16 overflowed."""

    loss: float
    norm: float | None
    tokens: int
    photos: int
    stop: bool


def checkpoint_digest(config: TrainConfig) -> str:
    """The checkpoint's digest. Raises InputError if the folder is not the model's checkpoint."""
    folder = Path(config.checkpoint)
    try:
        manifest = json.loads((folder / "checkpoint.json").read_text())
        if manifest["model"] == config.model:
            return manifest["digest"]
        problem = f"it holds {manifest['model']}"
    except (OSError, ValueError, KeyError) as error:
        problem = f"{type(error).__name__}: {error}"
    raise InputError(
        f"checkpoint: {folder} is not a checkpoint of {config.model} ({problem})",
        f"make one with: minigpt4-worker assemble {config.model} --out DIR",
    )


def with_precision(config: TrainConfig, device: str) -> TrainConfig:
    """Resolves `auto`: fp16 as in the paper for the family on a GPU, bf16 for embedded models."""
    if config.precision == "fp16" and device == "cpu":
        raise InputError("precision: fp16 needs a GPU", "use bf16 or float32 on the CPU")
    if config.precision == "int8" and device != "cpu":
        raise InputError("precision: int8 is for the CPU", "use bf16 or fp16 on a GPU")
    if config.precision != "auto":
        return config
    family = config.model in FAMILY
    wanted = ("float32" if device == "cpu" else "fp16") if family else "bf16"
    return replace(config, precision=wanted)


def train(config: TrainConfig) -> Path:
    """Starts or continues a training. Returns the projection's path.

    Raises InputError, BadData, Diverged or Interrupted; outcome.py has their exit codes.
    """
    stop = Stop()
    with stop.listening():
        if config.threads:
            torch.set_num_threads(config.threads)
        ranks = Ranks(config.device)
        try:
            return _train(with_precision(config, ranks.device), ranks, stop)
        finally:
            ranks.close()


def _train(config: TrainConfig, ranks: Ranks, stop: Stop) -> Path:
    if config.batches % ranks.world:
        raise InputError(
            f"batches: {config.batches} of a step do not divide among {ranks.world} processes",
            f"set batches to a multiple of {ranks.world}",
        )
    inputs = {"checkpoint": checkpoint_digest(config), "parent_sha256": _parent(config)}
    folder = RunFolder(config)
    if ranks.first:
        folder.open()
    try:
        return _in_folder(config, ranks, stop, folder, inputs)
    finally:
        folder.close()


def _parent(config: TrainConfig) -> str:
    if config.start in (FRESH, CHECKPOINT):
        return config.start
    try:
        return hashlib.sha256(Path(config.start).read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(
            f"start: {config.start} cannot be read ({error.strerror})", "check --from"
        ) from None


def _in_folder(
    config: TrainConfig, ranks: Ranks, stop: Stop, folder: RunFolder, inputs: dict[str, str]
) -> Path:
    cache = Path(config.cache)
    sums = FileSums(cache / "files.json")
    if not ranks.first:
        ranks.wait()  # the first rank has computed the checksums
        sums = FileSums(cache / "files.json")
    listings = []
    for source in config.data:
        listings.append(photos.read_source(source, sums))
        stop.check()
        count = len(listings[-1].photos)
        if count <= source.test + source.choose:  # fails before a long survey
            raise BadData(
                f"{source.set}: of {count} photos {source.test} for testing and {source.choose} "
                "for choosing are held out, so none is left",
                "add photos, or hold fewer out: `test` and `choose` of the data in --config",
            )
    total = hashlib.sha256("".join(listing.digest for listing in listings).encode())
    for answers in config.answers:
        total.update(sums.of(photos.files_of(answers.path)[0]).encode())
    if ranks.first:
        sums.keep()
        ranks.wait()
    disable_progress_bar()  # transformers' bar for reading weights, which takes a moment
    model = MiniGPT4ForConditionalGeneration.from_pretrained(
        config.checkpoint, dtype=DTYPES[config.precision], attn_implementation="sdpa"
    ).eval()
    model.requires_grad_(False)
    encoder = encoder_digest(model.image_encoder, model.config)
    inputs |= {"data_sha256": total.hexdigest(), "encoder_sha256": encoder}
    # Reads the state before the survey, which may take hours.
    state = folder.read(inputs) if ranks.first else None
    photo_encoder = PhotoEncoder(model.image_encoder, model.config, ranks.device)
    views = 2 if config.mirror else 1
    surveys = [
        Survey(cache, each, photo_encoder, encoder, views, config.cache_dtype, config.live)
        for each in listings
    ]
    for listing, survey in zip(listings, surveys, strict=True):
        mine = ranks.share(survey.parts)
        count = sum(survey.photos_of(part) for part in mine)
        progress = Progress(f"surveying {listing.source.set}", count, not ranks.first)

        def advance(some: int, progress: Progress = progress) -> None:
            progress.advance(some, photos=some)
            stop.check()

        survey.make(mine, advance, progress.skip)
    ranks.wait()
    if not config.live:
        photo_encoder.close()
    material = gather(config, listings, [survey.found() for survey in surveys])
    texts = Texts(Path(config.checkpoint) / "tokenizer.json", TEMPLATE[config.model], model.config)
    learner = Learner(model, ranks.device, config.precision)
    if ranks.first:
        material.write(folder.path)
    run = Run(
        config=config,
        ranks=ranks,
        stop=stop,
        folder=folder,
        inputs=inputs,
        photo_encoder=photo_encoder if config.live else None,
        learner=learner,
        optimiser=Optimiser(learner.projection, config, ranks.device),
        batches=Batches(config, material.components, surveys, texts),
        progress=Progress(f"stage {config.stage}", config.steps, not ranks.first),
    )
    for component in material.components:
        run.progress.say(
            f"{component.name}: {len(component.items)} samples, {len(component.choose)} for "
            f"choosing, weight {component.weight:g}"
        )
    run.progress.say(
        f"left out: {len(material.damaged)} damaged, {len(material.duplicates)} near-duplicates "
        "of held-out photos"
    )
    return run.execute(state)


@dataclass
class Run:
    """The loop over the steps, and its state."""

    config: TrainConfig
    ranks: Ranks
    stop: Stop
    folder: RunFolder
    inputs: dict[str, str]
    photo_encoder: PhotoEncoder | None  # None: features are cached
    learner: Learner
    optimiser: Optimiser
    batches: Batches
    progress: Progress
    overflows: int = 0

    def execute(self, state: dict | None) -> Path:
        state = self.ranks.gather(state)[0]
        first = self._restore(state) if state else self._begin()
        projection = self.folder.path / PROJECTION
        if self.ranks.first:
            self.folder.begin(
                state["metrics_bytes"] if state else 0, self.inputs | {"code": code_version()}
            )
        self.progress.skip(first)
        if first >= self.config.steps:
            self.progress.say(f"{self.folder.path}: the training is already finished")
            return projection
        mine = self.ranks.share(self.config.batches)
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(self.batches.step, first, mine)
            for number in range(first, self.config.steps):
                coming = self._step_and_log(number, coming, mine, ahead)
        return projection

    def _step_and_log(
        self, number: int, coming: Future, mine: range, ahead: ThreadPoolExecutor
    ) -> Future:
        """Runs a step. Returns the next step's batches, which are made at the same time."""
        began = time.monotonic()
        batches: list[Batch] = coming.result()
        done, last = number + 1, number + 1 == self.config.steps
        if not last:
            coming = ahead.submit(self.batches.step, done, mine)
        step = self._step(number, batches)
        row = {
            "step": done,
            "loss": step.loss,
            "lr": self.optimiser.rate(number),
            "grad_norm": step.norm,
            "tokens": step.tokens,
            "photos": step.photos,
            "seconds": round(time.monotonic() - began, 3),
        }
        if self.config.precision == "fp16":
            row["scale"] = self.optimiser.scaler.get_scale()
        every = self.config.validate_every
        if every and (done % every == 0 or last) and not step.stop:
            row |= self._held_out()
        if self.ranks.first:
            self.folder.log(row)
        note = f"loss {step.loss:.4f}, lr {row['lr']:.2e}"
        self.progress.advance(1, step.photos, step.tokens, note)
        if done % self.config.save_every == 0 or last or step.stop:
            self._save(done)
        if step.stop and not last:
            raise Interrupted
        return coming

    def _begin(self) -> int:
        """Sets the first projection. A fresh one has PyTorch's initialisation, as the original."""
        projection = self.learner.projection
        if self.config.start == FRESH:
            torch.manual_seed(self.config.seed)
            for module in projection.modules():
                if hasattr(module, "reset_parameters"):
                    module.reset_parameters()
        elif self.config.start != CHECKPOINT:
            wanted = projection.state_dict()
            projection.load_state_dict(read_projection(Path(self.config.start), wanted))
        return 0

    def _restore(self, state: dict) -> int:
        self.learner.projection.load_state_dict(state["projection"])
        self.optimiser.restore(state["optimiser"])
        self.overflows = state["overflows"]
        return state["step"]

    def _features(self, part: Batch) -> Features:
        inputs = part.stacked()
        return self.photo_encoder.features(list(inputs[0])) if self.photo_encoder else inputs

    def _step(self, number: int, batches: Sequence[Batch]) -> Step:
        """Runs a step. Raises Diverged before it changes anything."""
        self.optimiser.clear()
        sums = torch.zeros(5, dtype=torch.float64, device=self.learner.device)
        bad: list[str] = []
        for batch in batches:
            sums[1] += batch.target_tokens
            sums[2] += len(batch.examples)
            for part in batch.parts(self.config.at_once or len(batch.examples)):
                loss, suspects = self._learn(part, batch.target_tokens * self.config.batches)
                sums[0] += loss
                bad += suspects
                if bad:
                    break
        sums[3], sums[4] = len(bad), self.stop.wanted
        loss, tokens, count, broken, stop = self.ranks.sum(sums).tolist()
        if broken:
            raise self._diverged("loss or gradient", number, bad)
        self.ranks.sum_gradients(self.optimiser.parameters)
        norm: float | None = self.optimiser.gradient_norm()
        if not torch.isfinite(torch.tensor(norm)):
            if self.config.precision != "fp16":
                keys = [e.key for batch in batches for e in batch.examples]
                raise self._diverged("gradient", number, keys)
            norm = None
        self.overflows = 0 if self.optimiser.step(number) else self.overflows + 1
        if self.overflows > MOST_OVERFLOWS:
            keys = [e.key for batch in batches for e in batch.examples]
            raise self._diverged(f"gradient of {self.overflows} steps in a row", number, keys)
        return Step(loss, norm, int(tokens), int(count), bool(stop))

    def _learn(self, part: Batch, share: int) -> tuple[float, list[str]]:
        """Adds a part's gradient by `share`. Returns its loss, and keys that are not finite."""
        losses = self.learner.losses(self._features(part), part.examples)
        finite = losses.each.isfinite()
        if not finite.all():
            owners = losses.owner[~finite.cpu()].unique().tolist()
            return 0.0, [part.examples[n].key for n in owners]
        loss = losses.each.sum() / share
        self.optimiser.scaler.scale(loss).backward()
        if self.config.precision != "fp16" and not all(
            parameter.grad.isfinite().all() for parameter in self.optimiser.parameters
        ):
            return loss.item(), [example.key for example in part.examples]
        return loss.item(), []

    def _diverged(self, what: str, number: int, keys: list[str]) -> Diverged:
        keys = sorted({key for each in self.ranks.gather(keys) for key in each})
        more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
        return Diverged(
            f"step {number + 1}: {what} not finite, at samples {', '.join(keys[:NAMED])}{more}",
            "the last checkpoint is unchanged: check these samples, then run the same command to "
            "continue from it, or start again with a lower --lr-peak, --clip 1 or --precision bf16",
        )

    @torch.no_grad()
    def _held_out(self) -> dict[str, float]:
        sums = torch.zeros(2, dtype=torch.float64, device=self.learner.device)
        share = slice(self.ranks.rank, None, self.ranks.world)
        for batch in self.batches.held_out(share):
            for part in batch.parts(self.config.at_once or len(batch.examples)):
                sums[0] += self.learner.losses(self._features(part), part.examples).each.sum()
                sums[1] += part.target_tokens
        loss, tokens = self.ranks.sum(sums).tolist()
        return {"choose_loss": loss / tokens} if tokens else {}

    def _save(self, done: int) -> None:
        """Saves a checkpoint. Raises Diverged, and saves nothing, if a value is not finite."""
        weights = {
            name: value.detach().cpu().clone()
            for name, value in self.learner.projection.state_dict().items()
        }
        if not all(value.isfinite().all() for value in weights.values()):
            raise self._diverged("projection", done - 1, [])
        if not self.ranks.first:
            return
        state = {"step": done, "projection": weights, "overflows": self.overflows}
        self.folder.save(state | {"optimiser": self.optimiser.state()}, self.inputs)
        self.folder.save_projection(weights, self._provenance(done))
        c = self.config
        title = f"{c.model}, stage {c.stage}: step {done:,} of {c.steps:,}"
        loss_plot.write(self.folder.path / "loss.png", title, self.folder.rows())

    def _provenance(self, done: int) -> dict[str, str]:
        c = self.config
        return self.inputs | {
            "model": c.model,
            "stage": str(c.stage),
            "step": str(done),
            "steps": str(c.steps),
            "seed": str(c.seed),
            "config": json.dumps(c.identity(), sort_keys=True),
            "config_sha256": c.digest(),
            "code": code_version(),
            "licences": json.dumps(photos.licences(c.data)),
            "research_only": json.dumps(photos.research_only(c.data)),
        }
