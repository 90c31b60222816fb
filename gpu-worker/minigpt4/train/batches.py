"""Turns picked samples into batches of examples and photo features, ahead of time on the CPU."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from ..prompt import Image, Message
from .config import PER_BATCH, TrainConfig
from .material import Component, Item, PhotoRef
from .order import Order
from .packing import Example
from .survey import Features, Survey
from .texts import Texts, clean_caption

MOST_HELD_OUT = 300  # held-out items that one evaluation of the held-out loss uses


@dataclass(frozen=True)
class Batch:
    """Examples with the features (or pixels) of their photos, in the same order."""

    examples: list[Example]
    inputs: list[Features]

    @property
    def target_tokens(self) -> int:
        return sum(example.target_tokens for example in self.examples)

    def parts(self, size: int) -> Iterator["Batch"]:
        """Parts of `size` examples. Those of like length share a part, which saves padding."""
        order = range(len(self.examples))
        if size < len(self.examples):
            order = sorted(order, key=lambda n: self.examples[n].target_tokens)
        for start in range(0, len(self.examples), size):
            part = order[start : start + size]
            yield Batch([self.examples[n] for n in part], [self.inputs[n] for n in part])

    def stacked(self) -> Features:
        return tuple(torch.stack(each) for each in zip(*self.inputs, strict=True))


class Batches:
    """Makes the batches of any step. `surveys` are those of the sources, in order."""

    def __init__(
        self,
        config: TrainConfig,
        components: Sequence[Component],
        surveys: Sequence[Survey],
        texts: Texts,
    ):
        self._config, self._components, self._surveys = config, components, surveys
        self._texts = texts
        self._order = Order(
            config.seed,
            [len(component.items) for component in components],
            [component.weight for component in components],
            config.batch,
            config.batches,
            config.mixing == PER_BATCH,
        )

    def step(self, step: int, mine: range) -> list[Batch]:
        """The step's batches with an index in `mine`."""
        picks = self._order.step(step)
        out = []
        for n in mine:
            question = self._order.draw("prompt", step, n).choice(self._config.prompts or ("",))
            examples, places = [], []
            for pick in picks[n]:
                item = self._components[pick.component].items[pick.index]
                draw = self._order.draw("sample", pick.component, pick.epoch, pick.index)
                view = draw.randrange(2) if self._config.mirror else 0
                answers = item.answers
                if len(answers) > self._config.captions:
                    answers = draw.sample(answers, self._config.captions)
                examples.append(self._example(item, answers, question))
                places.append((item.place, view))
            out.append(Batch(examples, self._inputs(places)))
        return out

    def held_out(self, mine: slice) -> list[Batch]:
        """A share of the held-out choosing set, always the same one."""
        items = [item for each in self._components for item in each.choose[:MOST_HELD_OUT]][mine]
        question = (self._config.prompts or ("",))[0]
        out = []
        for start in range(0, len(items), self._config.batch):
            some = items[start : start + self._config.batch]
            answers = [item.answers[: self._config.captions] for item in some]
            examples = [self._example(i, a, question) for i, a in zip(some, answers, strict=True)]
            out.append(Batch(examples, self._inputs([(item.place, 0) for item in some])))
        return out

    def _example(self, item: Item, answers: Sequence[str], question: str) -> Example:
        most = self._config.text_tokens
        if self._config.clean:
            answers = [clean_caption(text, self._config.caption_words) for text in answers]
        if self._config.stage == 1:
            targets = [self._texts.caption(text, most) for text in answers]
            return Example(item.key, self._texts.alone(), targets)
        messages = item.messages or (Message("user", (Image(), question)),)
        targets = [self._texts.answer(text, most) for text in answers]
        return Example(item.key, self._texts.asked(list(messages)), targets)

    def _inputs(self, places: Sequence[tuple[PhotoRef, int]]) -> list[Features]:
        out: list[Features | None] = [None] * len(places)
        for source, survey in enumerate(self._surveys):
            rows = [n for n, (place, _) in enumerate(places) if place.source == source]
            found = survey.rows([(places[n][0].photo, places[n][1]) for n in rows])
            for n, features in zip(rows, found, strict=True):
                out[n] = features
        return out
