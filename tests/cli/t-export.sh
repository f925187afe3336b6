#!/bin/bash
# What a store holds, carried away as an archive and taken in again: the same store.
. "$(dirname "$0")/../support/lib.bash"

roots() { "$CHAINFS" status "$1" | grep -E 'held|tip|replayed|root'; }
unpacked() { zstd -dcq "$1" | sha256sum; }

for vectors in devnet-a devnet-c devnet-r; do
	A=$VECTORS/$vectors
	[ -d "$A" ] || continue
	"$CHAINFS" import "$T/$vectors" "$A" --hyper on --quiet > "$T/out" 2>&1
	first=$?
	check "$vectors: what is held is written" exits 0 "$CHAINFS" export "$T/$vectors" "$T/$vectors.archive" --quiet
	"$CHAINFS" import "$T/$vectors.again" "$T/$vectors.archive" --hyper on --quiet > "$T/out" 2>&1
	same "$vectors: it is imported as the recording was" $? $first
	same "$vectors: to the same heights and roots, in both contexts" "$(roots "$T/$vectors.again")" \
		"$(roots "$T/$vectors")"
	check "$vectors: it verifies" exits 0 "$CHAINFS" verify "$T/$vectors.again"
	"$CHAINFS" export "$T/$vectors.again" "$T/$vectors.twice" --quiet > "$T/out" 2>&1
	same "$vectors: exported again it is the same archive" \
		"$(cd "$T/$vectors.twice" && sha256sum ./*)" "$(cd "$T/$vectors.archive" && sha256sum ./*)"
done

A=$VECTORS/devnet-a
S=$T/devnet-a
for stream in blocks-0 chunks-1 chunks-2; do
	from=$A/$stream.pbs
	[ -e "$from" ] || from=$from.zst
	[ -e "$from" ] || continue
	same "$stream is the recorded bytes" "$(unpacked "$T/devnet-a.archive/$stream.pbs.zst")" \
		"$(zstd -dcfq "$from" | sha256sum)"
done
check "network.json says whose it is" \
	sh -c "jq -e '.kind == \"snapchain\" and .network == \"devnet\"' '$T/devnet-a.archive/network.json'"
check "an archive that is there is not written over" exits 2 "$CHAINFS" export "$S" "$T/devnet-a.archive"
check "--json is JSON" sh -c "'$CHAINFS' export '$S' '$T/json' --json --quiet | jq -e '.left_out == 0 and .blocks > 0'"

# ---- ranges ----
check "a range is of the main shard and what it witnesses" exits 0 \
	"$CHAINFS" export "$S" "$T/range" --range 10-20 --quiet
"$CHAINFS" import "$T/a.range" "$A" --range 10-20 --quiet > "$T/out" 2>&1
"$CHAINFS" import "$T/b.range" "$T/range" --quiet > "$T/out" 2>&1
same "it is what import takes of that range" "$(roots "$T/b.range")" "$(roots "$T/a.range")"
check "a range of one shard" says "11 blocks" "$CHAINFS" export "$S" "$T/range1" --range 1:10-20
check "nothing there is said" exits 3 "$CHAINFS" export "$S" "$T/none" --range 9000000-9000001
check "and no folder is left" test ! -e "$T/none"
check "a range that is none is said" says "both included" "$CHAINFS" export "$S" "$T/none" --range 20-10
check "a network that is not there" exits 3 "$CHAINFS" export "$S" "$T/none" --network nope
check "a folder that cannot be made" exits 3 "$CHAINFS" export "$S" "$T/no/such/folder"
check "a store that is not there" exits 3 "$CHAINFS" export "$T/nostore" "$T/none"

# ---- a height that is missing stays missing ----
"$CHAINFS" import "$T/hole" "$A" --range 1-50 --quiet > "$T/out" 2>&1
"$CHAINFS" import "$T/hole" "$A" --range 60-80 --quiet > "$T/out" 2>&1
check "a store with a hole is written" exits 0 "$CHAINFS" export "$T/hole" "$T/hole.archive" --quiet
"$CHAINFS" import "$T/hole.again" "$T/hole.archive" --quiet > "$T/out" 2>&1
same "the same heights are missing" "$("$CHAINFS" gaps "$T/hole.again")" "$("$CHAINFS" gaps "$T/hole")"
same "and the state is the same" "$(roots "$T/hole.again")" "$(roots "$T/hole")"
