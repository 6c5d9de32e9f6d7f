from __future__ import annotations

import polars as pl
import pytest

from reconciler.model.plan import CustomerPlan
from reconciler.planning.plan_id import (
    NO_DIGESTS,
    add_digests,
    digest_effects,
    drop_held_digests,
    list_effects,
    pack_digests,
    unpack_digests,
)
from tests.planning.test_holds_and_digests import KEY, planned


@pytest.fixture(scope="module")
def held() -> CustomerPlan:
    return planned(60)


def test_each_effect_has_one_digest_covering_its_hold(held: CustomerPlan) -> None:
    effects, digests = list_effects(held), digest_effects(held, KEY)
    assert digests.n_unique() == effects.height
    assert digests.filter(digests % 2 == 1).len() == effects["held"].sum() > 0
    assert drop_held_digests(digests).len() == effects.filter(~pl.col("held")).height


def test_another_key_gives_other_digests(held: CustomerPlan) -> None:
    assert not digest_effects(held, KEY).is_in(digest_effects(held, "another").implode()).any()


@pytest.mark.parametrize("leavers", [0, 3])
def test_packed_digests_come_back_in_8_bytes_each(leavers: int) -> None:
    digests = digest_effects(planned(leavers), KEY)
    assert len(pack_digests(digests)) == 8 * digests.len()
    assert unpack_digests(pack_digests(digests)).equals(digests)
    assert pack_digests(digests[1:]) == pack_digests(digests)[8:]


def test_an_added_effect_counts_once_held_or_not() -> None:
    mine, others = (pl.Series("digest", each, dtype=pl.UInt64) for each in ([4, 7], [5, 6, 8]))
    assert add_digests(mine, others).to_list() == [4, 7, 8]
    assert add_digests(NO_DIGESTS, mine).equals(mine)
