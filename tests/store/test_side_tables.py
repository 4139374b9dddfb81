"""Campaigns beside the rows, in both databases: moved up and down, copied, erased, checked when a log is opened."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from palate import Recommender
from palate.campaign import Campaign, Campaigns, Submission
from palate.errors import StoreError
from palate.store import side_tables
from palate.store.backup import backup, restore
from palate.store.copying import copy_rows
from palate.store.migrations import downgrade, migrate
from palate.store.open_store import open_store
from palate.store.postgres_log import PostgresLog
from palate.store.sql_log import SqlLog
from palate.store.sqlite_log import LabelLog
from tests.campaign.teams import copied
from tests.postgres import Postgres

RNG = np.random.default_rng(0)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres").schema())
    return str(tmp_path / "labels.sqlite")


@pytest.fixture
def campaigns(place: str, tmp_path: Path) -> Iterator[Campaigns]:
    with Recommender.open(copied(tmp_path / "model"), store=place) as recommender:
        yield Campaigns(recommender)


def labelled(campaigns: Campaigns) -> str:
    """A campaign about two users with a label, a note and a lease on each."""
    id = campaigns.make(Campaign("films", "How?", users=["secret-ann", "bob"], price=0.5)).id
    for n, lease in enumerate(campaigns.next(id, "annotator-1", 4, rng=RNG).leases):
        campaigns.note(lease.id, "annotator-1", flag=True, comment=f"odd-{lease.user_id}")
        if n < 2:
            campaigns.submit([Submission(f"k-{lease.user_id}", lease.id, "annotator-1", value=4)])
    return id


def tables_of(log: SqlLog) -> dict[str, list[tuple[Any, ...]]]:
    return side_tables.read_all(log.select)


def test_an_erasure_takes_a_user_out_of_campaigns_leases_and_notes(campaigns: Campaigns, place: str) -> None:
    id = labelled(campaigns)
    campaigns._recommender.erase("secret-ann")
    assert campaigns.get(id).users == ("bob",)
    rows = list(campaigns.labels(id))
    assert sorted(row["user_id"] for row in rows) == ["", "", "bob", "bob"]
    gone = [row for row in rows if not row["user_id"]]
    assert all(not (row["item_id"] or row["label_key"] or row["value"] or row["notes"]) for row in gone)
    assert sum(row["is_bought"] for row in rows) == 2 and sum(row["price"] for row in rows) == 1.0  # it was paid
    assert campaigns.progress(id).spent == 1.0
    assert {lease.user_id for lease in campaigns.next(id, "annotator-2", 20, rng=RNG).leases} == {"bob"}
    assert "secret-ann" not in str(tables_of(campaigns._log))
    if not place.startswith("postgresql"):
        files = [path.read_bytes() for path in Path(place).parent.glob("labels.sqlite*")]
        assert files and not any(b"secret-ann" in content for content in files)


def test_an_erasure_of_an_annotator_takes_what_they_said_of_items(campaigns: Campaigns) -> None:
    made = Campaign("kids", "For children?", subject="kids", options=["no", "yes"])
    id = campaigns.make(made).id
    (lease,) = campaigns.next(id, "annotator-1", rng=RNG).leases
    campaigns.submit([Submission("k", lease.id, "annotator-1", value=1)])
    campaigns._recommender.erase("annotator-1")
    assert "annotator-1" not in str(tables_of(campaigns._log))
    assert campaigns.next(id, "annotator-2", 20, rng=RNG).done == ""


def test_an_export_has_what_was_asked_about_a_user(campaigns: Campaigns) -> None:
    labelled(campaigns)
    held = campaigns._recommender.export_user("secret-ann")["campaigns"]
    assert len(held) == 2 and {one["user_id"] for one in held} == {"secret-ann"}
    assert [note["comment"] for one in held for note in one["notes"]] == ["odd-secret-ann"] * 2


def test_a_backup_and_a_move_carry_them_into_either_database(
    campaigns: Campaigns, place: str, tmp_path: Path, postgres: Postgres
) -> None:
    labelled(campaigns)
    kept = tables_of(campaigns._log)
    backup(place, tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "restored.sqlite")
    url = postgres.schema()
    restore(tmp_path / "backup", url)
    with open_store(tmp_path / "restored.sqlite") as one, open_store(url) as two:
        assert tables_of(one) == tables_of(two) == kept and one.verify().is_whole
    other = postgres.schema()
    with open_store(place) as source, open_store(other) as target:
        copy_rows(source, target)
        copy_rows(source, target)  # again, as after one that was interrupted
        assert tables_of(target) == kept
    with LabelLog.open(tmp_path / "late.sqlite") as target:
        side_tables.replace_all(
            lambda *given: target.together(lambda log: log.execute(*given)),
            kept,
        )
        leases = [dict(zip(side_tables.LEASE, row, strict=True)) for row in tables_of(target)["leases"]]
        assert {one["label_key"] for one in leases} == {None}  # of a label that is not in the log


def test_what_restores_a_backup_obeys_a_later_erasure(campaigns: Campaigns, place: str, tmp_path: Path) -> None:
    labelled(campaigns)
    campaigns.make(Campaign("more", "How?", users=["never-told"]))
    backup(place, tmp_path / "backup")
    for user in ("secret-ann", "never-told"):  # of the second there is no row in the log
        campaigns._recommender.erase(user)
    with open_store(place, read_only=True) as obeyed:
        restore(tmp_path / "backup", tmp_path / "restored.sqlite", obey=[obeyed])
    with open_store(tmp_path / "restored.sqlite") as log:
        assert not any(user in str(tables_of(log)) for user in ("secret-ann", "never-told"))


def test_ST_08_campaigns_came_with_version_7_in_sqlite(campaigns: Campaigns, tmp_path: Path) -> None:
    path = tmp_path / "own.sqlite"
    LabelLog.open(path).close()
    _down(path, 6)
    with contextlib.closing(sqlite3.connect(path)) as old:
        assert old.execute("PRAGMA user_version").fetchone() == (6,)
        assert not set(side_tables.NAMES) & {name for (name,) in old.execute("SELECT name FROM sqlite_master")}
    with LabelLog.open(path) as log:
        assert tables_of(log) == {name: [] for name in side_tables.NAMES}
        log.change("INSERT INTO campaigns VALUES ('c', '{{\"users\": []}}', 'open', 0, 0, 0, 1.0)", ())
    with pytest.raises(StoreError, match=r"version 6 cannot keep campaigns, and 1 are here\. Nothing was changed"):
        _down(path, 6)
    assert len(tables_of(LabelLog.open(path))["campaigns"]) == 1


def _down(path: Path, version: int) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            downgrade(connection, version)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def test_ST_08_campaigns_came_with_version_7_in_postgres(postgres: Postgres) -> None:
    url = postgres.schema()
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    PostgresLog(url).close()
    try:
        with engine.begin() as connection:
            migrate(connection, "0006", down=True)
        with pytest.raises(StoreError, match=r"is a label log of version 6\. Open it once to write"):
            PostgresLog(url, read_only=True)
        with PostgresLog(url) as log:
            log.change("INSERT INTO campaigns VALUES ('c', '{{\"users\": []}}', 'open', 0, 0, 0, 1.0)", ())
        with pytest.raises(StoreError, match="version 6 cannot keep campaigns"), engine.begin() as connection:
            migrate(connection, "0006", down=True)
    finally:
        engine.dispose()


FOREIGN: dict[str, Callable[[bool], str]] = {
    "a column": lambda _: "ALTER TABLE leases ADD COLUMN mine TEXT",
    "a table gone": lambda _: "DROP TABLE notes",
    "a trigger": lambda is_postgres: (
        "CREATE TRIGGER mine BEFORE INSERT ON leases EXECUTE FUNCTION records_grow()"
        if is_postgres
        else "CREATE TRIGGER mine BEFORE INSERT ON leases BEGIN SELECT RAISE(IGNORE); END"
    ),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_what_another_program_changes_in_them_is_seen_at_open(place: str, what: str) -> None:
    with open_store(place) as log:
        log.change("SELECT 1", ())
    is_postgres = place.startswith("postgresql")
    statement = FOREIGN[what](is_postgres)
    if is_postgres:
        import psycopg

        with psycopg.connect(place, autocommit=True) as connection:
            connection.execute(statement)
    else:
        with contextlib.closing(sqlite3.connect(place)) as other:
            other.execute(statement)
            other.commit()
    with pytest.raises(StoreError, match=r"not as it was made|does not have the schema"):
        open_store(place)
