"""The command ``suitcase``: Docker's words for images, and for running one container.

Each command imports what it needs when it is called: one that lists images should not wait for HTTP.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager

import click

from lib.cli.variables import pairs

NAME = "suitcase"


class Failed(click.ClickException):
    """An error as Docker shows it: one message, and the exit code."""

    def __init__(self, message: str, code: int = 1):
        super().__init__(message)
        self.exit_code = code

    def show(self, file=None) -> None:
        from lib.cli.text import visible

        click.echo(f"{NAME}: {visible(self.message)}", err=True)


@contextmanager
def errors(code: int = 1):
    """What is wrong with an image, a file or a word of the user's is told in one message, without a traceback."""
    from lib.images.digests import ImageError

    try:
        yield
    except (ImageError, LookupError, ValueError, OSError) as error:
        shown = error.args[0] if isinstance(error, LookupError) and error.args else error
        raise Failed(f"{shown}{way_out(error)}", getattr(error, "exit_code", code)) from None


def way_out(error: Exception) -> str:
    """What to do about a full disk. Everything else says it itself."""
    import errno

    if getattr(error, "errno", None) not in (errno.ENOSPC, errno.EDQUOT):
        return ""
    return f": nothing half-made was kept in {library().store.place}. Room there: {NAME} prune, {NAME} builder-prune, {NAME} rmi IMAGE"


def library():
    from lib.images.library import Library
    from lib.images.store import Store

    return Library(Store())


def in_use() -> frozenset[str]:
    """The ids of images that containers on record stand on."""
    from lib import state

    return frozenset(facts["image"] for facts in state.records() if "image" in facts)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option("0.1", prog_name=NAME)
def main() -> None:
    """Pack, build, ship and run images: the engine of "Docker: From Zero to Production", all of it in Python that you can read."""


# -- looking ----------------------------------------------------------------------------------


@main.command()
@click.argument("repository", required=False)
@click.option("-q", "--quiet", is_flag=True, help="Only image IDs.")
@click.option("--digests", "with_digests", is_flag=True, help="Show digests.")
@click.option("--no-trunc", is_flag=True, help="Do not truncate IDs.")
@click.option("-a", "--all", "every", is_flag=True, help="Show images without a name too.")
def images(repository: str | None, quiet: bool, with_digests: bool, no_trunc: bool, every: bool) -> None:
    """List images."""
    from lib.cli import reports, text
    from lib.images import references

    with errors():
        ours = library()
        found = [one for one in ours.images() if one.names or every or not repository]
        if repository:
            wanted = references.parse(repository)
            tag = wanted.tag if ":" in repository.rpartition("/")[2] else None
            found = [one for one in found if any(matches(name, wanted, tag) for name in one.names)]
        rows = reports.image_rows(ours, found, no_trunc, with_digests)
        if quiet:
            click.echo("\n".join(dict.fromkeys(row[-3] for row in rows)), nl=bool(rows))
        else:
            click.echo(text.table(["REPOSITORY", "TAG", *["DIGEST"] * with_digests, "IMAGE ID", "CREATED", "SIZE"], rows))


def matches(name: str, wanted, tag: str | None) -> bool:
    from lib.images import references

    there = references.parse(name)
    return (there.registry, there.repository) == (wanted.registry, wanted.repository) and tag in (None, there.tag)


@main.command()
@click.argument("image")
@click.option("--no-trunc", is_flag=True, help="Don't truncate output.")
@click.option("-q", "--quiet", is_flag=True, help="Only show image IDs.")
def history(image: str, no_trunc: bool, quiet: bool) -> None:
    """Show the history of an image."""
    from lib.cli import reports, text

    with errors():
        ours = library()
        rows = reports.history_rows(ours, ours.find(image), no_trunc)
        table = text.table(["IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT"], rows)
        click.echo("\n".join(row[0] for row in rows) if quiet else table)


@main.command()
@click.argument("names", nargs=-1, required=True, metavar="IMAGE...")
@click.option("-f", "--format", "template", help="Format the output: {{.Config.Cmd}}, {{json .Config}}.")
def inspect(names: tuple[str, ...], template: str | None) -> None:
    """Return low-level information on images."""
    import json

    from lib.cli import reports

    with errors():
        ours = library()
        found = [reports.document(ours, ours.find(name)) for name in names]
        if template:
            click.echo("\n".join(reports.formatted(one, template) for one in found))
        else:
            click.echo(json.dumps(found, indent=4, ensure_ascii=False))


# -- names ------------------------------------------------------------------------------------


@main.command()
@click.argument("source")
@click.argument("target")
def tag(source: str, target: str) -> None:
    """Create a tag TARGET that refers to SOURCE."""
    with errors():
        library().tag(source, target)


@main.command()
@click.argument("names", nargs=-1, required=True, metavar="IMAGE...")
@click.option("-f", "--force", is_flag=True, help="Force removal of the image.")
def rmi(names: tuple[str, ...], force: bool) -> None:
    """Remove one or more images."""
    ours, failed = library(), []
    for name in names:
        try:
            with errors():
                click.echo("\n".join(ours.remove(name, force, in_use())))
        except Failed as error:
            failed.append(error)
    if failed:
        raise Failed("\n".join(one.message for one in failed))


@main.command()
def prune() -> None:
    """Remove images without a name (docker image prune)."""
    from lib.cli import text

    with errors():
        ours = library()
        before = disk(ours)
        for one in ours.prune(in_use()):
            click.echo(f"deleted: {one}")
        click.echo(f"Total reclaimed space: {text.size(max(0, before - disk(ours)))}")


@main.command("builder-prune")
def builder_prune() -> None:
    """Remove the build cache (docker builder prune)."""
    from lib.cli import text
    from lib.images.cache import Cache

    with errors():
        ours = library()
        before = disk(ours)
        Cache(ours.store).prune()
        ours.gc()
        click.echo(f"Total reclaimed space: {text.size(max(0, before - disk(ours)))}")


def disk(ours) -> int:
    """Bytes of all blobs."""
    return sum(path.stat().st_size for path in (ours.store.place / "blobs").rglob("*") if path.is_file())


# -- archives ---------------------------------------------------------------------------------


def stdout():
    """The standard output, for bytes; a terminal is refused, as Docker does."""
    if sys.stdout.isatty():
        raise Failed("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    return sys.stdout.buffer


@main.command()
@click.argument("names", nargs=-1, required=True, metavar="IMAGE...")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write to a file, instead of STDOUT.")
def save(names: tuple[str, ...], output: str | None) -> None:
    """Save one or more images to a tar archive."""
    from lib.atomicfile import atomic_file
    from lib.images import archive

    with errors():
        ours = library()
        for name in names:
            ours.find(name)  # before a file is made
        if output is None:
            archive.save(ours, names, stdout())
            return
        with atomic_file(output) as file:
            archive.save(ours, names, file)


@main.command()
@click.option("-i", "--input", "source", type=click.Path(), help="Read from a tar archive file, instead of STDIN.")
@click.option("-q", "--quiet", is_flag=True, help="Suppress the load output.")
def load(source: str | None, quiet: bool) -> None:
    """Load images from a tar archive or STDIN."""
    from lib.images import archive, references

    with errors(), opened(source) as file:
        for one in archive.load(library(), file):
            for name in one.names:
                if not quiet:
                    click.echo(f"Loaded image: {references.parse(name).familiar}")
            if not one.names and not quiet:
                click.echo(f"Loaded image ID: {one.id}")


@contextmanager
def opened(source: str | None):
    if source in (None, "-"):
        yield sys.stdin.buffer
    else:
        with open(source, "rb") as file:
            yield file


@main.command("import")
@click.argument("source")
@click.argument("name", required=False)
@click.option("-m", "--message", default="", help="Set commit message for imported image.")
@click.option("-c", "--change", "changes", multiple=True, help="Apply a Dockerfile instruction, like CMD or ENV.")
def import_(source: str, name: str | None, message: str, changes: tuple[str, ...]) -> None:
    """Import the contents of a tarball (a file, or - for STDIN) to create a filesystem image."""
    from lib.build.stages import config_of
    from lib.images import archive

    with errors(), opened(source) as file:
        click.echo(archive.import_(library(), file, name, config_of(changes), message).id)


# -- containers -------------------------------------------------------------------------------


def running(name: str) -> dict:
    """The record of a container that runs now, by its name or the beginning of its id."""
    from lib import state

    found = [facts for facts in state.records() if "called" in facts and (facts["called"] == name or facts["id"].startswith(name))]
    if not found:
        raise Failed(f"No such container: {name} (only running ones can be looked into: those of another terminal or notebook)")
    return found[0]


def layers_of(ours, facts: dict) -> list[str]:
    return [folder for chain in facts["chains"] if (folder := ours.chains.find(chain))]


@main.command()
@click.argument("container")
def diff(container: str) -> None:
    """Inspect changes to files or directories on a running container's filesystem."""
    from lib.cli import reports, text
    from lib.images.merged import Merged

    with errors():
        facts = running(container)
        for kind, path in reports.changes(Merged(layers_of(library(), facts)), f"{facts['folder']}/upper"):
            click.echo(f"{kind} {text.visible(path)}")


@main.command()
@click.argument("container")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write to a file, instead of STDOUT.")
def export(container: str, output: str | None) -> None:
    """Export a running container's filesystem as a tar archive."""
    from lib.atomicfile import atomic_file
    from lib.images import archive

    with errors():
        facts = running(container)
        folders = [*layers_of(library(), facts), f"{facts['folder']}/upper"]
        if output:
            with atomic_file(output) as file:
                archive.export(folders, file)
        else:
            archive.export(folders, stdout())


@main.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("image")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--rm", is_flag=True, help="Remove the container when it exits (they all are, until chapter 5).")
@click.option("-i", "--interactive", is_flag=True, help="Keep STDIN open.")
@click.option("-t", "--tty", is_flag=True, help="Allocate a pseudo-TTY.")
@click.option("--name", help="Assign a name to the container.")
@click.option("-h", "--hostname", help="Container host name.")
@click.option("-e", "--env", multiple=True, help="Set environment variables.")
@click.option("-w", "--workdir", help="Working directory inside the container.")
@click.option("-u", "--user", help="Username or UID (format: <name|uid>[:<group|gid>]).")
@click.option("-v", "--volume", "volumes", multiple=True, help="Bind mount a volume: /host:/container[:ro].")
@click.option("--tmpfs", multiple=True, help="Mount a tmpfs directory.")
@click.option("--entrypoint", help="Overwrite the default ENTRYPOINT of the image.")
@click.option("--network", type=click.Choice(["none", "host"]), default="none", help="Connect to a network (bridges come in chapter 4).")
@click.option("--read-only", is_flag=True, help="Mount the container's root filesystem as read only.")
@click.option("--init", is_flag=True, help="Run an init inside the container that reaps processes.")
@click.option("-m", "--memory", help="Memory limit.")
@click.option("--cpus", type=float, help="Number of CPUs.")
@click.option("--pids-limit", type=int, help="Tune container pids limit.")
@click.option("--pull", type=click.Choice(["always", "missing", "never"]), default="missing", help="Pull image before running.")
def run(
    image: str, command: tuple[str, ...], rm: bool, interactive: bool, env: tuple, workdir, user, entrypoint, pull: str, **options
) -> None:
    """Run a command in a new container."""
    from lib.cli import running as runner
    from lib.engine import resolve

    with errors(125):
        ours = library()
        found = resolve.image(ours, image, pull)
        wishes = runner.Wishes(command, entrypoint, pairs(env), workdir, user, {key: value for key, value in options.items() if value})
    with runner.kept(found):
        sys.exit(foreground(ours, found, wishes, interactive))


def foreground(ours, found, wishes, interactive: bool) -> int:
    """Run it to its end; returns its exit code."""
    from lib.cli import running as runner
    from lib.process import StepError

    with errors(125):
        made = runner.container(ours, found, wishes)
        stdin = sys.stdin.buffer.read() if interactive and not sys.stdin.isatty() else b""
    try:
        return made.run(stdin=stdin).code
    except StepError as error:
        raise Failed(str(error), error.exit_code) from None


# -- building ---------------------------------------------------------------------------------


@main.command()
@click.argument("context")
@click.option("-f", "--file", help='Name of the Dockerfile (default: "CONTEXT/Dockerfile"); - is STDIN.')
@click.option("-t", "--tag", "tags", multiple=True, help='Name and optionally a tag ("name:tag").')
@click.option("--target", help="Set the target build stage to build.")
@click.option("--build-arg", "build_args", multiple=True, help="Set build-time variables.")
@click.option("--label", "labels", multiple=True, help="Set metadata for an image.")
@click.option("--secret", "secrets", multiple=True, help="Secret to expose to the build: id=mysecret,src=/local/secret.")
@click.option("--ssh", help="SSH agent socket to expose to the build: default, or default=/path/of/the/socket.")
@click.option("--no-cache", is_flag=True, help="Do not use cache when building the image.")
@click.option("--pull", is_flag=True, help="Always attempt to pull a newer version of the image.")
@click.option("--platform", help="Set platform, for example linux/arm64.")
@click.option("--network", type=click.Choice(["default", "none", "host"]), default="default", help="The network of RUN.")
@click.option("--cache-from", multiple=True, help="External cache sources: type=local,src=FOLDER or a name in a registry.")
@click.option("--cache-to", multiple=True, help="Cache export destinations: type=local,dest=FOLDER or a name in a registry.")
@click.option("--progress", type=click.Choice(["auto", "plain", "quiet"]), default="auto", help="plain shows what the commands print.")
@click.option("-q", "--quiet", is_flag=True, help="Suppress the build output and print image ID on success.")
@click.option("--explain", is_flag=True, help="Say of each step that was not cached why not, and what to reorder.")
@click.option("--iidfile", type=click.Path(dir_okay=False), help="Write the image ID to the file.")
def build(context: str, **options) -> None:
    """Build an image from a Dockerfile."""
    from lib.cli import building

    with errors():
        building.build(library(), context, **options)


# -- registries -------------------------------------------------------------------------------

insecure = click.option("--insecure", is_flag=True, help="The registry may speak plain HTTP, or have a certificate that nobody knows.")


@main.command()
@click.argument("name")
@click.option("-a", "--all-tags", "every", is_flag=True, help="Download all tagged images in the repository.")
@click.option("-q", "--quiet", is_flag=True, help="Suppress verbose output.")
@click.option("--platform", help="Set platform, for example linux/arm64.")
@insecure
def pull(name: str, every: bool, quiet: bool, platform: str | None, insecure: bool) -> None:
    """Pull an image or a repository from a registry."""
    from lib.cli import distribution

    with errors():
        distribution.pull(library(), name, every, quiet, platform, insecure)


@main.command()
@click.argument("name")
@click.option("-a", "--all-tags", "every", is_flag=True, help="Push all tagged images in the repository.")
@click.option("-q", "--quiet", is_flag=True, help="Suppress verbose output.")
@insecure
def push(name: str, every: bool, quiet: bool, insecure: bool) -> None:
    """Push an image or a repository to a registry."""
    from lib.cli import distribution

    with errors():
        distribution.push(library(), name, every, quiet, insecure)


@main.command()
@click.argument("server", default="docker.io")
@click.option("-u", "--username", help="Username.")
@click.option("-p", "--password", help="Password.")
@click.option("--password-stdin", "from_stdin", is_flag=True, help="Take the password from STDIN.")
@insecure
def login(server: str, username: str | None, password: str | None, from_stdin: bool, insecure: bool) -> None:
    """Log in to a registry (Docker's own config.json keeps it)."""
    from lib.cli import distribution

    with errors():
        distribution.login(server, username, password, from_stdin, insecure)


@main.command()
@click.argument("server", default="docker.io")
def logout(server: str) -> None:
    """Log out from a registry."""
    from lib.cli import distribution

    with errors():
        distribution.logout(server)
