"""Beyond the context a chat loses its oldest text, never an image, or is refused with counts."""

from pathlib import Path

import llama_vocabulary
import pytest

from minigpt4.detokenize import Vocabulary
from minigpt4.models import CONTEXT_LENGTH, FAMILY, TEMPLATE
from minigpt4.prompt import TEMPLATES, Image, Message, Prompt
from minigpt4.protocol import RequestError
from minigpt4.serve import Model

PHOTO = Message("user", [Image(), "Describe this image in detail."])
ANSWER = Message("assistant", ["A small house by a lake. " * 20])
LAST = Message("user", ["What colour is it?"])


@pytest.fixture(scope="module")
def tokenizer_file(tmp_path_factory) -> Path:
    return llama_vocabulary.write_tokenizer(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module", params=list(FAMILY))
def model(request, tokenizer_file: Path) -> Model:
    name = request.param
    return Model(
        name=name,
        digest="",
        prompt=Prompt(tokenizer_file, TEMPLATES[TEMPLATE[name]], 0),
        vocabulary=Vocabulary(tokenizer_file),
        context_length=CONTEXT_LENGTH[name],
        image_tokens=FAMILY[name].image_tokens,
        image_side=224,
        image_fit="squash",
    )


def turns(count: int) -> list[Message]:
    return [m for n in range(count) for m in (Message("user", [f"Question {n}?"]), ANSWER)]


def text(model: Model, ids: list[int]) -> str:
    vocabulary = model.vocabulary
    return b"".join(vocabulary[token] for token in ids).decode()


def test_a_chat_that_fits_is_left_alone(model):
    messages = [PHOTO, ANSWER, LAST]
    assert model.fit(messages, 300) == (model.prompt.ids(messages), 0)


@pytest.mark.parametrize("max_tokens", [1, 300, 10**9])
def test_a_long_chat_keeps_its_images_and_the_latest_turns(model, max_tokens):
    length = model.context_length
    room = length - min(max_tokens, length // 4)
    messages = [PHOTO, ANSWER, *turns(200), LAST]
    ids, dropped = model.fit(messages, max_tokens)
    assert ids.count(0) == 1
    assert model.length(ids) <= room
    # One turn more would not fit, and it is the oldest that went.
    assert model.length(ids) + 160 > room
    assert dropped % 2 == 0
    first = dropped // 2
    assert f"Question {first - 1}?" not in text(model, ids)
    assert f"Question {first}?" in text(model, ids)
    assert "Question 199?" in text(model, ids)
    assert "Describe this image in detail." in text(model, ids)


def test_the_longest_of_chats_is_trimmed_without_being_tokenized_whole(model):
    messages = [Message("user", ["word " * 100_000]), *turns(5_000), LAST]
    ids, dropped = model.fit(messages, 300)
    assert model.length(ids) <= model.context_length - 300
    assert 9_900 < dropped < 10_001


@pytest.mark.parametrize("times", [1, 100])
def test_a_last_message_that_cannot_fit_is_refused_with_the_counts_that_are_left(model, times):
    length = model.context_length
    last = Message("user", ["word " * times * length])
    with pytest.raises(RequestError) as error:
        model.fit([PHOTO, ANSWER, *turns(50), last], 300)
    body = error.value.body
    assert (body["code"], body["context_length"]) == ("context_length_exceeded", length)
    alone = model.image_tokens + times * length if times == 1 else length
    assert alone < body["prompt_tokens"] < times * length + 100


def test_a_last_message_that_fits_with_one_token_more_takes_the_place_of_all_others(model):
    def messages(words: int) -> list[Message]:
        return [PHOTO, ANSWER, *turns(50), Message("user", ["word " * words])]

    left = [Message("user", [Image()]), *messages(1000)[-1:]]
    spare = model.context_length - 1 - model.length(model.prompt.ids(left))
    ids, dropped = model.fit(messages(1000 + spare), 300)
    assert (ids.count(0), dropped) == (1, 102)
    assert model.length(ids) == model.context_length - 1
    with pytest.raises(RequestError):
        model.fit(messages(1001 + spare), 300)


def test_images_that_cannot_fit_are_no_reason_to_drop_one(model):
    count = model.context_length // model.image_tokens
    with pytest.raises(RequestError) as error:
        model.fit([Message("user", [Image()] * count), *turns(3), LAST], 300)
    assert error.value.body["prompt_tokens"] > count * model.image_tokens
