# Run one command of an apply between two lines of the journal: RUN N COMMAND.
# The lock on `steps` lasts as long as this shell, so the next apply can wait for its end, and
# nobody can take the server over between the check of the owner and the command.

exec 7<> /run/standfast/steps && flock -s -n 7 &&
[[ $(< /run/standfast/owner.json) == *"\"run\":\"$1\""* ]] 2> /dev/null ||
{ echo "standfast-lock-lost" >&2; exit 75; }
# A handler, not '': the command itself keeps the normal meaning of these signals.
trap : HUP PIPE
journal_note begin "$2" $$ || { echo "the journal could not be written; this command was not run" >&2; exit 1; }
sh -c "$3" 7>&-
status=$?
journal_note end "$2" $status
exit $status
