"""nano's two stages of training. Only the projection learns.

Stage 1, as in the paper: image tokens and a short caption, without a prompt. Stage 2: the chat
template, a question and a longer answer. In both, the loss covers target tokens only.
"""

import math
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from ...checkpoints import embedded
from ...modeling import MiniGPT4ForConditionalGeneration
from ...processing import expand_image_tokens
from ...prompt import TEMPLATES, Image, Message, Prompt
from .features import Features, compute_features
from .initial import initial_projection
from .measure import COLOURS
from .own_words import TASKS, own_words
from .photos import Photo, read_photos
from .sampling import (
    View,
    Views,
    fold_standardisation,
    standardisation,
    unfold_standardisation,
)
from .split import training_photos
from .texts import caption, question_and_answer

IGNORED = -100
SHORT_KINDS = ("name", "kind", "colour", "light")
SHORT_WEIGHTS = (0.6, 0.05, 0.23, 0.12)
LONG_SHARE = 0.2  # share of stage 2's batches: descriptions and the language model's own words
OWN_SHARE = 0.4  # share of own words among those
BALANCED = 0.2  # share of views that are drawn equally by colour, however rare it is

Example = tuple[list[int], list[int]]  # ids before the target, target ids


class Learner:
    """The projection, and a batch's loss through the frozen language model in bfloat16."""

    def __init__(self, model: MiniGPT4ForConditionalGeneration, state: dict[str, torch.Tensor]):
        self.config = model.config
        self.projection = model.image_encoder.projection
        self.projection.load_state_dict(state)
        self.projection.requires_grad_(True)
        # A shared bias learns what all classes have in common. A distribution sums to 1, so the
        # bias folds into the weight, and the map stays linear.
        self.shared = torch.nn.Parameter(torch.zeros(self.projection.classes.out_features))
        self._llm = model.language_model.to(torch.bfloat16)

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        return [*self.projection.parameters(), self.shared]

    def state(self) -> dict[str, torch.Tensor]:
        state = {
            name: value.detach().clone() for name, value in self.projection.state_dict().items()
        }
        state["classes.weight"] += self.shared.detach()[:, None]
        return state

    def loss(self, views: Sequence[View], examples: Sequence[Example]) -> torch.Tensor:
        """Mean cross-entropy over the target tokens of a batch."""
        tokens = self.projection(
            torch.stack([view.classes for view in views]), torch.stack([view.raw for view in views])
        )  # [B, K, hidden]
        classes = self.config.bridge_config.num_class_tokens
        shared = self.shared.view(classes, -1)
        tokens = torch.cat([tokens[:, :classes] + shared, tokens[:, classes:]], dim=1)
        rows = [
            torch.tensor(expand_image_tokens(before, self.config) + target)
            for before, target in examples
        ]
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)  # [B, T]
        labels = torch.full_like(ids, IGNORED)
        mask = torch.zeros_like(ids)
        for n, (row, (_, target)) in enumerate(zip(rows, examples, strict=True)):
            labels[n, len(row) - len(target) : len(row)] = torch.tensor(target)
            mask[n, : len(row)] = 1
        embeds = self._llm.get_input_embeddings()(ids)
        places = (ids == self.config.image_token_id)[..., None]
        embeds = embeds.masked_scatter(places, tokens.to(embeds.dtype))
        hidden = self._llm.model(
            inputs_embeds=embeds, attention_mask=mask, use_cache=False
        ).last_hidden_state
        wanted = labels[:, 1:] != IGNORED
        logits = self._llm.lm_head(hidden[:, :-1][wanted])
        return F.cross_entropy(logits.float(), labels[:, 1:][wanted])


def run_stage(
    name: str,
    learner: Learner,
    batch_of: Callable[[], tuple[list[View], list[Example]]],
    steps: int,
    peak: float,
    save: Callable[[], None],
    progress: Callable[[str], None],
) -> None:
    """Trains with AdamW without weight decay: a short warmup, then a cosine to zero."""
    # A class reaches its tokens through one column, raw features through all columns at once, so
    # the same step size would move a raw token many times as far.
    dense = learner.projection.raw.weight
    groups = [
        {"params": [p for p in learner.parameters if p is not dense]},
        {"params": [dense], "lr": peak / 10},
    ]
    optimiser = torch.optim.AdamW(groups, lr=peak, betas=(0.9, 0.98), weight_decay=0.0)
    warmup = max(1, steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: min(1.0, (step + 1) / warmup) * (0.5 + 0.5 * math.cos(math.pi * step / steps)),
    )
    total = 0.0
    for step in range(1, steps + 1):
        loss = learner.loss(*batch_of())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learner.parameters, 1.0)
        optimiser.step()
        schedule.step()
        total += loss.item()
        if step % 25 == 0 or step == steps:
            progress(f"{name} step {step} of {steps}, loss {total / ((step - 1) % 25 + 1):.3f}")
            total = 0.0
        if step % 100 == 0 or step == steps:
            save()  # an intermediate result to look at; the final one replaces it


def cached_features(
    photos: list[tuple[int, Photo]],
    model: MiniGPT4ForConditionalGeneration,
    cache: Path | None,
    progress: Callable[[str], None],
) -> Features:
    path = cache / "features.pt" if cache else None
    if path and path.exists():
        return Features(**torch.load(path, weights_only=True))
    features = compute_features(photos, model.image_encoder, model.config, progress)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(vars(features), path)
    return features


def save_projection(state: dict[str, torch.Tensor], out: Path) -> None:
    """Writes the projection atomically in half precision. Raises ValueError if not finite."""
    halves = {name: value.half().contiguous() for name, value in state.items()}
    for name, value in halves.items():
        if not value.isfinite().all():
            raise ValueError(f"{name} does not fit half precision")
    out.mkdir(parents=True, exist_ok=True)
    path, part = out / "projection.safetensors", out / "projection.safetensors.part"
    save_file(halves, part)
    part.chmod(0o644)
    os.replace(part, path)


def train(
    data: Path,
    out: Path,
    start: Path | None,
    seed: int,
    stage1_steps: int,
    stage2_steps: int,
    batch: int,
    cache: Path | None,
    progress: Callable[[str], None],
) -> None:
    """Trains on the photos that are not held out, and writes `out`/projection.safetensors.

    `start` is a projection to continue from. Without it, training starts from word embeddings.
    """
    torch.manual_seed(seed)
    photos = read_photos(data)

    with TemporaryDirectory() as folder:
        parts = Path(folder)
        embedded.write(embedded.RECIPES["nano"], parts, None, "float32")
        model = MiniGPT4ForConditionalGeneration.from_pretrained(parts).eval()
        prompt = Prompt(parts / "tokenizer.json", TEMPLATES["chatml"], model.config.image_token_id)
        tokenizer = Tokenizer.from_file(str(parts / "tokenizer.json"))
    model.requires_grad_(False)
    progress("assembled encoder and language model")

    features = cached_features(training_photos(photos), model, cache, progress)
    mean, std = standardisation(features)
    words = own_words(model, prompt, photos, seed, cache, progress)
    if start:
        halves = load_file(start)
        state = unfold_standardisation({k: v.float() for k, v in halves.items()}, mean, std)
    else:
        state = initial_projection(
            [photo.name for photo in photos],
            (features.raw - mean) / std,
            features.colour,
            features.light,
            tokenizer,
            model.get_input_embeddings().weight.detach(),
            model.config,
        )
    learner = Learner(model, state)
    views = Views(features, model.image_encoder.bridge.head.weight, mean, std, seed)
    draw = random.Random(seed)
    end = prompt.stop_ids[:1]

    def stage1() -> tuple[list[View], list[Example]]:
        drawn = [views.next(balanced=draw.random() < BALANCED) for _ in range(batch)]
        before = [tokenizer.token_to_id("<|im_start|>"), model.config.image_token_id]
        return drawn, [
            (
                before,
                prompt.text_ids(
                    caption(photos[view.index], COLOURS[view.colour], view.light, draw) + "\n"
                ),
            )
            for view in drawn
        ]

    def exchange(view: View, long: bool) -> Example:
        if long and draw.random() < OWN_SHARE and view.index in words:
            task = draw.choice(sorted(words[view.index]))
            question, target = TASKS[task], words[view.index][task]
        else:
            kind = "describe" if long else draw.choices(SHORT_KINDS, SHORT_WEIGHTS)[0]
            question, answer = question_and_answer(
                kind, photos[view.index], COLOURS[view.colour], view.light, draw
            )
            target = prompt.text_ids(answer) + end
        return prompt.ids([Message("user", [Image(), question])]), target

    def stage2() -> tuple[list[View], list[Example]]:
        long = draw.random() < LONG_SHARE
        count = batch // 2 if long else batch
        drawn = [views.next(balanced=draw.random() < BALANCED) for _ in range(count)]
        return drawn, [exchange(view, long) for view in drawn]

    def save() -> None:
        save_projection(fold_standardisation(learner.state(), mean, std), out)

    if stage1_steps:
        run_stage("stage 1", learner, stage1, stage1_steps, 2e-3, save, progress)
    run_stage("stage 2", learner, stage2, stage2_steps, 2e-3, save, progress)
    progress(f"wrote {out / 'projection.safetensors'}")
