"""The settings of a cluster, read together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from model.cluster import Cluster, Tls
from model.errors import SettingsError
from model.settings_table import read


def read_cluster(values: Mapping[str, str]) -> Cluster:
    """The cluster that is named, if one is: a flag may name it as well, and the rest stands here.

    Raises SettingsError.
    """
    names = ("CLUSTER_TLS_CA", "CLUSTER_TLS_CERT", "CLUSTER_TLS_KEY")
    files: list[Path | None] = [read(name, values) for name in names]
    address: str = read("CLUSTER", values)
    missing = [name for name, file in zip(names, files, strict=True) if file is None]
    if missing and len(missing) < len(names):
        raise SettingsError(f"{' and '.join(missing)} missing: the three files of CLUSTER_TLS_… go together")
    authority, certificate, key = files
    tls = Tls(authority, certificate, key) if authority and certificate and key else None
    return Cluster(
        address, tls, read("CLUSTER_SETTINGS", values), read("MAX_SOURCE_CONNECTIONS", values),
        read("MAX_TARGET_CONNECTIONS", values), read("CLUSTER_LOST_AFTER", values), read("CLUSTER_CODE", values),
    )  # fmt: skip
