"""Workers as actors of Ray, on this machine or on all machines of a running Ray."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from logging import FATAL, getLogger
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from cortex_sim.errors import BuildError, RunError
from cortex_sim.registry import registered_elsewhere
from cortex_sim.tdca.workers.crew import WorkerLost
from cortex_sim.tdca.workers.worker import Worker, data_of, this_host

if TYPE_CHECKING:
    from cortex_sim.tdca.workers.spreading import Workers

_log = getLogger(__name__)
_HERE = "local"  # Ray's address for one that is started for this process
_TOKEN = "RAY_AUTH_TOKEN"  # Ray takes work only with it; since it is set here, Ray writes none into ~/.ray
_ANNOUNCER = "ray._private.authentication.authentication_token_setup"
_UV = "RAY_ENABLE_UV_RUN_RUNTIME_ENV"  # under ``uv run`` Ray would pack the folder and install in workers
_STORE = 100 * 2**20  # bytes of Ray's object store: messages between workers are small
_LONG = 35  # characters of a folder beyond which the names of Ray's sockets in it become too long
_ANSWER = 10.0  # seconds in which a machine must accept a connection
_PATIENCE = 60.0  # seconds between two reports that a worker has not started


def _ray() -> Any:
    """Ray, imported when workers are wanted."""
    os.environ.setdefault(_UV, "0")
    try:
        import ray
        import ray.cloudpickle
        import ray.exceptions
    except ModuleNotFoundError as exception:
        raise BuildError(
            f"--workers: more than one needs ray, but there is no module {exception.name}; "
            "pip install 'cortex-sim[tdca]', or leave out --workers"
        ) from None
    return ray


class RayPool:
    """Actors that each hold a `Worker`; satisfies `cortex_sim.tdca.workers.crew.Pool`.

    Parameters
    ----------
    settings : OuterProblem
    data_dir : Path or None
    workers : Workers

    Raises
    ------
    RunError
        If no Ray runs at the address, it has too few CPUs, or machines have different versions of packages.
    """

    _data: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, settings: Any, data_dir: Path | None, workers: Workers) -> None:
        self._ray, self.size = _ray(), workers.count
        self._cpus = workers.count * workers.threads  # needed
        self._folder: Path | None = None
        self._ours = not self._ray.is_initialized()
        remote = self._ray.remote(num_cpus=workers.threads, max_restarts=0, max_task_retries=0)
        own = _own_classes(self._ray.cloudpickle)
        self._new = lambda: remote(Worker).remote(settings, data_dir, workers.threads, own)
        self._actors: list[Any] = []
        try:
            if self._ours:
                self._connect(workers)
            self._require_room(workers)
            self._data = data_of(settings, data_dir)
            self._actors = [self._new() for _ in range(self.size)]
            for rank in range(self.size):
                self._await(rank)
        except BaseException:
            self.close()
            raise

    def _connect(self, workers: Workers) -> None:
        """Join the Ray at the address; without one, start one here, for this process."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        address = workers.address or os.environ.get("RAY_ADDRESS") or _HERE
        getLogger(_ANNOUNCER).setLevel(FATAL)  # it announces the token that Ray is given below
        quiet = {"log_to_driver": False, "configure_logging": False, "logging_level": FATAL}
        if address != _HERE:
            given = f"--ray-address {address}" if workers.address else f"$RAY_ADDRESS {address}"
            out = "leave out the address" if workers.address else "unset it"
            try:
                _reach(address)
                self._ray.init(address=address, **quiet)
            except self._ray.exceptions.AuthenticationError as exception:
                raise RunError(
                    f"{given}: refused ({_first(exception)}); copy ~/.ray/auth_token from a machine of that "
                    f"Ray to this one, or set {_TOKEN}"
                ) from None
            except (OSError, RuntimeError, ValueError) as exception:
                raise RunError(
                    f"{given}: no Ray answers ({_first(exception)}); start one with "
                    f"ray start --head, or {out}"
                ) from None
            return
        os.environ.setdefault(_TOKEN, secrets.token_hex(32))  # kept: Ray reads it once in a process
        self._folder = folder = _short_folder()
        try:
            self._ray.init(
                address=_HERE,
                num_cpus=workers.count * workers.threads,
                num_gpus=0,
                include_dashboard=False,
                object_store_memory=_STORE,
                _temp_dir=str(folder),
                _node_ip_address="127.0.0.1",
                **quiet,
            )
        except (OSError, RuntimeError, ValueError) as exception:
            self._folder = None  # close must not remove the logs
            raise RunError(
                f"--workers {workers.count}: Ray could not be started ({_first(exception)}); its logs are in "
                f"{folder}/session_latest/logs, and without --workers it is not needed"
            ) from None

    def _require_room(self, workers: Workers) -> None:
        cpus, wanted = self._ray.cluster_resources().get("CPU", 0), workers.count * workers.threads
        if cpus < wanted:
            raise RunError(
                f"--workers {workers.count}: needs {wanted} CPUs, {workers.threads} per worker, but Ray has "
                f"{cpus:g}; start more machines (ray start --address=…), or use fewer workers"
            )

    def _await(self, rank: int) -> None:
        """Wait until a worker has started, and require that it runs the same versions as this process."""
        ticket = self.send(rank, "host")
        while not self._ray.wait([ticket], timeout=_PATIENCE)[0]:
            cpus = self._ray.cluster_resources().get("CPU", 0)
            if cpus < self._cpus and self._folder is not None:  # with several machines, another may join
                raise RunError(
                    f"worker {rank}: cannot start, because the Ray started for this run has ended, perhaps "
                    "for lack of memory; continue with --resume"
                )
            _log.warning(
                "worker %d has not started yet: none of Ray's %g CPUs is free for it; start another machine "
                "(ray start --address=…), or end the run and continue with --resume and fewer workers",
                rank,
                cpus,
            )
        try:
            host = self.answer(ticket)
        except WorkerLost as exception:
            raise RunError(f"worker {rank}: could not be started ({exception})") from None
        own = this_host().versions
        for (name, here), (_, there) in zip(own, host.versions, strict=True):
            if here != there:
                raise RunError(
                    f"worker {rank}: {host.name} has {name} {there}, but this process has {here}; "
                    "install the same version on all machines"
                )
        for data, content in self._data.items():
            if content != data and host.data.get(data, content) != content:  # its name: missing here
                raise RunError(
                    f"worker {rank}: {host.name} has other data {data} than this process, or none; copy "
                    "the same to all machines"
                )

    def send(self, rank: int, method: str, *given: Any) -> Any:
        """Send a request to a worker; returns a ticket."""
        return getattr(self._actors[rank], method).remote(*given)

    def answer(self, ticket: Any) -> Any:
        """Wait for an answer; raises `WorkerLost`, or what the worker raised."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(ticket)
        except errors.RayTaskError as exception:
            raise exception.cause from None
        except errors.RayError as exception:  # its process, its machine or its answer is lost
            raise WorkerLost(_first(exception)) from None

    def replace(self, rank: int) -> None:
        """Start another worker, on any free CPU."""
        self._actors[rank] = self._new()
        self._await(rank)

    def processes(self) -> list[int]:
        """Process number of each worker, on its machine."""
        return [self.answer(self.send(rank, "host")).process for rank in range(self.size)]

    def close(self) -> None:
        """End the workers, and the Ray that was started for them."""
        if self._ray.is_initialized():
            for actor in self._actors:
                self._ray.kill(actor)
        if self._ours:
            self._ray.shutdown()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _own_classes(cloudpickle: Any) -> list[tuple[str, str, bytes]]:
    """Classes that the user has registered: settings only name them, and workers do not run the script."""
    found = []
    for kind, name, cls in registered_elsewhere():
        with suppress(Exception):  # it may not be needed; if it is, the worker reports it as unknown
            found.append((kind, name, cloudpickle.dumps(cls)))
    return found


def _reach(address: str) -> None:
    """Connect to an address host:port; Ray itself gives up only after minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=_ANSWER).close()


def _short_folder() -> Path:
    """A new folder for Ray's sockets and logs; the path of a socket may have at most 107 characters."""
    given = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix="cs-ray-", dir=given if len(given) <= _LONG else "/tmp"))


def _first(exception: BaseException) -> str:
    """First line of a message."""
    return str(exception).strip().split("\n", 1)[0] or type(exception).__name__
