"""What a cluster's workers run, asked in a way that needs nothing of ours there; and how they get our code."""

from __future__ import annotations

import asyncio
import zipfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from distributed import Client, WorkerPlugin
from distributed.comm import CommClosedError

from cluster import envelope
from cluster.muster import OURS, SILENT, About, Joined
from model.errors import RunRefusedError, SettingsError, UnreachableError

T = TypeVar("T")

#: seconds that a worker gets to say what it runs; one that just began has to import it
ANSWER_S = 20.0
#: seconds that a scheduler gets to answer; so long Dask waits for a peer whose machine is gone (Dask, "Configuration
#: Reference": `distributed.comm.timeouts.tcp`)
SCHEDULER_S = 30.0
#: what a person does next, once a run has begun
RESUME = "use --resume"


def about_scheduler(client: Client) -> Mapping[str, Any]:
    """What a scheduler says of itself and its workers. Raises TimeoutError where it is silent."""

    async def identity() -> Any:
        return await client.scheduler.identity()

    told: Mapping[str, Any] = client.sync(identity, callback_timeout=SCHEDULER_S)
    return told


def who_is_there(client: Client) -> Mapping[Joined, int]:
    """The workers that have joined, and the threads of each. Raises TimeoutError where the scheduler is silent."""
    workers = about_scheduler(client)["workers"]
    return {Joined(address, one["local_directory"]): int(one["nthreads"]) for address, one in workers.items()}


def ask(client: Client, addresses: Sequence[str], plugin: WorkerPlugin | None = None) -> dict[str, About | str]:
    """What each worker runs, or why it does not say; meanwhile all get a plugin, also those that come later.

    Python first, by a message of Dask's own: a function that travels is one of this Python's.
    """

    async def of_one(address: str) -> About | str:
        told = await client.scheduler.broadcast(msg={"op": "versions"}, workers=[address], on_error="ignore")
        if address not in told:
            return SILENT
        python = ".".join(str(told[address]["host"]["python"]).split(".")[:2])
        if python != OURS.python:
            return f"Python {python}"
        answer = await _run(client, envelope.version, address)
        return About(answer, python) if answer is None or isinstance(answer, str) else in_words(answer)

    async def of_all() -> dict[str, About | str]:
        registering = [asyncio.ensure_future(_registered(client, plugin))] if plugin is not None else []
        answers = await asyncio.gather(*(_in_time(of_one(one)) for one in addresses))
        await asyncio.gather(*registering)
        return dict(zip(addresses, answers, strict=True))

    found: dict[str, About | str] = client.sync(of_all)
    return found


def run(client: Client, function: Callable[..., object], addresses: Sequence[str]) -> dict[str, object]:
    """What a function comes to in each worker, or what it raised there; SILENT of one that does not answer in time."""

    async def of_all() -> list[object]:
        return list(await asyncio.gather(*(_in_time(_run(client, function, one)) for one in addresses)))

    return dict(zip(addresses, client.sync(of_all), strict=True)) if addresses else {}


async def _run(client: Client, function: Callable[..., object], address: str) -> object:
    answers = await client.run(function, workers=[address], on_error="return")
    return answers[address]


async def _in_time(answer: Awaitable[T]) -> T | str:
    """What a worker answers; SILENT where it takes too long: its process may be stopped, or its host be gone."""
    try:
        return await asyncio.wait_for(answer, ANSWER_S)
    except asyncio.TimeoutError:
        return SILENT


def is_silence(answer: object) -> bool:
    """Whether a worker could not be reached; what it raises itself, for a file it cannot read say, is an answer."""
    silence = (CommClosedError, ConnectionError, TimeoutError, asyncio.TimeoutError)
    return isinstance(answer, silence) or type(answer) is OSError


def in_words(answer: object) -> str:
    """What a worker answered, or what came of asking it."""
    if is_silence(answer):
        return SILENT
    return answer if isinstance(answer, str) else f"{type(answer).__name__}: {answer}"


def scheduler_is_gone(address: str, then: str = RESUME) -> UnreachableError:
    """What a run ends with."""
    return UnreachableError(f"the cluster's scheduler {address} is gone. Start it again; then {then}")


def scheduler_is_silent(address: str, then: str = RESUME, seconds: float = SCHEDULER_S) -> UnreachableError:
    """What a run ends with where a scheduler is there, and does not answer."""
    return UnreachableError(
        f"the Dask scheduler {address} has not answered for {seconds:.0f} s: its process may be stopped, or its "
        f"machine have too much to do. See to it; then {then}"
    )


def line(client: Client) -> object:
    """What a client and its scheduler speak through: another one where Dask has connected them again.

    What was ordered before is lost then, and the scheduler may be a new one that knows nothing of the run.
    """
    return client.scheduler_comm


@contextmanager
def through(address: str, then: str = RESUME) -> Iterator[None]:
    """What is asked of a scheduler. Raises UnreachableError where it is gone before it has answered, or is silent."""
    try:
        yield
    except (TimeoutError, asyncio.TimeoutError):
        raise scheduler_is_silent(address, then) from None
    except Exception as error:
        if is_silence(error):
            raise scheduler_is_gone(address, then) from None
        raise


def _differing(wheel: zipfile.ZipFile) -> str | None:
    """The first module that a wheel has otherwise than this process: versions stay the same while somebody develops."""
    here = Path(envelope.__file__).parent.parent
    for name in sorted(wheel.namelist()):
        module = here / name.removeprefix(f"{envelope.PACKAGE}/")
        if name.endswith(".py") and module.is_file() and module.read_bytes() != wheel.read(name):
            return name
    return None


async def _registered(client: Client, plugin: WorkerPlugin) -> None:
    """Give every worker a plugin, also those that come later. One that does not answer in time is passed over."""
    try:
        await _in_time(client.register_plugin(plugin))
    except Exception as error:
        if not is_silence(error):
            raise


def bring_code(client: Client, wheel: Path) -> None:
    """Let every worker that has no code of ours, also those that come later, import from a wheel (`make wheel`).

    Raises SettingsError where it is none of this tool, or not what this process runs, and RunRefusedError where a
    worker cannot take it.
    """
    try:
        with zipfile.ZipFile(wheel) as opened:
            opened.getinfo(f"{envelope.PACKAGE}/model/version.py")
            differing = _differing(opened)
    except (zipfile.BadZipFile, KeyError):
        raise SettingsError(f"CLUSTER_CODE: {wheel} is no wheel of this tool; `make wheel` builds one") from None
    if differing is not None:
        raise SettingsError(
            f"CLUSTER_CODE: {wheel} is not of this program as it is now: {differing} is another one. `make wheel` "
            f"builds it anew"
        )
    try:
        client.sync(_registered, client, envelope.Code(wheel.read_bytes()))
    except Exception as error:
        # Whatever a worker raises arrives as it is.
        raise RunRefusedError(
            f"CLUSTER_CODE: a worker cannot take {wheel.name}: {error}. Restart the workers: a process keeps the "
            f"modules that it has once imported."
        ) from None
