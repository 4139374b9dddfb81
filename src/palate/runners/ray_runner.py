"""Tasks by Ray: on processes of this machine, or on the nodes of a cluster. No other module imports Ray.

Only tasks, and what tasks give: both can be made again where a process or a node is lost. The driver puts nothing into
Ray's store, and no process keeps a state.

References:
    Moritz et al., Ray: A Distributed Framework for Emerging AI Applications, OSDI 2018. arXiv:1712.05889
"""

from __future__ import annotations

import copy
import os
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from secrets import token_hex
from subprocess import Popen, TimeoutExpired
from types import TracebackType
from typing import Any, NamedTuple, NoReturn

from palate.errors import MissingExtra, OptionError, RunnerError
from palate.errors.checks import count, shown
from palate.runners.kind import Kind, differences, kind_here
from palate.runners.local import too_large
from palate.runners.protocol import Handle, replaced, values_of

RETRIES = 3  # of a task whose process or node died, and as many for memory
CONNECT_SECONDS = 5.0
CLOSE_SECONDS = 10.0
POLL_SECONDS = 5.0  # so often it is looked whether a node is left to work on
MISSING_SECONDS = 20.0  # so long there may be none
# Of each process of tasks: linear algebra on one thread, and palate.machine.cores() is 1.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# Ray reads these when it is imported and when it starts.
ALWAYS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_task_oom_retries": str(RETRIES),
    "RAY_gcs_server_request_timeout_seconds": "15",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else it warns of a change to come
}
# Ray's word for "this machine alone": without it Ray replaces 127.0.0.1 by an address that others reach.
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
TOKENS = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
SETTINGS = b"\4"  # the frame with which either side of HTTP/2 begins: RFC 9113, section 3.4
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0" + SETTINGS + b"\0\0\0\0\0"
SHORT = 24  # letters of the folder for temporary files: a socket's path has at most 107, and Ray adds 75


class _Result(NamedTuple):
    """One value of a task, and a small one that says that the task is done: to ask for it fetches nothing."""

    value: Any
    done: Any
    task: str


class Ray:
    """Tasks on processes that Ray keeps, each on one core; they are done again where a process or a node dies.

    One a process, at a time. Started here it listens on 127.0.0.1 only, asks for a token that no file holds, reports
    nothing to anybody, and is gone when it is closed. A cluster is used only if it asks for a token too, and if its
    nodes run the same versions on the same kind of processor: otherwise bits would depend on where a task ran.

    Args:
        workers: How many tasks run at once on this machine; ``None``: one a core.
        address: Of a cluster that runs, ``HOST:PORT``, of which this machine is a node. Its token is in
            ``RAY_AUTH_TOKEN`` or in the file ``RAY_AUTH_TOKEN_PATH``.
        store_bytes: Memory for what tasks give, of this machine; beyond it lies on the disk. ``None``: Ray's choice.
    Raises:
        MissingExtra: If Ray is not installed.
        RunnerError: If Ray does not start, or the cluster does not answer, asks for no token or has nodes that differ.
    """

    workers: int
    nodes: int

    def __init__(
        self, *, workers: int | None = None, address: str | None = None, store_bytes: int | None = None
    ) -> None:
        if address is not None and (workers is not None or store_bytes is not None):
            raise OptionError(f"the cluster at {address} has the workers that it has. Leave the number of workers out.")
        if workers is not None:
            count(workers, "workers", least=1, most=4096)
        self.folder: Path | None = None
        local = address is None or _parts(address)[0] in ("127.0.0.1", "localhost", "::1")
        self._ray = _imported(ALWAYS | LOOPBACK if local else ALWAYS)
        if self._ray.is_initialized():
            raise RunnerError("Ray already runs in this process. Close its runner, or call ray.shutdown(), first.")
        self._variables = ExitStack()
        self._variables.enter_context(_environment({"RAY_IGNORE_UNHANDLED_ERRORS": "1"}))  # they are raised
        try:
            self._kind = None if address is None else self._connect(address)
            if address is None:
                self._start(workers, store_bytes)
            self._head = self._ray.get_runtime_context().gcs_address
            self.workers = int(self._ray.cluster_resources().get("CPU", 0))
            self._nodes = sorted(node["NodeID"] for node in self._working())
            self.nodes = len(self._nodes)
            self._remote = self._ray.remote(num_cpus=1, max_retries=RETRIES)(_call)
        except BaseException:
            self.close()
            raise

    def _start(self, workers: int | None, store_bytes: int | None) -> None:
        below = tempfile.gettempdir()
        self.folder = Path(tempfile.mkdtemp(prefix="palate-", dir=below if len(below) <= SHORT else "/tmp"))
        variables = ALWAYS | LOOPBACK | ONE_THREAD | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        if not any(name in os.environ for name in TOKENS):
            variables["RAY_AUTH_TOKEN"] = _token()
        with self._told(variables), _as_runner_errors("Ray did not start"):
            self._ray.init(
                address="local",
                num_cpus=workers,
                object_store_memory=store_bytes,
                include_dashboard=False,
                configure_logging=False,
                log_to_driver=False,
                _node_ip_address="127.0.0.1",
                _temp_dir=str(self.folder / "ray"),  # which Ray opens to everybody: the folder above it is ours alone
            )
        seen = {node["NodeManagerAddress"] for node in self._ray.nodes()} - {"127.0.0.1"}
        if seen:  # Ray was imported before this module could tell it
            raise RunnerError(
                f"Ray listens on {', '.join(sorted(seen))}, not on 127.0.0.1 alone. "
                "Set RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0 before Ray is imported."
            )

    def _connect(self, address: str) -> Kind:
        _reached(address)
        passed = ONE_THREAD | {name: os.environ[name] for name in ("OPENBLAS_CORETYPE",) if name in os.environ}
        with self._told(ALWAYS), _as_runner_errors(f"the cluster at {address} could not be used"):
            self._ray.init(
                address=address, configure_logging=False, log_to_driver=False, runtime_env={"env_vars": passed}
            )
            nodes = self._working()
            found = [self._probed(node["NodeID"]) for node in nodes]
        if not nodes:
            raise RunnerError(f"the cluster at {address} has no node with a core. Add one: ray start --address.")
        if not all(asks for _, asks in found):
            raise RunnerError(
                f"the cluster at {address} asks for no token: whoever reaches it runs code there. "
                "Start each of its nodes with RAY_AUTH_MODE=token."
            )
        names = [f"node {node['NodeID'][:8]} ({node['NodeManagerAddress']})" for node in nodes]
        differ = differences(dict(zip(names, [kind for kind, _ in found], strict=True)), here=kind_here())
        if differ:
            raise RunnerError(f"{differ} Results would depend on where a task ran. Install the same on all.")
        return found[0][0]

    def _working(self) -> list[dict[str, Any]]:
        """Nodes that take tasks."""
        return [node for node in self._ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]

    def _probed(self, node: str) -> tuple[Kind, bool]:
        remote = self._ray.remote(scheduling_strategy=_on(node, soft=False), max_retries=RETRIES)(_probe)
        found: tuple[Kind, bool] = self._ray.get(remote.remote(), timeout=120)
        return found

    @contextmanager
    def _told(self, variables: dict[str, str]) -> Iterator[None]:
        """Variables that Ray, and what it starts, read within the block."""
        with _environment(variables):
            self._ray._raylet.Config.initialize("")
            self._ray._raylet.AuthenticationTokenLoader.instance().reset_cache()
            yield

    def submit(self, function: Callable[..., Any], *arguments: Any, returns: int = 1, near: int | None = None) -> Any:
        count(returns, "returns", least=1)
        references: list[Any] = []

        def place(handle: Handle) -> _Place:
            references.append(handle.held(_Result).value)
            return _Place(len(references) - 1)

        shape = replaced(arguments, Handle, place)
        options: dict[str, Any] = {"num_returns": returns + 1, "name": function.__name__}
        if near is not None and self.nodes > 1:
            options["scheduling_strategy"] = _on(self._nodes[near % self.nodes], soft=True)
        *values, done = self._remote.options(**options).remote(function, shape, returns, self._kind, *references)
        handles = [Handle(_Result(value, done, function.__name__)) for value in values]
        return handles[0] if returns == 1 else tuple(handles)

    def get(self, handle: Handle) -> Any:
        result = handle.held(_Result)
        return copy.deepcopy(self._got(result.value, result.task))  # what lies in Ray's store would be kept there by it

    def wait(self, handles: Iterable[Handle]) -> None:
        results = [handle.held(_Result) for handle in handles]
        tasks = dict.fromkeys(result.task for result in results)
        self._got(list({result.done: None for result in results}), " or ".join(tasks))

    def _got(self, references: Any, task: str) -> Any:
        errors, missing_since = self._ray.exceptions, None
        while True:
            try:
                return self._ray.get(references, timeout=POLL_SECONDS)
            except errors.GetTimeoutError:
                missing = self._missing()
                missing_since = (missing_since or time.monotonic()) if missing else None
            except errors.RayError as error:
                _raise(error, task, errors)
            if missing_since is not None and time.monotonic() - missing_since > MISSING_SECONDS:
                raise RunnerError(
                    f"{missing}, and {task} waits. Start the cluster, and this, again; what a checkpoint holds is kept."
                )

    def _missing(self) -> str:
        """What the cluster lacks that a task could end; empty where it lacks nothing."""
        try:
            _reached(self._head)  # Ray itself ends this process where its head is away for a minute
        except RunnerError:
            return f"the head of the cluster, {self._head}, does not answer"
        alone = self._ray.cluster_resources().get("CPU", 0) < 1
        return "the cluster has no node with a core" if alone else ""

    def free(self, handles: Iterable[Handle]) -> None:
        for handle in handles:
            handle.drop()

    def close(self) -> None:
        processes = processes_of(self._ray._private.worker._global_node)
        self._ray.shutdown()
        for process in processes:  # Ray ends them and leaves them as zombies
            with suppress(TimeoutExpired):
                process.wait(CLOSE_SECONDS)
        self._variables.close()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Ray:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def processes_of(node: Any) -> list[Popen[bytes]]:
    """What this process started for a node of Ray's; None: for none."""
    kinds = {} if node is None else node.all_processes
    return [started.process for several in kinds.values() for started in several]


def _on(node: str, *, soft: bool) -> Any:
    """That a task runs on a node; softly: elsewhere where that is gone."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node, soft=soft)


class _Place(NamedTuple):
    """Which of the references that Ray resolves belongs here: it looks into no list."""

    number: int


def _call(function: Callable[..., Any], shape: Sequence[Any], returns: int, kind: Kind | None, *values: Any) -> Any:
    """A task, in a process of Ray's."""
    if kind is not None and kind != kind_here():  # of a node that joined later
        differ = differences({f"node {socket.gethostname()}": kind_here(), "another": kind}, here=kind)
        raise RunnerError(f"{differ} Results would depend on where a task ran. Install the same on all.")
    arguments = replaced(shape, _Place, lambda place: values[place.number])
    return (*values_of(function, function(*arguments), returns), None)


def _probe() -> tuple[Kind, bool]:
    """What a node runs, and whether it asks for a token."""
    raylet: Any = import_module("ray._raylet")  # says no types
    return kind_here(), raylet.get_authentication_mode() == raylet.AuthenticationMode.TOKEN


@cache
def _token() -> str:
    """What processes that Ray starts for this one must know; in its memory and theirs only."""
    return token_hex(32)


def _imported(variables: dict[str, str]) -> Any:
    try:
        with _environment(variables):
            import ray
    except ImportError:
        raise MissingExtra("ray", "scale", "the runner 'ray'") from None
    return ray


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _parts(address: object) -> tuple[str, int]:
    host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
    if not host or "/" in host or not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535:
        raise OptionError(
            f"the address {shown(address)} is not HOST:PORT. Give that of the cluster, such as 10.0.0.5:6379."
        )
    return host.strip("[]"), int(port)


def _reached(address: str) -> None:
    """That something speaks HTTP/2 there, as Ray does: Ray itself tries for minutes, whatever answers."""
    try:
        with socket.create_connection(_parts(address), timeout=CONNECT_SECONDS) as connection:
            connection.sendall(GREETING)
            answer = connection.recv(9)
        reason = "" if answer[3:4] == SETTINGS else "not a Ray cluster"
    except (OSError, UnicodeError) as error:
        reason = str(error)
    if reason:
        raise RunnerError(
            f"no Ray cluster answers at {address} ({reason}). Give HOST:PORT of one that runs: ray status shows it."
        )


@contextmanager
def _as_runner_errors(fact: str) -> Iterator[None]:
    from ray.exceptions import AuthenticationError, RayError

    try:
        yield
    except AuthenticationError:
        raise RunnerError(
            f"{fact}: it asks for another token. Set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to that of the cluster."
        ) from None
    except (RayError, RuntimeError, ValueError, OSError) as error:
        reason = " ".join(str(error.__cause__ or error).split())[:300]
        raise RunnerError(
            f"{fact}: {reason.rstrip('.')}. Look whether its token (RAY_AUTH_TOKEN) and its versions are those of this "
            "process, and whether a node of it runs on this machine."
        ) from error


def _raise(error: BaseException, task: str, errors: Any) -> NoReturn:
    """What a task raised, or what Ray says, as an error of ours."""
    while isinstance(error, errors.RayTaskError) and isinstance(error.cause, BaseException):
        error = error.cause
    if isinstance(error, (MemoryError, errors.OutOfMemoryError)):
        raise too_large(
            task, "the node was nearly full" if isinstance(error, errors.RayError) else str(error)
        ) from None
    if not isinstance(error, errors.RayError):
        raise error
    if isinstance(error, (errors.OutOfDiskError, errors.ObjectStoreFullError)):
        fact, remedy = "had no room for what it gave", "Use more nodes, or a larger disk under the temporary folder"
    elif isinstance(error, errors.WorkerCrashedError):
        fact = f"ended its process {1 + RETRIES} times"
        remedy = "Look at its memory first: use more and smaller shards, or fewer --workers"
    elif isinstance(error, (errors.ObjectLostError, errors.NodeDiedError)):
        fact, remedy = f"lost its node more than {RETRIES} times", "Start again; what a checkpoint holds is kept"
    else:
        fact = f"failed: {' '.join(str(error).split())[:300].rstrip('.')}"
        remedy = "Start again; what a checkpoint holds is kept"
    raise RunnerError(f"the task {task}, or one that it stands on, {fact}. {remedy}.") from None
