#!/bin/bash
# Which blocks are trusted: signed ones, pins, distrust; going back to an earlier height, and what a
# crash in the middle of it leaves.
. "$(dirname "$0")/../support/lib.bash"

a=$VECTORS/devnet-a
import() { "$CHAINFS" import "$1" "$a" --quiet "${@:2}"; }
# What a number of our own is part of (object ids, in hyper_bytes) may differ.
state() { "$CHAINFS" status "$1" --json | grep -vE '"(hyper_bytes|size|store|uptime)"'; }
sound() { "$CHAINFS" fsck "$1" --quiet && "$CHAINFS" fsck "$1" | grep -q " 0 orphans"; }

import "$T/ref" --hyper on > /dev/null || exit 1
import "$T/s" --hyper on > /dev/null || exit 1
want=$(state "$T/ref")
hash_of() { # STORE HEIGHT: as its certificate has it
	"$CHAINFS" trust add "$1" --height "$2" > /dev/null && "$CHAINFS" trust list "$1" --json |
		awk -v h="$2" '/"hash"/ { hash = $2 } /"height"/ { if ($2 + 0 == h) print hash }' |
		tail -n 1 | tr -d '",'
}

# ---- rollback ----
check "there is nothing above the newest height" exits 1 "$CHAINFS" rollback "$T/s" 273
check "a rollback says what went" says '"blocks":535,"branch":1,"heights":\[100,99,99\],"items":614' \
	"$CHAINFS" rollback "$T/s" 100 "a try" --json
gaps() { "$CHAINFS" gaps "$T/s" | head -n 1; }
same "the gap has the reason" "$(gaps)" "$(printf '0\t0000000101-0000000273\trolled-back\ta try')"
check "fsck finds nothing" sound "$T/s"
"$CHAINFS" import "$T/short" "$a" --quiet --hyper on --range 1-100 > /dev/null
roots() {
	local fields='legacy_root|hyper_root|records|retained|hyper_bytes|diverged|replayed|items'
	"$CHAINFS" status "$1" --json | grep -E "\"($fields|bytes|held|tip|hyper_base)\""
}
same "the state is that of a store that never went further" "$(roots "$T/s")" "$(roots "$T/short")"
check "a second one goes further back" "$CHAINFS" rollback "$T/s" 40
check "and fsck finds nothing" sound "$T/s"
check "the archive brings it all again" import "$T/s"
same "it is as it would have been" "$(state "$T/s")" "$want"
check "fsck finds nothing in it" sound "$T/s"
check "nor does the audit of hyper" says "^0 faults" "$CHAINFS" hyper audit "$T/s"
"$CHAINFS" checkpoint "$T/s" "$T/cp-s" > /dev/null && "$CHAINFS" checkpoint "$T/ref" "$T/cp-ref" > /dev/null
sums() { cat "$1"/*/SHA256SUMS; }
same "a checkpoint of it is byte for byte the same" "$(sums "$T/cp-s")" "$(sums "$T/cp-ref")"
check "before the first block there is nothing" "$CHAINFS" rollback "$T/s" 0
check "which fsck likes as well" sound "$T/s"
check "all of it comes again" import "$T/s"
same "and is the same" "$(state "$T/s")" "$want"

# Of a base of hyper that lies above.
import "$T/base" --range 1-150 > /dev/null && import "$T/base" --hyper on > /dev/null
check "a rollback below the base of hyper is allowed" "$CHAINFS" rollback "$T/base" 100
based() { "$CHAINFS" status "$T/base" --json | grep -m 1 -q '"hyper_base": 100'; }
check "the base is where it went" based
check "and it goes on from there" import "$T/base"
check "fsck finds nothing there" sound "$T/base"
check "the audit neither" says "^0 faults" "$CHAINFS" hyper audit "$T/base"

# ---- the registry ----
check "a signed block becomes a checkpoint" says "shard 0 height 200 .* is trusted (validators)" \
	"$CHAINFS" trust add "$T/ref" --height 200
check "the newest one without a height" says "height 273 " "$CHAINFS" trust add "$T/ref"
evidence=$(echo "$T"/ref/networks/devnet/trust/evidence/0-0000000200-*.pb)
check "the block is kept as evidence" test -s "$evidence"
check "which is worth the same elsewhere" says "height 200 .* is trusted (evidence)" \
	"$CHAINFS" trust add "$T/short" --evidence "$evidence"
cp "$evidence" "$T/forged.pb"
printf '\377' | dd of="$T/forged.pb" bs=1 seek=$(($(stat -c %s "$T/forged.pb") - 5)) conv=notrunc status=none
check "a forged certificate is not" exits 4 "$CHAINFS" trust add "$T/short" --evidence "$T/forged.pb"
check "nor are some bytes" exits 4 "$CHAINFS" trust add "$T/short" --evidence "$a/network.json"
lines() { "$CHAINFS" trust list "$1" | wc -l; }
same "the list has a line a decision" "$(lines "$T/ref")" 2
has_set() { "$CHAINFS" trust list "$T/ref" --json | grep -Eq '"set": "[0-9a-f]{64}"'; }
check "it says which validators it was" has_set

# Another set of validators from the last height on: the block before it is what that set is trusted
# by.
keys=$(grep -E '^ +"[0-9a-f]{64}"' "$a/network.json" | tr -d '\n')
cat > "$T/sets.json" << EOF
{ "fc_network": 3, "num_shards": 2, "validators": [
  { "effective_at": 0, "shard_ids": [0, 1, 2], "public_keys": [$keys] },
  { "effective_at": 273, "shard_ids": [0],
    "public_keys": [$keys, "0000000000000000000000000000000000000000000000000000000000000001"] } ] }
EOF
check "validators may change with the last height" import "$T/sets" --config "$T/sets.json" > /dev/null
same "the last block of the first set was written down by itself" \
	"$("$CHAINFS" trust list "$T/sets" | cut -f 1,2,4,5)" "$(printf '0\t0000000272\ttrusted\tvalidators')"

# ---- pins ----
zeros=$(printf '%064d' 0)
check "a pin that the store contradicts is refused" says "holds another block.*--force" \
	"$CHAINFS" trust pin "$T/s" 120 "$zeros"
same "and not written down" "$(lines "$T/s")" 0
check "unless it may roll back" "$CHAINFS" trust pin "$T/s" 120 "$zeros" "told by a friend" --force
refused() { # STORE HEIGHT WORDS
	import "$1" > /dev/null 2>&1
	"$CHAINFS" gaps "$1" | grep -P "^0\t0*$2-0*$2\trefused\ttrust: $3"
}
check "another block of the height is refused, and the gap says so" \
	refused "$T/s" 120 "another block of this height is trusted"
right=$(hash_of "$T/ref" 120)
check "the right pin takes its place" "$CHAINFS" trust pin "$T/s" 120 "$right"
superseded() { "$CHAINFS" trust list "$T/s" | grep -q "superseded"; }
check "the wrong one is superseded" superseded
check "the block comes" import "$T/s"
same "and everything is there" "$(state "$T/s")" "$want"
check "a pin of what is held changes nothing" "$CHAINFS" trust pin "$T/s" 121 "$(hash_of "$T/ref" 121)"
same "nothing indeed" "$(state "$T/s")" "$want"

# ---- of another shard ----
check "a height of a data shard is pinned, too" "$CHAINFS" trust pin "$T/s" 90 "$zeros" --shard 1 --force
behind() { "$CHAINFS" gaps "$T/s" | grep -qP '^1\t0000000090-'; }
check "its shard goes back, and what witnesses it" behind
check "fsck finds nothing then" sound "$T/s"
check "it is distrusted again by the name of its block" \
	"$CHAINFS" distrust "$T/s" 0000000090-00000000 "no friend" --shard 1
check "then the archive's block may stand there" import "$T/s"
same "as before" "$(state "$T/s")" "$want"

# ---- distrust ----
check "distrust goes below the block" says "back at shard 0 height 149" \
	"$CHAINFS" distrust "$T/s" 150 "signed twice"
check "and it does not come back" refused "$T/s" 150 "this block is distrusted: signed twice"
check "what nobody holds cannot be named by its height alone" exits 3 "$CHAINFS" distrust "$T/s" 150 again
check "a pin brings it back" "$CHAINFS" trust pin "$T/s" 150 "$(hash_of "$T/ref" 150)"
check "by the next import" import "$T/s"
same "whole" "$(state "$T/s")" "$want"

# ---- a damaged registry ----
cp -a "$T/s" "$T/torn"
printf '1795307945\t0\t50\t0142' >> "$T/torn/networks/devnet/trust/registry"
same "a line that a crash cut short is none" "$(lines "$T/torn")" "$(lines "$T/s")"
check "the next one takes its place" "$CHAINFS" trust add "$T/torn" --height 10
same "and is read" "$(lines "$T/torn")" $(($(lines "$T/s") + 1))
sed -i '2s/120/121/' "$T/torn/networks/devnet/trust/registry"
check "a changed line is found" says "line 2 is damaged" "$CHAINFS" trust list "$T/torn"
check "and nothing is imported past it" says "line 2 is damaged" "$CHAINFS" import "$T/torn" "$a" --quiet

# ---- kills ----
# Whenever it dies: before or after, nothing between; and then all of it comes again.
whole() { [ "$(state "$1")" = "$2" ]; }
began=$(date +%s%N)
cp -a "$T/ref" "$T/k" && "$CHAINFS" rollback "$T/k" 100 > /dev/null 2>&1
takes=$((($(date +%s%N) - began) / 1000000 + 1)) # milliseconds, undisturbed
kills=0 before=0 after=0 bad=
for i in $(seq 1 "$(rounds 50)"); do
	rm -rf "$T/k"
	cp -a "$T/ref" "$T/k"
	rm -rf "$T/k/networks/devnet/trust"
	"$CHAINFS" rollback "$T/k" 100 "a kill" > /dev/null 2>&1 &
	pid=$!
	sleep "$(awk -v t="$takes" -v r=$RANDOM 'BEGIN { print t * (0.1 + r / 32768) / 1000 }')"
	kill -9 $pid 2> /dev/null && kills=$((kills + 1))
	wait $pid 2> /dev/null
	"$CHAINFS" fsck "$T/k" --quiet > "$T/fsck.out" 2>&1 || bad="$bad fsck:$i"
	if whole "$T/k" "$want"; then
		before=$((before + 1))
	elif [ "$(roots "$T/k")" = "$(roots "$T/short")" ]; then
		after=$((after + 1))
		import "$T/k" > /dev/null || bad="$bad import:$i"
		whole "$T/k" "$want" || bad="$bad again:$i"
	else
		bad="$bad between:$i"
	fi
done
same "of $kills kills, $before left it before, $after after, and none between" "$bad" ""
