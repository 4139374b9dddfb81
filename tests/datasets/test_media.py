from __future__ import annotations

from pathlib import Path

import pytest

from palate.datasets.media import path_problem


@pytest.mark.parametrize("value", ["a.png", "images/a b.png", "./images/é.jpg", "100%.png", "a..b/c...png", "x/y/z"])
def test_paths_inside(tmp_path: Path, value: str) -> None:
    assert path_problem(value) is None
    assert path_problem(value, tmp_path) is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("../secret", "the path '../secret' climbs out with '..'"),
        ("images/../../x", "climbs out"),
        ("%2e%2e/x", "climbs out"),
        ("%252e%252e%252fx", "climbs out"),
        ("..\\x", "holds a backslash"),
        ("%5c%5chost%5cx", "holds a backslash"),
        ("/etc/passwd", "does not start inside the data folder"),
        ("%2fetc/passwd", "does not start inside"),
        ("//host/x", "does not start inside"),
        ("~/x", "does not start inside"),
        ("file:///etc/passwd", "is a URL or names a drive"),
        ("http:///#/../../etc", "is a URL or names a drive"),
        ("C:/x", "is a URL or names a drive"),
        ("c%3a/x", "is a URL or names a drive"),
        ("a\x00.png", "holds NUL"),
        ("a%00.png", "holds NUL"),
        ("?../../x", None),
    ],
)
def test_paths_that_lead_out(value: str, reason: str | None) -> None:
    problem = path_problem(value)
    assert problem is not None
    assert (reason or "climbs out") in problem


def test_links_are_resolved(tmp_path: Path) -> None:
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    (tmp_path / "data-sibling").mkdir()
    (root / "sibling").symlink_to(tmp_path / "data-sibling")
    (root / "inner").symlink_to(root / "images")
    assert path_problem("sibling/a.png", root) == "the path 'sibling/a.png' leads out of the data folder"
    assert path_problem("inner/a.png", root) is None
    (root / "loop").symlink_to(root / "loop")
    assert path_problem("loop/a.png", root) is None  # leads nowhere, and so not out
