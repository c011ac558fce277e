"""
Django's migrations on a throwaway database.

They are programs of the application, so the application's own Python runs them, with its own settings. Their
databases are replaced before anything connects: whatever the settings name, the live one is out of reach.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from standfast.host.backup import containers, programs
from standfast.host.backup.faults import Fault, WrongConfiguration
from standfast.host.schema import keeper
from standfast.host.schema.migrations import Project, Report
from standfast.host.schema.throwaway import Throwaway

SECONDS = 600
VARIABLE = "STANDFAST_THROWAWAY"
PYTHONS = (
    ".venv/bin/python",
    "venv/bin/python",
    "env/bin/python",
    "../.venv/bin/python",
    "../venv/bin/python",
)


@dataclass(frozen=True)
class Service:
    """A service of an application: what its migrations run in."""

    image: str
    """Id of the image that is in service."""
    environment: Mapping[str, str] = field(repr=False)
    user: str = ""
    folder: str = ""


def service(app: str, name: str) -> Service:
    """
    What a running service was started with.

    Raises:
        Fault: it does not run.
    """
    container = containers.service(app, name)
    done = programs.run(["docker", "inspect", "--type", "container", container.id])
    if done.code != 0:
        raise Fault(f"{app}/{name}: {done.reason}")
    config = json.loads(done.output)[0]["Config"]
    environment = dict(each.partition("=")[::2] for each in config.get("Env") or ())
    for own in ("PATH", "HOME", "LC_ALL"):
        environment.pop(own, None)  # the image's own are right
    return Service(container.image_id, environment, config.get("User") or "", config.get("WorkingDir") or "")


def apply(project: Project, made: Throwaway, role: str, report: Report, python: str | None = None) -> None:
    """
    Run ``migrate`` of a project of this machine.

    + python: interpreter that has the application's packages; default: that of its virtual environment

    Raises:
        Fault: a migration failed, or Django cannot be started; only a throwaway database was written to.
    """
    program = python or _python(Path(project.folder))
    environment = {**os.environ, VARIABLE: _connection(project, made, role)}
    for name in ("PYTHONHOME", "__PYVENV_LAUNCHER__"):
        environment.pop(name, None)
    _judge(_run([program, "-"], environment, project.folder), project)
    report(f"migrations of {project.words} built by Django")


def apply_in_image(project: Project, made: Throwaway, role: str, report: Report, service: Service) -> None:
    """
    Run ``migrate`` of an application's image, in the throwaway server's own network, which leads nowhere.

    + service: the application's, as it runs now

    Raises:
        Fault: as `apply`.
    """
    variables = {**service.environment, VARIABLE: _connection(project, made, role)}
    arguments = [
        *("docker", "run", "--rm", "--interactive", "--network", f"container:{made.container}"),
        *("--label", f"{keeper.LABEL}={made.label}", "--pull", "never"),
        *(("--user", service.user) if service.user else ()),
        *(("--workdir", service.folder) if service.folder else ()),
        *(part for name in variables for part in ("--env", name)),
        *("--entrypoint", "python3", service.image, "-"),
    ]
    # The docker client itself must not be led elsewhere by variables of the application.
    environment = {**variables, **programs.surroundings()}
    _judge(_run(arguments, environment, "/"), project)
    report(f"migrations of {project.words} built by Django")


def _connection(project: Project, made: Throwaway, role: str) -> str:
    session = made.as_role(role, project.schema).session
    return json.dumps(
        {
            "NAME": made.database,
            "HOST": made.host,
            "USER": made.user,
            "PASSWORD": made.password,
            "OPTIONS": {"options": session, "application_name": "standfast schema"},
        }
    )


def _run(arguments: Sequence[str], environment: Mapping[str, str], folder: str) -> programs.Done:
    try:
        done = subprocess.run(
            list(arguments),
            input=DRIVER_TEXT.encode(),
            cwd=folder,
            env=dict(environment),
            capture_output=True,
            check=False,
            timeout=SECONDS,
            preexec_fn=programs.tied,
        )
    except FileNotFoundError:
        raise WrongConfiguration(f"{arguments[0]}: there is no such program. Nothing was done.") from None
    except subprocess.TimeoutExpired:
        raise Fault(f"Django's migrations had not ended after {SECONDS} s and were stopped.") from None
    return programs.Done(
        done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    )


def _judge(done: programs.Done, project: Project) -> None:
    if done.code == 0:
        return
    lines = [line.rstrip() for line in (done.errors or done.output).splitlines() if line.strip()]
    running = [line.strip() for line in done.output.splitlines() if line.lstrip().startswith("Applying ")]
    which = (
        f"migration {running[-1].split()[1].rstrip('.')} failed" if running else "Django could not be started"
    )
    said = "\n    ".join(lines[-6:])
    raise Fault(f"{project.words}: {which}:\n    {said}\nOnly a throwaway database was written to.")


def _python(folder: Path) -> str:
    for place in PYTHONS:
        if os.access(folder / place, os.X_OK):
            return str(folder / place)
    if active := os.environ.get("VIRTUAL_ENV"):
        return str(Path(active, "bin", "python"))
    return "python3"


DRIVER_TEXT = """
import json, os, re, sys
sys.path.insert(0, os.getcwd())
if "DJANGO_SETTINGS_MODULE" not in os.environ:
    with open("manage.py", encoding="utf-8") as file:
        found = re.search(r"DJANGO_SETTINGS_MODULE['\\"]\\s*,\\s*['\\"]([\\w.]+)", file.read())
    if not found:
        sys.exit("manage.py names no DJANGO_SETTINGS_MODULE, and the environment has none")
    os.environ["DJANGO_SETTINGS_MODULE"] = found[1]
from django.conf import settings
given = json.loads(os.environ.pop("STANDFAST_THROWAWAY"))
for name, database in settings.DATABASES.items():
    if "postg" not in database.get("ENGINE", ""):
        if name == "default":
            sys.exit(f"the settings name {database.get('ENGINE')}, not PostgreSQL, as their database")
        continue
    settings.DATABASES[name] = {"ENGINE": database["ENGINE"], "PORT": "", **given}
import django
django.setup()
from django.core.management import call_command
from django.db import connections
for connection in connections.all():
    if "postg" in connection.settings_dict["ENGINE"] and connection.settings_dict["HOST"] != given["HOST"]:
        sys.exit(f"database {connection.alias} does not lead to the throwaway server")
call_command("migrate", interactive=False, verbosity=1)
"""
"""What the application's Python is given to run; it is no module of ours, because Django is not ours."""
