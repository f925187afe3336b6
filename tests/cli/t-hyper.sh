#!/bin/bash
# chainfs hyper diff, audit and metrics on a store: what they print, and what they answer to bad
# words.
. "$(dirname "$0")/../support/lib.bash"

s=$T/s
"$CHAINFS" import "$s" "$VECTORS/devnet-a" --network devnet --hyper on --quiet > /dev/null || exit 1
"$CHAINFS" import "$T/off" "$VECTORS/devnet-a" --network devnet --range 1-20 --quiet > /dev/null || exit 1
hyper() { local verb=$1; shift; "$CHAINFS" hyper "$verb" "$s" "$@"; }

for verb in diff audit metrics; do
	check "hyper $verb --help says how it is used" says "^usage: chainfs hyper $verb STORE" \
		"$CHAINFS" hyper "$verb" --help
done
check "hyper alone says which verbs there are" says "chainfs hyper audit STORE" "$CHAINFS" hyper

# ---- diff ----

hyper diff --block 40 > "$T/diff"
same "the report comes first" "$(head -n 1 "$T/diff")" "height 40"
check "then lines of both contexts" sh -c "grep -q '^legacy	' '$T/diff'"
same "seven fields behind the context" \
	"$(grep -P '^(legacy|hyper)\t' "$T/diff" | awk -F'\t' '{ print NF }' | sort -u)" 8
hyper diff --block 40 --json > "$T/diff.json"
check "--json is JSON with sorted keys" \
	sh -c "jq -S . '$T/diff.json' | jq -e . > '$T/sorted'; jq . '$T/diff.json' | diff - '$T/sorted'"
same "with as many changes" "$(jq '[.changes[][]] | length' "$T/diff.json")" "$(grep -cP '^(legacy|hyper)\t' "$T/diff")"
same "--context legacy is legacy's part" "$(hyper diff --block 40 --context legacy | grep -P '^(legacy|hyper)\t')" \
	"$(grep -P '^legacy\t' "$T/diff")"
same "--context hyper is hyper's" "$(hyper diff --block 40 --context hyper | grep -P '^(legacy|hyper)\t')" \
	"$(grep -P '^hyper\t' "$T/diff")"
same "--shard 1 is that shard's" "$(hyper diff --block 40 --shard 1 | grep -P '^(legacy|hyper)\t|^shard')" \
	"$(grep -P '^(legacy|hyper)\t.\t01\t|^shard 1 ' "$T/diff")"
all=0
for h in 1 2 3 4 5 6 7 8 9 10; do
	all=$((all + $(hyper diff --block $h --context legacy | grep -c '^legacy	+')))
done
check "block by block there is what was merged" test $all -gt 50
check "the first block has a state before it" exits 0 hyper diff --block 1

# ---- audit, metrics ----

check "an audit finds nothing" says "^0 faults$" hyper audit
check "the newest heights of each shard" says '"heights":15,' hyper audit --latest 5 --json
check "metrics are a line" test "$(hyper metrics | wc -l)" = 1
check "or JSON" \
	sh -c "'$CHAINFS' hyper metrics '$s' --json |
		jq -e '.retained > 100 and .storage_bytes > 1000 and .pipeline_lag == 0'"
check "where hyper is off it is behind by all there is" \
	sh -c "'$CHAINFS' hyper metrics '$T/off' --json | jq -e '.pipeline_lag == .replayed and .hyper == false'"

# ---- bad words ----

bad() { # SENTENCE STATUS WORDS…
	local sentence=$1 status=$2
	shift 2
	check "$* says: $sentence" says "$sentence" "$CHAINFS" hyper "$@"
	check "and exits with $status" exits "$status" "$CHAINFS" hyper "$@"
}
bad "it needs --block" 1 diff "$s"
bad "a number from 1 on" 1 diff "$s" --block 0
bad "a number from 1 on" 1 diff "$s" --block -1
bad "a number from 1 on" 1 diff "$s" --block 18446744073709551616
bad "not known to exist" 3 diff "$s" --block 99999
bad "has 3 shards" 3 diff "$s" --block 5 --shard 3
bad "a number below 16" 1 diff "$s" --block 5 --shard x
bad "legacy, hyper or both" 1 diff "$s" --block 5 --context all
bad "hyper is off" 3 diff "$T/off" --block 5
check "legacy's part is there without hyper" exits 0 "$CHAINFS" hyper diff "$T/off" --block 5 --context legacy
bad "a number from 1 on" 1 audit "$s" --latest 0
bad "a number from 1 on" 1 audit "$s" --latest many
bad "hyper is off" 3 audit "$T/off"
bad "no network nope" 3 metrics "$s" --network nope
bad "it needs STORE" 1 metrics
bad "no option" 1 metrics "$s" --block 5
