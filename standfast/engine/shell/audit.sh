# The server's audit log: one JSON object a line; each holds the sha256 of the line before it.

audit_log=/var/log/standfast/audit.jsonl
audit_head=/var/lib/standfast/audit.head

# Text in double quotes for JSON; it must hold nothing but letters, digits and .:%_-
plain_word() { printf '"%s"' "${1//[!A-Za-z0-9.:%_-]/_}"; }

# audit_append RECORD: add the server's own fields to a JSON object and append it. Prints the line.
# The account and the address come from the connection, so that a record cannot claim others.
audit_append() (
  set -o pipefail
  mkdir -p -m 700 /var/log/standfast /var/lib/standfast || return
  chmod 700 /var/log/standfast /var/lib/standfast || return # somebody else may have made them
  exec 6> /run/standfast/audit.lock && flock -w 10 6 || return
  if [ ! -e "$audit_log" ]; then
    : > "$audit_log" || return
    chattr +a "$audit_log" 2> /dev/null
  fi
  # After a power cut the last line may lack its end. It stays, as a record that cannot be read.
  if [ -n "$(tail -c 1 "$audit_log")" ]; then echo >> "$audit_log" || return; fi
  last=$(tail -n 1 "$audit_log") || return
  previous=0000000000000000000000000000000000000000000000000000000000000000
  if [ -n "$last" ]; then previous=$(line_sha256 "$last") || return; fi
  number=${last#'{"n":'} number=${number%%,*}
  case $number in "" | *[!0-9]*) number=$(wc -l < "$audit_log") || return ;; esac
  number=$((10#$number + 1))
  now=$(TZ=UTC printf '%(%Y-%m-%dT%H:%M:%SZ)T' -1)
  line="{\"n\":$number,\"previous\":\"$previous\",\"time\":\"$now\""
  line+=",\"machine\":$(plain_word "$(cat /etc/machine-id)"),\"from\":$(plain_word "$client")"
  line+=",\"account\":$(plain_word "${SUDO_USER:-root}"),${1#\{}"
  printf '%s\n' "$line" >> "$audit_log" && sync -- "$audit_log" || return
  head="$number $(line_sha256 "$line")"
  printf '%s\n' "$head" > "$audit_head.new" && sync -- "$audit_head.new" && mv -f -- "$audit_head.new" "$audit_head"
  printf '%s\n' "$line"
)

line_sha256() { local sum; sum=$(printf '%s' "$1" | sha256sum) && printf '%s' "${sum%% *}"; }
