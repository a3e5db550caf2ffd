"""Why a service's containers are made anew, or stay as they are: what a plan says of them, in sentences."""

from __future__ import annotations

from lib.compose.planning.operations import CreateContainer, OfContainer, Plan, RemoveContainer, StartContainer


def why(plan: Plan, service: str) -> list[str]:
    """A sentence for each of its containers, by name. Raises ``ValueError`` for a service that the project does not have."""
    if service not in plan.project.services:
        raise ValueError(f"no such service: {service} (there is {', '.join(plan.project.services)})")
    names = {name for name, whose in plan.services.items() if whose == service}
    names |= {one.resource for one in plan.operations if isinstance(one, OfContainer) and one.service == service}
    return [f"{name} {of_container(plan, name)}" for name in sorted(names)]


def of_container(plan: Plan, name: str) -> str:
    causes = {type(one): one.cause for one in plan.operations if isinstance(one, OfContainer) and one.resource == name}
    if CreateContainer in causes:
        return f"is made{' anew' if RemoveContainer in causes else ''}: {causes[CreateContainer]}"
    if RemoveContainer in causes:
        return f"is removed: {causes[RemoveContainer]}"
    started = f"; it is started: {causes[StartContainer]}" if causes.get(StartContainer) else ""
    return f"stays as it is: {plan.kept.get(name, 'nothing else was asked for')}{started}"
