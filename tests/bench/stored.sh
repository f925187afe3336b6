#!/bin/bash
# Stored bytes, both contexts and all indexes, against zstd -3 of the raw chain.
#
#     MESSAGES=40000 tests/bench/stored.sh
#     ARCHIVE=folder tests/bench/stored.sh
. "$(dirname "$0")/lib.bash"
MESSAGES=${MESSAGES:-40000}
archive=${ARCHIVE:-}
if [ -z "$archive" ]; then
	chain import --blocks $((MESSAGES * 3 / 20)) --messages "$MESSAGES"
	archive=$KEEP/import.archive
fi
command -v zstd > /dev/null || { absent stored stored chainfs "zstd is not installed"; exit 0; }

raw=0 packed=0
for stream in "$archive"/blocks-0.pbs* "$archive"/chunks-*.pbs*; do
	case $stream in
	*.zst) cat=zstdcat ;;
	*) cat=cat ;;
	esac
	raw=$((raw + $($cat "$stream" | wc -c)))
	packed=$((packed + $($cat "$stream" | zstd -3 -qc | wc -c)))
done
"$CHAINFS" import "$T/store" "$archive" --network $NET --hyper on --quiet > "$T/import.out" 2>&1 ||
	{ cat "$T/import.out" >&2; fail "the chain cannot be imported"; }
bytes_of() {
	find "$@" -type f -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }'
}
stored=$(bytes_of "$T/store/networks")
segments=$(bytes_of "$T/store/networks/$NET/segments")

figure stored "the raw chain" "$raw" bytes
figure stored "the raw chain, zstd -3" "$packed" bytes
figure stored "stored: segments" "$segments" bytes
figure stored "stored: rows and indexes" $((stored - segments)) bytes
figure stored "stored: all" "$stored" bytes
figure stored stored "$(awk -v s="$stored" -v p="$packed" 'BEGIN { print s / p }')" "of zstd -3"
