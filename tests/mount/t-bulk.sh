#!/bin/bash
# Bulk files of a range whose heights are all held: rendered once, however many pieces the kernel
# asks for.
. "$(dirname "$0")/lib.bash"

"$CHAINFS" forge "$T/archive" --blocks 3300 --messages 6000 --quiet || exit 1
"$CHAINFS" import "$T/st" "$T/archive" --network $NET --hyper on --quiet >/dev/null || exit 1
mount_store "$T/st" "$T/mnt" || exit 1
net=$T/mnt/$NET
range=legacy/shards/1/blocks/0000000000-0000000999
renderings() { awk '$1 == "chainfs_renderings_total" { print $2 }' "$T/mnt/ctl/metrics"; }

check "the range is whole and large" test "$(stat -c %s "$net/$range/items.jsonl")" -gt 500000
before=$(renderings)
cat "$net/$range/items.jsonl" >"$T/items"
check "items.jsonl is rendered once" test $(($(renderings) - before)) -le 1
check "it is as large as it says" test "$(wc -c <"$T/items")" = "$(stat -c %s "$net/$range/items.jsonl")"
check "each of its lines is JSON" sh -c "jq -e . '$T/items' >/dev/null"
lines() { awk -F'\t' '{ n += $4 } END { print n }' "$net/$range/index.tsv"; }
check "there are as many as index.tsv counts" test "$(wc -l <"$T/items")" = "$(lines)"
check "hyper's is the same file" test "$(stat -c %i "$net/$range/0000000500/header")" = \
	"$(stat -c %i "$net/hyper/${range#legacy/}/0000000500/header")"
