"""The suites: people's own words score high on their photos and low on other photos."""

import json
from collections.abc import Callable

import pytest

from minigpt4.evaluation import questions
from minigpt4.evaluation.answerer import Answer, AnswerStore, CachedAnswerer, Request, Sampling
from minigpt4.evaluation.caption_agreement import MAIN_NOUN
from minigpt4.evaluation.drawings import drafts, signs
from minigpt4.evaluation.four_tasks import items
from minigpt4.evaluation.measures import HUMAN, MODEL, SWAPPED
from minigpt4.evaluation.photos import NamedPhoto, read_named
from minigpt4.evaluation.shards import Sample, Split
from minigpt4.evaluation.suites import (
    DIFFERENT,
    FAILED,
    FORMED,
    MENTIONED,
    SUITES,
    Context,
    Result,
    differing,
    food_photos,
)

SAMPLES = tuple(
    Sample(name, name.encode(), captions)
    for name, captions in {
        "dog": ("A dog runs on grass .", "A brown dog in the grass", "The dog is fast"),
        "bus": ("A red bus stops .", "The bus waits in the rain", "A bus in a street"),
        "cat": ("A cat sleeps on a couch .", "One cat on a sofa", "A sleeping cat"),
        "cake": ("A cake on a table .", "A chocolate cake", "The cake has candles"),
    }.items()
)


class Speaker:
    """Answers with a function of the photo and the last question."""

    model, digest, origin = "m", "d", "here"

    def __init__(self, speak: Callable[[bytes, str], str]):
        self._speak = speak

    def answer(self, requests: list[Request], _: Sampling, said) -> None:
        for n, request in enumerate(requests):
            text = self._speak(request.photo, request.conversation[-1])
            said(n, Answer(text, len(text.split()), True))


@pytest.fixture
def given(tmp_path) -> Callable[..., Context]:
    def make(speak: Callable[[bytes, str], str], **more: object) -> Context:
        asking = CachedAnswerer(Speaker(speak), Sampling(), AnswerStore(tmp_path / "answers.jsonl"))
        return Context(asking, measured=SAMPLES, **more)

    return make


def values(result: Result) -> dict[tuple[str, str, str], float]:
    return {(m.section, m.name, m.of): m.value for m in result.measures}


def test_captions_of_a_speaker_that_knows_the_photo_beat_those_of_other_photos(given):
    pytest.importorskip("pycocoevalcap.cider.cider_scorer", reason="group `evaluation`")
    own = {s.image: s.captions[0] for s in SAMPLES}
    split = Split(SAMPLES, SAMPLES, SAMPLES)
    result = SUITES["captions"](given(lambda photo, _: own[photo], split=split))
    found = values(result)
    assert found["captions", MAIN_NOUN, MODEL] == 1
    assert found["captions", MAIN_NOUN, SWAPPED] == 0
    assert found["captions", "CIDEr-D", MODEL] > 3
    assert found["captions", "CIDEr-D", SWAPPED] < 0.5
    assert ("captions", "CIDEr-D", HUMAN) in found
    assert ("captions", "BLEU-4", "best constant") in found
    assert [row["answer"] for row in result.rows] == list(own.values())


def test_descriptions_and_poems_that_say_nothing_fail(given):
    for suite in ("descriptions", "poems"):
        found = values(SUITES[suite](given(lambda *_: "a man a man a man a man")))
        assert found[suite, FAILED, MODEL] == 1
        assert found[suite, "repetition", MODEL] == 1
        assert found[suite, "off-image", MODEL] == 1
        assert found[suite, "empty", MODEL] == 0


def written(photo: bytes, question: str) -> str:
    """A good answer to each task, about the thing that names the photo."""
    thing = photo.decode()
    verse = "\n".join([f"O {thing} of mine", "you are so fine", "the day is long", "so is my song"])
    story = (
        f"Once there was a {thing} that nobody had ever seen. It came to town on a cold morning, "
        "and people ran out to look. A child gave it a name. When evening fell, all of them had "
        "become friends, and they still tell of that day."
    )
    return {
        questions.TASKS["poem"]: verse,
        questions.TASKS["story"]: story,
        questions.TASKS["recipe"]: f"{thing}\nIngredients:\n- a\n- b\nSteps:\n1. Cut.\n2. Bake.",
        questions.TASKS["website"]: f"<html><body><h1>{thing}</h1></body></html>",
        questions.TASKS["advertisement"]: f"Buy our {thing} today and be happy every day!",
    }[question]


def test_tasks_done_about_the_photos_thing_are_counted_and_swapped_ones_are_not(given):
    found = values(SUITES["tasks"](given(written)))
    for task in ("story", "poem", "advertisement", "website", "recipe"):
        assert found[task, MENTIONED, MODEL] == 1, task
        assert found[task, FORMED, MODEL] == 1, task
        assert found[task, DIFFERENT, MODEL] == 1, task
    assert found["story", MENTIONED, SWAPPED] == 0


def test_in_two_turns_the_task_is_asked_after_the_description(given):
    asked: list[str] = []

    def speak(photo: bytes, question: str) -> str:
        asked.append(question)
        return "A dog."

    SUITES["poems"](given(speak, turns=2))
    assert asked == [questions.DESCRIBE] * 4 + [questions.TASKS["poem"]] * 4


def test_answers_that_say_the_same_do_not_differ():
    assert differing(["A dog.", "a dog", "A cat."]) == [False, False, True]


def test_food_photos_have_captions_that_agree_and_answers_must_name_the_food(given):
    (cake,) = food_photos(given(written))
    assert cake.key == "cake"
    assert cake.names == ("cake",)


def test_a_reader_of_signs_and_drafts_scores_full_marks(given, tmp_path):
    texts = {d.image: " / ".join(d.lines) for d in signs()[:10]}
    pages = {
        d.image: f"<html><body><h1>{d.lines[0]}</h1>"
        + "".join(f"<button>{b}</button>" for b in d.buttons)
        + "</body></html>"
        for d in drafts()[:3]
    }
    both = texts | pages
    measured = given(lambda photo, _: both[photo], photos=10, drawn=tmp_path / "drawn")
    found = values(SUITES["reading"](measured))
    assert found["reading", "signs read", MODEL] == 1
    assert found["reading", "signs read", SWAPPED] < 0.2
    measured.photos = 3
    found = values(SUITES["drafts"](measured))
    assert found["drafts", "pages with title and buttons", MODEL] == 1
    assert found["drafts", "pages with title and buttons", SWAPPED] == 0
    assert (tmp_path / "drawn" / "draft-00.jpg").read_bytes() == drafts(1)[0].image


@pytest.fixture
def named(tmp_path, samples) -> list[NamedPhoto]:
    rows = [
        {"image": "cat.jpg", "synset": "n1", "name": "tabby", "lemmas": ["tabby", "tabby cat"],
         "gloss": "a cat", "hypernyms": ["cat"]},
        {"image": "rocket.jpg", "synset": "n2", "name": "missile", "lemmas": ["missile"],
         "gloss": "a rocket", "hypernyms": ["rocket"]},
    ]  # fmt: skip
    for row in rows:
        (tmp_path / row["image"]).write_bytes((samples / row["image"]).read_bytes())
    (tmp_path / "photos.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return read_named(tmp_path)


def test_naming_counts_name_lemma_or_direct_hypernym_in_every_wording(given, named):
    cat = named[0].sample.image
    found = values(
        SUITES["naming"](
            given(lambda photo, _: "A tabby cat." if photo == cat else "A ship.", named=named)
        )
    )
    assert found["naming", "named, mean of 10 new wordings", MODEL] == 0.5
    assert found["naming", f"named, '{questions.NAME}'", MODEL] == 0.5
    assert found["naming", f"named, '{questions.NAME}'", SWAPPED] == 0
    assert len([1 for _, name, of in found if name.startswith("named, '") and of == MODEL]) == 11


def test_the_four_tasks_ask_each_of_its_own_photos(given):
    found, result = items(given(lambda *_: "A text.", photos=1))
    assert [item.task for item in found] == ["humour", "recipe", "advertisement", "poem"]
    assert [item.sample.key for item in found] == ["dog", "cake", "cat", "cake"]
    assert {row["id"] for row in result.rows} == {item.id for item in found}
