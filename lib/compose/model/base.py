"""What all nouns of the Compose file have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

Names = dict[str, str]


class Part(BaseModel):
    """Something of the file. A key that is not known here is an error, but for ``x-…``, which is the author's own and is kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)
