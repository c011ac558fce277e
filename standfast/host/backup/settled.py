"""
When a container can be judged: pieces of shell code and templates, for whoever looks at it from outside.

A backup lets the writers of a volume stand still for a moment; Docker's word about them is misleading then,
and for a while afterwards.
"""

from __future__ import annotations

from standfast.host.backup import layout

WAIT = f"""n=0
while [ $n -lt 120 ] && held=$(cat {layout.HELD} 2> /dev/null) && held=${{held##*pid?: }}; do
  [ -e "/proc/${{held%%,*}}/comm" ] || break
  n=$((n + 1))
  sleep 0.5
done"""
"""
Shell code: wait until no backup holds a container, for a minute; after that they are what they are.

What a dead run has held, as a power cut leaves it, is not waited for.
"""

_NOTED = f"$(stat -c %y {layout.STATE} 2> /dev/null || :)"
"""When a container was held or let go for the last time: the note about it comes and goes there."""

QUIET = f"""while noted={_NOTED}
{WAIT}
[ "$noted" != "{_NOTED}" ]; do :; done"""
"""Shell code: the same, and keep in mind when it was, for `DISTURBED`."""

DISTURBED = f'[ "$noted" != "{_NOTED}" ]'
"""
Shell code: whether a backup may have held a container since `QUIET`, so that what was seen may mislead.

A look takes seconds on a busy server, and a container is held for tenths of one.
"""

TRIES = 3
"""A server may make one short copy after the other."""

UNDISTURBED = f"""undisturbed() {{
  for try in $(seq {TRIES}); do
    {QUIET}
    code=0
    told=$("$@") || code=$?
    {DISTURBED} || break
  done
  [ -z "$told" ] || printf '%s\\n' "$told"
  return "$code"
}}"""
"""Shell function: the output and the status of a look at containers that no backup has disturbed."""

LATELY = 'lately=$(date --utc --date "-10 seconds" +%Y-%m-%dT%H:%M:%S)'
"""Shell code that `STATE` needs before it."""

STATE = (
    '{{if and (eq .State.Status "running") (gt .RestartCount 0) (ge .State.StartedAt "\'"$lately"\'")}}'
    '"restarting"{{else}}{{json .State.Status}}{{end}}'
)
"""
Template for ``docker container inspect``, to stand in single quotes: a container's state as JSON.

One that crashes again and again runs for a moment each time. So one that Docker itself has started again in
the last ten seconds counts as restarting: after ten seconds Docker, too, takes it for well.
"""

HEALTH = (
    '{{with .State.Health}}{{if and (eq .Status "unhealthy") (not .FailingStreak)}}"starting"'
    '{{else}}{{json .Status}}{{end}}{{else}}""{{end}}'
)
"""
Template for ``docker container inspect``: a container's health as JSON, empty without a health check.

From the moment that a container is paused Docker calls it unhealthy, until its check is made again after it
went on: half a minute, if nothing else is declared. It has failed no check, so it counts as starting.
"""
