"""The form that each task asks for, and pages in answers."""

import pytest

from minigpt4.evaluation.forms import (
    is_advertisement,
    is_poem,
    is_recipe,
    is_story,
    is_website,
)
from minigpt4.evaluation.html_page import read_page

VERSE = "\n".join(["The dog runs on", "beside the sea", "its day is long", "and it is free"])
RECIPE = """Apple pie

Ingredients:
- 3 apples
- 1 cup of flour

Instructions:
1. Cut the apples.
2. Bake for an hour."""
STORY = (
    "Once a small dog lived near the sea. Every morning it ran down to the water and looked for "
    "its friend, an old fisherman. One day the man came with a boat, and the two of them sailed "
    "out to see the sun rise."
)
PAGE = """Here is the page:
```html
<!DOCTYPE html>
<html><head><title>My dog</title></head>
<body><h1>Dog &amp; sea</h1><p>He runs.<br>He plays<p>He sleeps
<a href="#">Read more</a> <button>Feed <b>him</b></button> <input type="submit" value="Send">
</body></html>
```
Enjoy!"""


def test_a_poem_has_four_short_lines_and_its_end():
    assert is_poem(VERSE, True)
    assert is_poem("A Dog\n\n" + VERSE, True)
    assert not is_poem(VERSE, False)
    assert not is_poem("\n".join(VERSE.splitlines()[:3]), True)
    assert not is_poem("\n".join([STORY] * 4), True)  # paragraphs of prose


@pytest.mark.parametrize(
    "text",
    [
        RECIPE,
        RECIPE.replace("- ", "* ").replace("Instructions", "**Steps**"),
        "Ingredients: apples, flour and sugar\n1) Cut.\n2) Bake.",
        "# Pie\n## Ingredients\nApples\nFlour\n## Method\nStep 1: Cut.\nStep 2: Bake.",
        RECIPE.replace("1. ", "- ").replace("2. ", "- "),
    ],
)
def test_a_recipe_has_ingredients_and_listed_steps(text):
    assert is_recipe(text, True)
    assert not is_recipe(text, False)


@pytest.mark.parametrize(
    "text",
    [
        "This is an apple pie. Cut the apples and bake them.",
        "Ingredients:\n- apples\n- flour",
        "1. Cut the apples.\n2. Bake them.",
        "Ingredients:\n- apples\n\nInstructions:\n1. Cut.\n2. Bake.",
        "Ingredients:\n- apples\n- flour\n\nInstructions:\nCut and bake.",
    ],
)
def test_a_recipe_needs_ingredients_and_steps(text):
    assert not is_recipe(text, True)


def test_a_story_has_three_sentences_forty_words_and_no_loops():
    assert is_story(STORY, True)
    assert not is_story(STORY, False)
    assert not is_story("A dog runs. It is happy. The sea is calm.", True)
    assert not is_story(f"{STORY} {STORY}", True)


def test_an_advertisement_has_some_words_and_not_too_many():
    assert is_advertisement("Meet the beach dog: the best friend for your summer!", True)
    assert not is_advertisement("A dog.", True)
    assert not is_advertisement(" ".join(f"word{n}" for n in range(201)), True)
    assert not is_advertisement("Meet the beach dog: the best friend for your", False)


def test_a_page_is_found_parsed_and_read():
    page = read_page(PAGE)
    assert page.parses, page.problem
    assert page.title == "My dog"
    assert page.text.startswith("Dog & sea He runs.")
    assert page.buttons == ["Read more", "Feed him", "Send"]
    assert is_website(PAGE, False)  # cut in the words after it


@pytest.mark.parametrize(
    "text",
    [
        "A dog on the beach.",
        "Use <b>bold</b> words.",
        "<html><body><h1>Dog</h1>",  # cut
        "<html><body><div><h1>Dog</h1></body></html>",
        "<html><body><h1>Dog</h2></body></html>",
        "<html><head><title>Dog</title></head><body></body></html>",  # shows nothing
        "<html><body><script>document.write('dog')</script></body></html>",
        "```html\n<div><p>Dog",
        "```\n<h1>Dog</h1>",  # its fence is not closed
        '```\n<h1>Dog</h1><img src="a.png\n```',  # cut in a tag
        "```\nno tags here\n```",
        "<body><h1>Dog</h1>",
    ],
)
def test_a_missing_cut_off_or_empty_page_does_not_parse(text):
    assert not is_website(text, True)
    assert read_page(text).problem


def test_a_page_without_a_fence_and_one_without_html_tag_are_pages():
    assert is_website("<!doctype html><html><body><p>Dog</body></html> Enjoy!", True)
    assert is_website("```\n<h1>Dog</h1>\n```", True)
    assert is_website("<html><body><ul><li>A<li>B</ul><p>Dog</body></html>", True)
