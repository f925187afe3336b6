#!/bin/bash
# Old states are let go: what stays is what a full import has, what is gone says so, a store that is filled
# in steps stays small, and a reader of an open folder of the state loses nothing.
# alone: it makes the kernel forget.
. "$(dirname "$0")/lib.bash"

KEEP=50
ranges="1-40 41-80 81-120 121-160 161-200 201-240 241-273 1:1-280 2:1-280"
import_steps() { # STORE
	local range
	for range in $ranges; do
		"$CHAINFS" import "$1" "$ARCHIVE" --network $NET --range "$range" --hyper on \
			--quiet --set history.keep=$KEEP || return 1
	done >"$T/import.out" 2>&1
}
import_vectors "$T/full" --hyper on || exit 1
import_steps "$T/kept" || { cat "$T/import.out"; exit 1; }
rows() { "$CHAINFS" fsck "$1" --json | tail -n 1 | jq .rows; }
check "a store that lets go is whole" "$CHAINFS" fsck "$T/kept"
full=$(rows "$T/full") kept=$(rows "$T/kept")
check "and has fewer rows" test "$kept" -lt "$full"

mount_store "$T/full" "$T/a" || exit 1
mount_store "$T/kept" "$T/b" || exit 1
for context in legacy hyper; do
	same "the state of $context is that of a full import" "$(tree_digest "$T/b/$NET/$context/state")" \
		"$(tree_digest "$T/a/$NET/$context/state")"
	for height in 224 260; do
		same "$context at $height too" "$(tree_digest "$T/b/$NET/$context/at/$height/")" \
			"$(tree_digest "$T/a/$NET/$context/at/$height/")"
	done
done
gone() { ls "$T/b/$NET/legacy/at/20/" 2>&1 | grep -q 'No data available'; }
check "a height that was let go is ENODATA" gone
unmount "$T/a"
unmount "$T/b"

# A folder of the state that somebody stands in, while a daemon lets go of everything around it.
"$CHAINFS" import "$T/live" "$ARCHIVE" --network $NET --range 1-60 --hyper on --quiet >/dev/null || exit 1
mount_store "$T/live" "$T/c" --set history.keep=5 || exit 1
inside() { find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum; } # without looking up where it is
cd "$T/c/$NET/hyper/state/shards/1" || exit 1
before=$(inside)
for range in 61-130 131-200 201-273; do
	(cd / && "$CHAINFS" import "$T/live" "$ARCHIVE" --network $NET --range $range --quiet \
		>/dev/null 2>"$T/said") || cat "$T/said" >>"$T/errors"
	[ "$(inside 2>>"$T/errors")" = "$before" ] || echo "changed below the reader" >>"$T/errors"
done
same "an open folder of the state stays what it was" "$(cat "$T/errors" 2>/dev/null)" ""
cd "$T"
height() { find "$T/c/$NET/legacy/at/$1/" -maxdepth 1 2>&1 | grep -c 'No data'; }
"$CHAINFS" import "$T/live" "$ARCHIVE" --network $NET --range 1:1-280 --quiet >/dev/null 2>&1
let_go() { # the kernel remembers where somebody stood until it needs the memory
	drop_caches
	"$CHAINFS" import "$T/live" "$ARCHIVE" --network $NET --quiet >/dev/null 2>&1
	[ "$(height 100)" = 1 ]
}
if [ "$(id -u)" = 0 ]; then
	check "once nobody stands there it is let go" eventually 60 let_go
fi
check "and the newest heights are not" test "$(height 269)" = 0
unmount "$T/c"
eventually 20 is_not_mounted "$T/c"
eventually 20 sh -c "[ ! -e '$T/live/control' ] && '$CHAINFS' status '$T/live' >/dev/null"
check "the store is whole" "$CHAINFS" fsck "$T/live"
exit $((tests_failed > 0))
