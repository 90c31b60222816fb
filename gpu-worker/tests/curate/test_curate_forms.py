"""Poems have lines, recipes ingredients and steps, pages parse; what stands around them goes."""

import pytest

from minigpt4.curate import forms
from minigpt4.curate.tidy import tidy

POEM = "A dog in the green,\nA ball in the air,\nHe leaps, he is seen,\nThe wind in his hair."
RECIPE = """Chocolate Cake

Ingredients:
- 2 cups flour
- 1 cup sugar
- 3 eggs

Steps:
1. Mix the flour and the sugar.
2. Add the eggs and bake."""
PAGE = """<!DOCTYPE html>
<html lang="en"><head><title>Dogs</title><style>p { color: red; }</style></head>
<body><h1>A brown dog</h1><p>A brown dog runs on the grass.<p>It has a ball.<br>
<ul><li>Fast<li>Brown</ul><img src="data:image/png;base64,AAAA" alt=""></body></html>"""


def test_a_poem_a_recipe_and_a_page_pass():
    assert forms.poem(POEM) is None
    assert forms.recipe(RECIPE) is None
    assert forms.website(PAGE) is None


@pytest.mark.parametrize(
    "text",
    [
        POEM.replace("\n", " "),
        "\n".join(POEM.split("\n")[:3]),
        POEM + "\n" + "word " * 17,
        "Dog\nBall\nGrass\nSky",
        "- A dog\n- A ball in the air\n- Grass\n- Some more grass",
    ],
)
def test_a_poem_without_lines_of_verse_is_dropped(text):
    assert forms.poem(text)


@pytest.mark.parametrize(
    "text",
    [
        "Mix flour, sugar and eggs, and bake it for an hour.",
        "Ingredients:\n- flour\n- sugar\n- eggs",
        "Ingredients:\n- flour\n\nSteps:\n1. Mix.\n2. Bake.",
        "Steps:\n1. Mix.\n2. Bake.\n3. Eat.",
        "Ingredients:\n- flour\n- sugar\n- eggs\n\nSteps:\n1. Mix and bake.",
    ],
)
def test_a_recipe_without_ingredients_or_steps_is_dropped(text):
    assert forms.recipe(text)


@pytest.mark.parametrize(
    "text",
    [
        "**Ingredients**\n* flour\n* sugar\n* eggs\n\n**Instructions**\n1. Mix.\n2. Bake.",
        "Ingredients: flour, sugar, eggs\n\nMethod:\nMix all of it. Bake for an hour. Serve.",
        "# Cake\n## Ingredients\n- a\n- b\n- c\n## Directions\nStep 1: Mix.\nStep 2: Bake.",
        "Ingredients\nflour\nsugar\neggs\nPreparation\nMix the flour.\nBake it.",
    ],
)
def test_recipes_are_known_however_they_are_headed(text):
    assert forms.recipe(text) is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda page: page.replace("</h1>", "</h2>"), "stands where"),
        (lambda page: page.replace("</ul>", ""), "is never closed|stands where|is open"),
        (lambda page: page.replace("</html>", ""), "does not end"),
        (lambda page: f"Here it is: {page}", "does not begin"),
        (lambda page: page.replace("data:image/png;base64,AAAA", "dog.jpg"), "does not hold"),
        (lambda page: page.replace("<style>", "<link rel=stylesheet href=a.css><style>"), "a.css"),
        (lambda page: page.replace("<body>", "<body><script src='//a/b.js'></script>"), "b.js"),
        (lambda page: "<html><head><title>Dogs</title></head><body></body></html>", "next to"),
        (lambda page: "<html><body><p>A brown dog runs on the grass.</p></body></html>", "heading"),
        (lambda page: "<html><h1>A brown dog runs on the grass</h1></html>", "no <body>"),
        (lambda page: page.replace("<h1>", "<div><h1>"), "open|closed"),
    ],
)
def test_an_answer_without_a_page_that_parses_is_dropped(change, why):
    trouble = forms.website(change(PAGE))
    assert trouble
    assert any(part in trouble for part in why.split("|")), trouble


def test_language_rules_check_the_visible_text_of_a_page():
    shown = forms.visible_text(PAGE)
    assert "A brown dog runs on the grass." in shown
    assert "color" not in shown and "<" not in shown
    assert forms.visible_text("A dog < a cat.") == "A dog < a cat."


def test_a_story_is_prose_and_not_a_list():
    assert forms.story("A dog ran. It saw a ball. It was glad.") is None
    assert forms.story("A dog ran. It was glad.")
    assert forms.story("1. A dog ran.\n2. It saw a ball.\n3. It was glad.")


def test_prose_holds_neither_lists_nor_markup():
    assert forms.prose("A dog runs. It is 2 < 3.") is None
    assert forms.prose("- A dog\n- A ball")
    assert forms.prose("A <b>dog</b> runs.")
    assert forms.prose("# A dog\nIt runs.")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("  A dog runs. \n", "A dog runs."),
        ('"A dog runs."', "A dog runs."),
        ("Sure! Here is a poem about the dog:\n\nA dog,\na ball.", "A dog,\na ball."),
        ("Certainly! Here's the corrected description: A dog runs.", "A dog runs."),
        ("Corrected description:\nA dog runs.", "A dog runs."),
        ("**Description:** A dog runs.", "A dog runs."),
        ("A dog **runs**.", "A dog runs."),
        ("```\nA dog runs.\n```", "A dog runs."),
        ('"Run," he said. "Now."', '"Run," he said. "Now."'),
        (
            "Surely a dog runs. Here is a ball: it is red.",
            "Surely a dog runs. Here is a ball: it is red.",
        ),
        ("Here is a dog that runs.", "Here is a dog that runs."),
        ("This is a dog. It runs.", "This is a dog. It runs."),
    ],
)
def test_text_around_an_answer_is_removed_and_the_answer_stays_whole(given, wanted):
    assert tidy(given) == wanted


def test_a_page_is_extracted_from_the_text_around_it():
    said = f"Sure, here is the page:\n\n```html\n{PAGE}\n```\n\nIt shows a dog."
    assert tidy(said, page=True) == PAGE
    assert tidy(f"Here it is: {PAGE} I hope you like it", page=True) == PAGE
