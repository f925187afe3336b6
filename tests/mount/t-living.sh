#!/bin/bash
# A mount under an import: what is new, missing or newest shows at once. How late the kernel's
# caches are behind what status says is printed.
. "$(dirname "$0")/lib.bash"

LATE_MS=${LATE_MS:-2000} # far more than it takes; the machine may be busy
import_vectors "$T/st" --hyper on --range 1-20 || exit 1
mount_store "$T/st" "$T/mnt" || exit 1
ask rss $$ > /dev/null || exit 1
N=$T/mnt/$NET
R=0000000000-0000000999

# follow NAME COMMAND…: loops of a reader while the command runs
follow() {
	local name=$1 pid
	shift
	rm -f "$T/end" && mkfifo "$T/end"
	ask follow "$N" < "$T/end" > "$T/$name" &
	pid=$!
	exec 6> "$T/end"
	"$@"
	echo >&6
	exec 6>&-
	wait $pid
	for way in listing head name gaps; do
		read -r count most mean <<< "$(awk -v w=$way '$1 == w { print $3, $5, $7 }' "$T/$name")"
		check "$name: $way behind $count times, at most $most ms, $mean ms in the mean" \
			awk "BEGIN { exit !(${most:-9999} < $LATE_MS) }"
	done
}

one_by_one() {
	for height in $(seq 21 50); do
		import_vectors "$T/st" --range "0:$height-$height" || echo "import of $height failed"
	done
}
gaps_come_and_go() {
	for first in 55 65 75 85; do
		import_vectors "$T/st" --range "0:$first-$((first + 4))"
		import_vectors "$T/st" --range "0:$((first - 4))-$((first - 1))"
		import_vectors "$T/st" --range "0:$((first + 5))-$((first + 5))"
	done
}
all_at_once() {
	import_vectors "$T/st"
}
follow one-by-one one_by_one
check "the reader saw many of the steps" test "$(awk '$1 == "steps" { print $2 }' "$T/one-by-one")" -ge 10
follow gaps gaps_come_and_go
follow at-once all_at_once

same "in the end everything is there" "$(ls "$N/legacy/blocks/$R" | grep -c ^0)" 273
same "and nothing is missing" "$(ls "$N/gaps")" ""
same "head is the newest" "$(readlink "$N/head")" "legacy/blocks/$R/0000000273"
same "the contexts' listings are one" "$(diff <(ls "$N/legacy/blocks/$R") <(ls "$N/hyper/blocks/$R"))" ""
