#!/bin/bash
# Snapshots of the file system below a store, taken at random moments of an import and of a daemon: each
# opens as it is, is whole, and can be gone on from. Needs root, loop devices and btrfs-progs.
# alone: it uses a loop device.
. "$(dirname "$0")/lib.bash"

SNAPSHOTS=$(rounds 20)
[ "$(id -u)" = 0 ] || skip "only root mounts a btrfs"
command -v mkfs.btrfs >/dev/null && command -v btrfs >/dev/null || skip "btrfs-progs are not there"
grep -qw btrfs /proc/filesystems || skip "the kernel has no btrfs"
[ "$(df --output=avail -k "$T" | tail -n 1)" -gt 2000000 ] || skip "less than 2 GB are free for a file system"

disk=$T/disk
truncate -s 4G "$disk"
mkfs.btrfs -q "$disk" || skip "mkfs.btrfs makes nothing here"
loop=$(losetup --find --show "$disk") || skip "there is no loop device"
release() {
	kill $(jobs -p) 2>/dev/null
	wait 2>/dev/null
	umount "$T/mnt" 2>/dev/null
	umount "$T/mnt2" 2>/dev/null
	eventually 20 umount "$T/fs"
	losetup -d "$loop" 2>/dev/null
	cleanup
}
trap 'code=$?; release; exit $code' EXIT
mkdir "$T/fs"
mount "$loop" "$T/fs" || skip "the kernel does not mount a btrfs"
btrfs -q subvolume create "$T/fs/store" || exit 1

filling() { # small commits, so that there are many moments
	local first
	for first in $(seq 1 9 270); do
		"$CHAINFS" import "$T/fs/store" "$ARCHIVE" --network $NET \
			--range "$first-$((first + 8))" --hyper on --quiet || return 1
	done
} >/dev/null 2>&1
"$CHAINFS" import "$T/fs/store" "$ARCHIVE" --network $NET --range 1-1 --hyper on --quiet >/dev/null 2>&1 || exit 1
filling &
filler=$!
RANDOM=${TEST_SEED:-7}
taken=0
for i in $(seq "$SNAPSHOTS"); do
	# A moment is somewhere in the next step of the filler, which takes some hundredths of a
	# second.
	sleep "0.$(printf %03d $((RANDOM % 120)))"
	btrfs -q subvolume snapshot "$T/fs/store" "$T/fs/snap$i" && taken=$((taken + 1))
	kill -0 $filler 2>/dev/null || break
done
wait $filler
same "the import was not disturbed" "$?" 0
check "snapshots were taken while it ran" test "$taken" -ge $((SNAPSHOTS / 2))

whole()
{
	local i last=0 held
	for i in $(seq "$taken"); do
		"$CHAINFS" fsck "$T/fs/snap$i" >"$T/out" 2>&1 || { echo "snapshot $i:"; cat "$T/out"; return 1; }
		held=$("$CHAINFS" status "$T/fs/snap$i" --json 2>/dev/null | jq '[.networks[].shards[].held] | add')
		[ "$held" -ge "$last" ] || { echo "snapshot $i holds $held, the one before $last"; return 1; }
		last=$held
	done
}
check "every snapshot opens and fsck finds it whole, each with no less than the one before" whole
going_on()
{
	"$CHAINFS" import "$T/fs/snap1" "$ARCHIVE" --quiet >/dev/null 2>&1 &&
		"$CHAINFS" import "$T/fs/store" "$ARCHIVE" --quiet >/dev/null 2>&1 &&
		[ "$("$CHAINFS" status "$T/fs/snap1" --json | grep root)" = \
		"$("$CHAINFS" status "$T/fs/store" --json | grep root)" ]
}
check "an import goes on from a snapshot and comes out the same" going_on

# Of a store that a daemon holds: its lock and its socket come along, and mean nothing in the copy.
mount_store "$T/fs/store" "$T/mnt" || exit 1
btrfs -q subvolume snapshot "$T/fs/store" "$T/fs/held"
check "the snapshot has the daemon's socket" test -S "$T/fs/held/control"
check "status reads the snapshot itself" says "network $NET" "$CHAINFS" status "$T/fs/held"
check "fsck too" "$CHAINFS" fsck "$T/fs/held"
check "the snapshot can be mounted beside it" mount_store "$T/fs/held" "$T/mnt2"
same "and shows the same" "$(tree_digest "$T/mnt2/$NET/legacy/shards/1/blocks/0000000000-0000000999/0000000042")" \
	"$(tree_digest "$T/mnt/$NET/legacy/shards/1/blocks/0000000000-0000000999/0000000042")"
unmount "$T/mnt2"

# A read-only snapshot is read as it is, logs and all.
btrfs -q subvolume snapshot -r "$T/fs/store" "$T/fs/frozen"
check "status reads a read-only snapshot" says "network $NET" "$CHAINFS" status "$T/fs/frozen"
check "gaps too" "$CHAINFS" gaps "$T/fs/frozen"
check "fsck finds it whole" "$CHAINFS" fsck "$T/fs/frozen"
check "a repair is refused in a sentence" says "read-only" "$CHAINFS" fsck "$T/fs/frozen" --repair
check "and an import" says "Read-only" "$CHAINFS" import "$T/fs/frozen" "$ARCHIVE" --quiet
check "it can be mounted" mount_store "$T/fs/frozen" "$T/mnt2"
same "and shows the same" "$(tree_digest "$T/mnt2/$NET/legacy/shards/1/blocks/0000000000-0000000999/0000000043")" \
	"$(tree_digest "$T/mnt/$NET/legacy/shards/1/blocks/0000000000-0000000999/0000000043")"
exit $((tests_failed > 0))
