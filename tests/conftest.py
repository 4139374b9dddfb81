"""What tests rely on: real data beside the checkout, seeded randomness, no network, nothing written at home."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser, sync_playwright

from palate.datasets import tables
from palate.datasets.files.assemble import Assembly
from palate.datasets.files.parquet import ParquetDecoder
from tests.postgres import CannotStart, Postgres

os.environ.setdefault("MPLBACKEND", "Agg")  # before Matplotlib is imported anywhere, child processes included

SHARED = Path(__file__).resolve().parents[1] / ".." / "shared"

# The machine may be busy with other workers, so no deadline: time is measured in benchmarks, not here.
settings.register_profile("default", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("default"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


# Files that take long, which are not to be left to the end, when the other processes have nothing to do any more.
FIRST = ("tests/test_docs.py", "tests/cli/test_demo.py", "tests/test_learner.py", "tests/federated/test_http_rounds.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(FIRST))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("hf") and importlib.util.find_spec("sentence_transformers") is None:
        pytest.skip("the extra hf is not installed: pip install '.[hf]'")


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """The folder of a real data set, by name; skips the test where the data does not lie beside this checkout."""

    def folder(name: str) -> Path:
        path = SHARED / "data" / name
        if not path.is_dir():
            pytest.skip(f"…/shared/data/{name} is not beside this checkout")
        return path.resolve()

    return folder


@pytest.fixture(scope="module")  # while it is there asyncio.run cannot be used, as tests of other modules do
def chromium() -> Iterator[Browser]:
    """The system's Chromium, without a window; skips the test where there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no Chromium on this machine: make system")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])  # as root it has none
        yield found
        found.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of this session; skips the test where none can be started."""
    try:
        server = Postgres()
    except CannotStart as reason:
        pytest.skip(f"no PostgreSQL: {reason}")
    yield server
    server.remove()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session", autouse=True)
def _cache_of_this_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Embeddings and fetched files go to a temporary folder, one for all tests of a run and their child processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PALATE_CACHE", str(tmp_path_factory.mktemp("palate-cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_decoder_of_parquet() -> Iterator[None]:
    """A data set starts a process for its Parquet files; that of a thousand tests is one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "Assembly", partial(Assembly, parquet=ParquetDecoder()))
        yield


def _leaves_this_machine(family: int, address: object) -> bool:
    if family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(address, tuple):
        return False
    host = str(address[0])
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """Refuses connections to anything but this machine.

    A RuntimeError and not an OSError, so that code which works around a missing network cannot hide the attempt.
    """
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def refuse(self: socket.socket, address: object) -> None:
        if _leaves_this_machine(self.family, address):
            raise RuntimeError(f"a test tried to connect to {address!r}. Tests talk to this machine only.")

    def guarded_connect(self: socket.socket, address: object) -> None:
        refuse(self, address)
        connect(self, address)  # type: ignore[arg-type]

    def guarded_connect_ex(self: socket.socket, address: object) -> int:
        refuse(self, address)
        return connect_ex(self, address)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
        yield
