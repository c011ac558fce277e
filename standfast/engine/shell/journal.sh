# The journal of the last run that changed something, as long as something may be left open.
# Line 1: JSON, who and the commands to come. Then: begin N PID TIME, end N STATUS TIME,
# cut TIME (nobody is there any more), finished OUTCOME TIME.

journal_folder=/var/lib/standfast/journal
journal=$journal_folder/last
journal_reserve=$journal_folder/reserve

# journal_begin RECORD: a new journal in place of the last one, on disk when this returns.
# The reserve is what a full disk gives back, so that the end of a run can still be written.
journal_begin() {
  mkdir -p -m 700 "$journal_folder" &&
  head -c 65536 /dev/zero > "$journal_reserve" && sync -- "$journal_reserve" &&
  printf '%s\n' "$1" > "$journal.new" && sync -- "$journal.new" &&
  mv -f -- "$journal.new" "$journal" && sync -- "$journal_folder" && return
  rm -f -- "$journal.new" "$journal_reserve"
  return 1
}

# journal_note WORD…: one more line with the time, on disk when this returns.
journal_note() {
  local line
  line="$* $(TZ=UTC printf '%(%Y-%m-%dT%H:%M:%SZ)T' -1)"
  printf '%s\n' "$line" 2> /dev/null >> "$journal" ||
  { rm -f -- "$journal_reserve"; printf '%s\n' "$line" >> "$journal"; } || return
  sync -- "$journal"
}

journal_close() { rm -f -- "$journal" "$journal_reserve"; }

# Whether a run began, and neither its controller nor a successor has said how it ended.
journal_unfinished() { [ -s "$journal" ] && ! grep -qE '^(cut|finished) ' "$journal"; }

# The audit record of a run that was cut off, from its journal.
journal_cut_record() {
  local first
  first=$(head -n 1 "$journal")
  printf '%s,"outcome":"cut off","exit":null,"begun":%d,"done":%d}' "${first%\}}" \
    "$(grep -c '^begin ' "$journal")" "$(grep -cE '^end [0-9]+ 0 ' "$journal")"
}
