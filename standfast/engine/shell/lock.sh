# Hold a server for one run: the lock, the journal, the audit record at the end. Arguments: the client's
# address, the run's record (JSON), who and what for people (JSON), seconds of silence after which nobody
# is there, seconds to wait for a command of the last run, folders for the preflight.
# Standard input: a line a command; an empty one says that somebody is still there.

set -u
umask 077
export LC_ALL=C
trap '' HUP PIPE
client=$1 record=$2 owner=$3 silence=$4 patience=$5
shift 5
began= half= unlocked=

say() { echo "$*"; }
blob() { printf '%s' "$1" | base64 -w 0; }
unblob() { printf '%s' "$1" | base64 -d; }

write_owner() {
  printf '%s,"from":%s,"since":"%s","pid":%d}\n' "${owner%\}}" "$(plain_word "$client")" "$since" $$ \
    > /run/standfast/owner.new && mv -f /run/standfast/owner.new /run/standfast/owner.json
}

# Nobody has said how this run ended: say so in its place.
leave() {
  trap '' TERM
  # First, because the records can take long on a busy disk.
  if [ "$1" = unlocked ]; then say "gone unlocked $(base64 -w 0 /run/standfast/unlocked)"; else say "gone $1"; fi
  if [ -n "$began" ]; then
    audit_append "$(journal_cut_record)" > /dev/null 2>&1
    journal_note cut 2> /dev/null
  else
    audit_append "${record%\}},\"outcome\":\"cut off\",\"exit\":null}" > /dev/null 2>&1
  fi
  rm -f /run/standfast/owner.json
  exit
}

# One line of standard input, or leave when nobody is there any more.
# What has come of a line when the time is over is kept: the rest of it comes next.
listen() {
  local status
  # Else bash goes on reading after the handler of a signal, for up to its whole time.
  set -o posix
  IFS= read -r -t "$1" line
  status=$?
  set +o posix
  if [ -n "$unlocked" ]; then leave unlocked; fi
  line=$half$line half=
  if [ $status -eq 0 ]; then return 0; fi
  if [ $status -le 128 ]; then leave closed; fi
  half=$line
  # A server that stood still for a while must not take that for silence.
  if read -t 0; then return 1; fi
  idle=$((idle + $1))
  if [ $idle -ge "$silence" ]; then leave silent; fi
  return 1
}

# Somebody else is at work: their name, and a record that we were refused.
refuse() {
  local other line
  # The owner writes its name right after it has the lock.
  for _ in 1 2 3 4 5; do [ -s /run/standfast/owner.json ] && break; sleep 0.1; done
  other=$(cat /run/standfast/owner.json 2> /dev/null)
  line=$(audit_append "${record%\}},\"outcome\":\"locked\",\"exit\":5,\"holder\":${other:-null}}" 2> /dev/null) &&
  say "recorded $(blob "$line")"
  say "locked $(blob "${other:-{\}}")"
  exit
}

# A command of the last run may still be at work, although its controller has gone.
wait_for_last_command() {
  local since_when=$SECONDS told= line
  until flock -n -x 7; do
    if [ -z "$told" ]; then say "waiting $(base64 -w 0 "$journal")"; told=yes; fi
    if [ $((SECONDS - since_when)) -ge "$patience" ]; then
      line=$(audit_append "${record%\}},\"outcome\":\"locked\",\"exit\":5}" 2> /dev/null) &&
      say "recorded $(blob "$line")"
      rm -f /run/standfast/owner.json
      say "busy $(base64 -w 0 "$journal")"
      exit
    fi
    if listen 1; then idle=0; say .; fi
  done
  flock -u 7
}

# A change that the last run has left on trial: the server undoes it, and only then it is what it is.
wait_for_trial() {
  local trial=/var/lib/standfast/trial/trial.json untold=/var/lib/standfast/trial/untold since_when=$SECONDS told=
  while [ -e "$trial" ] && [ $((SECONDS - since_when)) -lt "$patience" ]; do
    if [ -z "$told" ]; then say trial; told=yes; fi
    if listen 1; then idle=0; say .; fi
  done
  if [ -s "$untold" ]; then say "undone $(base64 -w 0 "$untold")"; rm -f -- "$untold"; fi
}

report_last_run() {
  [ -s "$journal" ] || return
  if journal_unfinished; then
    audit_append "$(journal_cut_record)" > /dev/null 2>&1
    journal_note cut 2> /dev/null
  fi
  say "journal $(base64 -w 0 "$journal")"
}

# begin B64: the journal's first line. doing B64: the owner anew.
# end settled|open|untouched B64 OUTCOME: what becomes of the journal, the audit record.
obey() {
  local said
  case $1 in
    "") say . ;;
    "doing "*) owner=$(unblob "${1#* }"); write_owner ;;
    "begin "*)
      if said=$(journal_begin "$(unblob "${1#* }")" 2>&1); then
        began=yes
        say begun
      else
        say "failed $(blob "$said")"
      fi ;;
    "end "*)
      set -- $1
      rm -f -- "$journal_reserve"
      if said=$(audit_append "$(unblob "$3")" 2>&1); then
        said="recorded $(blob "${said##*$'\n'}")"
      else
        said="unrecorded $(blob "$said")"
      fi
      case $2 in settled) journal_close ;; open) journal_note finished "$4" 2> /dev/null ;; esac
      rm -f /run/standfast/owner.json
      say "$said"
      exit ;;
  esac
}

mkdir -p -m 700 /run/standfast && exec 9<> /run/standfast/lock 7<> /run/standfast/steps || exit
flock -n 9 || refuse
since=$(TZ=UTC printf '%(%Y-%m-%dT%H:%M:%SZ)T' -1)
# No more than that: the alarm of `read -t` goes on under a handler, and bash does not survive it there.
trap 'unlocked=yes' TERM
rm -f /run/standfast/unlocked
write_owner || exit
idle=0
wait_for_last_command
wait_for_trial
report_last_run
preflight "$@"
say ready
while :; do
  if listen 2; then idle=0; obey "$line"; fi
done
