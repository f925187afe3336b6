#!/bin/bash
# Hyper: off by default, switched on later it begins at that height, and says so.
. "$(dirname "$0")/lib.bash"

a=$VECTORS/devnet-a
mkdir "$T/mnt"
"$CHAINFS" import "$T/store" "$a" --range 1-100 --quiet >/dev/null || exit 1
mount_it() { "$CHAINFS" mount "$T/store" "$T/mnt" "$@"; }
end() { unmount "$T/mnt"; for _ in $(seq 50); do "$CHAINFS" status "$T/store" >/dev/null 2>&1 &&
	return 0; sleep 0.1; done; }
net=$T/mnt/devnet

mount_it || exit 1
check "the network's README says that hyper is off" grep -qi "hyper.*off" "$net/README"
check "and so does its status" grep -qi "hyper.*off" "$net/status"
check "hyper has no state then" sh -c "! ls '$net/hyper/at/50' 2>/dev/null"
check "legacy has" test -d "$net/legacy/at/50"
end

mount_it --hyper on || exit 1
check "mounted with --hyper on it begins at the height replayed" sh -c "! grep -qi 'hyper.*off' '$net/status'"
"$CHAINFS" import "$T/store" "$a" --quiet >/dev/null
check "what is pruned from then on is retained" test -s "$net/diffs/latest/report"
check "at the base and below hyper has nothing to say" sh -c "! ls '$net/hyper/at/100' 2>/dev/null"
only()
{
	diff -r "$net/legacy/at/200" "$net/hyper/at/200" >"$T/diff"
	grep -q '^Only in .*hyper' "$T/diff" && ! grep -q '^Only in .*legacy' "$T/diff"
}
check "above it the diff shows what was retained, and nothing is only in legacy" only
end
check "status names the base" sh -c "'$CHAINFS' status '$T/store' | grep -q 'retained since height'"
