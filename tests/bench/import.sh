#!/bin/bash
# A verified, durable import against the sum of its parts, in turns: raw signature checks of the same messages
# and certificates on all cores, and raw writes of the same bytes (segments, and rows through RocksDB).
#
#     MESSAGES=40000 ROUNDS=3 tests/bench/import.sh
#     ARCHIVE=folder tests/bench/import.sh          of a recorded chain
. "$(dirname "$0")/lib.bash"
MESSAGES=${MESSAGES:-40000}
archive=${ARCHIVE:-}
if [ -z "$archive" ]; then
	chain import --blocks $((MESSAGES * 3 / 20)) --messages "$MESSAGES"
	archive=$KEEP/import.archive
fi

for round in $(seq "$ROUNDS"); do
	rm -rf "$T/store" "$T/raw"
	read -r signatures seconds < <("$PROGRAMS/bench_ed25519" "$archive") || fail "no raw signatures"
	before=$(date +%s%N)
	line=$("$CHAINFS" import "$T/store" "$archive" --network $NET --hyper on --json --quiet 2> "$T/import.err" | tail -n 1)
	took=$((($(date +%s%N) - before) / 1000000))
	[ "$(field outcome <<< "$line")" = done ] || { cat "$T/import.err" >&2; fail "the import did not end well: $line"; }
	commits=$(field commits <<< "$line") items=$(field items <<< "$line") blocks=$(field blocks <<< "$line")
	read -r segment_bytes rows row_bytes writing < <("$PROGRAMS/bench_writes" "$T/store" $NET "$commits" "$T/raw") ||
		fail "no raw writes"
	echo "$seconds" >> "$T/signatures"
	echo "$writing" >> "$T/writes"
	echo "$took" >> "$T/imports"
	awk -v s="$seconds" -v t="$took" 'BEGIN { print s * 1000 / t }' >> "$T/of_signatures"
	awk -v s="$writing" -v t="$took" 'BEGIN { print s * 1000 / t }' >> "$T/of_writes"
	awk -v s="$seconds" -v w="$writing" -v t="$took" 'BEGIN { print (s + w) * 1000 / t }' >> "$T/of_sum"
	say "import round $round: signatures $seconds s, writes $writing s, import $took ms"
done

figure import "import: blocks" "$blocks" ""
figure import "import: items" "$items" ""
figure import "import: signatures" "$signatures" ""
figure import "import: wall" "$(median < "$T/imports")" ms
figure import "import: blocks a second" "$(median < "$T/imports" | awk -v n="$blocks" '{ printf "%.0f", n * 1000 / $1 }')" ""
figure import "import: items a second" "$(median < "$T/imports" | awk -v n="$items" '{ printf "%.0f", n * 1000 / $1 }')" ""
figure import "raw signatures, all cores" "$(median < "$T/signatures" | awk '{ print $1 * 1000 }')" ms
figure import "raw writes of $((segment_bytes >> 10)) KiB of segments, $rows rows of $((row_bytes >> 10)) KiB" \
	"$(median < "$T/writes" | awk '{ print $1 * 1000 }')" ms
figure import "import, of raw signatures" "$(median < "$T/of_signatures")" ""
figure import "import, of raw writes" "$(median < "$T/of_writes")" ""
figure import import "$(median < "$T/of_sum")" "of the sum of its parts"
