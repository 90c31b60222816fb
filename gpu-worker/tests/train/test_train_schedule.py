"""The original's learning rate, against its published settings and a computation of our own."""

import math

import pytest

from minigpt4.train.optimiser import Schedule

STAGE_1 = Schedule(1e-6, 1e-4, 8e-5, 5000, 20_000)
STAGE_2 = Schedule(1e-6, 3e-5, 1e-5, 200, 1000)


@pytest.mark.parametrize("schedule", [STAGE_1, STAGE_2])
def test_warmup_rises_in_a_straight_line_from_the_start_to_the_peak(schedule):
    assert schedule.rate(0) == schedule.start
    half = schedule.rate(schedule.warmup // 2)
    assert half == pytest.approx((schedule.start + schedule.peak) / 2, rel=1e-12)
    assert schedule.rate(schedule.warmup - 1) < schedule.peak


def test_the_cosine_uses_the_global_step_so_the_rate_drops_when_warmup_ends():
    assert STAGE_1.rate(5000) == pytest.approx(9.707106781e-5, rel=1e-9)
    assert STAGE_2.rate(200) == pytest.approx(2.809016994e-5, rel=1e-9)


@pytest.mark.parametrize("schedule", [STAGE_1, STAGE_2])
def test_every_step_equals_the_same_curve_written_as_a_squared_cosine(schedule):
    for step in range(schedule.warmup, schedule.steps):
        turned = math.cos(math.pi * step / schedule.steps / 2) ** 2  # (1 + cos 2a) / 2
        expected = schedule.least + (schedule.peak - schedule.least) * turned
        assert schedule.rate(step) == pytest.approx(expected, rel=1e-12)


def test_without_warmup_it_begins_at_the_peak():
    assert Schedule(1e-6, 1e-4, 0, 0, 10).rate(0) == 1e-4
