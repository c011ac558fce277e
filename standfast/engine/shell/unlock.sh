# End the run that holds the server. Arguments: the client's address, the run to end (empty: only look),
# the record (JSON), who and why for its owner (JSON).

set -u
umask 077
export LC_ALL=C
client=$1 run=$2 record=$3 note=$4

say() { echo "$*"; }
blob() { printf '%s' "$1" | base64 -w 0; }

mkdir -p -m 700 /run/standfast && exec 9<> /run/standfast/lock 7<> /run/standfast/steps || exit
if flock -n 9; then
  if [ -s "$journal" ] && ! flock -n -x 7; then say "running $(base64 -w 0 "$journal")"; else say free; fi
  exit
fi
owner=$(cat /run/standfast/owner.json 2> /dev/null)
if [ -z "$run" ]; then say "locked $(blob "${owner:-{\}}")"; exit; fi
case $owner in *"\"run\":\"$run\""*) ;; *) say "changed $(blob "${owner:-{\}}")"; exit ;; esac
pid=${owner##*'"pid":'} pid=${pid%%[!0-9]*}
if [ "$(readlink "/proc/$pid/fd/9")" != /run/standfast/lock ]; then say "changed $(blob "$owner")"; exit; fi
printf '%s\n' "$note" > /run/standfast/unlocked
kill -TERM "$pid"
# Nobody may come between the end of that run and its record. It still writes its own, on a disk that may be busy.
flock -w 30 9 || { kill -KILL "$pid"; flock -w 5 9; } || { say "stuck $pid"; exit; }
rm -f /run/standfast/owner.json
if line=$(audit_append "${record%\}},\"holder\":$owner}" 2>&1); then
  say "recorded $(blob "${line##*$'\n'}")"
else
  say "unrecorded $(blob "$line")"
fi
if flock -n -x 7; then say ended; else say "running $(base64 -w 0 "$journal")"; fi
