#!/bin/bash
# A signal at the moments between two system calls of mount and demo: they end, with 8, and leave
# neither a mount nor a process.
. "$(dirname "$0")/lib.bash"
[ "${FLAVOUR:-release}" = release ] || skip "nothing can be preloaded below a sanitizer"
${CC:-cc} -shared -fPIC -o "$T/early.so" "$TESTS/faults/preload/early.c" -ldl 2> "$T/cc" ||
	skip "no library to preload can be built"

early() { # PLACE WORDS…
	local place=$1
	shift
	timeout -k 1 20 env EARLY_AT=$place LD_PRELOAD="$T/early.so" "$CHAINFS" "$@"
}
nothing_left() { # STORE MNT
	is_not_mounted "$2" && eventually 10 "$CHAINFS" verify "$1" --json && is_not_mounted "$2"
}

import_vectors "$T/st" || exit 1
mkdir "$T/mnt"
check "a signal to mount before it waits for its daemon" exits 8 early fork mount "$T/st" "$T/mnt"
check "leaves nothing" nothing_left "$T/st" "$T/mnt"
check "one to the daemon before it listens ends it" exits 32 early child mount "$T/st" "$T/mnt"
check "and leaves nothing, either" nothing_left "$T/st" "$T/mnt"

"$CHAINFS" forge "$T/big" --blocks 100000 --quiet > "$T/out" 2>&1 &
pid=$!
eventually 10 test -s "$T/big/chunks-1.pbs"
kill -INT $pid
before=$SECONDS
wait $pid
same "forge is interrupted" $? 8
check "at once" test $((SECONDS - before)) -le 3
check "and says what is not whole" grep -q "has no network.json" "$T/out"

check "demo whose import is done already mounts nothing" exits 8 early wait demo "$T/d" --quiet
check "and leaves nothing" nothing_left "$T/d/store" "$T/d/mnt"
check "demo before it waits for its import" exits 8 early fork demo "$T/d" --quiet
check "leaves nothing, too" nothing_left "$T/d/store" "$T/d/mnt"
mkdir -p "$T/e/archive.part"
: > "$T/e/archive.part/blocks-0.pbs"
check "a demo that was killed while it made its chain begins anew" \
	"$CHAINFS" demo "$T/e" --no-mount --quiet
check "and has one archive" test "$(ls "$T/e" | tr '\n' ' ')" = "archive store "
