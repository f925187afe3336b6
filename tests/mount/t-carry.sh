#!/bin/bash
# A checkpoint is written by the daemon that holds the store, also while it imports; the same bytes
# come out.
. "$(dirname "$0")/lib.bash"

import_vectors "$T/alone" --hyper on || exit 1
import_vectors "$T/st" --hyper on --range 1-150 || exit 1
mount_store "$T/st" "$T/mnt" || exit 1

whole=$("$CHAINFS" checkpoint "$T/alone" "$T/whole" --height 100) || exit 1
path=$(cd "$T" && "$CHAINFS" checkpoint st here --height 100)
same "a relative folder is the caller's" "$path" "$T/here/${whole##*/}"
check "the daemon writes the same bytes" diff -r "$whole" "$path"
check "which verify, without the store" "$CHAINFS" verify "$path"

"$CHAINFS" import "$T/st" "$ARCHIVE" --network $NET --quiet > "$T/import.out" 2>&1 &
import=$!
for round in 1 2 3 4 5; do
	"$CHAINFS" checkpoint "$T/st" "$T/busy$round" --height 100 > /dev/null || touch "$T/failed"
done
wait $import || touch "$T/failed"
check "an import goes on beside it" test ! -e "$T/failed"
for round in 1 2 3 4 5; do
	check "and leaves no trace in what is written ($round)" diff -r "$whole" "$T/busy$round/${whole##*/}"
done
check "the newest height is that of the other store" diff -r \
	"$("$CHAINFS" checkpoint "$T/alone" "$T/whole")" "$("$CHAINFS" checkpoint "$T/st" "$T/busy1")"
check "a height that is not there exits with 3, through the daemon too" exits 3 \
	"$CHAINFS" checkpoint "$T/st" "$T/busy1" --height 9999
check "verify of the store through the daemon stays what it is" says "blocks checked" "$CHAINFS" verify "$T/st"
unmount "$T/mnt"
