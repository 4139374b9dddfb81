from __future__ import annotations

import os
import stat

import pytest

from palate.cli.files import replacing, write_files
from palate.errors import OptionError


def test_files_are_written_and_readable_by_others(tmp_path):
    write_files(tmp_path / "new" / "out", {"a.txt": "雪", "b.png": b"\x89PNG"})
    assert (tmp_path / "new/out/a.txt").read_text(encoding="utf-8") == "雪"
    assert (tmp_path / "new/out/b.png").read_bytes() == b"\x89PNG"
    assert stat.S_IMODE((tmp_path / "new/out/a.txt").stat().st_mode) == 0o644


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_what_does_not_end_well_leaves_the_old_file_and_nothing_else(tmp_path, error):
    (tmp_path / "a.txt").write_text("old")

    def write() -> None:
        with replacing(tmp_path / "a.txt") as temporary:
            temporary.write_text("half of the ne")
            raise error

    with pytest.raises(error):
        write()
    assert (tmp_path / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_folder_that_cannot_be_made_is_wrong_input(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match=r"cannot be written: File exists\. Choose another folder\."):
        write_files(tmp_path / "file", {"a": b""})
