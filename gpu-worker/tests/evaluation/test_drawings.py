"""What is drawn has its text in it, and is the same for a seed."""

import io

from PIL import Image

from minigpt4.evaluation.drawings import (
    BUTTONS,
    DISHES,
    DRAFTS,
    SIGN_TEXTS,
    SIGNS,
    TITLES,
    drafts,
    signs,
)
from minigpt4.evaluation.handwriting import STROKES
from minigpt4.evaluation.suites import holds


def test_the_same_seed_draws_the_same_and_another_does_not():
    assert drafts(2) == drafts(2)
    assert [d.lines for d in signs(6)] == [d.lines for d in signs(6)]
    assert drafts(2) != drafts(2, seed=1)


def test_fifty_signs_say_fifty_things_and_ten_of_them_are_menus():
    drawn = signs()
    assert len(drawn) == SIGNS == len({d.lines for d in drawn}) == len({d.key for d in drawn})
    assert sum(len(d.lines) == 3 for d in drawn) == 10


def test_twenty_drafts_have_twenty_titles_and_one_to_three_buttons():
    drawn = drafts()
    assert len(drawn) == DRAFTS == len({d.lines for d in drawn})
    assert {len(d.buttons) for d in drawn} == {1, 2, 3}


def test_pictures_have_ink_where_the_paper_was():
    for drawn in (signs(1)[0], drafts(1)[0]):
        image = Image.open(io.BytesIO(drawn.image)).convert("L")
        low, high = image.getextrema()
        assert high - low > 120


def test_a_hand_can_print_every_text():
    letters = set("".join((*SIGN_TEXTS, *DISHES, *TITLES, *BUTTONS)).upper()) - {" "}
    assert letters <= set(STROKES)


def test_a_page_holds_a_draft_if_its_title_and_all_buttons_are_there():
    draft = drafts(1)[0]
    title, buttons = draft.lines[0], "".join(f"<button>{b}</button>" for b in draft.buttons)
    page = f"<html><body><h1>{title.upper()}</h1>{buttons}</body></html>"
    assert holds(page, draft)
    assert not holds(page.replace("<button>", "<p>").replace("</button>", "</p>"), draft)
    assert not holds(page.replace(title.upper(), "Something else"), draft)
    assert not holds(page.removesuffix("</body></html>"), draft)
