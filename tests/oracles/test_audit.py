import numpy as np
import pytest

from palate.oracles.audit import Look, is_shown, most_wrong
from palate.oracles.calibration import upper_limit


def rounds(n, drawn, chosen):
    """Sizes of the rounds of a pool, until nobody is left: (people before, chosen, drawn, among)."""
    before, found = 0, []
    while before < n:
        least_sure = min(chosen if before else 0, n - before)
        among = n - before - least_sure
        found.append((before, least_sure, min(drawn, among), among))
        before += least_sure + min(drawn, among)
    return found


@pytest.mark.parametrize(("n", "wrong", "chosen", "drawn"), [(60, 6, 3, 1), (40, 20, 2, 2), (50, 3, 1, 5)])
def test_ever_showing_what_is_not_so_is_as_unlikely_as_was_asked(n, wrong, chosen, drawn):
    """People get the right ones first, so that as many stay wrong as long as can be; by simulation."""
    doubt, runs, rng = 0.2, 150, np.random.default_rng(n)
    missed = 0
    for _ in range(runs):
        left, looks, found = list(range(n)), [], 0
        for before, least_sure, m, among in rounds(n, drawn, chosen):
            left = left[least_sure:] if len(left) - least_sure > wrong else left[len(left) - among :]
            taken = set(rng.choice(len(left), m, replace=False).tolist()) if m else set()
            found += sum(left[place] >= n - wrong for place in taken)
            left = [item for place, item in enumerate(left) if place not in taken]
            looks.append(Look(before + least_sure + m, m, among, found, len(left)))
            is_wrong = sum(item >= n - wrong for item in left)
            if is_wrong and is_shown(is_wrong - 1, looks, of=n, doubt=doubt):
                missed += 1
                break
    assert missed / runs <= doubt + 3.5 * np.sqrt(doubt * (1 - doubt) / runs)


def test_one_look_at_the_whole_of_a_large_pool_is_the_limit_of_clopper_and_pearson():
    n = 10**6
    one = [Look(n, 40, n, 3, n)]  # as if all had been labelled, so that the look may spend the whole doubt
    assert most_wrong(one, of=n, doubt=0.1) / n == pytest.approx(upper_limit(3, 40, 0.1), abs=1e-3)


def test_more_wrong_ones_more_left_and_less_doubt_make_the_bound_worse():
    def bound(wrong=2, doubt=0.1, last=2):
        looks = [Look(20, 20, 200, wrong, 180), Look(100, 20, 120, wrong, 100), Look(140, 20, 80, last, 60)]
        return most_wrong(looks, of=200, doubt=doubt)

    assert bound() <= bound(last=5) <= bound(wrong=8, last=8)
    assert bound() <= bound(doubt=0.02)


def test_what_an_early_look_has_shown_stays_shown():
    looks = [Look(100, 100, 200, 0, 100), Look(110, 10, 100, 9, 90)]
    shown = most_wrong(looks[:1], of=200, doubt=0.1)
    assert is_shown(shown, looks, of=200, doubt=0.1)


def test_before_a_look_and_without_a_draw_all_may_be_wrong():
    assert most_wrong([], of=17, doubt=0.1) == 17
    assert most_wrong([Look(5, 0, 12, 0, 12)], of=17, doubt=0.1) == 12
    assert is_shown(12, [Look(5, 0, 12, 0, 12)], of=17, doubt=0.1)
    assert most_wrong([Look(17, 4, 4, 0, 0)], of=17, doubt=0.1) == 0
