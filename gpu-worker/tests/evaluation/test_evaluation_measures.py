"""Intervals, goals and the report."""

import json
import math

import numpy as np
import pytest

from minigpt4.evaluation import report
from minigpt4.evaluation.goals import falls, goals
from minigpt4.evaluation.measures import HUMAN, SWAPPED, bootstrap, mean, rate, ratio
from minigpt4.input_error import InputError


def test_the_bootstraps_interval_is_that_of_theory_and_the_same_every_time():
    values = np.random.default_rng(0).normal(3, 2, size=400)
    found = mean("s", "n", values)
    half = 1.96 * values.std(ddof=1) / math.sqrt(len(values))
    assert found.low == pytest.approx(values.mean() - half, abs=0.03)
    assert found.high == pytest.approx(values.mean() + half, abs=0.03)
    assert mean("s", "n", values) == found


def test_a_mean_of_equal_numbers_is_certain_and_one_of_none_is_unknown():
    assert bootstrap(np.ones(5), lambda sums: sums / 5) == (1.0, 1.0)
    assert math.isnan(mean("s", "n", []).value)


def test_a_ratio_of_sums_weighs_cases_by_their_size():
    found = ratio("s", "n", [(1, 1), (0, 9)])
    assert found.value == pytest.approx(0.1)
    assert found.low < 0.1 < found.high
    assert math.isnan(ratio("s", "n", [(0, 0)]).value)


def stage(failed: int, of: int = 100, words: float = 40):
    return [
        rate("descriptions", "failed", [n < failed for n in range(of)]),
        mean("descriptions", "words", [words] * of),
        mean("descriptions", "content words in no caption", [0.5] * of, unit="rate"),
        mean("descriptions", "content words in no caption", [0.4] * of, HUMAN, "rate"),
    ]


def test_failures_that_fall_ten_times_meet_the_goal_and_nine_times_do_not():
    (fall,) = falls(stage(40), stage(4))
    assert fall.times == pytest.approx(10)
    low, high = fall.interval
    assert 3 < low < 10 < high < 30
    met = {goal.what: goal.met for goal in goals(stage(4), [fall])}
    assert met["failed descriptions"]
    assert met["words of a description"]
    assert met["content words in no caption"]
    met = {goal.what: goal.met for goal in goals(stage(5), falls(stage(40), stage(5)))}
    assert not met["failed descriptions"]


def test_without_failures_before_there_is_no_fall():
    (fall,) = falls(stage(0), stage(0))
    assert not next(g for g in goals(stage(0), [fall]) if g.what.startswith("failed")).met


def test_short_descriptions_miss_the_goal():
    met = {goal.what: goal.met for goal in goals(stage(4, words=29), [])}
    assert not met["words of a description"]


def test_swapped_photos_must_stay_under_their_bound():
    hits = [n < 3 for n in range(20)]
    found = goals([rate("story", "main thing said", hits, SWAPPED)], [])
    assert [goal.met for goal in found] == [False]  # 15 % is not under 15 %
    found = goals([rate("story", "main thing said", hits[1:], SWAPPED)], [])
    assert [goal.met for goal in found] == [True]


def test_goals_without_measures_are_not_claimed():
    assert goals([], []) == []


def test_the_report_holds_the_measures_the_goals_and_twenty_samples_a_section(tmp_path):
    measures = [*stage(4), rate("descriptions", "failed", [True, False], SWAPPED)]
    rows = [{"section": "descriptions", "answer": f"a{n}"} for n in range(30)]
    about = {"model": {"name": "nano", "digest": "0" * 64}, "family": False}
    fallen = falls(stage(40), measures)
    text = report.write(tmp_path, about, measures, goals(measures, fallen), fallen, rows)
    assert "| descriptions" in text
    assert "4.0 % (1.6 - 9.8)" in text
    assert "10.0" in text
    told = json.loads((tmp_path / "report.json").read_text())
    assert len(told["samples"]["descriptions"]) == 20
    assert len((tmp_path / "samples.jsonl").read_text().splitlines()) == 30
    assert report.read_measures(tmp_path / "report.json") == measures
    assert told["paper"] == []


def test_the_papers_numbers_stand_beside_a_model_of_the_family(tmp_path):
    about = {"model": {"name": "vicuna-7b", "digest": "0" * 64}, "family": True}
    text = report.write(tmp_path, about, stage(4), [], [], [])
    assert "35 %" in text
    assert "2 %" in text
    assert json.loads((tmp_path / "report.json").read_text())["paper"]


def test_a_file_that_is_not_a_report_is_refused(tmp_path):
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(InputError, match="is not a report"):
        report.read_measures(tmp_path / "x.json")
