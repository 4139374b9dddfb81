"""The log in PostgreSQL keeps the contract of a label store, on a real server."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

import palate
from palate.errors import MissingExtra, PalateError, StoreError
from palate.records import Slate, rate
from palate.store.migrations import migrate
from palate.store.postgres_log import PostgresLog
from palate.testing import LabelStoreContract
from tests.postgres import Postgres


class TestPostgresLog(LabelStoreContract):
    server: Postgres

    @pytest.fixture(autouse=True)
    def _server(self, postgres: Postgres) -> None:
        type(self).server = postgres

    def open(self, place: Path) -> PostgresLog:
        return PostgresLog(self.server.schema(f"s{hashlib.sha256(str(place).encode()).hexdigest()[:20]}"))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:top%20secret@127.0.0.1:1/shop",
        "postgresql://ann:top%20secret@127.0.0.1:1/shop?connect_timeout=never",
        "postgresql://127.0.0.1:1/shop?password=top%20secret&user=ann",
        "postgresql://ann:top%2@127.0.0.1:1/shop",
        "postgresql://ann:topsecret@127.0.0.1:port/shop",
    ],
)
def test_AU_05_a_server_that_is_not_there_is_told_without_the_password(url: str) -> None:
    with pytest.raises(PalateError) as told:
        PostgresLog(url)
    assert "top" not in str(told.value) and "\n" not in str(told.value)


def test_without_the_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"pip install '\.\[postgres\]'"):
        PostgresLog("postgresql://127.0.0.1:1/shop")


def test_processes_that_write_at_once_make_one_sequence(postgres: Postgres) -> None:
    """And none of them sees a row before those that came before it."""
    code = """
import sys
from palate.records import rate
from palate.store.open_store import open_store
with open_store(sys.argv[1]) as log:
    seen = 0
    for number in range(30):
        log.append([rate(sys.argv[2], "film", 4.0, key=f"{sys.argv[2]}-{number}-{part}") for part in range(2)])
        seqs = [record.seq for record in log.records(seen)]
        assert seqs == list(range(seen + 1, seen + 1 + len(seqs))), seqs
        seen = seqs[-1]
"""
    url = postgres.schema()
    environment = {**os.environ, "PYTHONPATH": str(Path(palate.__file__).resolve().parents[1])}
    writers = [subprocess.Popen([sys.executable, "-c", code, url, name], env=environment) for name in "ab"]
    assert [writer.wait(300) for writer in writers] == [0, 0]
    with PostgresLog(url) as log:
        assert [record.seq for record in log.records()] == list(range(1, 121))
        assert log.verify().is_whole


def test_ST_08_a_log_of_version_5_is_moved_when_it_is_opened_to_write(postgres: Postgres) -> None:
    url = postgres.schema()
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with PostgresLog(url) as log:
        kept = log.append([rate("ann", "film", 4.0)])
    try:
        with engine.begin() as connection:
            migrate(connection, "0005", down=True)
        with pytest.raises(StoreError, match=r"is a label log of version 5\. Open it once to write"):
            PostgresLog(url, read_only=True)
        with PostgresLog(url) as log:
            shown = log.append([Slate("ann", ("film",), (0.5,), 1.0)])
            assert list(log.records()) == kept + shown and log.verify().is_whole
        with (
            pytest.raises(StoreError, match="row 2 of the log has what version 5 cannot keep"),
            engine.begin() as connection,
        ):
            migrate(connection, "0005", down=True)
    finally:
        engine.dispose()


def test_ST_08_a_log_made_by_the_migrations_is_the_same(postgres: Postgres) -> None:
    url = postgres.schema()
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    try:
        with engine.begin() as connection:
            migrate(connection)
        with PostgresLog(url) as log:
            kept = log.append([rate("ann", "film", 4.0)])
        with (
            pytest.raises(StoreError, match="the oldest that a log in PostgreSQL can have"),
            engine.begin() as connection,
        ):
            migrate(connection, "0004", down=True)
        with PostgresLog(url) as log:
            assert list(log.records()) == kept
            assert log.verify().is_whole
    finally:
        engine.dispose()
