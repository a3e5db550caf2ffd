"""What a service is made from."""

from __future__ import annotations

from lib.compose.model.base import Names, Part


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
    mode: int | None = None


class Ulimit(Part):
    soft: int
    hard: int


class Build(Part):
    context: str = "."
    dockerfile: str = ""
    dockerfile_inline: str = ""
    args: dict[str, str | None] = {}
    additional_contexts: Names = {}
    cache_from: list[str] = []
    cache_to: list[str] = []
    entitlements: list[str] = []
    extra_hosts: dict[str, list[str]] = {}
    isolation: str = ""
    labels: Names = {}
    network: str = ""
    no_cache: bool = False
    no_cache_filter: list[str] = []
    platforms: list[str] = []
    privileged: bool = False
    provenance: str | bool | None = None
    pull: bool = False
    sbom: str | bool | None = None
    secrets: list[FileGrant] = []
    shm_size: int | None = None
    ssh: Names = {}
    tags: list[str] = []
    target: str = ""
    ulimits: dict[str, Ulimit] = {}
