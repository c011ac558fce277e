# What must be in order before anything is changed. Prints facts; what they mean is decided elsewhere.
# Texts are base64, `-` when there is none.

encoded() { if [ -n "$1" ]; then printf '%s' "$1" | base64 -w 0; else printf -- -; fi; }

# Seconds since a process began.
process_age() {
  local up stat
  read -r up _ < /proc/uptime && stat=$(< "/proc/$1/stat") || return
  set -- ${stat##*) }
  echo $((${up%.*} - ${20} / 100))
}

command_of() { tr '\0' ' ' < "/proc/$1/cmdline" 2> /dev/null; }

# Write a little into a folder and have it on disk. Prints what went wrong.
write_probe() {
  local probe
  probe=$(timeout 10 mktemp -- "$1/.standfast-probe.XXXXXXXX" 2>&1) || { echo "$probe"; return; }
  timeout 10 dd if=/dev/zero of="$probe" bs=4096 count=1 conv=fsync status=none 2>&1 ||
  echo "no answer in 10 s"
  rm -f -- "$probe"
}

# preflight FOLDER…: the folders' file systems, each once.
preflight() {
  local folder place seen=" " file name pid parent lock
  for folder; do
    [ -d "$folder" ] || continue
    # Not stat: it overlooks that a folder is mounted on itself, read-only.
    place=$(findmnt -n -o TARGET --target "$folder") || continue
    case $seen in *" $place "*) continue ;; esac
    seen+="$place "
    echo "file-system $(encoded "$folder") $(encoded "$place") $(encoded "$(write_probe "$folder")") $(
      stat -f -c '%a %b %S %d %c' -- "$folder")"
  done
  for file in /proc/[0-9]*/comm; do
    { read -r name < "$file"; } 2> /dev/null || continue
    [ "$name" = dockerd ] || continue
    pid=${file//[!0-9]/}
    # A child of a daemon has its name until it becomes the program that it was forked for.
    parent=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$pid/status" 2> /dev/null)
    [ "$(cat "/proc/$parent/comm" 2> /dev/null)" != dockerd ] || continue
    # Those in containers, and rootless ones, have namespaces of their own.
    [ "$(readlink /proc/1/ns/pid /proc/1/ns/user)" = "$(readlink "/proc/$pid/ns/pid" "/proc/$pid/ns/user")" ] &&
    echo "dockerd $pid $(encoded "$(command_of "$pid")")"
  done
  if [ -n "$(ls -A /var/lib/dpkg/updates 2> /dev/null)" ] ||
    grep -qE '^Status: .* (half-installed|half-configured|unpacked)$' /var/lib/dpkg/status 2> /dev/null; then
    echo "dpkg-interrupted"
  fi
  for lock in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock; do
    [ -e "$lock" ] || continue
    pid=$(awk -v inode=":$(stat -c %i "$lock")" '$6 ~ inode "$" && $4 == "WRITE" { print $5; exit }' /proc/locks)
    if [ -n "$pid" ] && [ -e "/proc/$pid" ]; then
      echo "apt-lock $pid $(process_age "$pid") $(encoded "$(command_of "$pid")")"
      break
    fi
  done
  echo "clock $EPOCHREALTIME"
}
