"""From a project to what is there: observe, plan, execute.

What is there is looked at (``observe``), what has to be done follows from that and from the file by a pure function (``plan``), and only
then anything is done (``execute``). A plan can be read, compared and drawn; nothing else decides.
"""

from lib.lazy import hand_on

__getattr__, __all__ = hand_on(
    "lib.compose",
    {
        "planning.observing": "Container Observed observe",
        "planning.operations": "Operation Plan",
        "planning.wanted": "Down Remove Restart Start Stop Up",
        "planning.plans": "plan",
        "planning.telling": "why",
        "acting.executing": "Failed execute",
        "acting.carrying": "carry_out done planned prepared",
        "acting.reporters": "Plain Recorder Reporter",
    },
)
