"""All keys of the file but those of a service."""

from __future__ import annotations

from lib.compose.reading.schema.kinds import ANYTHING, NAME, OPTIONS, PAIRS, SWITCH, TEXT, TEXT_OR_LIST, TEXTS, Keys, Named, Several
from lib.compose.reading.schema.service import SERVICE

EXTERNAL = (SWITCH, Keys({"name": TEXT}))
POOL = Keys({"subnet": TEXT, "ip_range": TEXT, "gateway": TEXT, "aux_addresses": Named(TEXT)})

NETWORK = Keys(
    {
        "name": TEXT,
        "driver": TEXT,
        "driver_opts": OPTIONS,
        "ipam": Keys({"driver": TEXT, "config": Several(POOL), "options": Named(TEXT)}),
        "external": EXTERNAL,
        "internal": SWITCH,
        "enable_ipv4": SWITCH,
        "enable_ipv6": SWITCH,
        "attachable": SWITCH,
        "labels": PAIRS,
    }
)

VOLUME = Keys({"name": TEXT, "driver": TEXT, "driver_opts": OPTIONS, "external": EXTERNAL, "labels": PAIRS})

FILE_KEYS = {"name": TEXT, "environment": TEXT, "file": TEXT, "external": EXTERNAL, "labels": PAIRS, "template_driver": TEXT}
SECRET = Keys({**FILE_KEYS, "driver": TEXT, "driver_opts": OPTIONS})
CONFIG = Keys({**FILE_KEYS, "content": TEXT})

FILE = Keys(
    {
        "version": TEXT,
        "name": TEXT,
        "include": Several(
            (TEXT, Keys({"path": TEXT_OR_LIST, "env_file": TEXT_OR_LIST, "project_directory": TEXT}, extensions=False)),
        ),
        "services": Named(SERVICE, NAME),
        "networks": Named((NETWORK, "null"), NAME),
        "volumes": Named((VOLUME, "null"), NAME),
        "secrets": Named(SECRET, NAME),
        "configs": Named(CONFIG, NAME),
        "models": Named(Keys({"name": TEXT, "model": TEXT, "context_size": "whole", "runtime_flags": TEXTS}, ("model",)), NAME),
        "jobs": Named(ANYTHING, NAME),
    }
)
