#!/bin/bash
# mount(8), umount(8), mount.fuse(8) and fstab find their helpers, with the words and exit codes
# they expect.
. "$(dirname "$0")/lib.bash"

import_vectors "$T/st" || exit 1
mkdir "$T/mnt" "$T/sbin"
for name in mount umount mount.fuse umount.fuse; do
	ln -s "$CHAINFS" "$T/sbin/$name.chainfs"
done
MOUNT=$T/sbin/mount.chainfs
UMOUNT=$T/sbin/umount.chainfs

# ---- by their names ----

check "mount.chainfs mounts, with all that a line of fstab may carry" exits 0 \
	"$MOUNT" "$T/st" "$T/mnt" -n -o rw,_netdev,nofail,user,noauto,x-systemd.automount,relatime,uid=7
check "it is mounted" is_mounted "$T/mnt"
same "the options that are ours count" "$(stat -c %u "$T/mnt/README")" 7
check "a second mount fails with 32" exits 32 "$MOUNT" "$T/st" "$T/mnt"
check "and says on what and why" says "^mount.chainfs: $T/mnt: .* held by: mount at $T/mnt" "$MOUNT" "$T/st" "$T/mnt"
check "umount.chainfs unmounts" exits 0 "$UMOUNT" "$T/mnt"
check "nothing is mounted" is_not_mounted "$T/mnt"
check "umount.chainfs of what is not mounted fails with 32" exits 32 "$UMOUNT" "$T/mnt"
check "with a sentence" says "^umount.chainfs: $T/mnt: no store is mounted there" "$UMOUNT" "$T/mnt"
check "too few words are a usage error" exits 1 "$MOUNT" "$T/st"
check "for umount, too" exits 1 "$UMOUNT"
check "an unknown option is a usage error" exits 1 "$MOUNT" "$T/st" "$T/mnt" -o ro,coffee
check "with a sentence that names it" says "^mount.chainfs: $T/mnt: -o coffee: there is no such" \
	"$MOUNT" "$T/st" "$T/mnt" -o ro,coffee
check "remount is refused with a reason" says "takes no new options" "$MOUNT" "$T/st" "$T/mnt" -o remount,ro
check "-f mounts nothing and finds nothing wrong" exits 0 "$MOUNT" -f "$T/st" "$T/mnt" -o ro
check "nothing is mounted" is_not_mounted "$T/mnt"
check "-f finds wrong options" exits 1 "$MOUNT" -f "$T/st" "$T/mnt" -o coffee
check "-o twice in a row counts twice" says "-o coffee" "$MOUNT" -f "$T/st" "$T/mnt" -o coffee -o ro
check "by chainfs mount, too" says "-o coffee" "$CHAINFS" mount "$T/st" "$T/mnt" -o coffee -o ro
check "-s lets unknown ones pass" exits 0 "$MOUNT" -sf "$T/st" "$T/mnt" -o coffee=2
check "no store is a failed mount" exits 32 "$MOUNT" "$T/nothing" "$T/mnt"
check "no folder, too" exits 32 "$MOUNT" "$T/st" "$T/nothing"
check "-v says what it did" says "^mount.chainfs: $T/st mounted on $T/mnt" "$MOUNT" -v "$T/st" "$T/mnt"
check "umount -l detaches" exits 0 "$UMOUNT" -l "$T/mnt"
check "the store is free again" eventually 10 "$CHAINFS" status "$T/st"
check "chainfs STORE DIR -o …, as mount.fuse says it, mounts" exits 0 "$CHAINFS" "$T/st" "$T/mnt" -o rw,dev,suid
check "it is mounted" is_mounted "$T/mnt"

"$UMOUNT" "$T/mnt"
printf 'mount:\n  threads: many\n' > "$T/bad.yaml"
check "settings=FILE is read" says "^mount.chainfs: $T/mnt: .*bad.yaml:2: " \
	"$MOUNT" "$T/st" "$T/mnt" -o "settings=$T/bad.yaml"
check "a fault there is one of who wrote it" exits 1 "$MOUNT" "$T/st" "$T/mnt" -o "settings=$T/bad.yaml"
check "by chainfs mount -o, too" exits 1 "$CHAINFS" mount "$T/st" "$T/mnt" -o "settings=$T/bad.yaml"
check "hyper=on is written to the store" exits 0 "$MOUNT" "$T/st" "$T/mnt" -o hyper=on
same "and stays there" "$(grep -c '^hyper on$' "$T/mnt/$NET/status")" 1

# ---- who is inside ----

exec 9< "$T/mnt/README"
(cd "$T/mnt/$NET" && exec sleep 60) &
sleeper=$!
is_in() { # PROCESS FOLDER
	[ "$(readlink "/proc/$1/cwd")" = "$2" ]
}
check "somebody is inside" eventually 10 is_in $sleeper "$T/mnt/$NET"
"$UMOUNT" "$T/mnt" 2> "$T/said.helper"
same "a busy mount is a failed umount" $? 32
check "it says who has a folder of it" grep -q "^  $sleeper .*: its working folder is $T/mnt/$NET$" "$T/said.helper"
check "and who has a file open" grep -q "^  $$ .*: it has open $T/mnt/README$" "$T/said.helper"
"$CHAINFS" umount "$T/mnt" 2> "$T/said"
same "chainfs umount ends with 5" $? 5
same "and says the same" "$(grep '^  ' "$T/said")" "$(grep '^  ' "$T/said.helper")"
exec 9<&-
kill $sleeper
wait $sleeper 2> /dev/null
if command -v python3 > /dev/null; then
	python3 -c 'import mmap, sys, time
file = open(sys.argv[1], "rb")
held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
print("mapped", flush=True)
time.sleep(60)' "$T/mnt/README" > "$T/mapped" &
	mapper=$!
	check "a file is mapped" eventually 10 grep -q mapped "$T/mapped"
	check "and umount says so" says "^  $mapper .*: it maps $T/mnt/README$" "$UMOUNT" "$T/mnt"
	kill $mapper
	wait $mapper 2> /dev/null
fi
if [ "$(id -u)" = 0 ]; then
	mount -t tmpfs none "$T/mnt/$NET/legacy"
	check "a mount inside is told" says "inside it is mounted $T/mnt/$NET/legacy" "$UMOUNT" "$T/mnt"
	umount "$T/mnt/$NET/legacy"
fi
check "with nobody inside umount works" "$UMOUNT" "$T/mnt"

# ---- by mount(8) and umount(8) ----

[ "$(id -u)" = 0 ] || exit 0
lower=$(readlink -f /sbin)
# In a mount namespace of its own, with our helpers over those of the machine. umount(8) asks
# umount.fuse.chainfs where fstab's line says something to user space (_netdev, user, x-…), or with
# -l.
cat > "$T/inside" <<-END
	. "$TESTS/support/lib.bash" > /dev/null
	trap - EXIT
	T=$T
	mount --make-rprivate / && mount -t overlay none -o lowerdir=$T/sbin:$lower $lower &&
		mount -t tmpfs none /run || exit 77
	echo "$T/st $T/mnt chainfs ro,_netdev,nofail,user,noauto,uid=9,x-systemd.automount 0 0" > $T/fstab
	is_mounted() { awk -v at="\$1" '\$2 == at { found = 1 } END { exit !found }' /proc/self/mounts; }
	check "mount -t chainfs" mount -t chainfs "$T/st" "$T/mnt"
	check "it is mounted as fuse.chainfs" grep -q "^$T/st $T/mnt fuse.chainfs ro," /proc/self/mounts
	check "umount" umount "$T/mnt"
	check "the store is free" eventually 10 "$CHAINFS" status "$T/st"
	check "mount -t fuse.chainfs" mount -t fuse.chainfs "$T/st" "$T/mnt" -o allow_other
	check "umount" umount "$T/mnt"
	check "mount by a line of fstab" mount -T "$T/fstab" "$T/mnt"
	same "with its options" "\$(stat -c %u "$T/mnt/README")" 9
	exec 9< "$T/mnt/README"
	umount "$T/mnt" 2> "$T/said"
	same "umount(8) of a busy one ends with 32" \$? 32
	check "and our helper says who is inside" grep -q "it has open $T/mnt/README" "$T/said"
	exec 9<&-
	pid=\$(sed -n 's/.*pid \([0-9][0-9]*\).*/\1/p' "$T/st/lock")
	worker=\$(pgrep -P "\$pid")
	kill -STOP "\$worker" # else it would unmount
	kill -9 "\$pid" "\$worker"
	check "a daemon that was killed" eventually 10 is_gone "\$worker"
	check "leaves a mount point that fstab's line mounts again" mount -T "$T/fstab" "$T/mnt"
	check "it answers" test -s "$T/mnt/README"
	same "and is not a pile" "\$(grep -c " $T/mnt " /proc/self/mounts)" 1
	check "umount" umount "$T/mnt"
	check "mount says what fails" says "mount.chainfs: $T/mnt: -o coffee" \
		mount -t chainfs "$T/st" "$T/mnt" -o coffee
	check "with its code" exits 1 mount -t chainfs "$T/st" "$T/mnt" -o coffee
	check "mount -f mounts nothing" mount -f -t chainfs "$T/st" "$T/mnt"
	check "really" exits 1 is_mounted "$T/mnt"
	if command -v mount.fuse3 > /dev/null; then
		PATH="$T/bin:\$PATH"
		mkdir -p "$T/bin" && ln -sf "$CHAINFS" "$T/bin/chainfs"
		check "mount.fuse3 chainfs#STORE" mount.fuse3 "chainfs#$T/st" "$T/mnt" -o ro
		check "it is mounted" is_mounted "$T/mnt"
		check "umount" umount "$T/mnt"
	fi
	[ \$tests_failed = 0 ]
END
unshare -m bash "$T/inside" > "$T/inside.out" 2>&1
code=$?
if [ $code = 77 ]; then
	echo "# mount(8) itself: skipped, no overlay of $lower can be made here"
else
	sed "s/^\(ok\|not ok\) [0-9]* - /\1 - mount(8): /" "$T/inside.out"
	grep -q '^not ok' "$T/inside.out" && tests_failed=$((tests_failed + 1))
	[ $code = 0 ] || grep -q '^not ok' "$T/inside.out" || not_ok "the script in the namespace ended with $code"
fi

# ---- in other namespaces ----

unshare -m --propagation private sleep 60 &
other=$!
is_apart() {
	[ "$(readlink /proc/self/ns/mnt)" != "$(readlink "/proc/$1/ns/mnt")" ]
}
check "a mount namespace" eventually 10 is_apart $other
check "mount -N mounts there" exits 0 "$MOUNT" -N $other "$T/st" "$T/mnt"
check "and not here" is_not_mounted "$T/mnt"
check "it is mounted there" nsenter -m -t $other test -s "$T/mnt/README"
check "umount -N unmounts there" exits 0 "$UMOUNT" -N /proc/$other/ns/mnt "$T/mnt"
check "a namespace that is none is said" says "cannot be entered" "$MOUNT" -N /dev/null "$T/st" "$T/mnt"
kill $other

unshare -Urm true 2> /dev/null || { echo "# user namespaces: skipped, none can be made here"; exit 0; }
cat > "$T/inside" <<-END
	"$CHAINFS" mount "$T/st" "$T/mnt" || exit 1
	[ -s "$T/mnt/$NET/head/header" ] || exit 2
	"$CHAINFS" umount "$T/mnt" || exit 3
END
check "root of a user namespace mounts, reads and unmounts" env -u XDG_RUNTIME_DIR unshare -Urm bash "$T/inside"
