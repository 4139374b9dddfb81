"""Public data sets on this machine: downloaded once, checked byte by byte, cached."""

from __future__ import annotations

import hashlib
import http.client
import io
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from palate.errors import FetchError, OptionError

TIMEOUT_SECONDS = 8
PIP_TIMEOUT_SECONDS = 180
LARGEST = 64 << 20  # bytes of an archive or a member
SUMS = "SHA256SUMS"  # beside the files, in the format of sha256sum

Files = Mapping[str, bytes]

GROUPLENS_URL = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
GROUPLENS_MD5 = "0e33842e24a9c977be4e0107933c0723"  # as GroupLens publishes it
GROUPLENS_MEMBERS = {name: f"ml-100k/{name}" for name in ("u.data", "u.item", "u.user", "README")}

RECBOLE = "recbole==1.2.1"
RECBOLE_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
RECBOLE_MEMBERS = {
    f"ml-100k.{kind}": f"recbole/dataset_example/ml-100k/ml-100k.{kind}" for kind in ("inter", "item", "user")
}

# Of each file by its name; the two copies have no name in common.
SHA256 = {
    "u.data": "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490",
    "u.item": "553841ebc7de3a0fd0d6b62a204ea30c1e651aacfb2814c7a6584ac52f2c5701",
    "u.user": "f120e114da2e8cf314fd28f99417c94ae9ddf1cb6db8ce0e4b5995d40e90e62c",
    "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
    "ml-100k.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
}


def fetch(name: str, cache: Path | None = None) -> Path:
    """The folder of a public data set, for :meth:`palate.Dataset.load`.

    A whole copy in the cache is used as it is. A damaged one is fetched again. What is fetched is checked against
    pinned checksums and put in its place by one rename.

    Args:
        name: ``movielens-100k``: from GroupLens, or from the copy inside the wheel of RecBole 1.2.1 that pip gets from
            the package index; the same 100,000 ratings, with small differences in the titles of a few films.
        cache: Folder for all data sets; ``$PALATE_CACHE`` or ``~/.cache/palate`` by default.
    Raises:
        OptionError: If the name is unknown.
        FetchError: If no source could be reached or what came did not match; the message names each.
    """
    if name not in SOURCES:
        raise OptionError(f"there is no data set {name!r} to fetch. There are: {', '.join(SOURCES)}.")
    folder = (cache or cache_folder()) / name
    if is_whole(folder):
        return folder
    tried = []
    for source in SOURCES[name]:
        try:
            _store(_checked(source()), folder)
            return folder
        except FetchError as error:
            tried.append(str(error))
    raise FetchError(
        f"{name} could not be had: {'; '.join(tried)}. Check the network and the package index, or put the data into "
        "a folder and give its path."
    )


def cache_folder() -> Path:
    """``$PALATE_CACHE``, or ``~/.cache/palate``."""
    return Path(os.environ.get("PALATE_CACHE") or Path.home() / ".cache" / "palate")


def is_whole(folder: Path) -> bool:
    """Whether every file of a cached data set is there with its checksum."""
    try:
        sums = [line.split("  ", 1) for line in (folder / SUMS).read_text().splitlines()]
        return bool(sums) and all(
            _sha256((folder / name).read_bytes()) == found == SHA256.get(name, found) for found, name in sums
        )
    except (OSError, ValueError):
        return False


class _Here(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: whoever answers in the place of the source does not choose where this machine calls."""

    def redirect_request(self, *_: Any) -> None:
        return None


def from_grouplens() -> Files:
    """MovieLens-100K from its home."""
    try:
        with urllib.request.build_opener(_Here).open(GROUPLENS_URL, timeout=TIMEOUT_SECONDS) as response:
            archive = response.read(LARGEST + 1)
    except (OSError, http.client.HTTPException) as error:
        raise FetchError(f"{GROUPLENS_URL} ({getattr(error, 'reason', None) or error})") from None
    if (found := hashlib.md5(archive, usedforsecurity=False).hexdigest()) != GROUPLENS_MD5:
        raise FetchError(f"{GROUPLENS_URL} (MD5 {found} instead of {GROUPLENS_MD5})")
    return _members(archive, GROUPLENS_MEMBERS, GROUPLENS_URL)


def from_recbole() -> Files:
    """MovieLens-100K from the examples in RecBole's wheel, through the user's own pip configuration."""
    with tempfile.TemporaryDirectory() as temporary:
        _pip_download(RECBOLE, temporary)
        wheels = list(Path(temporary).glob("*.whl"))
        if len(wheels) != 1 or wheels[0].stat().st_size > LARGEST:
            raise FetchError(f"{RECBOLE} by pip (no wheel of the expected size came)")
        archive = wheels[0].read_bytes()
    if (found := _sha256(archive)) != RECBOLE_SHA256:
        raise FetchError(f"{RECBOLE} by pip (SHA-256 {found[:12]}... instead of {RECBOLE_SHA256[:12]}...)")
    return _members(archive, RECBOLE_MEMBERS, RECBOLE)


SOURCES: dict[str, tuple[Callable[[], Files], ...]] = {"movielens-100k": (from_grouplens, from_recbole)}


def _pip_download(requirement: str, folder: str) -> None:
    options = ["--no-deps", "--only-binary=:all:", "--quiet", "--disable-pip-version-check", "--no-input"]
    command = [sys.executable, "-m", "pip", "download", *options, requirement, "-d", folder]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIMEOUT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FetchError(f"{requirement} by pip ({error})") from None
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise FetchError(f"{requirement} by pip ({last[0][:200]})")


def _members(archive: bytes, wanted: Mapping[str, str], source: str) -> Files:
    """The wanted members and nothing else; no path of the archive is ever written to."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as file:
            files = {}
            for name, member in wanted.items():
                if file.getinfo(member).file_size > LARGEST:
                    raise FetchError(f"{source} ({member} is larger than {LARGEST:,} bytes)")
                files[name] = file.read(member)
            return files
    except (KeyError, zipfile.BadZipFile) as error:
        raise FetchError(f"{source} ({error})") from None


def _checked(files: Files) -> Files:
    for name, data in files.items():
        if _sha256(data) != SHA256.get(name, _sha256(data)):
            raise FetchError(f"{name} (SHA-256 {_sha256(data)[:12]}... instead of {SHA256[name][:12]}...)")
    return files


def _store(files: Files, folder: Path) -> None:
    """Write all files beside the folder, then rename: nobody ever sees half of it."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            for name, data in files.items():
                (temporary / "new" / name).parent.mkdir(exist_ok=True)
                (temporary / "new" / name).write_bytes(data)
            sums = "".join(f"{_sha256(data)}  {name}\n" for name, data in files.items())
            (temporary / "new" / SUMS).write_text(sums)
            if folder.exists():
                os.replace(folder, temporary / "damaged")
            os.replace(temporary / "new", folder)
        finally:
            shutil.rmtree(temporary)
    except OSError as error:
        if not is_whole(folder):  # another process may have been faster
            raise FetchError(f"the cache {folder} cannot be written ({error.strerror})") from None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
