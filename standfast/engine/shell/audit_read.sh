# Print the head record and the audit log; both in one moment, so that they fit together.
mkdir -p -m 700 /run/standfast && exec 6> /run/standfast/audit.lock && flock -w 10 6 || exit
echo "machine $(cat /etc/machine-id)"
echo "head $(cat "$audit_head" 2> /dev/null)"
[ ! -e "$audit_log" ] || { echo log; cat -- "$audit_log"; }
