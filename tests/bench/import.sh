#!/bin/bash
# Import against raw Ed25519 of the same messages on all cores, in interleaved rounds; stored bytes against
# zstd -3 of the same streams; time to a mount, find over everything, and the daemon's memory.
#
#     ARCHIVE=folder ROUNDS=3 tests/bench/import.sh
#
# Without ARCHIVE a chain is generated (BLOCKS and MESSAGES say how large).
. "$(dirname "$0")/../mount/lib.bash"
ROUNDS=${ROUNDS:-3}
raw_program=${BENCH:-$PWD/build/release/tests/bench}/bench_ed25519
archive=${ARCHIVE:-}
if [ -z "$archive" ]; then
	archive=$T/crowd
	"$CHAINFS" forge "$archive" --blocks "${BLOCKS:-6000}" --messages "${MESSAGES:-40000}" --quiet || exit 1
fi

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

for round in $(seq "$ROUNDS"); do
	read -r signatures raw < <("$raw_program" "$archive")
	rm -rf "$T/store"
	line=$("$CHAINFS" import "$T/store" "$archive" --network bench --hyper on --json --quiet | tail -n 1)
	ms=$(echo "$line" | field milliseconds)
	echo "$raw" >>"$T/raw"
	awk "BEGIN { print $ms / 1000 }" >>"$T/import"
	awk "BEGIN { print $raw / ($ms / 1000) }" >>"$T/ratio"
	echo "# round $round: $signatures signatures raw $raw s, import $ms ms"
done
items=$(echo "$line" | field items)
printf 'import\t%s items in %s s, raw Ed25519 of %s signatures on all cores %s s: ratio %.2f\n' "$items" \
	"$(median <"$T/import")" "$signatures" "$(median <"$T/raw")" "$(median <"$T/ratio")"

raw_bytes=0 zstd_bytes=0
for stream in "$archive"/blocks-0.pbs* "$archive"/chunks-*.pbs*; do
	case $stream in *.zst) cat=zstdcat ;; *) cat=cat ;; esac
	raw_bytes=$((raw_bytes + $($cat "$stream" | wc -c)))
	zstd_bytes=$((zstd_bytes + $($cat "$stream" | zstd -3 -qc | wc -c)))
done
stored=$(find "$T/store/networks" -type f -printf '%s\n' | awk '{ n += $1 } END { print n }')
awk -v s="$stored" -v z="$zstd_bytes" -v r="$raw_bytes" \
	'BEGIN { printf "stored\t%d bytes with both contexts and all indexes, raw %d, zstd -3 %d: ratio %.2f\n", s, r, z, s / z }'

mkdir "$T/mnt"
start=$(date +%s%N)
"$CHAINFS" mount "$T/store" "$T/mnt" || exit 1
ls "$T/mnt" >/dev/null
awk "BEGIN { printf \"mount\t%.0f ms to the first ls\n\", ($(date +%s%N) - $start) / 1e6 }"
daemon=$(fuser -v "$T/store/lock" 2>/dev/null | tr -d ' ')
daemon=${daemon:-$(pgrep -f "chainfs mount $T/store" | head -n 1)}
rss() { awk '/VmRSS/ { print $2 }' "/proc/$daemon/status"; }
before=$(rss)
start=$(date +%s%N)
entries=$(find "$T/mnt/bench" | wc -l)
seconds=$(awk "BEGIN { printf \"%.2f\", ($(date +%s%N) - $start) / 1e9 }")
printf 'find\t%s entries in %s s; the daemon holds %s KiB before and %s KiB after\n' "$entries" "$seconds" "$before" "$(rss)"
unmount "$T/mnt"
