#!/bin/bash
# The mount ends by umount, by a signal, and while somebody uses it; ctl goes with it.
. "$(dirname "$0")/lib.bash"

import_vectors "$T/st" --hyper on || exit 1

start() {
	mount_store "$T/st" "$T/mnt" || exit 1
	pid=$(daemon_of "$T/st")
	ctl=$(readlink "$T/mnt/ctl")
}

ended() { # SENTENCE
	check "$1: the daemon ends" eventually 20 is_gone "$pid"
	check "$1: nothing is mounted" is_not_mounted "$T/mnt"
	check "$1: ctl is gone" test ! -e "$ctl"
	check "$1: the store is free" "$CHAINFS" status "$T/st"
}

start
check "umount MNT" unmount "$T/mnt"
ended "after umount"

start
kill -TERM "$pid"
ended "after SIGTERM"

start
exec 9< "$T/mnt/$NET/legacy/blocks/100/header"
if unmount "$T/mnt" 2> /dev/null; then
	not_ok "a busy mount is not unmounted"
else
	ok "a busy mount is not unmounted"
fi
if said=$("$CHAINFS" umount "$T/mnt" 2>&1); then
	not_ok "nor by chainfs umount"
else
	same "nor by chainfs umount, which says why" "$(grep -c 'busy' <<< "$said")" 1
fi
check "and goes on serving" test -s "$T/mnt/$NET/head/header"
kill -TERM "$pid"
ended "after SIGTERM while a file is open"
exec 9<&-

start
cat "$T/mnt/ctl/events" > "$T/events" &
reader=$!
check "a reader waits for events" eventually 10 grep -q . "/proc/$reader/stat"
sleep 0.2
unmount "$T/mnt"
ended "after umount while events are read"
check "the reader got the end of the file" eventually 10 is_gone $reader
wait $reader
same "and no error" $? 0

start
cd "$T/mnt/$NET"
check "chainfs umount --lazy detaches a busy one" "$CHAINFS" umount --lazy "$T/mnt"
cd /
ended "after chainfs umount --lazy"

# Who waits for a daemon that goes down, and is told to stop, mounts nothing any more.
start
exec 9< "$T/mnt/$NET/legacy/blocks/100/header"
"$CHAINFS" umount --lazy "$T/mnt" 9<&-
"$CHAINFS" mount "$T/st" "$T/mnt" 9<&- 2> "$T/said" &
waiter=$!
sleep 0.3
kill -TERM $waiter
exec 9<&-
check "a mount that is interrupted while it waits ends" eventually 10 is_gone $waiter
is_gone $waiter || "$CHAINFS" umount "$T/mnt"
wait $waiter
same "and says that it was" "$? $(cat "$T/said")" "8 chainfs mount: interrupted, nothing is mounted"
ended "after that"

beside() { awk -v s="$(realpath "$T/st")" '$1 == s' /proc/self/mounts; }
start
same "a mount has two beside it" "$(beside | wc -l)" 3
kill_mount "$T/st"
check "one whose daemon was killed is unmounted" "$CHAINFS" umount "$T/mnt"
same "with the two" "$(beside)" ""

# umount(8) returns before the daemon has closed its store: who comes next waits, and is not
# refused.
next() { # SENTENCE COMMAND…: run while the daemon of a mount that is gone stands still
	local sentence=$1
	shift
	start
	kill -STOP "$pid"
	timeout 20 "$CHAINFS" umount "$T/mnt" # umount(8) would ask it for its size first
	"$@" > "$T/next" 2>&1 &
	local waiter=$!
	if eventually 1 is_gone $waiter; then
		not_ok "$sentence waits for a daemon that is going down"
		sed 's/^/# /' "$T/next"
	else
		ok "$sentence waits for a daemon that is going down"
	fi
	kill -CONT "$pid"
	wait $waiter
	same "$sentence is done then" $? 0
}
next "a mount" "$CHAINFS" mount "$T/st" "$T/mnt"
check "and serves" test -s "$T/mnt/$NET/head/header"
mkdir "$T/second"
check "one that stays is not waited for" says "held by: mount" timeout 8 "$CHAINFS" mount "$T/st" "$T/second"
unmount "$T/mnt"
