"""Workers on hosts of their own: own addresses, own settings and driver, and ways to each other that can be cut.

The hosts are network and mount namespaces; where these cannot be made (root, iproute2), the tests are skipped.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from db import wheel_driver
from demo.named_target import NamedTarget
from demo.target import EmbeddedTarget
from standin.server import StandIn
from tests.certificates import Authority
from tests.dask_cluster import WORKER
from tests.harness import Proxy, Workplace, wait_until
from tests.hosts import NETWORKS, PATIENCE, Host, Hosts, HostsCluster, Network, lacking
from tests.samples import query
from tests.scenes import BIG_ROWS, DDL, Scene, settings_of

LOST = {"CLUSTER_LOST_AFTER": "5", "CLUSTER_SETTINGS": "workers"}


@dataclass(frozen=True)
class Apart:
    """A scheduler, two workers and a client, each on a host of its own, and the ways to both servers."""

    cluster: HostsCluster
    client: Host
    source: Proxy
    environment: dict[str, str]
    database: str
    drivers: dict[str, Path]
    #: of the workers' hosts, by namespace
    environments: dict[str, dict[str, str]]
    #: its own folder is on no host
    authority: Authority


@pytest.fixture(scope="module")
def apart(scene_source: StandIn, target: EmbeddedTarget, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    """All that lasts for the module. Workers read their settings once, so the database keeps its name."""
    words = lacking()
    driver = wheel_driver()
    if words is None and driver is None:
        words = "hosts of their own need a driver that can be copied: the mssql-python-odbc package's"
    if words is None and isinstance(target, NamedTarget):
        words = "hosts of their own need a PostgreSQL on this machine"
    if words is not None or driver is None:
        pytest.skip(words or "")
    folder = tmp_path_factory.mktemp("hosts")
    authority = Authority(folder / "authority")
    database = f"hosts_{os.getpid()}"
    with Hosts(folder) as hosts:
        unix = target.socket_folder / f".s.PGSQL.{target.environment(database)['PGPORT']}"
        with (
            Proxy(("127.0.0.1", scene_source.port), hosts.address("source")) as source,
            Proxy(unix, hosts.address("target")) as relay,
        ):
            reached = {
                **settings_of(source.port, target, database), "MSSQL_HOST": hosts.address("source"),
                "PGHOST": hosts.address("target"), "PGPORT": str(relay.port),
            }  # fmt: skip
            client = hosts.add("client", [target.socket_folder, folder / "authority"])
            # What the client has, no worker has: its driver, its folder; and the server's socket nobody.
            hidden = [driver.parent.parent, client.folder, target.socket_folder, folder / "authority"]
            workers = [hosts.add(name, hidden) for name in ("one", "two")]
            drivers = {"client": driver} | {host.namespace: _settle(host, driver, reached) for host in workers}
            environments = {host.namespace: {"MSSQL_DRIVER": str(drivers[host.namespace])} for host in workers}
            scheduler = hosts.add("scheduler", hidden)
            if not workers[0].meets(scheduler):
                pytest.skip("hosts of their own: this machine filters what crosses a bridge (bridge-nf-call-iptables)")
            with HostsCluster(scheduler, workers) as cluster:
                cluster.start(environments)
                yield Apart(
                    cluster,
                    client,
                    source,
                    {**reached, "MSSQL_DRIVER": str(driver)},
                    database,
                    drivers,
                    environments,
                    authority,
                )


def _settle(host: Host, driver: Path, reached: dict[str, str]) -> Path:
    """Give a worker's host a driver at a place of its own, and a `.env`; returns the driver's file."""
    shutil.copytree(driver.parent.parent, host.folder / "msodbcsql")
    own = {name: value for name, value in reached.items() if name.startswith(("MSSQL_", "PG"))}
    (host.folder / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in own.items()), encoding="utf-8")
    return host.folder / "msodbcsql" / driver.parent.name / driver.name


@pytest.fixture
def scene(apart: Apart, scene_source: StandIn, target: EmbeddedTarget) -> Iterator[Scene]:
    """A scene whose runs go from the client's host to the cluster."""
    apart.cluster.wait_for_all()
    target.create_database(apart.database)
    query(target, apart.database, DDL)
    folder = apart.client.folder / f"run-{len(list(apart.client.folder.iterdir()))}"
    folder.mkdir()
    environment = {**apart.environment, **PATIENCE, **LOST, "CLUSTER": apart.cluster.address}
    yield Scene(
        scene_source, apart.source, Workplace(folder, environment, on_host=apart.client.command()), target,
        apart.database,
    )  # fmt: skip
    for host in (*apart.cluster.workers, apart.client):
        host.put_back(*NETWORKS)
    apart.source.resume()


def ended(process: subprocess.Popen[str]) -> str:
    """What a run told until it ended well."""
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, out + err
    return out


def assert_used_again(apart: Apart, scene: Scene) -> None:
    """A further run has both workers."""
    apart.cluster.wait_for_all()
    further = scene.run("--new-session")
    assert further.code == 0 and "2 worker processes, 4 threads" in further.out, further.text
    scene.assert_equal()


# Each class runs beside the others where there are processes for it (pytest-xdist, "loadscope"), with hosts of its own.


class TestTheSameAsOnOneMachine:
    """Loads, refreshes and comparisons."""

    def test_hosts_share_neither_addresses_nor_drivers_nor_the_servers_socket(self, apart: Apart, scene: Scene) -> None:
        for host in apart.cluster.workers:
            assert not host.sees(apart.drivers["client"])
            assert host.sees(apart.drivers[host.namespace])
            assert not host.sees(scene.workplace.folder)
            assert not any(host.sees(path) for path in scene.target.socket_folder.iterdir())
            assert not host.reaches("127.0.0.1", scene.proxy.port)
        assert apart.client.sees(apart.drivers["client"])

    def test_a_load_and_its_comparison_over_hosts_apart(self, apart: Apart, scene: Scene) -> None:
        finished = scene.run()
        assert finished.code == 0, finished.text
        assert f"Cluster: {apart.cluster.address}, 2 worker processes, 4 threads" in finished.out
        scene.assert_equal()
        equal = scene.run("--verify")
        assert equal.code == 0 and f"{BIG_ROWS:,} rows equal" in equal.out, equal.text
        scene.query("UPDATE big SET label = 'another' WHERE id = 17")
        differing = scene.run("--verify")
        assert differing.code == 1 and "columns that differ: label" in differing.out, differing.text
        scene.assert_nobody_is_left(40)

    @pytest.mark.parametrize("refresh", ["merge", "swap"])
    def test_staged_loads_over_hosts_apart(self, scene: Scene, refresh: str) -> None:
        scene.query("INSERT INTO few VALUES (-1, 'of yesterday')")
        finished = scene.run("--refresh", refresh, "--verify-first")
        assert finished.code == 0, finished.text
        scene.assert_equal()

    def test_tls_with_certificates_at_each_hosts_own_place(self, apart: Apart, scene: Scene) -> None:
        """What the run and each worker are given for it lies in a folder that no other host has."""
        hosts = (apart.client, apart.cluster.scheduler, *apart.cluster.workers)
        own = {host.namespace: apart.authority.given_to(host.folder, host.namespace) for host in hosts}
        with HostsCluster(hosts[1], hosts[2:], port=8790, certificates=own) as encrypted:
            encrypted.start(apart.environments)
            finished = scene.run("--then-verify", CLUSTER=encrypted.address, **own[apart.client.namespace])
        assert encrypted.address.startswith("tls://")
        assert finished.code == 0, finished.text
        assert f"Cluster: {encrypted.address}, 2 worker processes, 4 threads" in finished.out
        scene.assert_equal()
        scene.assert_nobody_is_left(40)
        assert len({path for settings in own.values() for path in settings.values()}) == 3 * len(hosts)
        of_the_client = own[apart.client.namespace]["CLUSTER_TLS_KEY"]
        assert not any(worker.sees(Path(of_the_client)) for worker in apart.cluster.workers)

    def test_a_killed_run_is_continued_over_hosts_apart(self, scene: Scene) -> None:
        with scene.stopped_in_the_big_table() as process:
            process.kill()
            process.wait()
        scene.assert_nobody_is_left(40)
        before = scene.checkpoints()
        resumed = scene.run("--resume", "--no-truncate")
        assert resumed.code == 0, resumed.text
        assert {chunk: scene.checkpoints()[chunk] for chunk in before} == before
        scene.assert_equal()


class TestWorkersCutOffFromTheirScheduler:
    """For longer than their heartbeat, and then back."""

    def test_a_worker_cut_off_from_all_for_longer_than_its_heartbeat_comes_back(
        self, apart: Apart, scene: Scene
    ) -> None:
        away = apart.cluster.workers[0]
        joined = apart.cluster.log_of(apart.cluster.scheduler).count("Register worker addr")
        with scene.stopped_in_the_big_table() as process:
            away.cut_off(*NETWORKS)
            wait_until(lambda: not apart.cluster.has(away), "Dask has removed the worker", timeout=40)
            away.put_back(*NETWORKS)
            apart.cluster.wait_for_all()
            scene.proxy.resume()
            out = ended(process)
        assert f"worker tcp://{away.addresses['cluster']}:" in out
        assert "another does its work (attempt 2 of 5)" in out
        assert apart.cluster.log_of(apart.cluster.scheduler).count("Register worker addr") > joined
        scene.assert_equal()
        scene.assert_nobody_is_left(40)
        scene.assert_equal()
        assert_used_again(apart, scene)

    def test_a_worker_that_only_its_scheduler_cannot_reach_commits_nothing_twice(
        self, apart: Apart, scene: Scene
    ) -> None:
        away = apart.cluster.workers[0]
        with scene.stopped_in_the_big_table() as process:
            away.cut_off("cluster")
            # It goes on reading and writing, and nobody hears of it.
            scene.proxy.resume()
            out = ended(process)
            assert "another does its work (attempt 2 of 5)" in out
            scene.assert_equal()
            wait_until(lambda: not apart.cluster.has(away), "Dask has removed the worker", timeout=40)
        away.put_back("cluster")
        scene.assert_nobody_is_left(40)
        scene.assert_equal()
        assert_used_again(apart, scene)


class TestOthersCutOff:
    """A worker from a server, and the client from the scheduler."""

    def test_a_worker_that_cannot_reach_the_target_for_a_while(self, apart: Apart, scene: Scene) -> None:
        away = apart.cluster.workers[0]
        patience = {"STALL_TIMEOUT": "5", "RETRY_SECONDS": "2", "PGCONNECT_TIMEOUT": "5"}
        with scene.stopped_in_the_big_table("--log-file", "run.log", **patience) as process:
            away.cut_off("target")
            scene.proxy.resume()
            log = scene.workplace.folder / "run.log"
            wait_until(lambda: "no row for 5 s" in log.read_text(encoding="utf-8"), "its chunk is given up", timeout=40)
            away.put_back("target")
            ended(process)
        scene.assert_equal()
        scene.assert_nobody_is_left(40)
        scene.assert_equal()
        assert_used_again(apart, scene)

    def test_a_client_cut_off_from_its_scheduler_ends_and_resume_goes_on(self, apart: Apart, scene: Scene) -> None:
        with scene.stopped_in_the_big_table() as process:
            apart.client.cut_off("cluster")
            out, err = process.communicate(timeout=60)
        assert process.returncode == 3, out + err
        assert f"the cluster's scheduler {apart.cluster.address} is gone" in out + err
        scene.assert_nobody_is_left(40)
        apart.client.put_back("cluster")
        resumed = scene.run("--resume", "--no-truncate")
        assert resumed.code == 0, resumed.text
        scene.assert_equal()


class TestChance:
    """Whatever is killed or cut off at a random moment, rows arrive exactly once."""

    def test_kills_and_cuts_in_one_load_that_is_resumed(self, apart: Apart, scene: Scene) -> None:
        seed = random.randrange(1_000_000)
        chance = random.Random(seed)
        one, two = chance.sample(apart.cluster.workers, 2)
        told = [f"seed {seed}"]
        # So slow that all of it happens before the load is over.
        scene.workplace = scene.workplace.with_settings(CHUNK_ROWS="250", BATCH_SIZE="50", STALL_TIMEOUT="5")
        load = _Resumed(scene.workplace, "500rows")

        def cut(host: Host, *networks: Network) -> None:
            # Shorter and longer than a heartbeat may be missed.
            seconds = chance.choice((1, 9))
            told.append(f"{host.namespace} without {networks} for {seconds} s")
            host.cut_off(*networks)
            time.sleep(seconds)
            host.put_back(*networks)

        def kill(host: Host) -> None:
            told.append(f"the worker of {host.namespace} is killed")
            host.kill(WORKER)

        def kill_the_run() -> None:
            told.append("the run is killed")
            load.kill()

        events: list[Callable[[], None]] = [
            lambda: kill(one), lambda: kill(two), kill_the_run, lambda: cut(one, *NETWORKS), lambda: cut(two, "target"),
            lambda: cut(two, "cluster"), lambda: cut(apart.client, "cluster"),
        ]  # fmt: skip
        chance.shuffle(events)
        try:
            for event in events:
                load.go_on()
                time.sleep(chance.uniform(0.5, 2.5))
                event()
            load.end()
            scene.assert_equal()
            scene.assert_nobody_is_left(60)
            scene.assert_equal()
        except AssertionError as error:
            raise AssertionError(f"{error}\n{told}\n{load.words}") from error
        finally:
            load.kill()


class _Resumed:
    """A load that is resumed whenever it has ended before its end."""

    def __init__(self, workplace: Workplace, rate: str) -> None:
        self._workplace = workplace.with_settings(MAX_RATE=rate)
        self._process = self._workplace.start("data", "--log-file", "run.log")

    @property
    def words(self) -> str:
        """All that it told."""
        return (self._workplace.folder / "run.log").read_text(encoding="utf-8")

    def go_on(self) -> None:
        """Be under way."""
        if self._process.poll() is not None:
            self._process.communicate()
            assert self._process.returncode != 0, "the load was over before all had happened"
            self._resume()

    def end(self) -> None:
        """Be done, as fast as it goes, after no more than three ends before it."""
        self.kill()
        self._workplace = self._workplace.with_settings(MAX_RATE="")
        for _ in range(4):
            self._resume()
            self._process.communicate(timeout=120)
            if self._process.returncode == 0:
                return
        raise AssertionError("four runs in a row did not get to the end")

    def kill(self) -> None:
        """Kill the run that is under way."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    def _resume(self) -> None:
        self._process = self._workplace.start("data", "--resume", "--no-truncate", "--log-file", "run.log")
