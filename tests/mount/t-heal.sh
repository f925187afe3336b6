#!/bin/bash
# Damaged bytes below a mount: the reader gets an error, an event says where, the next writer makes
# a gap of it, and the same block, imported again, is served again by the mount that stood all the
# time. Of files that are no segments the event says what a person can do, and is told once.
. "$(dirname "$0")/lib.bash"

import_vectors "$T/store" --hyper on || exit 1
blocks=$T/mnt/$NET/legacy/shards/1/blocks/0000000000-0000000999
seg=$T/store/networks/$NET/segments/000001.seg
mount_store "$T/store" "$T/mnt" || exit 1
before=$(cat "$blocks"/*/block.pb "$blocks"/*/items/*.json | sha256sum)
names=$(ls -R "$T/mnt/$NET/legacy/state" | sha256sum)
unmount "$T/mnt" && eventually 20 is_not_mounted "$T/mnt" || exit 1
is_let_go()
{
	! fuser -s "$T/store/lock" 2>/dev/null && "$CHAINFS" status "$T/store" >/dev/null &&
		[ ! -e "$T/store/control" ]
}
eventually 20 is_let_go

# One byte of every second frame, from the second on; of the only one, where there is no second.
python3 - "$seg" <<'P'
import sys, struct
path = sys.argv[1]
data = bytearray(open(path, 'rb').read())
at, frames = 0, []
while at < len(data):
	stored = struct.unpack('>I', data[at + 12:at + 16])[0]
	frames.append((at, stored))
	at += 24 + stored
for at, stored in frames[1::2] or frames:
	data[at + 24 + stored // 2] ^= 0x40
open(path, 'wb').write(data)
P
check "fsck finds damage and fails" exits 4 sh -c "'$CHAINFS' fsck '$T/store' >'$T/fsck.out'"
damaged=$(awk -F'\t' '$1 == "damaged" && $3 == "block" && $4 == 1 { print $5; exit }' "$T/fsck.out")
number=$((10#$damaged))
check "and names a block of shard 1" test -n "$damaged"

mount_store "$T/store" "$T/mnt" || exit 1
check "fsck reads through the daemon" exits 4 sh -c "'$CHAINFS' fsck '$T/store' >/dev/null"
cat "$T/mnt/ctl/events" >"$T/told" &
eventually 10 sh -c "readlink /proc/$!/fd/* | grep -q 'events$'"
refused() { ! cat "$1" 2>&1 >/dev/null | grep -q 'Bad message' && return 1; [ -z "$(cat "$1" 2>/dev/null)" ]; }
check "a damaged block is EBADMSG, without a byte" refused "$blocks/$damaged/block.pb"
event() { grep -q " $NET $1 shard=1 height=$number\b" "$T/told"; }
check "and an event" eventually 10 event damaged
check "repair goes through the daemon" \
	sh -c "'$CHAINFS' fsck '$T/store' --repair >'$T/repair.out'; grep -q '^repaired' '$T/repair.out'"
check "its height is a gap from then on" \
	sh -c "'$CHAINFS' gaps '$T/store' | grep -q '^1	$damaged-$damaged	damaged'"
gap() { cat "$blocks/$damaged/parent" "$blocks/$damaged/block.pb" 2>&1 >/dev/null |
	grep -q 'No data available\|Bad message'; }
check "and reading it stays an error" gap
check "the gap stands below gaps/" test -d "$T/mnt/$NET/gaps/1/$damaged-$damaged"
check "the same archive heals it, through the daemon" "$CHAINFS" import "$T/store" "$ARCHIVE" --quiet
whole() { [ "$(cat "$blocks"/*/block.pb "$blocks"/*/items/*.json | sha256sum)" = "$before" ]; }
check "which is an event" eventually 10 event healed
check "every block is served again, byte for byte" eventually 10 whole
check "nothing is missing" test -z "$("$CHAINFS" gaps "$T/store")"
same "the state names what it named" "$(ls -R "$T/mnt/$NET/legacy/state" | sha256sum)" "$names"
check "fsck has nothing to say" "$CHAINFS" fsck "$T/store"
cp "$T/store/chainfs-store" "$T/format"
echo "chainfs stare 3" >"$T/store/chainfs-store"
check "a format file that is damaged meanwhile is mended through the daemon" \
	says "^repaired.*chainfs-store" "$CHAINFS" fsck "$T/store" --repair
check "so that the store opens again" cmp "$T/format" "$T/store/chainfs-store"
kill %1 2>/dev/null; wait %1 2>/dev/null
unmount "$T/mnt"

# What a reader met is a gap at the next import, without anybody asking for a repair.
eventually 20 is_not_mounted "$T/mnt"
eventually 20 sh -c "'$CHAINFS' status '$T/store' >/dev/null && [ ! -e '$T/store/control' ]"
python3 - "$seg" <<'P'
import sys, struct
path = sys.argv[1]
data = bytearray(open(path, 'rb').read())
stored = struct.unpack('>I', data[12:16])[0]
data[24 + stored // 2] ^= 1
open(path, 'wb').write(data)
P
mount_store "$T/store" "$T/mnt" || exit 1
check "another one is damaged" refused "$blocks/0000000001/block.pb"
check "the next import heals what a reader met" \
	sh -c "'$CHAINFS' import '$T/store' '$ARCHIVE' --quiet | grep -q '^$NET: [1-9]'"
served() { [ -s "$blocks/0000000001/block.pb" ] && cat "$blocks/0000000001/block.pb" >/dev/null; }
check "and it is served" eventually 10 served
unmount "$T/mnt"

# ---- files of the database and of a checkpoint ----

eventually 20 is_not_mounted "$T/mnt"
eventually 20 sh -c "'$CHAINFS' status '$T/store' >/dev/null && [ ! -e '$T/store/control' ]"
"$CHAINFS" fsck "$T/store" --repair --quiet > "$T/repair.out" # nobody met all of that frame
"$CHAINFS" import "$T/store" "$ARCHIVE" --quiet > "$T/import.out"
checkpoint=$("$CHAINFS" pin "$T/store" kept --quiet)
files=$(tree_digest "$T/store/networks/$NET/checkpoints/$checkpoint")
table=$(grep -laF nameblocks "$T/store/networks/$NET/db"/*.sst) # what its properties call the family
check "one file of the database holds the rows of blocks" test "$(wc -w <<< "$table")" = 1
flip() { # FILE OFFSET
	python3 -c "
import sys
with open(sys.argv[1], 'r+b') as f:
	f.seek(int(sys.argv[2])); b = f.read(1); f.seek(int(sys.argv[2])); f.write(bytes([b[0] ^ 4]))" "$@"
}
for at in 9 6000 12000 18000; do # in some of its blocks
	[ "$at" -lt "$(($(stat -c %s "$table") - 4000))" ] && flip "$table" "$at"
done
flip "$T/store/networks/$NET/checkpoints/$checkpoint/SHA256SUMS" 7
mount_store "$T/store" "$T/mnt" || exit 1
cat "$T/mnt/ctl/events" > "$T/told" &
reader=$!
eventually 10 sh -c "readlink /proc/$reader/fd/* | grep -q 'events$'"
sums=$T/mnt/$NET/checkpoints/$checkpoint/SHA256SUMS
refused_again() { # FILE: each time that it is read
	for i in 1 2 3 4 5 6 7 8 9 10; do cat "$1" 2>&1 > "$T/bytes" | grep -q 'Bad message' || return 1; done
	[ ! -s "$T/bytes" ]
}
check "rows of blocks that cannot be read are EBADMSG" refused_again "$blocks/0000000001/header"
check "other ones too" refused_again "$blocks/0000000002/block.pb"
check "a checkpoint's file is" refused_again "$sums"
check "which is an event" eventually 10 grep -q "damaged file=checkpoints" "$T/told"
same "an event a file, however often it is read" "$(grep -c " $NET damaged " "$T/told")" 2
check "which names the file of the database, and why" \
	grep -q " $NET damaged file=db/${table##*/} reason=\".*checksum mismatch" "$T/told"
check "and what to do" grep -q "file=db/.* mend=\"unmount it; chainfs fsck --repair" "$T/told"
check "and the checkpoint's" grep -q \
	"damaged file=checkpoints/$checkpoint/SHA256SUMS reason=\".*sum.* mend=\"chainfs fsck --repair" "$T/told"
same "the number of them is a metric" \
	"$(sed -n 's/^chainfs_store_damaged_total //p' "$T/mnt/ctl/metrics")" 2
kill $reader; wait $reader 2> /dev/null
unmount "$T/mnt"
eventually 20 is_not_mounted "$T/mnt"
eventually 20 sh -c "'$CHAINFS' status '$T/store' >/dev/null && [ ! -e '$T/store/control' ]"
"$CHAINFS" fsck "$T/store" --repair --quiet > "$T/repair.out" 2>&1
check "what the events say mends the network" "$CHAINFS" import "$T/store" "$ARCHIVE" --quiet
"$CHAINFS" fsck "$T/store" --repair --quiet >> "$T/repair.out" 2>&1
check "then the checkpoint" grep -q "checkpoint $checkpoint: built again" "$T/repair.out"
check "fsck has nothing to say again" "$CHAINFS" fsck "$T/store"
same "the checkpoint is as it was" "$(tree_digest "$T/store/networks/$NET/checkpoints/$checkpoint")" "$files"
mount_store "$T/store" "$T/mnt" || exit 1
check "and every block is served, byte for byte" whole
unmount "$T/mnt"
exit $((tests_failed > 0))
