#!/bin/bash
# Blocks that wait beyond a gap are replayed when it is filled, and who is killed or interrupted
# amid that leaves the rest to the next import, which has nothing else to do.
. "$(dirname "$0")/../mount/lib.bash"

"$CHAINFS" forge "$T/archive" --blocks 9000 --messages 20000 --quiet || exit 1
options=(--network waits --hyper on --quiet --set import.commit=1ms)
import() { # STORE OPTION…
	local store=$1
	shift
	"$CHAINFS" import "$store" "$T/archive" "${options[@]}" "$@"
}
first_block() { # its process is $pid
	"$CHAINFS" import "$T/st" "$T/archive" "${options[@]}" --range 1:1-1 > "$T/out" 2>&1 &
	pid=$!
}
replayed() { "$CHAINFS" status "$1" | awk '$1 == "shard" { shard = $2 } shard == 1 && $1 == "replayed" { print $2 }'; }
roots() { # the bytes that hyper takes hold object ids, which are by the order of arrival
	"$CHAINFS" status "$1" | grep -E '^ +(replayed|legacy|hyper|held) ' | sed '/^ *hyper/s/, [0-9]* bytes$//'
}

import "$T/whole" > "$T/out" 2>&1 || exit 1
tip=$(replayed "$T/whole")

import "$T/st" --range 1:2-1000000 > "$T/out" 2>&1
same "without its first block nothing of a shard is replayed" "$(replayed "$T/st")" 0
cp -r "$T/st" "$T/again"

amid=0
for ms in 200 400 100 800 50 1600; do
	rm -rf "$T/st"
	cp -r "$T/again" "$T/st"
	first_block
	sleep "0.$(printf %03d $((ms % 1000)))"
	[ $ms -lt 1000 ] || sleep 1
	kill -9 $pid
	wait $pid 2> /dev/null
	at=$(replayed "$T/st")
	[ "$at" -gt 0 ] && [ "$at" -lt "$tip" ] && amid=1 && break
done
same "killed amid the replay (at ${at:-?} of $tip)" "$amid" 1
import "$T/st" --range 1:1-1 > "$T/out" 2>&1
same "the same import, which brings nothing, replays the rest" "$(replayed "$T/st")" "$tip"

rm -rf "$T/st"
cp -r "$T/again" "$T/st"
first_block
sleep "0.$(printf %03d $((ms % 1000)))"
kill -INT $pid
before=$(date +%s%N)
wait $pid
same "an interrupt ends it" $? 8
check "without the rest of the replay" test $((($(date +%s%N) - before) / 1000000)) -lt 5000
import "$T/st" > "$T/out" 2>&1
same "what comes out in the end is as of an import in order" "$(diff <(roots "$T/st") <(roots "$T/whole"))" ""
"$CHAINFS" fsck "$T/st" > "$T/out" 2>&1
same "and fsck has nothing to say" $? 0
