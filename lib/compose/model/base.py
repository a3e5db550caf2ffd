"""What all nouns of the Compose file have in common."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict

Names = dict[str, str]
Bytes = Annotated[int | None, "bytes"]
Nanoseconds = Annotated[int | None, "ns"]
Mode = Annotated[int | None, "mode"]  # of a file


class Part(BaseModel):
    """Something of the file. A key that is not known here is an error; ``x-…`` is the author's own, and is kept in ``extensions``."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    extensions: dict[str, Any] = {}
