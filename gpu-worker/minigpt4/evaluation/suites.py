"""The measures, one suite each: the questions, their photos, and the rules for the answers."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from . import questions
from .answerer import Answer, CachedAnswerer, Question
from .answers import mentions, plain
from .baselines import best_constant, consensus, left_out, nearest_caption, swapped
from .caption_agreement import (
    MAIN_NOUN,
    PRECISION,
    RECALL,
    caption_agreement,
    model_swapped_human,
    says_main_noun,
)
from .caption_scores import BLEU, CIDER, References, bleu4
from .content_words import overlap
from .drawings import Drawing, drafts, signs
from .failures import APOLOGY, FAILURES, NOT_ENGLISH, failures, is_off_image
from .features import Encoder, matrix
from .forms import FORMS
from .html_page import read_page
from .measures import HUMAN, MODEL, SWAPPED, Measure, mean, measured, rate
from .nano import names_object
from .nouns import THING_OF, main_things, nouns, things
from .photos import NamedPhoto
from .progress import Progress
from .render import Browser
from .shards import Sample, Split
from .text_match import reads

TOKENS, FAILED = "tokens", "failed"
NEAREST, CONSENSUS, CONSTANT = "nearest photo", "consensus of 15 nearest", "best constant"
DIFFERENT, MENTIONED, FORMED = "answers differ", "main thing said", "form"
RENDERED = "page renders"
PHOTOS = 100  # photos for descriptions, poems and tasks, as in the paper
FOOD = frozenset({"food", "cake"})
JUDGED = 25  # photos for each of the four tasks, as in the paper
BETWEEN_READINGS = 7  # distance of a swapped drawing, so that it is not the neighbour's menu


@dataclass
class Result:
    """`rows` are the raw answers, with the rules' verdicts."""

    measures: list[Measure] = field(default_factory=list)
    rows: list[dict] = field(default_factory=list)


@dataclass
class Context:
    """What the suites need. `photos` limits the photos of each suite."""

    asking: CachedAnswerer
    measured: Sequence[Sample] = ()
    split: Split | None = None
    named: Sequence[NamedPhoto] = ()
    encoder: Encoder | None = None
    features: dict[str, torch.Tensor] | None = None
    caption_question: str = questions.CAPTION
    turns: int = 1
    photos: int | None = None
    browser: Browser | None = None
    drawn: Path | None = None

    def first(self, most: int | None = None) -> list[Sample]:
        bounds = [n for n in (most, self.photos) if n is not None]
        return list(self.measured[: min(bounds)] if bounds else self.measured)

    def answers(
        self, work: str, photos: Iterable[bytes], turns: Sequence[str], max_tokens: int
    ) -> list[Answer]:
        asked = [Question(photo, tuple(turns), max_tokens) for photo in photos]
        progress = Progress(work, len(asked))
        said = self.asking.ask(asked, progress)
        progress.finish()
        return said


def captions(context: Context) -> Result:
    """One sentence about each photo, compared with people's, and baselines on the same photos."""
    section = "captions"
    samples = context.first()
    said = context.answers(
        section, (s.image for s in samples), (context.caption_question,), questions.SHORT
    )
    texts = [each.text for each in said]
    references = References([sample.captions for sample in samples])
    out = [
        *references.scores(section, texts),
        *references.scores(section, swapped(texts), SWAPPED),
        *_human_scores(section, samples),
        *model_swapped_human(section, samples, texts),
        mean(section, TOKENS, [each.tokens for each in said]),
    ]
    for of, found in _neighbours(context, samples):
        told = [(text, sample.captions) for text, sample in zip(found, samples, strict=True)]
        out += [*references.scores(section, found, of), *caption_agreement(section, [told], of)]
    out += _constants(context, samples, references)
    return Result(out, _rows(section, samples, context.caption_question, said))


def _human_scores(section: str, samples: Sequence[Sample]) -> list[Measure]:
    """Each photo counts once, by the mean of its captions, each against the others."""
    ciders, counts = [], []
    for one_round in left_out(samples):
        texts = [text for text, _ in one_round]
        references = References([rest or (text,) for text, rest in one_round])
        ciders.append(references.cider(texts))
        counts.append(references.bleu_counts(texts))
    return [
        mean(section, CIDER, np.mean(ciders, axis=0), HUMAN),
        measured(section, BLEU, np.sum(counts, axis=0), bleu4, HUMAN),
    ]


def _neighbours(context: Context, samples: Sequence[Sample]) -> Iterable[tuple[str, list[str]]]:
    if context.features is None or context.split is None or not context.split.training:
        return
    training = context.split.training
    known = matrix(context.features, [sample.key for sample in training])
    query = matrix(context.features, [sample.key for sample in samples])
    yield NEAREST, nearest_caption(query, known, training)
    progress = Progress("consensus of neighbours", len(samples))
    yield CONSENSUS, consensus(query, known, training, done=progress)
    progress.finish()


def _constants(
    context: Context, samples: Sequence[Sample], references: References
) -> Iterable[Measure]:
    """For each measure the one sentence that scores best on the choosing set."""
    if context.split is None or not context.split.training or not context.split.choosing:
        return
    choosing = context.split.choosing
    held = References([sample.captions for sample in choosing])

    def mean_overlap(which: str) -> Callable[[Sequence[str]], float]:
        return lambda texts: sum(
            getattr(overlap(text, sample.captions), which)
            for text, sample in zip(texts, choosing, strict=True)
        )

    scores: dict[str, Callable[[Sequence[str]], float]] = {
        CIDER: lambda texts: float(held.cider(texts).mean()),
        BLEU: lambda texts: float(bleu4(held.bleu_counts(texts).sum(0, keepdims=True))[0]),
        PRECISION: mean_overlap("precision"),
        RECALL: mean_overlap("recall"),
        MAIN_NOUN: lambda texts: sum(
            says_main_noun(text, sample.captions)
            for text, sample in zip(texts, choosing, strict=True)
        ),
    }
    progress = Progress("constant captions", len(scores))
    for name, score in scores.items():
        best = best_constant(context.split.training, choosing, score)
        texts = [best] * len(samples)
        told = list(zip(texts, (sample.captions for sample in samples), strict=True))
        found = [
            *references.scores("captions", texts, CONSTANT),
            *caption_agreement("captions", [told], CONSTANT),
        ]
        yield from (measure for measure in found if measure.name == name)
        progress()
    progress.finish()


def naming(context: Context) -> Result:
    """nano's measure: how many held-out photos are named, of those that the encoder gets right."""
    section = "naming"
    photos = [named for named in context.named if named.held_out][: context.photos]
    images = [named.sample.image for named in photos]
    right = list(range(len(photos)))
    out = []
    if context.encoder is not None and context.encoder.names_things:
        top = [context.encoder.top_class(image) for image in images]
        right = [n for n, named in enumerate(photos) if top[n] == named.index]
        out.append(
            rate(
                section,
                "first class is right",
                [n in right for n in range(len(photos))],
                "the encoder",
            )
        )
    rows: list[dict] = []
    hits_of: list[list[bool]] = []
    for n, wording in enumerate((questions.NAME, *questions.NAME_WORDINGS)):
        said = context.answers(f"naming, wording {n}", images, (wording,), questions.SHORT)
        hits = [
            names_object(each.text, named.photo) for each, named in zip(said, photos, strict=True)
        ]
        samples = [named.sample for named in photos]
        rows += _rows(section, samples, wording, said, named=hits)
        name = f"'{wording}'"
        out.append(rate(section, f"named, {name}", [hits[n] for n in right]))
        texts = swapped([said[n].text for n in right])
        out.append(
            rate(
                section,
                f"named, {name}",
                [names_object(t, photos[n].photo) for t, n in zip(texts, right, strict=True)],
                SWAPPED,
            )
        )
        if n == 0:
            out.append(rate(section, "named, of all photos", hits))
        else:
            hits_of.append(hits)
    if right:
        new = np.asarray(hits_of, dtype=float)[:, right].mean(0)
        out.append(mean(section, "named, mean of 10 new wordings", new, MODEL, "rate"))
    return Result(out, rows)


def descriptions(context: Context) -> Result:
    """Detailed descriptions: their failures, and the share that no caption supports."""
    samples = context.first(PHOTOS)
    said = context.answers(
        "descriptions", (s.image for s in samples), (questions.DESCRIBE,), questions.ANSWER
    )
    found = _failures("descriptions", samples, questions.DESCRIBE, said)
    found.measures += model_swapped_human("descriptions", samples, [each.text for each in said])
    return found


def poems(context: Context) -> Result:
    samples = context.first(PHOTOS)
    turns = questions.task_turns("poem", context.turns)
    said = context.answers("poems", (s.image for s in samples), turns, questions.ANSWER)
    return _failures("poems", samples, turns[-1], said, poem=True)


def _failures(
    section: str,
    samples: Sequence[Sample],
    question: str,
    said: Sequence[Answer],
    poem: bool = False,
) -> Result:
    wrong = [
        failures(each.text, sample.captions, each.ended, poem)
        for each, sample in zip(said, samples, strict=True)
    ]
    out = [rate(section, FAILED, [not of.isdisjoint(FAILURES) for of in wrong])]
    out += [rate(section, name, [name in of for of in wrong]) for name in FAILURES]
    texts = swapped([each.text for each in said])
    off = [is_off_image(t, s.captions) for t, s in zip(texts, samples, strict=True)]
    out.append(rate(section, "off-image", off, SWAPPED))
    out += [rate(section, name, [name in of for of in wrong]) for name in (NOT_ENGLISH, APOLOGY)]
    out.append(mean(section, TOKENS, [each.tokens for each in said]))
    rows = _rows(section, samples, question, said, failures=[sorted(of) for of in wrong])
    return Result(out, rows)


def mentions_main(text: str, sample: Sample) -> bool:
    """Whether it names a thing of two or more captions, or the class, if that is known."""
    if sample.names:
        return mentions(text, sample.names)
    return not main_things(sample.captions).isdisjoint(things(text))


def has_main(sample: Sample) -> bool:
    return bool(sample.names or main_things(sample.captions))


def food_photos(context: Context) -> list[Sample]:
    """The measured photos whose captions agree on food, then the named ones.

    Answers must name the food, whatever else the photo shows.
    """
    found = []
    for sample in context.measured:
        if FOOD & main_things(sample.captions):
            said = {n for c in sample.captions for n in nouns(c) if THING_OF[n] in FOOD}
            found.append(replace(sample, names=tuple(sorted(said))))
    named = sorted((n for n in context.named if n.is_food), key=lambda n: not n.held_out)
    return [*found, *(n.sample for n in named)]


def tasks(context: Context) -> Result:
    """Story, poem, recipe, advertisement and website: main thing, form, and no two alike."""
    out = Result()
    for task, has_form in FORMS.items():
        samples = (food_photos(context) if task == "recipe" else context.first())[
            : min(PHOTOS, context.photos or PHOTOS)
        ]
        samples = [sample for sample in samples if has_main(sample)]
        if not samples:
            continue
        bound = questions.LONG if task in ("website", "recipe") else questions.ANSWER
        turns = questions.task_turns(task, context.turns)
        said = context.answers(task, (s.image for s in samples), turns, bound)
        texts = [each.text for each in said]
        hits = [mentions_main(t, s) for t, s in zip(texts, samples, strict=True)]
        formed = [has_form(each.text, each.ended) for each in said]
        other = [mentions_main(t, s) for t, s in zip(swapped(texts), samples, strict=True)]
        out.measures += [
            rate(task, MENTIONED, hits),
            rate(task, MENTIONED, other, SWAPPED),
            rate(task, FORMED, formed),
            rate(task, DIFFERENT, differing(texts)),
            mean(task, TOKENS, [each.tokens for each in said]),
        ]
        if task == "recipe":
            seen = {named.photo.synset for named in context.named if not named.held_out}
            new = [n for n, sample in enumerate(samples) if sample.key not in seen]
            name = f"{MENTIONED}, photos never trained on"
            out.measures.append(rate(task, name, [hits[n] for n in new]))
        if task == "website" and context.browser is not None:
            shown = [context.browser.shows(read_page(text).source) for text in texts]
            out.measures.append(rate(task, RENDERED, shown))
        out.rows += _rows(task, samples, turns[-1], said, main_thing=hits, form=formed)
    return out


def differing(texts: Sequence[str]) -> list[bool]:
    """For each answer, whether no other photo has the same answer."""
    said = [plain(text) for text in texts]
    return [said.count(text) == 1 for text in said]


def reading(context: Context) -> Result:
    """Signs and menus: a sign is read if the answer has every line of it."""
    section, drawn = "reading", signs()[: context.photos]
    _keep(context, drawn)
    said = context.answers(section, (d.image for d in drawn), (questions.READ,), questions.ANSWER)

    def read(text: str, sign: Drawing) -> bool:
        return all(reads(line, text) for line in sign.lines)

    texts = [each.text for each in said]
    hits = [read(text, sign) for text, sign in zip(texts, drawn, strict=True)]
    place = BETWEEN_READINGS % max(len(texts), 1)
    other = [read(t, sign) for t, sign in zip(texts[place:] + texts[:place], drawn, strict=True)]
    out = [
        rate(section, "signs read", hits),
        rate(section, "signs read", other, SWAPPED),
        mean(section, TOKENS, [each.tokens for each in said]),
    ]
    return Result(out, _rows(section, _as_samples(drawn), questions.READ, said, read=hits))


def drafted(context: Context) -> Result:
    """Drafts of pages: a page counts if it parses and has the draft's title and buttons."""
    section, drawn = "drafts", drafts()[: context.photos]
    _keep(context, drawn)
    said = context.answers(section, (d.image for d in drawn), (questions.DRAFT,), questions.LONG)
    texts = [each.text for each in said]
    hits = [holds(text, draft) for text, draft in zip(texts, drawn, strict=True)]
    other = [holds(text, draft) for text, draft in zip(swapped(texts), drawn, strict=True)]
    out = [
        rate(section, "pages with title and buttons", hits),
        rate(section, "pages with title and buttons", other, SWAPPED),
        rate(section, "pages that parse", [read_page(text).parses for text in texts]),
        mean(section, TOKENS, [each.tokens for each in said]),
    ]
    if context.browser is not None:
        shown = [context.browser.shows(read_page(text).source) for text in texts]
        out.append(rate(section, RENDERED, shown))
    return Result(out, _rows(section, _as_samples(drawn), questions.DRAFT, said, holds=hits))


def holds(answer: str, draft: Drawing) -> bool:
    """Whether the page has the title, in its text or as its title, and each button."""
    page = read_page(answer)
    if not page.parses or not any(reads(draft.lines[0], text) for text in (page.text, page.title)):
        return False
    return all(any(reads(want, got) for got in page.buttons) for want in draft.buttons)


def _keep(context: Context, drawn: Sequence[Drawing]) -> None:
    if context.drawn is not None:
        context.drawn.mkdir(parents=True, exist_ok=True)
        for each in drawn:
            (context.drawn / f"{each.key}.jpg").write_bytes(each.image)


def _as_samples(drawn: Sequence[Drawing]) -> list[Sample]:
    return [Sample(d.key, d.image, (*d.lines, *d.buttons)) for d in drawn]


def _rows(
    section: str,
    samples: Sequence[Sample],
    question: str,
    said: Sequence[Answer],
    **verdicts: Sequence[object],
) -> list[dict]:
    rows = []
    for n, (sample, each) in enumerate(zip(samples, said, strict=True)):
        row = {
            "section": section,
            "photo": sample.key,
            "question": question,
            "answer": each.text,
            "tokens": each.tokens,
            "ended": each.ended,
        }
        row |= {name: values[n] for name, values in verdicts.items()}
        rows.append(row | {"captions": list(sample.captions)})
    return rows


SUITES: dict[str, Callable[[Context], Result]] = {
    "captions": captions,
    "naming": naming,
    "descriptions": descriptions,
    "poems": poems,
    "tasks": tasks,
    "reading": reading,
    "drafts": drafted,
}
NEEDS_CAPTIONS = frozenset({"captions", "descriptions", "poems", "tasks", "four-tasks"})
NEEDS_NAMES = frozenset({"naming"})
