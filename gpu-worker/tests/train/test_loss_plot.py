"""The loss as a picture: whatever the numbers, it is drawn inside its axes."""

import math

import pytest
from PIL import Image, ImageColor

from minigpt4.train import loss_plot
from minigpt4.train.loss_plot import draw, round_step, running_mean, ticks


def coloured(image: Image.Image, colour: str) -> list[tuple[int, int]]:
    wanted = ImageColor.getrgb(colour)
    pixels = image.load()
    box = (loss_plot.LEFT + 1, loss_plot.TOP + 2, image.width, image.height)
    return [
        (x, y)
        for x in range(box[0], box[2])
        for y in range(box[1], box[3])
        if pixels[x, y] == wanted
    ]


def test_a_falling_loss_falls_in_the_picture():
    points = [(n, 2 + 6 * math.exp(-n / 60)) for n in range(1, 1001)]
    line = coloured(draw("x", points, [(500, 2.5)]), loss_plot.STRONG)
    left = min(y for x, y in line if x < 120)
    right = max(y for x, y in line if x > 900)
    assert left < 120 < 400 < right < loss_plot.HEIGHT - loss_plot.BOTTOM


def test_held_out_losses_are_dots_of_their_own_colour():
    points = [(n, 2.0) for n in range(1, 101)]
    assert not coloured(draw("x", points), loss_plot.HELD_OUT)
    assert coloured(draw("x", points, [(50, 2.4), (100, 2.2)]), loss_plot.HELD_OUT)


@pytest.mark.parametrize(
    "values", [[3.0], [0.0, 0.0], [1e-9, 2e-9], [5.0] * 9, [1e4, 2.0], [2.0, 9.0, 1e6, 2.0]]
)
def test_any_losses_can_be_drawn(values):
    image = draw("x", list(enumerate(values, 1)))
    assert coloured(image, loss_plot.STRONG)


def test_ticks_are_round_numbers_inside_the_axis():
    assert ticks(1.7, 6.9) == [2, 3, 4, 5, 6]
    assert ticks(0, 20_000) == [0, 5000, 10_000, 15_000, 20_000]
    assert round_step(0.3) == pytest.approx(0.05)


def test_the_running_mean_is_centred_and_has_a_value_per_step():
    points = [(n, float(n)) for n in range(1, 401)]
    assert len(running_mean(points)) == 400
    assert running_mean(points)[200] == (201, pytest.approx(201))


def test_it_is_written_from_the_metrics(tmp_path):
    rows = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.5, "choose_loss": 2.7}]
    loss_plot.write(tmp_path / "loss.png", "x", rows)
    with Image.open(tmp_path / "loss.png") as image:
        assert image.size == (loss_plot.WIDTH, loss_plot.HEIGHT)
    loss_plot.write(tmp_path / "none.png", "x", [])
    assert not (tmp_path / "none.png").exists()
