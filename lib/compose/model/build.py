"""What a service is made from."""

from __future__ import annotations

from lib.compose.model.base import Bytes, Mode, Names, Part


class EnvFile(Part):
    path: str
    required: bool = True
    format: str = ""


class FileGrant(Part):
    """A secret or a config, as a service gets it: the file's name and place in the container."""

    source: str
    target: str = ""
    uid: str = ""
    gid: str = ""
    mode: Mode = None


class Ulimit(Part):
    """``single``: the file has one number for both."""

    soft: int
    hard: int
    single: bool = False


class Build(Part):
    context: str = ""
    dockerfile: str = ""
    dockerfile_inline: str = ""
    entitlements: list[str] = []
    args: dict[str, str | None] = {}
    provenance: str = ""
    sbom: str = ""
    ssh: Names = {}
    labels: Names = {}
    cache_from: list[str] = []
    cache_to: list[str] = []
    no_cache: bool = False
    no_cache_filter: list[str] = []
    additional_contexts: Names = {}
    pull: bool = False
    extra_hosts: dict[str, list[str]] = {}
    isolation: str = ""
    network: str = ""
    target: str = ""
    secrets: list[FileGrant] = []
    shm_size: Bytes = None
    tags: list[str] = []
    ulimits: dict[str, Ulimit] = {}
    platforms: list[str] = []
    privileged: bool = False
