#!/bin/bash
# df: what the store takes, what its disk has left, and how many blocks and items there are.
. "$(dirname "$0")/lib.bash"

import_vectors "$T/st" --range 1-100 || exit 1
mount_store "$T/st" "$T/mnt" || exit 1
df_of() { stat -f -c '%b %f %a %S %c %d %l' "$T/mnt"; }

objects() { # blocks and items, as status counts them
	awk '$1 == "shard" && ($3 == "held" || $3 == "items") { n += $4 } END { print n }' "$T/mnt/$NET/status"
}
stored() { # bytes of the store's files, as chainfs status counts them
	"$CHAINFS" status "$T/st" | sed -n 's/^size \([0-9]*\) bytes$/\1/p'
}
read -r blocks free avail unit files files_free name_max <<< "$(df_of)"
same "names may be as long as anywhere" "$name_max" 255
same "files are blocks and items" "$files" "$(objects)"
same "and none can be made" "$files_free" 0
check "used is the store's size" test $(((blocks - free) * unit)) -ge "$(($(stored) * 9 / 10))" -a \
	$(((blocks - free) * unit)) -le "$(($(stored) * 11 / 10 + unit))"
disk=$(stat -f -c '%a * %S' "$T/st")
near() { local a=$1 b=$2; test $((a > b ? a - b : b - a)) -lt $((1 << 30)); }
check "free is the disk's" near $((avail * unit)) $((disk))
same "df prints it" "$(df --output=avail -B1 "$T/mnt" | tail -n 1 | tr -d ' ' | wc -l)" 1

# It follows what comes, in the background.
import_vectors "$T/st"
more() { test "$(stat -f -c %c "$T/mnt")" = "$(objects)" -a "$(objects)" -gt "$files"; }
check "more blocks are more files at once" more
size_follows() {
	read -r b f _ u _ <<< "$(df_of)"
	test $(((b - f) * u)) -ge "$(($(stored) * 9 / 10))"
}
check "the size follows" eventually 15 size_follows

# Never waits: a thousand in a moment.
start=$(date +%s%N)
for _ in $(seq 200); do stat -f "$T/mnt"; done > /dev/null
ms=$((($(date +%s%N) - start) / 1000000))
check "200 of them took $ms ms" test $ms -lt 10000
