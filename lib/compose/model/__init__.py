"""The Compose file as the rest of this wing sees it: merged, with its variables filled in, every key in its long form.

One class for each noun of the specification, one field for each key, under the key's own name. Times are in nanoseconds, sizes in bytes.
What nobody said is None, or empty. Who writes what in which form, and where it came from, is the business of ``compose.reading``.
See https://github.com/compose-spec/compose-spec/blob/main/spec.md
"""

from lib.compose.model.build import Build, EnvFile, FileGrant, Ulimit
from lib.compose.model.connections import Attachment, Device, Mount, Port
from lib.compose.model.container import Container, PreStart
from lib.compose.model.life import Dependency, Deploy, Develop, Healthcheck, Hook, Logging
from lib.compose.model.project import FileSource, Network, Project, Volume
from lib.compose.model.service import Service

__all__ = [
    "Attachment", "Build", "Container", "Dependency", "Deploy", "Develop", "Device", "EnvFile", "FileGrant", "FileSource", "Healthcheck",
    "Hook", "Logging", "Mount", "Network", "Port", "PreStart", "Project", "Service", "Ulimit", "Volume",
]  # fmt: skip
