#!/bin/bash
# A daemon that was killed leaves a dead mount point: the next mount clears it.
. "$(dirname "$0")/lib.bash"

import_vectors "$T/st" --hyper on || exit 1
is_dead() {
	ls "$1" 2>&1 | grep -q 'not connected'
}
for round in 1 2 3; do
	check "round $round: mounts" mount_store "$T/st" "$T/mnt"
	ctl=$(readlink "$T/mnt/ctl") plain=$(readlink "$T/mnt/plain")
	check "round $round: serves" test -s "$T/mnt/$NET/head/header"
	[ $round != 2 ] || exec 9< "$T/mnt/README" # somebody has a file open meanwhile
	kill_mount "$T/st"
	check "round $round: the mount point is dead" eventually 10 is_dead "$T/mnt"
done
check "mounts once more" mount_store "$T/st" "$T/mnt"
check "serves" test -s "$T/mnt/$NET/head/header"
same "one mount stands there, not a pile" "$(mounts_of_test | grep -c "^$T/mnt$")" 1
check "what the dead one left of ctl is gone" test ! -e "$ctl"
check "and of plain" test ! -e "$plain"
exec 9<&-

kill_mount "$T/st"
check "chainfs umount clears a dead mount point, too" "$CHAINFS" umount "$T/mnt"
check "it is a plain empty folder again" rmdir "$T/mnt"
