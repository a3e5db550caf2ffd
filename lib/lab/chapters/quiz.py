"""A question where the thought is: its right answer is an expression over what the chapter has measured."""

from __future__ import annotations


class Ask:
    """What ``ask`` shows: buttons in JupyterLab, the question and its answers as text elsewhere. Which is right, a click tells."""

    def __init__(self, text: str, answers: dict[str, tuple[bool, str]]):
        self.text, self.answers = text, answers
        right = [answer for answer, (true, _) in answers.items() if true]
        if len(right) != 1:
            raise ValueError(f"{text!r} must have one right answer, this run gives: {right or 'none'}")

    def __repr__(self) -> str:
        lines = [f"  {letter}) {answer}" for letter, answer in zip("abcdef", self.answers, strict=False)]
        return "\n".join([f"? {self.text}", *lines])

    def panel(self):
        """A button for each answer, and below them a line that says why it is right, or why not."""
        import ipywidgets

        words = ipywidgets.HTML()
        buttons = []
        for answer in self.answers:
            button = ipywidgets.Button(description=answer, layout={"width": "auto"})
            button.on_click(lambda button: self.judge(button, words))
            buttons.append(button)
        return ipywidgets.VBox([ipywidgets.HTML(f"<b>{self.text}</b>"), *buttons, words])

    def judge(self, button, words) -> None:
        true, why = self.answers[button.description]
        button.button_style = "success" if true else "danger"
        words.value = f"{'✔' if true else '✘'} {why}"

    def _repr_mimebundle_(self, **_) -> dict:
        return self.panel()._repr_mimebundle_() | {"text/plain": repr(self)}


def ask(text: str, answers: dict[str, tuple[bool, str]]) -> Ask:
    """Ask the reader something. ``answers``: each answer → whether it is true, and the sentence that is said to whoever clicks on it.

    Raises ``ValueError`` if what was measured does not make exactly one of them true.
    """
    return Ask(text, answers)
