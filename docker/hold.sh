#!/bin/sh
# Run a command as a container's first process. Where it stopped for the operator (exit code 3), or its settings are wrong (2), another start
# changes nothing, and Docker's restart policies do not tell exit codes apart: stay, doing nothing and unhealthy, until the container is
# stopped or restarted, and end with that code then. Any other end is the container's.
child=
stopped=
trap 'stopped=1; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' TERM INT
"$@" &
child=$!
[ -z "$stopped" ] || kill -TERM "$child" 2>/dev/null # it came before the child's number was known
wait "$child"
code=$?
while kill -0 "$child" 2>/dev/null; do # `wait` returns at a signal, too
    wait "$child"
    code=$?
done
case "$code$stopped" in
2 | 3) ;;
*) exit "$code" ;;
esac
trap 'kill "$!" 2>/dev/null; exit "$code"' TERM INT
[ -z "$stopped" ] || exit "$code"
echo "exit code $code: stopped for the operator, see above; it is not started again until you restart this container" >&2
while :; do # not one long sleep: a signal that comes while it is being forked may not reach it
    sleep 60 &
    wait "$!"
done
