from __future__ import annotations

from pathlib import Path

import pytest

from palate.cli.options import listed, local_path, writable
from palate.errors import OptionError


@pytest.mark.parametrize("text", ["file:///etc", "http:///#/../../etc", "s3://bucket/x", "FILE:x"])
def test_a_url_is_no_path(text):
    with pytest.raises(OptionError, match="is a URL"):
        local_path(text)


@pytest.mark.parametrize("text", ["", "a\x00b"])
def test_an_empty_path_or_one_with_nul_is_refused(text):
    with pytest.raises(OptionError, match="is empty or holds a NUL"):
        local_path(text)


@pytest.mark.parametrize("text", ["../model", "%2e%2e/", "C:", "a b", "雪国", "-"])
def test_any_other_path_is_taken_as_it_is(text):
    assert local_path(text) == Path(text)


def test_a_folder_that_can_be_made_is_writable_and_not_made_yet(tmp_path):
    assert writable(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OptionError, match="is no folder that may be written to"):
            writable(path)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (None, []),
        (["a,b", "c"], ["a", "b", "c"]),
        (['"a,b", c'], ["a,b", "c"]),
        (["a,,b,"], ["a", "b"]),
        ([""], []),
    ],
)
def test_lists_of_ids(values, expected):
    assert listed(values) == expected
