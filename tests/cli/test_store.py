from __future__ import annotations

import json
from pathlib import Path

import pytest

from palate import Recommender
from palate.entities import AnswerKind
from palate.store.audit import FILE, FOLDER
from palate.store.open_store import open_store


@pytest.fixture
def told(cli, model: Path) -> Path:
    """A model folder in whose log are two answers of ann and one of bob."""
    for user, item, answer in (("ann", "i03", "4"), ("ann", "i01", "unknown"), ("bob", "i03", "2")):
        assert (
            cli("tell", model, "--user", user, "--item", item, "--answer", answer, "--key", f"{user}{item}").code == 0
        )
    return model


def records(place: Path) -> list:
    with open_store(place / "labels.sqlite", read_only=True) as log:
        return list(log.records())


def test_a_log_goes_through_a_file_and_back(cli, told, tmp_path):
    done = cli("store", "export", told, tmp_path / "log.csv", "--json")
    assert (done.code, done.json["rows"], done.json["format"]) == (0, 3, "csv")
    with (tmp_path / "log.csv").open("a") as stream:
        stream.write("\ufeffbroken\n")
    new = tmp_path / "new.sqlite"
    done = cli("store", "import", new, tmp_path / "log.csv", "--json")
    rejects = tmp_path / "log.csv.rejects.csv"
    assert (done.code, done.json) == (2, {"added": 3, "repeated": 0, "rejected": 1, "rejects": str(rejects)})
    assert "log.csv,5,," in rejects.read_text()
    with open_store(new) as log:
        assert [row.content for row in log.records()] == [row.content for row in records(told)]
    assert cli("store", "export", new, tmp_path / "log.jsonl").out == f"Wrote 3 rows to {tmp_path / 'log.jsonl'}.\n"
    again = cli("store", "import", told, tmp_path / "log.jsonl")
    assert (again.code, again.out) == (0, "0 rows are new, 3 were there, 0 were rejected.\n")


def test_words_and_columns_of_a_tool_are_given(cli, told, tmp_path):
    task = {"id": 1, "label": ["liked"], "sku": "i07"}
    (tmp_path / "a.jsonl").write_text(json.dumps(task))
    command = ("store", "import", told, tmp_path / "a.jsonl", "--format", "doccano", "--columns", "item_id=sku")
    assert cli(*command).code == 2
    assert "'liked' has no number" in (tmp_path / "a.jsonl.rejects.csv").read_text()
    assert cli(*command, "--value", "liked=5,hated=1").code == 0
    assert not (tmp_path / "a.jsonl.rejects.csv").exists()
    kept = records(told)[-1].answer
    assert (kept.item_id, kept.kind, kept.value, kept.source) == ("i07", AnswerKind.RATING, 5.0, "doccano")
    assert "--value has 'liked'" in cli(*command, "--value", "liked").err


def test_a_source_is_calibrated(cli, told):
    found = cli("store", "calibrate", told, "lea", "0.5", "--json").json
    assert (found["source"], found["weight"]) == ("lea", 0.5)
    assert cli("store", "calibrate", told, "lea", "2").code == 2
    with Recommender.open(told) as recommender:
        assert recommender.learner.memory.weights == {"lea": 0.5}


def test_backup_restore_verify_erase_and_move(cli, told, tmp_path):
    assert cli("store", "backup", told, tmp_path / "backup", "--json").json["rows"] == 3
    erased = cli("store", "erase", told, "--user", "bob", "--json").json
    assert (erased["rows"], erased["seq"]) == (1, 4)
    new = tmp_path / "new" / "labels.sqlite"
    restored = cli("store", "restore", tmp_path / "backup", new, "--obey", told)
    assert restored.out == "Restored 4 rows, 1 of them erased. Every one is as it was kept.\n"
    found = cli("store", "verify", new, "--json")
    assert (found.code, found.json["rows"], found.json["erased"], found.json["is_whole"]) == (0, 4, 1, True)
    moved = cli("store", "move", told, tmp_path / "moved.sqlite", "--json").json
    assert (moved["rows"], moved["new"]) == (4, 4)
    again = cli("store", "move", told, tmp_path / "moved.sqlite")
    assert again.out == f"4 rows are in both, 0 of them new. Both have the chain {moved['chain']}.\n"
    assert cli("store", "backup", told, tmp_path / "backup").code == 1  # is there already


@pytest.mark.parametrize(
    ("arguments", "told_as"),
    [
        (("verify", "nowhere"), "nowhere is no"),
        (("export", "nowhere", "a.jsonl"), "nowhere is no file"),
        (("export", "nowhere", "a.xyz"), "does not end in .jsonl, .csv, .parquet"),
        (("import", "nowhere", "a.jsonl", "--format", "xml"), "the format 'xml' is unknown"),
        (("verify", "http://x"), "is a URL"),
        (("restore", "nowhere", "new"), "is no whole backup"),
    ],
)
def test_what_is_no_log_is_told_in_a_line(cli, tmp_path, monkeypatch, arguments, told_as):
    monkeypatch.chdir(tmp_path)
    done = cli("store", *arguments)
    assert done.code in (1, 2) and told_as in done.err and done.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_changed_row_is_found(cli, told):
    path = told / "labels.sqlite"
    data = bytearray(path.read_bytes())
    data[data.rindex(b"anni01")] ^= 2
    path.write_bytes(data)
    done = cli("store", "verify", told, "--json")
    assert done.code == 1 and not done.json["is_whole"]


def test_a_log_that_lost_rows_is_written_to_again_once_that_is_accepted(cli, told):
    path = told / "labels.sqlite"
    older = path.read_bytes()
    tell = ("tell", told, "--user", "ann", "--item", "i05", "--answer", "4")
    assert cli(*tell).code == 0
    path.write_bytes(older)
    assert cli(*tell).code == 1
    found = cli("store", "verify", told, "--json")
    assert (found.code, found.json["rows"], found.json["first_bad_seq"]) == (1, 3, 4)
    assert found.json["faults"] == ["1 rows after row 3 are lost: rows up to 4 were kept"]
    assert cli(*tell).code == 1
    assert cli("store", "verify", told, "--accept").code == 0
    assert cli(*tell).code == 0 and cli("store", "verify", told).code == 0


def test_a_log_that_stopped_after_a_disk_error_goes_on_once_it_is_found_whole(cli, told):
    (told / "labels.sqlite-stopped").write_text("disk I/O error")
    tell = ("tell", told, "--user", "ann", "--item", "i05", "--answer", "4")
    assert cli(*tell).code == 1
    assert cli("store", "verify", told).code == 0
    assert cli(*tell).code == 0
    assert len(records(told)) == 4


def test_PR_05_commands_are_kept_and_verify_says_what_was_changed(cli, model):
    assert cli("tell", model, "--user", "ann", "--item", "i03", "--answer", "4").code == 0
    made = cli("keys", "add", model, "--role", "annotator", "--json").json
    assert cli("keys", "revoke", model, made["id"]).code == 0
    assert cli("store", "export", model, model.parent / "log.jsonl").code == 0
    assert cli("store", "erase", model, "--user", "ann").code == 0
    assert cli("models", model, "--rollback").code == 2
    found = cli("store", "actions", model, "--json").json["actions"]
    said = ["keys add", "keys revoke", "store export jsonl", "store erase", "models --rollback"]
    assert [one["what"] for one in found] == said and {one["who"].split()[-1] for one in found} == {"(terminal)"}
    assert "store erase" in cli("store", "actions", model).out
    assert cli("store", "verify", model).code == 0
    file = model / FOLDER / FILE
    file.write_text(file.read_text().replace("store erase", "store bless"))
    done = cli("store", "verify", model, "--json")
    assert done.code == 1 and done.json["is_whole"] and len(done.json["faults_of_actions"]) == 1
    assert json.loads(file.read_text().splitlines()[3])["what"] == "store bless"
    assert "line 4" in cli("store", "verify", model).out
    outside = cli("store", "actions", model.parent / "log.jsonl")
    assert outside.code == 2 and "is no model folder" in outside.err


def test_a_folder_for_the_hub_is_new_or_nothing_is_written(cli, told, tmp_path):
    command = ("store", "export", told, tmp_path / "hub", "--format", "huggingface")
    done = cli(*command, "--json")
    assert (done.code, done.json["rows"], done.json["format"]) == (0, 3, "huggingface")
    assert (tmp_path / "hub" / "README.md").read_text().count("taste: 3") == 1
    again = cli(*command)
    assert again.code == 2 and "is there already" in again.err
    assert cli("store", "import", told, tmp_path / "hub" / "README.md", "--format", "huggingface").code == 2
