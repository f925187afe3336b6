#!/bin/bash
# A mounted store: everything is there, as large as it says, and read without asking twice.
. "$(dirname "$0")/lib.bash"

import_vectors "$T/st" --hyper on || exit 1
check "mount returns once the mount answers" mount_store "$T/st" "$T/mnt"
check "it is mounted read-only, without devices, set-user-id and programs" \
	grep -q "^$T/st $T/mnt fuse.chainfs ro,nosuid,nodev,noexec" /proc/self/mounts
same "the root lists what it is made of" "$(ls "$T/mnt" | tr '\n' ' ')" "README ctl $NET plain status "
check "README says something" grep -q . "$T/mnt/README"
check "status has a line of the network" grep -q "^$NET	snapchain	" "$T/mnt/status"
check "the network has its own status" grep -q '^hyper on$' "$T/mnt/$NET/status"
check "head leads to the newest block" test -s "$T/mnt/$NET/head/header"
same "ctl is linked from the root" "$(ls "$T/mnt/ctl/" | tr '\n' ' ')" \
	"README backward cap events fetch freeze last_error log-level metrics pause pins trust verify "

find "$T/mnt/" -type f -print0 > "$T/files"
check "every file is as large as its size says" probe sizes < "$T/files"
same "every folder has size 0 and one link" "$(find "$T/mnt/" -type d ! \( -size 0 -links 1 \) | head -n 3)" ""
same "a whole tar is read without a complaint" "$(tar -cf - -C "$T/mnt" $NET/legacy 2>&1 > /dev/null)" ""
H=$T/mnt/$NET/legacy/blocks/0000000000-0000000999/0000000100
same "the same record is the same inode wherever it is listed" \
	"$(stat -c %i "$T/mnt/$NET/legacy/blocks/100/items/"*.json)" \
	"$(stat -c %i "$T/mnt/$NET/hyper/blocks/100/items/"*.json)"

requests() {
	awk '$1 == "chainfs_fuse_requests_total" { print $2 }' "$T/ctl/metrics"
}
ln -s "$(readlink "$T/mnt/ctl")" "$T/ctl"
ls -l "$H" "$H/items" > /dev/null
cat "$H/header" "$H/items/"* "$T/mnt/README" > /dev/null
before=$(requests)
ls -f "$H" "$H/items" > /dev/null
cat "$H/header" "$H/items/"* > /dev/null
stat "$H/header" "$T/mnt/README" > /dev/null
same "what is fixed is asked for once" "$(($(requests) - before))" 0
stat "$H/nothing" 2> /dev/null
before=$(requests)
stat "$H/nothing" 2> /dev/null
same "that a fixed folder lacks a name is asked for once" "$(($(requests) - before))" 0

df -P "$T/mnt" > "$T/df" 2>&1
check "df knows the size of the disk" grep -q "^$T/st  *[1-9]" "$T/df"
check "a height that is not there is no such file" test ! -e "$T/mnt/$NET/legacy/blocks/99999999"

if said=$("$CHAINFS" mount "$T/st" "$T/mnt" 2>&1); then
	not_ok "a second mount of a store is refused"
else
	ok "a second mount of a store is refused"
fi
check "with a sentence that says who holds it" grep -q "$T/mnt" <<< "$said"
mkdir "$T/other" "$T/other/full"
if said=$("$CHAINFS" mount "$T/st2" "$T/mnt" 2>&1); then
	not_ok "what is no store is not mounted"
else
	ok "what is no store is not mounted"
fi

mode_of() {
	stat -c '%a %u:%g' "$1"
}
same "modes are those of what nobody writes" "$(mode_of "$T/mnt/README") $(mode_of "$T/mnt/$NET")" \
	"444 $(id -u):$(id -g) 555 $(id -u):$(id -g)"

check "chainfs umount unmounts" "$CHAINFS" umount "$T/mnt"
check "and waits for the daemon, so that the store is free" "$CHAINFS" status "$T/st"
if said=$("$CHAINFS" mount "$T/st" "$T/other" 2>&1); then
	not_ok "a folder that is not empty is refused"
else
	ok "a folder that is not empty is refused"
fi
check "with a sentence that names it" grep -q "$T/other is not empty" <<< "$said"
if said=$("$CHAINFS" umount "$T/mnt" 2>&1); then
	not_ok "umount of what is not mounted is refused"
else
	ok "umount of what is not mounted is refused"
fi
check "with a sentence, too" grep -q "no store is mounted there" <<< "$said"

[ "$(id -u)" = 0 ] || exit 0 # the rest is for who may look at what belongs to others
check "mounts with an owner and a umask" mount_store "$T/st" "$T/mnt" -o uid=1234,gid=567,umask=027
same "everything is theirs" "$(mode_of "$T/mnt/README") $(mode_of "$T/mnt/$NET") $(mode_of "$T/mnt/ctl/README")" \
	"440 1234:567 550 1234:567 440 1234:567"
"$CHAINFS" umount "$T/mnt"
if command -v setpriv > /dev/null; then
	chmod 755 "$T"
	nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"
	mount_store "$T/st" "$T/mnt"
	same "others are kept out" "$($nobody ls "$T/mnt" 2>&1 | grep -c 'Permission denied')" 1
	check "an upgrade that they ask for is none" says "Permission denied" \
		sh -c "! $nobody '$CHAINFS' upgrade '$T/mnt'"
	"$CHAINFS" umount "$T/mnt"
	mount_store "$T/st" "$T/mnt" -o allow_other
	check "allow_other lets them in" $nobody cat "$T/mnt/README"
	check "to ctl, too" $nobody cat "$T/mnt/ctl/metrics"
	"$CHAINFS" umount "$T/mnt"
	mount_store "$T/st" "$T/mnt" -o allow_other,umask=007
	same "but not past the modes" "$($nobody cat "$T/mnt/README" 2>&1 | grep -c 'Permission denied')" 1
fi
