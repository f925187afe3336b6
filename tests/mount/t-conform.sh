#!/bin/bash
# A file system as any other: sizes are what is read, listings are whole while they grow, what is
# read-only is refused as ext4 refuses it, a daemon that hangs keeps nobody from being killed.
. "$(dirname "$0")/lib.bash"

import_vectors "$T/st" --hyper on --range 1-150 || exit 1
mount_store "$T/st" "$T/mnt" || exit 1
ask rss $$ > /dev/null || exit 1
probe names 4096 / > /dev/null || exit 1
N=$T/mnt/$NET
R=0000000000-0000000999

# ---- sizes ----

find "$T/mnt/" "$N/legacy/at/100/" "$N/hyper/at/100/" "$N/diffs/100/" "$N/legacy/shards/1/at/90/" \
	-type f -print0 > "$T/files"
said=$(probe sizes < "$T/files")
check "every file is as large as it says: $(tail -n 1 <<< "$said")" test "$(tail -n 1 <<< "$said")" = "$said"
same "as wc -c has it" "$(xargs -0 cat < "$T/files" | wc -c)" \
	"$(xargs -0 stat -c %s < "$T/files" | awk '{ n += $1 } END { print n }')"
same "du --apparent-size is the sum of sizes" "$(du -s --apparent-size -B1 "$N/legacy/at/100/" | cut -f 1)" \
	"$(find "$N/legacy/at/100/" -type f -printf '%s\n' | awk '{ n += $1 } END { print n }')"

# ---- what is read-only ----

image() { # a read-only ext4 with a file and a folder, where loop devices exist
	[ "$(id -u)" = 0 ] && command -v mkfs.ext4 > /dev/null || return 1
	mkdir -p "$T/seed/folder/sub" "$T/ext4"
	echo text > "$T/seed/folder/file"
	truncate -s 8M "$T/ext4.img"
	mkfs.ext4 -q -d "$T/seed" "$T/ext4.img" 2> /dev/null &&
		mount -o loop,ro,nosuid,nodev,noexec "$T/ext4.img" "$T/ext4" 2> /dev/null
}
B=$N/legacy/blocks/$R/0000000100
if image; then
	ask refusals "$T/ext4/folder/file" "$T/ext4/folder/sub" "$T/ext4/folder/absent" > "$T/ext4.refusals"
	[ -z "${UPDATE:-}" ] || cp "$T/ext4.refusals" "$TESTS/golden/refusals.txt"
	umount "$T/ext4"
	same "the recorded table is what this kernel's ext4 says" \
		"$(diff "$TESTS/golden/refusals.txt" "$T/ext4.refusals")" ""
else
	cp "$TESTS/golden/refusals.txt" "$T/ext4.refusals"
fi
for place in "$B/header $B/items $B/absent" "$N/README $N/legacy $N/absent" \
	"$N/legacy/at/100/roots.tsv $N/legacy/at/100/accounts $N/legacy/at/100/absent"; do
	changes=$(counter fuse_changes "$T/mnt")
	same "all $(wc -l < "$T/ext4.refusals") calls answer as ext4's do: $(basename "${place%% *}")" \
		"$(ask refusals $place | diff "$T/ext4.refusals" -)" ""
	same "no request to change came to the daemon" "$(counter fuse_changes "$T/mnt")" "$changes"
done

# ---- listings that grow ----

declare -A pids
mkfifo "$T/end"
for size in 280 4096 32768 1048576; do
	ask append "$N/hyper/blocks/$R" $size < "$T/end" > "$T/append.$size" &
	pids[$size]=$!
done
exec 6> "$T/end"
for height in $(seq 151 170); do
	import_vectors "$T/st" --range "0:$height-$height" || echo "import of $height failed"
done
import_vectors "$T/st"
for size in 280 4096 32768 1048576; do
	printf '\n\n\n\n' >&6
done
exec 6>&-
for size in 280 4096 32768 1048576; do
	wait "${pids[$size]}"
	same "with a buffer of $size while it grew, $(tail -n 1 "$T/append.$size")" $? 0
done
same "four buffers, one set of names" "$(for size in 280 4096 32768 1048576; do
	probe names $size "$N/hyper/blocks/$R" | sort | sha256sum
done | sort -u | wc -l)" 1
check "cookies lead back" probe seek "$N/hyper/blocks/$R"

# ---- two mounts ----

"$CHAINFS" import "$T/st2" "$ARCHIVE" --network $NET --hyper on --quiet > /dev/null || exit 1
mount_store "$T/st2" "$T/mnt2" || exit 1
for what in legacy/at/100 hyper/at/200 diffs/200 legacy/roots hyper/blocks/$R gaps heights; do
	same "two stores of one chain: $what" "$(diff -r "$N/$what" "$T/mnt2/$NET/$what" 2>&1 | head -n 3)" ""
done

# ---- a daemon that hangs ----

daemon=$(daemon_of "$T/st2")
kill -STOP "$daemon"
stands() { ! grep -h '^State:' /proc/"$daemon"/task/*/status | grep -qv '[Tt] ('; }
check "a daemon is stopped" eventually 10 stands # a thread that is not yet takes a request with it
for reader in "cat $T/mnt2/$NET/legacy/blocks/150/header" "ls -f $T/mnt2/$NET/hyper/shards/2/blocks/$R" "df $T/mnt2" \
	"getfattr -d $T/mnt2/$NET/legacy/blocks/99"; do
	$reader > /dev/null 2>&1 &
	victim=$!
	disown $victim
	waits() { [ "$(awk '/^State:/ { print $2 }' /proc/$victim/status 2> /dev/null)" != R ]; }
	eventually 2 waits
	kill -9 $victim 2> /dev/null
	# A request in a ring is the daemon's at once, and who waits for it cannot be killed.
	if [ "${CHAINFS_MOUNT_TRANSPORT:-classic}" = uring ]; then
		ok "while it hangs, kill -9 ends ${reader%% *} # skip over rings it is an abort that does"
	else
		check "while it hangs, kill -9 ends ${reader%% *}" eventually 10 is_gone $victim
	fi
done
kill -CONT "$daemon"
check "and it goes on as if nothing had been" test -s "$T/mnt2/$NET/legacy/blocks/150/header"
