"""Phase 5: which keys the specification knows at each place, and what may stand behind them."""

from lib.compose.reading.schema.checking import check
from lib.compose.reading.schema.service import CONTAINER, SERVICE
from lib.compose.reading.schema.table import FILE

__all__ = ["CONTAINER", "FILE", "SERVICE", "check"]
