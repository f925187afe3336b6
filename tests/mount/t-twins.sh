#!/bin/bash
# Two validators' recordings of one chain, imported in different orders with the gaps filled later:
# their mounts differ in certificates and in what is said of them, and in nothing else.
. "$(dirname "$0")/lib.bash"

import() { "$CHAINFS" import "$@" --network net --hyper on --quiet >/dev/null; }
# The second recording goes on for one height more.
for range in 2:120-280 0:200-273 1:1-100 100-199 1:101-280 2:1-119 1-99 0:1-273; do
	import "$T/one" "$VECTORS/devnet-a" --range "$range" || exit 1
done
for range in 1:250-280 50-150 0:1-273 2:1-280 1:1-280; do
	import "$T/two" "$VECTORS/devnet-a-node2" --range "$range" || exit 1
done
check "nothing is missing from the one" test -z "$("$CHAINFS" gaps "$T/one")"
check "nor from the other" test -z "$("$CHAINFS" gaps "$T/two")"
mount_store "$T/one" "$T/mnt1" || exit 1
mount_store "$T/two" "$T/mnt2" || exit 1

diff -rq "$T/mnt1/net" "$T/mnt2/net" >"$T/diff" 2>"$T/diff.err"
check "diff finds no fault of its own" test ! -s "$T/diff.err"
check "certificates differ" grep -q 'commits.pb differ' "$T/diff"
strangers()
{
	grep -vE '^Files .*/[0-9]{10}/(commits\.pb|signers|verify) and ' "$T/diff"
	return $((! $?))
}
check "and nothing else does" strangers
at() { (cd "$1/net" && diff -r legacy/at/"$2" hyper/at/"$2") ; }
for height in 30 100 200 273; do
	check "diff -r of the two contexts at $height says the same on both" \
		test "$(at "$T/mnt1" $height | sha256sum)" = "$(at "$T/mnt2" $height | sha256sum)"
done
