"""The whole file, and what its services share."""

from __future__ import annotations

from lib.compose.model.base import Names, Part
from lib.compose.model.service import Service


class Pool(Part):
    subnet: str = ""
    gateway: str = ""
    ip_range: str = ""
    aux_addresses: Names = {}


class Ipam(Part):
    driver: str = ""
    config: list[Pool] = []
    options: Names = {}


class Network(Part):
    """``name`` is what the engine calls it: ``PROJECT_KEY``, unless the file says otherwise."""

    name: str = ""
    driver: str = ""
    driver_opts: Names = {}
    ipam: Ipam | None = None
    external: bool = False
    internal: bool = False
    attachable: bool = False
    labels: Names = {}
    enable_ipv4: bool | None = None
    enable_ipv6: bool | None = None


class Volume(Part):
    name: str = ""
    driver: str = ""
    driver_opts: Names = {}
    external: bool = False
    labels: Names = {}


class FileSource(Part):
    """A secret or a config: what is in the file, or where it is."""

    name: str = ""
    file: str = ""
    environment: str = ""
    content: str = ""
    external: bool = False
    labels: Names = {}
    driver: str = ""
    driver_opts: Names = {}
    template_driver: str = ""


class Project(Part):
    """All of it. ``services`` are those of the profiles that are on; ``disabled`` the others."""

    name: str
    working_dir: str = ""  # relative paths begin there
    files: list[str] = []
    profiles: list[str] = []
    variables: Names = {}  # of the shell and the .env: those that the file uses, and the default platform
    services: dict[str, Service] = {}
    disabled: dict[str, Service] = {}
    networks: dict[str, Network] = {}
    volumes: dict[str, Volume] = {}
    secrets: dict[str, FileSource] = {}
    configs: dict[str, FileSource] = {}
    models: dict[str, dict] = {}
