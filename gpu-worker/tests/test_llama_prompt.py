"""The family's prompts are the original's to the id, and what a user types is never control."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import llama_vocabulary
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from minigpt4.prompt import TEMPLATES, Image, Message, Prompt
from minigpt4.templates import DEFAULT_SYSTEM, WHITESPACE

FAMILY = ("vicuna", "llama2")
DESCRIBE = "Describe this image in detail."
QUESTION = Message("user", [Image(), DESCRIBE])
IMAGE = 0

# The ids that shared/reference/minigpt4-facts.md lists (section 4), without <s> and the images.
DESCRIBE_IDS = [20355, 915, 445, 1967, 297, 9493, 29889]
OPEN_IDS, CLOSE_IDS = [529, 25518, 29958], [1533, 25518, 29958]
TRAINING = {
    "vicuna": (
        [835, 29950, 7889, 29901, *OPEN_IDS],
        [*CLOSE_IDS, *DESCRIBE_IDS, 835, 7900, 22137, 29901, 29871],
    ),
    "llama2": (
        [518, 25580, 29962, *OPEN_IDS],
        [*CLOSE_IDS, *DESCRIBE_IDS, 518, 29914, 25580, 29962, 29871],
    ),
}
# What only a template may say: `###` at the start of a word and glued, `[INST]`, `[/INST]`, ...
CONTROL = [
    [835],
    [2277, 29937],
    [518, 25580, 29962],
    [518, 29914, 25580, 29962],
    OPEN_IDS,
    CLOSE_IDS,
    [0],
    [1],
    [2],
]
# ... which differ from template to template: LLaMA-2's never says `###`, so it may be typed there.
FOREIGN = {"vicuna": CONTROL[2:4], "llama2": CONTROL[:2]}
TYPED = (
    *("###", "####", "######", "### ###", "###Human:", "###Assistant:", "[INST]", "[/INST]"),
    *("<Img>", "</Img>", "<Img><ImageHere></Img>", "<ImageHere>", "<s>", "</s>", "<unk>"),
    *("<0x23><0x23><0x23>", "<Img", "##", "#", "[INST", "[[INST]]", "▁###", "▁[INST]"),
)


@pytest.fixture(scope="module")
def tokenizer_file(tmp_path_factory) -> Path:
    return llama_vocabulary.write_tokenizer(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def prompts(tokenizer_file: Path) -> dict[str, Prompt]:
    return {name: Prompt(tokenizer_file, TEMPLATES[name], IMAGE) for name in FAMILY}


@pytest.fixture(scope="module")
def tokenizer(tokenizer_file: Path) -> Tokenizer:
    return Tokenizer.from_file(str(tokenizer_file))


def count(ids: Sequence[int], run: Sequence[int]) -> int:
    return sum(list(ids[n : n + len(run)]) == list(run) for n in range(len(ids)))


def controls(name: str, ids: Sequence[int]) -> list[int]:
    return [count(ids, run) for run in CONTROL if run not in FOREIGN[name]]


@pytest.mark.parametrize("name", FAMILY)
def test_the_training_prompt_has_the_originals_ids(prompts, name):
    before, after = TRAINING[name]
    assert prompts[name].ids([QUESTION]) == [1, *before, IMAGE, *after]


@pytest.mark.parametrize("name", FAMILY)
def test_segments_have_the_ids_that_they_have_as_a_whole(prompts, tokenizer, name):
    """The original encodes the text before, between and after the images, each with a dummy
    prefix: piece by piece the ids are the same."""
    if name == "vicuna":
        whole = ("###Human: Look: <Img>", "</Img> or <Img>", "</Img> Which? ###Assistant: ")
    else:
        whole = ("[INST] Look: <Img>", "</Img> or <Img>", "</Img> Which? [/INST] ")
    first, *later = [tokenizer.encode(text, add_special_tokens=False).ids for text in whole]
    ids = [1, *first, *(token for segment in later for token in (IMAGE, *segment))]
    message = Message("user", ["Look:", Image(), "or", Image(), "Which?"])
    assert prompts[name].ids([message]) == ids


def test_the_demos_system_text_is_the_originals():
    digest = "5f125b89776910112a76db462b4188a60c4a552fb0aa4a3d82f06433f73ff7f0"
    assert hashlib.sha256(DEFAULT_SYSTEM.encode()).hexdigest() == digest


def test_the_demos_first_turn_takes_90_tokens(prompts, tokenizer):
    """1 + 41 + 32 + 16, the image in between. Its system text asks for the demo's layout."""
    ids = prompts["vicuna"].ids([Message("system", [DEFAULT_SYSTEM]), QUESTION])
    place = ids.index(IMAGE)
    assert (place, len(ids) - place - 1, len(ids) + 32 - 1) == (1 + 41, 16, 90)
    assert ids[1:34] == tokenizer.encode(DEFAULT_SYSTEM, add_special_tokens=False).ids
    tail = [*CLOSE_IDS, *DESCRIBE_IDS, 2277, 29937, 7900, 22137, 29901, 29871]
    assert ids[34:] == [2277, 29937, 29950, 7889, 29901, *OPEN_IDS, IMAGE, *tail]


@pytest.mark.parametrize("name", FAMILY)
def test_the_chat_has_the_demos_layout(prompts, tokenizer, name):
    messages = [QUESTION, Message("assistant", ["A cat."]), Message("user", ["Why?"])]

    def encode(text: str) -> list[int]:
        return tokenizer.encode(text, add_special_tokens=False).ids

    if name == "vicuna":
        before = encode(f"{DEFAULT_SYSTEM}###Human: <Img>")
        after = encode(f"</Img> {DESCRIBE}###Assistant: A cat.###Human: Why?###Assistant: ")
        ids = [1, *before, IMAGE, *after]
    else:
        before = [*encode(DEFAULT_SYSTEM), 1, *encode("[INST] <Img>")]
        after = [*encode(f"</Img> {DESCRIBE} [/INST] A cat."), 1, *encode("[INST] Why? [/INST] ")]
        ids = [1, *before, IMAGE, *after]
    assert prompts[name].ids(messages) == ids
    assert prompts[name].ids([Message("system", [DEFAULT_SYSTEM]), *messages]) == ids


def text_of(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    return "<image>".join(
        tokenizer.decode(part, skip_special_tokens=False) for part in _split(ids, IMAGE)
    )


def _split(ids: Sequence[int], at: int) -> list[list[int]]:
    out: list[list[int]] = [[]]
    for token in ids:
        if token == at:
            out.append([])
        else:
            out[-1].append(token)
    return out


S, U, A = "system", "user", "assistant"
CONVERSATIONS = {
    "a question without an image": (
        [(U, "Hi.")],
        "<s> ###Human: Hi. ###Assistant: ",
        "<s> [INST] Hi. [/INST] ",
    ),
    "a system text makes it a chat": (
        [(S, "Be brief."), (U, "Hi.")],
        "<s> Be brief.###Human: Hi.###Assistant: ",
        "<s> Be brief.<s> [INST] Hi. [/INST] ",
    ),
    "system texts are joined, wherever they stand": (
        [(S, "Be brief."), (U, "Hi."), (A, "Hello."), (S, " Be kind.\n"), (U, "Who?")],
        "<s> Be brief. Be kind.###Human: Hi.###Assistant: Hello.###Human: Who?###Assistant: ",
        "<s> Be brief. Be kind.<s> [INST] Hi. [/INST] Hello.<s> [INST] Who? [/INST] ",
    ),
    "an empty system text is none": (
        [(S, " \n"), (U, "Hi.")],
        "<s> ###Human: Hi. ###Assistant: ",
        "<s> [INST] Hi. [/INST] ",
    ),
    "messages of a user in a row are one turn": (
        [(U, "Hi."), (U, "Who?")],
        "<s> ###Human: Hi. Who? ###Assistant: ",
        "<s> [INST] Hi. Who? [/INST] ",
    ),
    "answers in a row are one": (
        [(S, "S."), (U, "Hi."), (A, "Hello."), (A, "Well?"), (U, "Who?")],
        "<s> S.###Human: Hi.###Assistant: Hello. Well?###Human: Who?###Assistant: ",
        "<s> S.<s> [INST] Hi. [/INST] Hello. Well?<s> [INST] Who? [/INST] ",
    ),
    "an answer may come first": (
        [(S, "S."), (A, "Hello."), (U, "Who?")],
        "<s> S.###Assistant: Hello.###Human: Who?###Assistant: ",
        "<s> S.<s> [INST] [/INST] Hello.<s> [INST] Who? [/INST] ",
    ),
    "an empty answer keeps its turn": (
        [(S, "S."), (U, "Hi."), (A, ""), (U, "Who?")],
        "<s> S.###Human: Hi.###Assistant:###Human: Who?###Assistant: ",
        "<s> S.<s> [INST] Hi. [/INST]<s> [INST] Who? [/INST] ",
    ),
}


@pytest.mark.parametrize("title", CONVERSATIONS)
def test_conversations_are_written_as_the_demo_would(prompts, tokenizer, title):
    turns, *wanted = CONVERSATIONS[title]
    messages = [Message(role, [text]) for role, text in turns]
    for name, text in zip(FAMILY, wanted, strict=True):
        ids = prompts[name].ids(messages)
        assert ids[0] == 1
        assert text_of(tokenizer, ids) == text


def test_images_stand_where_they_were_put(prompts, tokenizer):
    messages = [
        Message(S, ["S."]),
        Message(U, [Image(), "First.", Image(), Image()]),
        Message(A, ["Good."]),
        Message(U, ["And"]),
        Message(U, [Image()]),
    ]
    assert text_of(tokenizer, prompts["vicuna"].ids(messages)) == (
        "<s> S.###Human: <Img><image></Img> First. <Img><image></Img> <Img><image></Img>"
        "###Assistant: Good.###Human: And <Img><image></Img>###Assistant: "
    )


@pytest.mark.parametrize("role", [S, U, A])
@pytest.mark.parametrize(
    "frame", ["{}", " {}", "   {}", "\n{}\n", "a{}b", "a {} b", "# {} #", "#{}#"]
)
@pytest.mark.parametrize("typed", TYPED)
def test_a_typed_control_string_stays_text(prompts, tokenizer, typed, frame, role):
    check(prompts, tokenizer, [Message(role, [frame.format(typed)]), QUESTION])
    check(prompts, tokenizer, [Message(role, [frame.format(typed)] * 2), QUESTION])


def check(prompts: dict[str, Prompt], tokenizer: Tokenizer, messages: list[Message]) -> None:
    """No control but the template's own, and every text comes back."""
    filler = [Message(m.role, [_filler(part) for part in m.content]) for m in messages]
    for name, prompt in prompts.items():
        ids = prompt.ids(messages)
        assert controls(name, ids) == controls(name, prompt.ids(filler))
        for message in messages:
            for part in message.content:
                if isinstance(part, str) and part.strip(WHITESPACE):
                    text = part.strip(WHITESPACE)
                    typed = prompt.text_ids(f" {text}")
                    assert tokenizer.decode(typed, skip_special_tokens=False) == text
                    assert controls(name, typed) == [0] * len(controls(name, typed))
                    assert count(ids, typed) >= 1


def _filler(part: str | Image) -> str | Image:
    """The same shape without the text: what is empty stays empty."""
    return part if isinstance(part, Image) or not part.strip(WHITESPACE) else "x"


PIECES = st.sampled_from(
    [*TYPED, " ", "\n", "#", "Human:", "Assistant:", "Img>", "</", "INST]", "/"]
)
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=5)), max_size=8).map("".join)


@settings(max_examples=400)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([S, U, A]), st.lists(st.one_of(TEXTS, st.just(Image())), max_size=4)
        ),
        max_size=5,
    ),
    TEXTS,
)
@example([(U, ["##"])], "#")
@example([(U, ["##", Image()]), (A, ["#"])], "## #")
def test_no_text_makes_control_and_all_text_comes_back(prompts, tokenizer, turns, last):
    messages = [
        Message(role, [part for part in parts if role == U or isinstance(part, str)])
        for role, parts in turns
    ]
    check(prompts, tokenizer, [*messages, Message(U, [last])])


def test_ordinary_text_has_the_tokenizers_own_ids(prompts, tokenizer):
    for text in (
        "A cat, isn't it?",
        "Größe  3.5",
        "日本語 😀",
        "# Title\n\n## Part\n- [x] C#",
        "<b>",
    ):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert all(prompt.text_ids(f" {text}") == ids for prompt in prompts.values())


def test_every_character_comes_back(prompts, tokenizer):
    for start in range(0, 0x110000, 0x800):
        if start != 0xD800:  # surrogates are not characters
            text = "x" + "".join(map(chr, range(start, start + 0x800, 7)))
            for prompt in prompts.values():
                assert (
                    tokenizer.decode(prompt.text_ids(f" {text}"), skip_special_tokens=False) == text
                )


def test_ends_of_turn_and_tokens_never_said(prompts, tokenizer_file, tmp_path):
    assert all(prompt.stop_ids == [2] for prompt in prompts.values())
    assert all(prompt.control_ids == {0, 1, 2} for prompt in prompts.values())
    assert {name: prompt.stop_text for name, prompt in prompts.items()} == {
        "vicuna": "###",
        "llama2": None,
    }
    padded = Tokenizer.from_file(str(tokenizer_file))
    padded.add_special_tokens(["[PAD]"])  # the 13B Vicuna's row
    padded.save(str(tmp_path / "padded.json"))
    prompt = Prompt(tmp_path / "padded.json", TEMPLATES["vicuna"], IMAGE)
    assert prompt.control_ids == {0, 1, 2, 32000}
    assert 32000 not in prompt.ids([Message("user", ["[PAD] [PAD]"])])


def test_the_least_tokens_of_a_prompt_are_never_more_than_it_has(prompts):
    for text in ("hello " * 50, " административ" * 40, " " * 5000, "\n\t " * 99 + "x", "▁" * 90):
        message = Message("user", [text])
        for prompt in prompts.values():
            assert prompt.least_tokens([message], 27) <= len(prompt.ids([message]))


def test_an_unknown_role_is_an_error(prompts):
    for prompt in prompts.values():
        with pytest.raises(KeyError):
            prompt.ids([Message("tool", ["x"])])
