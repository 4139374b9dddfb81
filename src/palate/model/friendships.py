"""Who follows whom, as a fit and a list read it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
import scipy.sparse as sparse

from palate.entities import USER
from palate.entities.friends import FRIEND


@dataclass(frozen=True, eq=False)
class Friendships:
    """Pairs of a user and somebody whom they follow.

    Attributes:
        table: user_id and friend_id, each pair once.
    """

    table: pl.DataFrame

    @cached_property
    def _of(self) -> dict[str, list[str]]:
        return dict(self.table.group_by(USER, maintain_order=True).agg(FRIEND).iter_rows())

    def of(self, user_id: str) -> Sequence[str]:
        """Whom a user follows."""
        return self._of.get(user_id, ())

    @property
    def people(self) -> list[str]:
        """Everybody who is named."""
        return pl.concat([self.table[USER], self.table[FRIEND]]).unique().to_list()

    def without(self, users: Collection[str]) -> Friendships:
        """Without the pairs in which one of these is."""
        gone = list(users)
        return Friendships(self.table.filter(~pl.col(USER).is_in(gone) & ~pl.col(FRIEND).is_in(gone)))

    def among(self, user_ids: Sequence[str]) -> sparse.csr_array:
        """1 where the user of a row follows the one of a column, (U, U)."""
        known = pl.DataFrame({"id": user_ids, "row": np.arange(len(user_ids))}, schema_overrides={"id": pl.String})
        pairs = self.table.join(known, left_on=USER, right_on="id").join(known, left_on=FRIEND, right_on="id")
        rows, columns = pairs["row"].to_numpy(), pairs["row_right"].to_numpy()
        return sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(user_ids),) * 2)
