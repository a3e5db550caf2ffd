"""Pull and push: the way to a registry and back, by the OCI distribution specification."""

from lib.lazy import hand_on

__getattr__, __all__ = hand_on(
    __name__,
    {
        "client": "Registry",
        "transfer": "pull push",
        "transport": "RegistryError Unreachable",
        "uploads": "Upload",
    },
)
