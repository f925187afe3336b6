#!/bin/bash
# How our BLAKE3 compares with b3sum on one thread: the same file, in turns, medians; then what the
# sizes of a trie cost. Prints the ratio of the times: under 1 we are faster.
#
# BENCH holds bench_blake3 (make bench sets it), SIZE_MIB and ROUNDS say how much.
set -e
BENCH=${BENCH:-build/release/tests/bench}
SIZE_MIB=${SIZE_MIB:-256}
ROUNDS=${ROUNDS:-15}

if ! command -v b3sum > /dev/null; then
	echo "skipped: b3sum is not installed"
	exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
head -c "$((SIZE_MIB << 20))" /dev/urandom > "$folder/data"

# Both are timed from outside, with start and exit of the process, so that neither is favoured.
microseconds() # COMMAND...
{
	local start end
	start=$(date +%s%N)
	"$@" > "$folder/answer"
	end=$(date +%s%N)
	echo $(((end - start) / 1000))
}

median()
{
	sort -n "$1" | sed -n "$(((ROUNDS + 1) / 2))p"
}

for ((round = 0; round < ROUNDS; round++)); do
	microseconds b3sum --num-threads 1 "$folder/data" >> "$folder/theirs"
	cut -d ' ' -f 1 "$folder/answer" > "$folder/want"
	microseconds "$BENCH/bench_blake3" file "$folder/data" >> "$folder/ours"
	cut -d ' ' -f 1 "$folder/answer" | cmp - "$folder/want"
done
theirs=$(median "$folder/theirs")
ours=$(median "$folder/ours")
awk -v mib="$SIZE_MIB" -v ours="$ours" -v theirs="$theirs" 'BEGIN {
	printf "b3sum     %7.1f ms  %5.2f GB/s\n", theirs / 1000, mib * 1048.576 / theirs
	printf "chainfs   %7.1f ms  %5.2f GB/s\n", ours / 1000, mib * 1048.576 / ours
	printf "ratio     %.3f (time of chainfs over time of b3sum, medians)\n", ours / theirs
}'
"$BENCH/bench_blake3" small
