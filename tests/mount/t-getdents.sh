#!/bin/bash
# Listings: the same set whatever the buffer, and every cookie leads back to its place.
. "$(dirname "$0")/lib.bash"

import_vectors "$T/st" --hyper on || exit 1
probe names 4096 / > /dev/null || exit 1
N=$T/mnt/$NET

mount_store "$T/st" "$T/mnt" || exit 1
busiest=$(find "$N/hyper/state" -type d -name casts | while read -r d; do
	echo "$(ls -f "$d" | wc -l) ${d#"$N/"}"
done | sort -rn | head -n 1 | cut -d ' ' -f 2)
range=0000000000-0000000999
folders=".. . legacy legacy/blocks legacy/blocks/$range hyper/blocks/100 hyper/blocks/100/items
	hyper/shards/1/blocks/$range hyper/state hyper/state/accounts hyper/state/names $busiest
	hyper/at/100/shards/1/accounts hyper/envelopes/$range diffs/200/retained gaps"
for d in $folders; do
	echo "$d $(find "$N/$d/" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | sha256sum)"
done > "$T/wanted"
"$CHAINFS" umount "$T/mnt"

# A mount for each size: its first listing comes from us, the second from the kernel's cache.
for size in 280 4096 32768 1048576; do
	mount_store "$T/st" "$T/mnt" || exit 1
	for pass in first second; do
		for d in $folders; do
			echo "$d $(probe names $size "$N/$d" | grep -v '^\.\.\?$' | sort | sha256sum)"
		done > "$T/got"
		same "a buffer of $size: the same names, $pass time" "$(diff "$T/got" "$T/wanted")" ""
	done
	for d in $folders; do
		names=$(probe names $size "$N/$d")
		same "a buffer of $size: each name of $d once" "$(sort <<< "$names" | uniq -d)" ""
		same "a buffer of $size: . and .. in $d" "$(grep -c '^\.\.\?$' <<< "$names")" 2
		check "a buffer of $size: cookies of $d lead back" probe seek "$N/$d"
	done
	[ $size = 1048576 ] || "$CHAINFS" umount "$T/mnt"
done
for d in "legacy/blocks/$range" hyper/state/accounts "$busiest" "hyper/envelopes/$range"; do
	names=$(probe names 32768 "$N/$d" | tail -n +3 | grep -v '^index\.tsv$\|^items\.jsonl$')
	same "$d is listed in byte order" "$names" "$(sort <<< "$names")"
done
