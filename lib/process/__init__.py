"""The engine block: steps and plans as data, the starter that carries them out, the handle on what runs."""

from lib.lazy import hand_on

__getattr__, __all__ = hand_on(
    __name__,
    {
        "steps": "CALLER BETWEEN STARTER CHILD Stage STAGES ORDER Ref Step plain shorten",
        "plan": "StepPlan check_text words",
        "errors": "StepError TimeLimit",
        "exit": "Exit in_words signal_number",
        "interrupts": "completed scratch",
        "client": "Starter PATIENCE",
        "output": "Pipes KEEP memory_file",
        "handle": "Process LIVE",
        "running": "Plan",
        "leaving": "ours remove_all say_goodbye",
    },
)
