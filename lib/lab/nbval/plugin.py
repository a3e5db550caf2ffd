"""For ``pytest --nbval``: of a cell tagged ``measured`` the words are compared, and the claims of the cell after it must be able to fail.

See ``measured`` for what is compared, and ``claims`` for how a claim is tried.
"""

from nbval.plugin import IPyNbCell

from lib.lab.nbval.measured import HOLDS, IGNORED, MEASURED, PICTURES, words


class Cell(IPyNbCell):
    """A cell of nbval's that knows these tags."""

    def tags(self) -> set[str]:
        return set(self.cell.metadata.get("tags", []))

    def runtest(self) -> None:
        if self.tags() & {MEASURED, IGNORED} and HOLDS not in self.tags_after():
            self.raise_cell_error("What it prints may vary, so the cell after it must say what holds of it (tag holds)")
        super().runtest()
        if HOLDS in self.tags():
            self.try_claims()

    def tags_after(self) -> set[str]:
        code = [cell for cell in self.parent.nb.cells if cell.cell_type == "code"]
        return set(code[self.cell_num + 1].metadata.get("tags", [])) if self.cell_num + 1 < len(code) else set()

    def try_claims(self) -> None:
        """In the kernel, where the measured values are; it counts no cell and shows nothing."""
        kernel = self.parent.kernel
        code = f"__import__('lib.lab.nbval.claims', fromlist=['check']).check({self.cell.source!r}, globals())"
        message = kernel.execute_cell_input(code, allow_stdin=False)
        timeout = self.config.option.nbval_cell_timeout
        kernel.await_reply(message, timeout=timeout)
        if said := error_of(kernel, message, timeout):
            self.raise_cell_error(said)

    def compare_outputs(self, test, ref, skip_compare=None) -> bool:
        skip = skip_compare or self.parent.skip_compare
        return super().compare_outputs(test, ref, (*skip, *PICTURES) if MEASURED in self.tags() else skip)

    def sanitize(self, s):
        s = super().sanitize(s)
        return words(s) if MEASURED in self.tags() and isinstance(s, str) else s


def error_of(kernel, message: str, timeout: float) -> str:
    """What a request ended with, when it ended with an error."""
    said = ""
    while True:
        one = kernel.get_message("iopub", timeout=timeout)
        if one["parent_header"].get("msg_id") == message:
            if one["msg_type"] == "error":
                said = one["content"]["evalue"]
            if one["msg_type"] == "status" and one["content"]["execution_state"] == "idle":
                return said


def pytest_itemcollected(item) -> None:
    """nbval makes its cells by the name of its own class, so they change theirs when they are there."""
    if type(item) is IPyNbCell:
        item.__class__ = Cell
