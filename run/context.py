"""What a run of either script works with, from its flags to the tables that it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace

from db import find_env_file, load_settings, readable_by_others
from model.catalog import Table
from model.cluster import Cluster
from model.errors import ProgressFileError
from model.settings import Settings
from model.visible import listed
from operations.recorder import Recorder
from postgres.names import check_collisions, check_schemas
from progress import ProgressTracker
from run.display import Display
from run.options import Options
from run.script import Script
from run.selection import select
from run.type_map import TypeMap, read_type_map
from scheduling.work import LOCAL, Crew
from type_mapping import check_types


@dataclass(frozen=True)
class Run:
    """What a run works with, once its settings and the source's catalog are read.

    `tables` are numbered by their position among all that the globs leave; `affected` are those of them that the
    run is about. `remarks` say what the settings leave out.
    """

    script: Script
    settings: Settings
    tracker: ProgressTracker
    tables: tuple[Table, ...]
    affected: tuple[Table, ...]
    type_map: TypeMap = field(default_factory=TypeMap)
    remarks: tuple[str, ...] = ()
    #: who does what can be done at the same time
    crew: Crew = LOCAL

    @property
    def options(self) -> Options:
        """The flags that both scripts share."""
        return self.script.options

    @property
    def display(self) -> Display:
        """Where the run says what it does."""
        return self.script.display

    @property
    def recorder(self) -> Recorder:
        """What notes what the run does."""
        return self.script.recorder


def load_run_settings(script: Script) -> Settings:
    """The settings that the options point at, and those that flags override. Raises SettingsError."""
    options = script.options
    env_file = find_env_file(options.env_file)
    settings = load_settings(env_file)
    if env_file is not None and readable_by_others(env_file):
        script.display.say(f"⚠️ {env_file} can be read by others than its owner: chmod 600 {env_file}")
    if options.type_map is not None:
        settings = replace(settings, type_map=options.type_map)
    script.recorder.is_about(_without_secrets(settings), settings.secrets.hide)
    return settings


def _without_secrets(settings: Settings) -> dict[str, object]:
    shown: dict[str, object] = {"source": settings.source.label, "target": settings.target.label}
    shown["driver"] = settings.source.driver.label
    for one in fields(settings):
        if one.name not in ("source", "target", "secrets", "cluster"):
            shown[one.name] = _shown(getattr(settings, one.name))
    return {**shown, **of_cluster(settings.cluster)}


def _shown(value: object) -> object:
    """A setting's value as people write it; numbers and what is not set as they are."""
    if isinstance(value, Mapping):
        return ",".join(f"{name}:{part}" for name, part in value.items())
    if isinstance(value, tuple):
        return ",".join(":".join(part) if isinstance(part, tuple) else str(part) for part in value)
    return value if isinstance(value, (int, float)) or value is None else str(value)


def of_cluster(cluster: Cluster) -> dict[str, object]:
    """Where it is, and how it is used; nothing of that where there is none."""
    if not cluster.address:
        return {"cluster": None}
    return {
        "cluster": cluster.address, "cluster_settings": cluster.credentials, "cluster_lost_after": cluster.lost_after,
        "cluster_code": _shown(cluster.code), "max_source_connections": cluster.most_source,
        "max_target_connections": cluster.most_target,
    }  # fmt: skip


def run_over(script: Script, tables: Sequence[Table], settings: Settings, tracker: ProgressTracker) -> Run:
    """A run over those of the source's tables that the options ask for.

    Refuses what cannot be carried out, before anything is touched: raises UsageError, TypeMapError,
    UnsupportedTypeError and NameCollisionError.
    """
    type_map = read_type_map(settings.type_map).resolved(tables)
    selection = select(type_map.apply(tables), script.options, settings)
    tracker.know_tables(tables)
    check_types(selection.tables)
    check_collisions(selection.tables, settings)
    check_schemas(selection.tables, settings)
    return Run(script, settings, tracker, selection.tables, selection.affected, type_map, selection.remarks)


def announce(run: Run) -> None:
    """Say between what the run works, and where it keeps its progress."""
    source, target = run.settings.source, run.settings.target
    run.display.say(f"🔌 Source: {source.label} through {source.driver.label}, {source.security}{source.login}")
    run.display.say(f"🔌 Target: {target.label}, {target.security}")
    if run.type_map.path is not None:
        entries = len(run.type_map.lines)
        run.display.say(f"📋 Type map: {run.type_map.path} ({entries} entr{'y' if entries == 1 else 'ies'})")
    run.display.say(f"📋 Progress: {run.tracker.path}")
    for remark in run.remarks:
        run.display.say(remark)


def reset(script: Script, tracker: ProgressTracker) -> str:
    """Rename the progress file, whatever it holds; returns what was done, which is said as well."""
    with suppress(ProgressFileError):
        tracker.load()
    skipped = tracker.skipped
    moved = tracker.reset()
    words = f"Progress file moved to {moved}" if moved else f"There is no progress file {tracker.path}"
    script.display.say(words)
    if skipped:
        script.display.say(
            f'⚠️ It had {listed(skipped)} set to "skipped": the next run does not leave them out. EXCLUDE in the '
            f"settings does, whatever becomes of the file."
        )
    return words
