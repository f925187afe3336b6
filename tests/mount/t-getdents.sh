#!/bin/bash
# Listings: the same set whatever the buffer, and every cookie leads back to its place.
. "$(dirname "$0")/lib.sh"

import_vectors "$T/st" --hyper on || exit 1
mount_store "$T/st" "$T/mnt" || exit 1
probe names 4096 / > /dev/null || exit 1

cd "$T/mnt/$NET" || exit 1
busiest=$(find hyper/state -type d -name casts -printf '%h/%f\n' | while read -r d; do
	echo "$(ls -f "$d" | wc -l) $d"
done | sort -rn | head -n 1 | cut -d ' ' -f 2)
folders="/ . legacy legacy/blocks legacy/blocks/0000000000-0000000999 hyper/blocks/100 hyper/blocks/100/items
	hyper/shards/1/blocks/0000000000-0000000999 hyper/state hyper/state/accounts hyper/state/names
	hyper/at/100/shards/1/accounts $busiest hyper/envelopes/0000000000-0000000999 diffs/200/retained gaps"
for d in $folders; do
	[ "$d" != / ] || d=$T/mnt
	wanted=$(find "$d" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | sha256sum)
	for size in 280 4096 32768 1048576; do
		# Each time by a new mount's eyes: what the kernel has cached is dropped with the dentries.
		[ "$(id -u)" != 0 ] || echo 2 2> /dev/null > /proc/sys/vm/drop_caches
		same "${d#"$T/mnt"}: the same names with a buffer of $size" \
			"$(probe names $size "$d" | grep -v '^\.\.\?$' | sort | sha256sum)" "$wanted"
	done
	same "${d#"$T/mnt"}: each name once, with . and .." "$(probe names 4096 "$d" | sort | uniq -d)" ""
	check "${d#"$T/mnt"}: cookies lead back" probe seek "$d"
done
for d in legacy/blocks/0000000000-0000000999 "$busiest" hyper/state/accounts; do
	same "$d: listed in byte order" "$(probe names 32768 "$d" | tail -n +3 | grep -v 'index.tsv\|items.jsonl')" \
		"$(probe names 32768 "$d" | tail -n +3 | grep -v 'index.tsv\|items.jsonl' | sort)"
done
cd /
