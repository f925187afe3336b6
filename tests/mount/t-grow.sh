#!/bin/bash
# A store that grows under a mount: what is new is seen at once, also where a listing was cached.
. "$(dirname "$0")/lib.bash"

grow() {
	import_vectors "$T/st" --range "$1"
}

import_vectors "$T/st" --hyper on --range 1-100 || exit 1
mount_store "$T/st" "$T/mnt" || exit 1
probe names 4096 / > /dev/null || exit 1
N=$T/mnt/$NET
R=$N/legacy/blocks/0000000000-0000000999

newest() {
	ls "$R" | grep '^0' | tail -n 1
}
same "the newest block is listed" "$(newest)" 0000000100
same "head leads to it" "$(readlink "$N/head")" "legacy/blocks/0000000000-0000000999/0000000100"
check "the next one is not there" test ! -e "$R/0000000101"
check "nor by its short name" test ! -e "$N/legacy/blocks/101"
same "status says so" "$(awk '$1 == "shard" && $2 == 0 && $3 == "tip" { print $4 }' "$N/status")" 100
exec 8< "$N/status" # of the version that it is now
size=$(stat -c %s "$N/status")
before=$(stat -c %Y.%Z "$R")

# An open folder, listed by getdents alone: nothing looks at a path, so nothing revalidates.
mkfifo "$T/ask"
probe again "$R" < "$T/ask" > "$T/again" &
again=$!
exec 7> "$T/ask"
eventually 10 grep -q -- -- "$T/again"

for last in 101 102 110 150; do
	check "imports up to $last through the daemon" grow "101-$last"
	same "ls of the listed folder shows $last at once" "$(newest)" "0000000$last"
	same "head moved to $last" "$(readlink "$N/head")" "legacy/blocks/0000000000-0000000999/0000000$last"
	check "its folder can be entered" test -s "$R/0000000$last/header"
	check "by its short name, too" test -s "$N/legacy/blocks/$last/header"
	same "status says $last" "$(awk '$1 == "shard" && $2 == 0 && $3 == "tip" { print $4 }' "$N/status")" "$last"
	same "index.tsv has a line a block" "$(wc -l < "$R/index.tsv")" "$last"
	: > "$T/again"
	echo >&7
	eventually 10 grep -q -- -- "$T/again"
	check "the open folder lists $last by getdents alone" grep -q "^0000000$last$" "$T/again"
done
same "a file that was open reads as of its own version" "$(cat <&8 | wc -c)" "$size"
check "the folder's time moved" test "$(stat -c %Y.%Z "$R")" != "$before"
exec 7>&- 8<&-

# A gap that is filled leaves its folder.
grow 200-210
check "a gap is listed" test -s "$N/gaps/0/0000000151-0000000199/reason"
check "heights in it are missing, not absent" \
	sh -c "! cat $R/0000000170/header 2>&1 | grep -q 'No such file'"
grow 151-199
check "it is gone once it is filled" test ! -e "$N/gaps/0/0000000151-0000000199"
same "and nothing is missing between" "$(ls "$R" | grep -c '^0')" 210

# A network that comes through the daemon.
check "another network comes" "$CHAINFS" import "$T/st" "$VECTORS/devnet-c" --network other --quiet --range 1-20
check "the root lists it at once" grep -q '^other$' <<< "$(ls "$T/mnt")"
check "and it can be read" test -s "$T/mnt/other/head/header"

# Readers while it grows: every file they read is whole, every listing in order.
(while :; do
	find "$R" -maxdepth 1 -name '0*' | sort -c || echo "out of order"
	cat "$N/status" "$N/head/header" > /dev/null || echo "unreadable"
	probe sizes < <(find "$N/legacy/blocks/0000000000-0000000999/" -maxdepth 1 -type f -print0) | grep told
done) > "$T/complaints" 2>&1 &
readers=$!
grow 211-273
sleep 0.3
kill $readers
wait $readers 2> /dev/null
same "readers meanwhile saw nothing half" "$(grep -v Terminated "$T/complaints" | head -n 3)" ""
same "in the end all are listed" "$(newest)" 0000000273
