"""Which sample comes when depends on the seed and the step, and on nothing else."""

from collections import Counter

import pytest

from minigpt4.train.order import CHUNK, Order


def order(seed: int = 1, per_batch: bool = True, sizes=(10, 7), weights=(115.0, 14.0)) -> Order:
    return Order(seed, sizes, weights, batch=4, batches=2, per_batch=per_batch)


@pytest.mark.parametrize("per_batch", [True, False])
def test_a_step_is_the_same_whether_those_before_it_were_asked_for_or_not(per_batch):
    whole = [order(per_batch=per_batch).step(n) for n in range(3 * CHUNK)]
    gone_through = order(per_batch=per_batch)
    for n in (0, 1, CHUNK - 1, CHUNK, 2 * CHUNK + 5, 3):
        assert order(per_batch=per_batch).step(n) == whole[n] == gone_through.step(n)
    assert order(seed=2, per_batch=per_batch).step(0) != whole[0]


@pytest.mark.parametrize("per_batch", [True, False])
def test_every_epoch_of_a_component_holds_each_of_its_samples_once(per_batch):
    seen: dict[tuple[int, int], list[int]] = {}
    it = order(per_batch=per_batch, weights=(1, 1))
    for n in range(200):
        for batch in it.step(n):
            for pick in batch:
                seen.setdefault((pick.component, pick.epoch), []).append(pick.index)
    for indices in seen.values():
        assert len(set(indices)) == len(indices)
    whole = [(c, sorted(i)) for (c, _), i in seen.items() if len(i) == (10, 7)[c]]
    assert len(whole) > 150
    assert all(indices == list(range((10, 7)[c])) for c, indices in whole)
    assert seen[0, 0] != seen[0, 1]


def test_a_batch_is_of_one_component_or_mixed_and_weights_say_how_often():
    one, mixed = order(), order(per_batch=False)
    batches = [batch for n in range(2000) for batch in one.step(n)]
    assert all(len({pick.component for pick in batch}) == 1 for batch in batches)
    share = sum(batch[0].component == 1 for batch in batches) / len(batches)
    assert share == pytest.approx(14 / 129, abs=0.02)
    picks = [pick for n in range(2000) for batch in mixed.step(n) for pick in batch]
    count = Counter(pick.component for pick in picks)
    assert count[1] / len(picks) == pytest.approx(14 / 129, abs=0.01)
    assert any(len({p.component for p in b}) == 2 for n in range(50) for b in mixed.step(n))


def test_other_things_are_drawn_by_name():
    a, b = order().draw("prompt", 3, 0), order().draw("prompt", 3, 0)
    assert a.random() == b.random() != order().draw("sample", 3, 0).random()
