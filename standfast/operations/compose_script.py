"""
The shell code that starts an application, and says what is wrong when it does not start.

Compose's own ``--wait`` is not used: it fails for a service whose health check is switched off, and
takes a service that crashes again and again for one that runs.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from standfast.apps.application import Application
from standfast.facts.compose import compose_function
from standfast.host.backup import settled
from standfast.operations.compose_prediction import PAUSED, Verdict, jobs

LOG_LINES = 20
# Old containers may take their time to stop, before the new ones have theirs to start.
STOP_SECONDS = 120
# A service without a health check counts as started the moment it runs; a crash mostly follows soon.
STEADY_SECONDS = 3


def up_script(app: Application, verdicts: Sequence[Verdict]) -> str:
    """Shell code that does what was predicted, and says what is wrong when it does not succeed."""
    changed = [each.service for each in verdicts if each.file]
    paused = [each.service for each in verdicts if each.reason == PAUSED]
    enabled = [each.name for each in app.compose.services.values() if each.enabled]
    lines = [
        "set -u; trap '' HUP PIPE",
        compose_function(app.folder, env=app.has_env),
        f"project={shlex.quote(app.name)}; timeout={app.start_timeout}; limit=$((timeout + {STOP_SECONDS}))",
        f"services={shlex.quote(' '.join(enabled))}; jobs={shlex.quote(' '.join(jobs(app.compose)))}",
        "begin=$(date --utc +%Y-%m-%dT%H:%M:%S)",
        _STATES,
        _FAILED,
    ]
    if paused:
        lines.append(f"said=$(compose unpause {shlex.join(paused)} 2>&1) || failed")
    if changed:
        lines.append(f"said=$(compose restart --no-deps {shlex.join(changed)} 2>&1) || failed")
    if any(each.forced for each in verdicts):
        anew = shlex.join(each.service for each in verdicts if each.outcome == "recreate")
        lines.append(f"said=$(compose {_UP} --no-deps --force-recreate {anew} 2>&1) || failed")
    if any(each.outcome not in {"unchanged", "wait"} for each in verdicts):
        lines.append(f"said=$(compose {_UP} --remove-orphans 2>&1) || failed")
    lines.append(_WAIT)
    if app.health is not None:
        lines.append(_HEALTH.format(url=shlex.quote(app.health)))
    return "\n".join(lines)


_UP = "up --detach --no-build --pull never"

# `states` prints id, service and status of each container; `well` judges: 0 well, 1 not yet, 2 never.
_STATES = """states() {
  docker ps --all --filter "label=com.docker.compose.project=$project" \\
    --filter label=com.docker.compose.oneoff=False --format \\
    '{{.ID}} {{.Label "com.docker.compose.service"}} {{.Status}}' | sort -k 2 |
  while read -r id service status; do
    case " $services " in *" $service "*) echo "$id $service $status" ;; esac
  done
}
well() {
  case " ${crashed-} " in *" $1 "*) return 2 ;; esac
  case $2 in
    *starting\\) | *unhealthy\\) | *Paused\\) | Restarting* | Created*) return 1 ;;
    'Exited (0)'*) case " $jobs " in *" $1 "*) return 0 ;; *) return 2 ;; esac ;;
    Exited* | Dead*) return 2 ;;
  esac
}"""

# What is wrong comes last: of a long output, people see the end.
_FAILED = f"""failed() {{
  found=$(states)
  printf '%s\\n' "$found" | while read -r id service status; do
    [ -z "$id" ] || ! well "$service" "$status" || echo "$service: $status"
  done
  printf '%s\\n' "$found" | while read -r id service status; do
    [ -n "$id" ] && ! well "$service" "$status" || continue
    echo "$service: $status. Its last lines:"
    docker logs --tail {LOG_LINES} "$id" 2>&1 | sed 's/^/  /'
    case $status in 'Exited (0)'*)
      echo "$service ended by itself, without an error. If it is a job, let the services that need it depend"
      echo "on it with \\`condition: service_completed_successfully\\`, or give it a profile." ;;
    esac
  done
  printf '%s\\n' "$said" | grep -vE '^ *(Container|Network|Volume) ' | tail -n 5
  exit 1
}} >&2"""

_WAIT = f"""all_well() {{
  states | {{
    worst=0
    while read -r id service status; do
      well "$service" "$status" || {{ code=$?; [ "$worst" -ge "$code" ] || worst=$code; }}
    done
    exit "$worst"
  }}
}}
{settled.UNDISTURBED}
settle() {{
  until=$(($(date +%s) + timeout))
  until all_well; do
    if [ "$?" = 2 ]; then  # a backup may have stopped it for a moment
      undisturbed all_well
      [ "$?" != 2 ] || {{ said='A service has ended.'; failed; }}
    fi
    if [ "$(date +%s)" -ge "$until" ]; then
      crashing; said="Not all services are well after $timeout s."; failed
    fi
    sleep 1
  done
}}
crashing() {{
  crashed=$(docker ps --quiet --filter "label=com.docker.compose.project=$project" |
    xargs --no-run-if-empty docker inspect --format '
      {{{{- if or .State.Restarting (and (gt .RestartCount 0) (ge .State.StartedAt "'"$begin"'")) -}}}}
      {{{{- index .Config.Labels "com.docker.compose.service" }}}} {{{{end -}}}}' | xargs)
  [ -z "$crashed" ] || {{ said="Crashing again and again: $crashed"; failed; }}
}}
unsteady() {{
  {settled.LATELY}
  docker ps --quiet --filter "label=com.docker.compose.project=$project" |
    xargs --no-run-if-empty docker container inspect --format '{settled.STATE}' | grep -q restarting
}}
settle; sleep {STEADY_SECONDS}; crashing
while unsteady; do sleep 1; crashing; done
settle"""

_HEALTH = """url={url}; until=$(($(date +%s) + timeout))
answer() {{ curl --silent --output /dev/null --max-time 10 --write-out '%{{http_code}}' "$url"; }}
while code=$(answer); [ "$code" != 200 ]; do
  if [ "$(date +%s)" -ge "$until" ]; then
    [ "$code" = 000 ] && code='not at all'
    said="The services run, but $url answers $code; expected 200 within $timeout s."; failed
  fi
  sleep 1
done"""
