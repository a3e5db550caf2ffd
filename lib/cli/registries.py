"""``pull push login logout``."""

from __future__ import annotations

import click

from lib.cli import distribution
from lib.cli.errors import errors
from lib.cli.library import library

insecure = click.option("--insecure", is_flag=True, help="Accept plain HTTP, and a certificate that nobody vouches for.")


@click.command()
@click.argument("name")
@click.option("-a", "--all-tags", "every", is_flag=True, help="Download all tagged images in the repository.")
@click.option("-q", "--quiet", is_flag=True, help="Suppress verbose output.")
@click.option("--platform", help="Set platform, for example linux/arm64.")
@insecure
def pull(name: str, every: bool, quiet: bool, platform: str | None, insecure: bool) -> None:
    """Pull an image or a repository from a registry."""
    with errors():
        distribution.pull(library(), name, every, quiet, platform, insecure)


@click.command()
@click.argument("name")
@click.option("-a", "--all-tags", "every", is_flag=True, help="Push all tagged images in the repository.")
@click.option("-q", "--quiet", is_flag=True, help="Suppress verbose output.")
@insecure
def push(name: str, every: bool, quiet: bool, insecure: bool) -> None:
    """Push an image or a repository to a registry."""
    with errors():
        distribution.push(library(), name, every, quiet, insecure)


@click.command()
@click.argument("server", default="docker.io")
@click.option("-u", "--username", help="Username.")
@click.option("-p", "--password", help="Password.")
@click.option("--password-stdin", "from_stdin", is_flag=True, help="Take the password from STDIN.")
@insecure
def login(server: str, username: str | None, password: str | None, from_stdin: bool, insecure: bool) -> None:
    """Log in to a registry (Docker's own config.json keeps it)."""
    with errors():
        distribution.login(server, username, password, from_stdin, insecure)


@click.command()
@click.argument("server", default="docker.io")
def logout(server: str) -> None:
    """Log out from a registry."""
    with errors():
        distribution.logout(server)
