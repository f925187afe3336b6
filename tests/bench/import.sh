#!/bin/bash
# A verified, durable import against the sum of its parts, in turns: raw signature checks of the same messages
# and certificates on all cores, and raw writes of the same bytes (segments, and rows through RocksDB).
#
#     MESSAGES=40000 ROUNDS=3 tests/bench/import.sh
#     ARCHIVE=folder tests/bench/import.sh          of a recorded chain
. "$(dirname "$0")/lib.bash"
MESSAGES=${MESSAGES:-40000}
archive=${ARCHIVE:-}
export OUT=$T/import.json
if [ -z "$archive" ]; then
	chain import --blocks $((MESSAGES * 3 / 20)) --messages "$MESSAGES"
	archive=$KEEP/import.archive
fi

ratio() { # A… B: the sum of all but the last over the last
	awk -v words="$*" 'BEGIN {
		n = split(words, w, " ")
		for (i = 1; i < n; i++)
			s += w[i]
		print s / (w[n] > 0 ? w[n] : 0.001)
	}'
}

for round in $(seq "$ROUNDS"); do
	rm -rf "$T/store" "$T/raw"
	read -r signatures check check_cpu < <("$PROGRAMS/bench_ed25519" "$archive") || fail "no raw signatures"
	read -r ms ms_cpu _ < <("$PROGRAMS/fsbench" run bash -c \
		'"$0" import "$@" --hyper on --json --quiet > "$OUT"' "$CHAINFS" "$T/store" "$archive" --network $NET)
	[ "$(field outcome < "$OUT")" = done ] || { cat "$OUT" >&2; fail "the import did not end well"; }
	commits=$(field commits < "$OUT") items=$(field items < "$OUT") blocks=$(field blocks < "$OUT")
	read -r segment_bytes rows row_bytes writing writing_cpu < <("$PROGRAMS/bench_writes" \
		"$T/store" $NET "$commits" "$T/raw") || fail "no raw writes"
	took=$(ratio "$ms" 1000) took_cpu=$(ratio "$ms_cpu" 1000)
	for name in check check_cpu writing writing_cpu took took_cpu; do
		echo "${!name}" >> "$T/$name"
	done
	ratio "$check" "$took" >> "$T/of_check"
	ratio "$writing" "$took" >> "$T/of_writing"
	ratio "$check" "$writing" "$took" >> "$T/of_sum"
	ratio "$check_cpu" "$writing_cpu" "$took_cpu" >> "$T/of_sum_cpu"
	say "import round $round: signatures $check s, writes $writing s, import $took s" \
		"(processors: $check_cpu, $writing_cpu, $took_cpu)"
done

figure import "import: blocks" "$blocks" ""
figure import "import: items" "$items" ""
figure import "import: signatures" "$signatures" ""
rate() { # COUNT
	median < "$T/took" | awk -v n="$1" '{ printf "%.0f", n / $1 }'
}
figure import "import: wall" "$(median < "$T/took")" s
figure import "import: processors" "$(median < "$T/took_cpu")" s
figure import "import: blocks a second" "$(rate "$blocks")" ""
figure import "import: items a second" "$(rate "$items")" ""
figure import "raw signatures, all cores: wall" "$(median < "$T/check")" s
figure import "raw signatures, all cores: processors" "$(median < "$T/check_cpu")" s
figure import "raw writes: segments" "$segment_bytes" bytes
figure import "raw writes: $rows rows" "$row_bytes" bytes
figure import "raw writes: wall" "$(median < "$T/writing")" s
figure import "raw writes: processors" "$(median < "$T/writing_cpu")" s
figure import "import, of raw signatures" "$(median < "$T/of_check")" ""
figure import "import, of raw writes" "$(median < "$T/of_writing")" ""
figure import "import, of the sum, processors" "$(median < "$T/of_sum_cpu")" ""
figure import import "$(median < "$T/of_sum")" "of the sum of its parts"
