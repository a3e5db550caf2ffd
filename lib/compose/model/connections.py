"""What a service is connected to: networks, ports, files, devices."""

from __future__ import annotations

from typing import Literal

from lib.compose.model.base import Bytes, Names, Part


class Port(Part):
    """``published`` is a number, a range (``8000-8010``), or empty: any that is free."""

    name: str = ""
    mode: str = "ingress"
    host_ip: str = ""
    target: int
    published: str = ""
    protocol: str = "tcp"
    app_protocol: str = ""


class Attachment(Part):
    """A service on a network."""

    aliases: list[str] = []
    driver_opts: Names = {}
    gw_priority: int = 0
    interface_name: str = ""
    ipv4_address: str = ""
    ipv6_address: str = ""
    link_local_ips: list[str] = []
    mac_address: str = ""
    priority: int = 0


class OfBind(Part):
    selinux: str = ""
    propagation: str = ""
    create_host_path: bool = True
    recursive: str = ""


class OfVolume(Part):
    labels: Names = {}
    nocopy: bool = False
    subpath: str = ""


class OfTmpfs(Part):
    size: Bytes = None
    mode: int | None = None


class OfImage(Part):
    subpath: str = ""


class Mount(Part):
    """``source`` is a path of this machine (bind), a volume's key in the file, an image, or empty."""

    type: Literal["bind", "volume", "tmpfs", "image", "cluster", "npipe"]
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind: OfBind | None = None
    volume: OfVolume | None = None
    tmpfs: OfTmpfs | None = None
    image: OfImage | None = None


class Device(Part):
    source: str
    target: str = ""
    permissions: str = ""  # empty is rwm
