"""The shell code that starts an application, and says what is wrong when it does not start."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from standfast.apps.application import Application
from standfast.facts.compose import compose_function
from standfast.facts.docker import HERE
from standfast.operations.compose_prediction import PAUSED, Verdict

LOG_LINES = 20
# A service without a health check counts as started the moment it runs; a crash mostly follows soon.
STEADY_SECONDS = 3


def up_script(app: Application, verdicts: Sequence[Verdict]) -> str:
    """Shell code that does what was predicted, and says what is wrong when it does not succeed."""
    changed = [each.service for each in verdicts if each.file]
    paused = [each.service for each in verdicts if each.reason == PAUSED]
    lines = [
        f"set -u; trap '' HUP PIPE; export {HERE}",
        compose_function(app.folder, env=app.has_env),
        f"project={shlex.quote(app.name)}; timeout={app.start_timeout}; until=$(($(date +%s) + timeout))",
        "begin=$(date --utc +%Y-%m-%dT%H:%M:%S)",
        _REPORT,
    ]
    if paused:
        lines.append(f"said=$(compose unpause {shlex.join(paused)} 2>&1) || failed")
    if changed:
        lines.append(f"said=$(compose restart --no-deps {shlex.join(changed)} 2>&1) || failed")
    only_wait = all(each.outcome in {"unchanged", "wait"} for each in verdicts)
    lines += [_WAIT if only_wait else _UP, _STEADY]
    if app.health is not None:
        lines.append(_HEALTH.format(url=shlex.quote(app.health)))
    return "\n".join(lines)


_UP = """said=$(compose up --detach --wait --wait-timeout "$timeout" --remove-orphans --no-build \
  --pull never 2>&1) || failed"""

_WAIT = """while docker ps --filter "label=com.docker.compose.project=$project" --format '{{.Status}}' |
  grep -qE 'unhealthy|starting|^Restarting'
do
  [ "$(date +%s)" -lt "$until" ] || { said="Still not well after $timeout s."; failed; }
  sleep 1
done"""

_STEADY = f"""sleep {STEADY_SECONDS}
crashed=$(docker ps --quiet --filter "label=com.docker.compose.project=$project" |
  xargs --no-run-if-empty docker inspect --format '
    {{{{- if or .State.Restarting (and (gt .RestartCount 0) (ge .State.StartedAt "'"$begin"'")) -}}}}
    {{{{- index .Config.Labels "com.docker.compose.service" }}}} {{{{end -}}}}' |
  xargs)
[ -z "$crashed" ] || {{ said="Crashing again and again: $crashed"; failed; }}"""

# What is wrong comes last: of a long output, people see the end.
_REPORT = f"""failed() {{
  states=$(docker ps --all --filter "label=com.docker.compose.project=$project" --format \
    '{{{{.ID}}}} {{{{.Label "com.docker.compose.service"}}}} {{{{.Status}}}}' | sort -k 2)
  bad() {{
    case " ${{crashed-}} " in *" $1 "*) return 0 ;; esac
    case $2 in *unhealthy* | *starting* | Restarting* | Created* | 'Exited ('[1-9]*) ;; *) return 1 ;; esac
  }}
  printf '%s\\n' "$states" | while read -r id service status; do
    bad "$service" "$status" || echo "$service: $status"
  done
  printf '%s\\n' "$states" | while read -r id service status; do
    bad "$service" "$status" || continue
    echo "$service: $status. Its last lines:"
    docker logs --tail {LOG_LINES} "$id" 2>&1 | sed 's/^/  /'
  done
  printf '%s\\n' "$said" | grep -vE '^ *(Container|Network|Volume) ' | tail -n 5
  exit 1
}} >&2"""

_HEALTH = """url={url}
answer() {{ curl --silent --output /dev/null --max-time 10 --write-out '%{{http_code}}' "$url"; }}
while code=$(answer); [ "$code" != 200 ]; do
  if [ "$(date +%s)" -ge "$until" ]; then
    [ "$code" = 000 ] && code='not at all'
    said="The services run, but $url answers $code; expected 200 within $timeout s."; failed
  fi
  sleep 1
done"""
