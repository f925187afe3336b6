#!/bin/bash
# Going back under a mount: what is above the height is gone at once, whatever the kernel had
# cached, and what comes again is what was there.
. "$(dirname "$0")/lib.bash"

import_vectors "$T/s" --hyper on || exit 1
mount_store "$T/s" "$T/mnt" || exit 1
net=$T/mnt/$NET
range=0000000000-0000000999
old=$net/legacy/blocks/$range/0000000200

trees() { # what stands as of two heights, one above the cut and one below it, and blocks of both
	local c
	for c in legacy hyper; do
		tree_digest "$net/$c/at/200" && tree_digest "$net/$c/at/50" &&
			tree_digest "$net/$c/blocks" && tree_digest "$net/$c/roots" || return 1
	done
}
before=$(trees) state=$(tree_digest "$net/legacy/state")
hash=$(awk '$1 == "hash" { print $2 }' "$old/header")
[ -n "$hash" ] || hash=$(awk -F'\t' '$1 + 0 == 200 { print $2 }' "$net/legacy/blocks/$range/index.tsv")
check "a block above is there, and by its hash" test -e "$net/by-hash/$hash"
exec 9< "$old/block.pb"
held=$(sha256sum < "$old/block.pb")
cd "$old" || exit 1 # a folder in use is not let go of by the kernel
check "the store rolls back through the daemon" "$CHAINFS" rollback "$T/s" 100 "a test"
cd "$T" || exit 1

fails_with() { # WORDS PATH
	says "$1" cat "$2"
}
check "a block above is a gap at once" eventually 2 fails_with "No data available" "$old/header"
check "so is the state as of it" eventually 2 fails_with "No data available" "$net/legacy/at/200/roots.tsv"
check "and in hyper" eventually 2 fails_with "No data available" "$net/hyper/at/200/roots.tsv"
check "its hash leads nowhere" eventually 2 test ! -e "$net/by-hash/$hash"
same "who had it open reads on what it was" "$(sha256sum <&9)" "$held"
exec 9<&-
listed() { ! ls "$net/legacy/blocks/$range" | grep -qx "$1"; }
check "the folder does not list it" eventually 2 listed 0000000200
check "it lists what is below" test -e "$net/legacy/blocks/$range/0000000100/header"
check "the state of below is readable" test -e "$net/legacy/at/50/roots.tsv"
same "head is the height that it went back to" "$(basename "$(readlink "$net/head")")" 0000000100
same "the gap says why" "$(cat "$net/gaps/0/0000000101-0000000273/reason")" rolled-back
same "and who said so" "$(cat "$net/gaps/0/0000000101-0000000273/last_error")" "a test"
check "heights above are missing in the map" \
	test "$(tail -c +101 "$net/heights/0.map" | tr -d '\0' | wc -c)" -le 1

check "the archive fills what is missing, through the daemon" import_vectors "$T/s"
check "the block is there again" eventually 2 test -e "$old/header"
again() { [ "$(trees)" = "$before" ] && [ "$(tree_digest "$net/legacy/state")" = "$state" ]; }
check "and everything is as it was" eventually 5 again
check "there is no gap" test -z "$(ls "$net/gaps")"

# ---- by ctl ----
ctl=$(ctl_of "$T/mnt")
if [ -e "$ctl/trust" ]; then
	order() { echo "$1" > "$ctl/trust"; }
	check "ctl/trust rolls back" order "rollback $NET 150 by ctl"
	same "as far as it was told" "$(basename "$(readlink "$net/head")")" 0000000150
	check "ctl/trust distrusts" order "distrust $NET 140 not ours"
	same "and goes back below" "$(basename "$(readlink "$net/head")")" 0000000139
	bad() { ! order "$1" 2> /dev/null && grep -q "$2" "$ctl/last_error"; }
	check "words that are none are refused" bad "forget $NET 1" "pin, distrust or rollback"
	check "a hash that is none is refused" bad "pin $NET 100 abc" "a hash of 64 digits"
	check "the registry is a file" grep -q "distrusted.*not ours" "$net/trust"
fi

check "it unmounts" unmount "$T/mnt"
