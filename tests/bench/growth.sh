#!/bin/bash
# Growth: import, mount, memory and lookups at 10,000 blocks and more. Ours alone.
#
#     SIZES="10000 100000" tests/bench/growth.sh      up to 10,000,000 on request
#
# The chains are bare: blocks that nobody signed and with nobody in them (forge --bare).
. "$(dirname "$0")/lib.bash"
SIZES=${SIZES:-10000 100000}
LOOKUPS=${LOOKUPS:-2000}

milliseconds() {
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.1f\n", (b - a) / 1000000 }'
}

# Paths of single blocks, all over the chain, none of them asked for before.
block_paths() { # HEIGHTS
	awk -v n="$LOOKUPS" -v heights="$1" 'BEGIN {
		srand(7)
		for (i = 0; i < n; i++) {
			h = 1 + int(rand() * heights)
			printf "%010d-%010d/%010d/header\n", h - h % 1000, h - h % 1000 + 999, h
		}
	}' | sort -u | shuf --random-source=<(yes)
}

for size in $SIZES; do
	say "growth: $size blocks"
	archive=$T/archive
	rm -rf "$archive" "$T/store"
	before=$(date +%s%N)
	"$CHAINFS" forge "$archive" --bare --blocks "$size" --quiet || fail "no chain of $size"
	figure growth "$size blocks: made in" "$(milliseconds "$before" "$(date +%s%N)")" ms
	line=$("$CHAINFS" import "$T/store" "$archive" --network $NET --hyper on --allow-uncommitted \
		--json --quiet 2> "$T/import.err" | tail -n 1)
	[ "$(field outcome <<< "$line")" = done ] || {
		cat "$T/import.err" >&2
		fail "the import did not end well: $line"
	}
	rm -rf "$archive"
	figure growth "$size blocks: imported a second" \
		"$(field milliseconds <<< "$line" |
			awk -v n="$(field blocks <<< "$line")" '{ printf "%.0f", n * 1000 / $1 }')" ""
	figure growth "$size blocks: stored" \
		"$(find "$T/store/networks" -type f -printf '%s\n' | awk '{ n += $1 } END { print n }')" bytes
	for round in $(seq "$ROUNDS"); do
		before=$(date +%s%N)
		"$CHAINFS" mount "$T/store" "$M" > "$T/mount.out" 2>&1 || { cat "$T/mount.out" >&2; fail "no mount"; }
		ls "$M/$NET" > /dev/null || fail "no ls"
		milliseconds "$before" "$(date +%s%N)" >> "$T/mounts.$size"
		[ "$round" = "$ROUNDS" ] || unmount
	done
	figure growth "$size blocks: mount to the first ls" "$(median < "$T/mounts.$size")" ms
	find_servers # which looks at every process: not within the time of a mount
	rest=$(memory)
	figure growth "$size blocks: memory after the mount" "$rest" KiB
	last=$(ls "$M/$NET/legacy/blocks" | tail -n 1)
	tip=$(ls "$M/$NET/legacy/blocks/$last" | grep '^[0-9]*$' | tail -n 1)
	block_paths "$((10#$tip))" > "$T/paths"
	server=()
	for p in $servers; do
		server+=(-s "$p")
	done
	tac "$T/paths" | sed 's|header$|header.json|' > "$T/paths.again"
	for pass in "header, nothing known" "header.json, the folder known"; do
		list=$T/paths
		[ "$pass" = "header, nothing known" ] || list=$T/paths.again
		read -r wall client cpu units < <("$PROGRAMS/fsbench" "${server[@]}" \
			stat "$M/$NET/legacy/blocks" "$list" 1) || fail "no lookups"
		figure growth "$size blocks: a block's $pass" \
			"$(awk -v w="$wall" -v n="$units" 'BEGIN { printf "%.1f", w * 1000 / n }')" us
		figure growth "$size blocks: a block's $pass, server" \
			"$(awk -v w="$cpu" -v n="$units" 'BEGIN { printf "%.1f", w * 1000 / n }')" "us of a processor"
	done
	before=$(date +%s%N)
	entries=$(find "$M/$NET/legacy/blocks" -mindepth 1 -maxdepth 2 | wc -l)
	figure growth "$size blocks: find of $entries names" "$(milliseconds "$before" "$(date +%s%N)")" ms
	figure growth "$size blocks: memory after that" "$(memory)" KiB
	unmount
	rm -rf "$T/store"
	last_size=$size
done
# The floor is one of 10,000,000 blocks, and is judged there alone.
[ "$last_size" -lt 10000000 ] || figure growth mount "$(median < "$T/mounts.$last_size")" "ms at $last_size blocks"
