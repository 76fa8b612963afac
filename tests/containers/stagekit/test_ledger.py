"""Nothing is lost or invented, whatever the order and the sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagekit.errors import StageError
from stagekit.ledger import Ledger, add_ledgers

durations = st.floats(0, 50_000, allow_nan=False)
units = st.lists(st.lists(durations, min_size=1, max_size=6), max_size=20)


@given(units, st.randoms(use_true_random=False))
def test_what_is_kept_and_rejected_adds_up_to_what_came_in(parts, rng):
    ledger = Ledger("recording")
    for number, pieces in enumerate(parts):
        ledger.enter(str(number), sum(pieces))
        for piece in pieces:
            if rng.random() < 0.5:
                ledger.keep(str(number), piece)
            else:
                ledger.reject(str(number), rng.choice(["silence", "policy"]), piece)
    total = ledger.balance()
    assert total["out"]["units"] + sum(r["units"] for r in total["rejected"].values()) == total["in"]["units"] == len(parts)
    assert total["out"]["seconds"] + sum(r["seconds"] for r in total["rejected"].values()) == pytest.approx(
        total["in"]["seconds"], abs=0.01
    )


def test_a_loss_of_a_hundredth_second_is_seen():
    ledger = Ledger("recording")
    ledger.enter("a", 10.0)
    ledger.keep("a", 9.99)
    with pytest.raises(
        StageError, match=r"a does not add up: 10.0000 s in, 9.9900 s kept, 0.0000 s rejected, \+0.0100 s unaccounted"
    ):
        ledger.balance()


def test_shards_add_up():
    ledgers = []
    for shard in range(3):
        ledger = Ledger("recording")
        ledger.enter(f"{shard}", 2.0)
        ledger.keep(f"{shard}", 1.5)
        ledger.reject(f"{shard}", "silence", 0.5)
        ledgers.append(ledger.balance())
    assert add_ledgers(ledgers) == {
        "unit": "recording",
        "in": {"units": 3, "seconds": 6.0},
        "out": {"units": 3, "seconds": 4.5},
        "rejected": {"silence": {"units": 0, "seconds": 1.5}},
    }
