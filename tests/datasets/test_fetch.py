"""Fetching from sources on this machine: a web server for GroupLens' archive, and one as a package index for pip."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from palate.datasets import Dataset, fetch
from palate.errors import FetchError, OptionError

GROUPLENS = {
    "u.data": b"1\t1\t5\t881250949\n",
    "u.item": b"1|A (1995)||||" + b"|".join([b"0"] * 19) + b"\n",
    "u.user": b"1|20|F|artist|1\n",
    "README": b"terms",
}
RECBOLE = {
    "ml-100k.inter": b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t1\t5\t881250949\n",
    "ml-100k.item": b"item_id:token\tmovie_title:token_seq\n1\tA\n",
    "ml-100k.user": b"user_id:token\n1\n",
}
WHEEL = "recbole-1.2.1-py3-none-any.whl"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


def wheel() -> bytes:
    info = "recbole-1.2.1.dist-info"
    return archive(
        {f"recbole/dataset_example/ml-100k/{name}": data for name, data in RECBOLE.items()}
        | {
            f"{info}/METADATA": b"Metadata-Version: 2.1\nName: recbole\nVersion: 1.2.1\nRequires-Dist: not-there\n",
            f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/RECORD": b"",
            "../../escape.txt": b"never written",
        }
    )


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What the two sources serve; the pins are those of the fake files. Delete a file to take a source away."""
    root = tmp_path / "site"
    index = root / "recbole"
    index.mkdir(parents=True)
    (root / "ml-100k.zip").write_bytes(archive({f"ml-100k/{name}": data for name, data in GROUPLENS.items()}))
    (index / "index.html").write_text(f'<a href="{WHEEL}">{WHEEL}</a>')
    (index / WHEEL).write_bytes(wheel())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(fetch, "GROUPLENS_URL", f"{address}/ml-100k.zip")
    monkeypatch.setattr(
        fetch, "GROUPLENS_MD5", hashlib.md5((root / "ml-100k.zip").read_bytes(), usedforsecurity=False).hexdigest()
    )
    monkeypatch.setattr(fetch, "RECBOLE_SHA256", sha(wheel()))
    monkeypatch.setattr(
        fetch, "SHA256", {name: sha(data) for name, data in (GROUPLENS | RECBOLE).items() if name != "README"}
    )
    settings = tmp_path / "pip.conf"
    options = {"no-index": "true", "find-links": f"{address}/recbole/", "no-cache-dir": "true", "retries": "0"}
    settings.write_text("\n".join(["[global]", *(f"{name} = {value}" for name, value in options.items())]))
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    try:
        yield root
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def get(tmp_path: Path) -> Path:
    return fetch.fetch("movielens-100k", tmp_path / "cache")


def test_from_grouplens_once(site: Path, tmp_path: Path) -> None:
    folder = get(tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != fetch.SUMS} == GROUPLENS
    assert Dataset.load(folder).name == "movielens-100k"
    (site / "ml-100k.zip").unlink()
    (site / "recbole" / WHEEL).unlink()
    assert get(tmp_path) == folder  # nothing is asked for again


def test_from_the_package_index_where_grouplens_is_away(site: Path, tmp_path: Path) -> None:
    (site / "ml-100k.zip").unlink()
    folder = get(tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != fetch.SUMS} == RECBOLE
    assert Dataset.load(folder).interactions.height == 1
    assert not list(tmp_path.rglob("escape.txt"))
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["movielens-100k"]


@pytest.mark.parametrize("status", [301, 302, 307])
@pytest.mark.parametrize("to", ["http://127.0.0.1:{port}/canary", "http://0x7f.1:{port}/canary", "file:///etc/passwd"])
def test_IN_08_a_redirection_is_not_followed(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, to: str
) -> None:
    """Whoever answers in GroupLens' place cannot make this machine call an address within."""
    called: list[str] = []

    class Away(Quiet):
        def do_GET(self) -> None:
            called.append(self.path)
            self.send_response(status)
            self.send_header("location", to.format(port=self.server.server_address[1]))
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Away)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        monkeypatch.setattr(fetch, "GROUPLENS_URL", f"http://127.0.0.1:{server.server_port}/ml-100k.zip")
        with pytest.raises(FetchError, match=r"Moved|Found|Redirect"):
            fetch.from_grouplens()
        assert called == ["/ml-100k.zip"]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("damage", ["change", "delete", "empty sums"])
def test_a_damaged_cache_is_fetched_again(site: Path, tmp_path: Path, damage: str) -> None:
    folder = get(tmp_path)
    if damage == "change":
        (folder / "README").write_bytes(b"other")
    elif damage == "delete":
        (folder / "u.user").unlink()
    else:
        (folder / fetch.SUMS).write_bytes(b"")
    assert not fetch.is_whole(folder)
    assert fetch.is_whole(get(tmp_path))


def test_sums_that_were_changed_with_the_file_do_not_help(site: Path, tmp_path: Path) -> None:
    folder = get(tmp_path)
    (folder / "u.data").write_bytes(b"forged")
    sums = (folder / fetch.SUMS).read_text().replace(sha(GROUPLENS["u.data"]), sha(b"forged"))
    (folder / fetch.SUMS).write_text(sums)
    assert not fetch.is_whole(folder)


def test_what_does_not_match_is_refused_and_everything_tried_is_named(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "GROUPLENS_MD5", "0" * 32)
    monkeypatch.setattr(fetch, "RECBOLE_SHA256", "f" * 64)
    with pytest.raises(FetchError) as error:
        get(tmp_path)
    message = str(error.value)
    assert message.startswith("movielens-100k could not be had: http://127.0.0.1:")
    assert "instead of 00000000000000000000000000000000)" in message
    assert "recbole==1.2.1 by pip (SHA-256 " in message
    assert message.endswith("or put the data into a folder and give its path.")
    assert not (tmp_path / "cache").exists()


def test_members_are_checked_too(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fetch.SHA256, "u.data", "0" * 64)
    monkeypatch.setitem(fetch.SHA256, "ml-100k.inter", "0" * 64)
    with pytest.raises(FetchError, match=r"u.data \(SHA-256 .* instead of 0{12}...\); ml-100k.inter \(SHA-256"):
        get(tmp_path)


def test_a_closed_port_and_an_empty_index(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "GROUPLENS_URL", "http://127.0.0.1:9/ml-100k.zip")
    (site / "recbole" / "index.html").write_text("")
    with pytest.raises(FetchError, match=r"127.0.0.1:9/ml-100k.zip \(.*refused\); recbole==1.2.1 by pip \(ERROR"):
        get(tmp_path)


def test_unknown_names_and_the_default_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"there is no data set 'netflix' to fetch. There are: movielens-100k."):
        fetch.fetch("netflix")
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path))
    assert fetch.cache_folder() == tmp_path
    monkeypatch.delenv("PALATE_CACHE")
    assert fetch.cache_folder() == Path.home() / ".cache" / "palate"


def test_the_pinned_sums_are_those_of_the_real_files(shared_data: Callable[[str], Path]) -> None:
    original = shared_data("movielens-100k") / "original"
    for name in ("u.data", "u.user"):  # u.item was written without accents there
        assert sha((original / name).read_bytes()) == fetch.SHA256[name]
