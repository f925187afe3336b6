#!/bin/bash
# An ordinary user mounts through fusermount3, and reads in a sentence what is refused.
# As root in a mount namespace of its own, where an ordinary user may open /dev/fuse whatever its
# mode is here.
if [ "$(id -u)" = 0 ] && [ "${1-}" != inside ] && unshare -m true 2> /dev/null; then
	exec unshare -m --propagation private "$0" inside
fi
. "$(dirname "$0")/lib.bash"

[ "${FLAVOUR:-}" != cov ] || skip "the files that coverage is counted in are another user's"
command -v fusermount3 > /dev/null || skip "fusermount3 (package fuse3) is not installed"
if [ "$(id -u)" = 0 ]; then
	command -v setpriv > /dev/null || skip "no setpriv to become an ordinary user with"
	id nobody > /dev/null 2>&1 || skip "there is no user nobody, and fusermount3 asks for a name"
	who=$(id -u nobody):$(id -g nobody)
	as_user() {
		env -u XDG_RUNTIME_DIR HOME="$T/home" setpriv --reuid=${who%:*} --regid=${who#*:} --clear-groups "$@"
	}
else
	as_user() {
		"$@"
	}
fi
chmod 755 "$T"
mkdir "$T/home"
[ "$(id -u)" != 0 ] || chown $who "$T/home"
if ! as_user test -w /dev/fuse && as_user test -x "$CHAINFS"; then
	import_vectors "$T/home/refused" && mkdir "$T/home/none" || exit 1
	[ "$(id -u)" != 0 ] || chown -R $who "$T/home"
	check "who may not open /dev/fuse is told so, and what helps" says "chmod 666 /dev/fuse" \
		as_user "$CHAINFS" mount "$T/home/refused" "$T/home/none"
	locked() { # no repair is what helps
		chmod 000 "$T/home/refused/networks/$NET/db/"*.sst
		! as_user "$CHAINFS" status "$T/home/refused" > "$T/locked" 2>&1 &&
			grep -q "Permission denied" "$T/locked" &&
			! grep -q repair "$T/locked" || { cat "$T/locked"; return 1; }
	}
	check "what this user may not read is not called damaged" locked
fi
if [ "${1-}" = inside ] && ! as_user test -w /dev/fuse; then
	mknod -m 666 "$T/fuse" c 10 229 && mount --bind "$T/fuse" /dev/fuse
fi
as_user test -w /dev/fuse || skip "an ordinary user may not open /dev/fuse here (mode $(stat -c %a /dev/fuse))"
if ! as_user test -x "$CHAINFS"; then # below root's own folder, say
	cp "$CHAINFS" "$T/chainfs" && CHAINFS=$T/chainfs
fi
as_user test -x "$CHAINFS" || skip "an ordinary user may not run $CHAINFS"

import_vectors "$T/home/st" || exit 1
mkdir "$T/home/mnt"
[ "$(id -u)" != 0 ] || chown -R $who "$T/home"
user=$(as_user id -u)

check "mounts" as_user "$CHAINFS" mount "$T/home/st" "$T/home/mnt"
check "for this user" grep -q "^$T/home/st $T/home/mnt fuse.chainfs ro,nosuid,nodev,.*user_id=$user" /proc/self/mounts
check "it answers" as_user test -s "$T/home/mnt/$NET/head/header"
check "ctl, too" as_user cat "$T/home/mnt/ctl/metrics"
check "plain, too, read by the daemon" as_user cmp "$T/home/mnt/plain/$NET/segments/000001.seg" \
	"$T/home/st/networks/$NET/segments/000001.seg"
same "all is the user's" "$(as_user stat -c %u "$T/home/mnt/README")" "$user"
if [ "$(id -u)" = 0 ]; then
	check "root is kept out" says "Permission denied" ls "$T/home/mnt"
fi
as_user sh -c 'echo $$ > "$2"; exec sleep 60 < "$1"' sh "$T/home/mnt/README" "$T/home/sleeper" &
reads_mount() {
	sleeper=$(cat "$T/home/sleeper") && as_user ls -l "/proc/$sleeper/fd/0" | grep -q "$T/home/mnt/README"
}
eventually 10 reads_mount || not_ok "somebody reads"
as_user "$CHAINFS" umount "$T/home/mnt" 2> "$T/said"
same "a busy one is refused" $? 5
check "with who is inside" grep -q "  $sleeper sleep: it has open $T/home/mnt/README" "$T/said"
check "and that there are processes that only root may look at" grep -q "could not be looked at; root can" "$T/said"
kill "$sleeper"
check "nobody reads any more" eventually 10 is_gone "$sleeper"
wait 2> /dev/null
check "unmounts" as_user "$CHAINFS" umount "$T/home/mnt"
check "nothing is mounted" is_not_mounted "$T/home/mnt"

if ! grep -q '^user_allow_other' /etc/fuse.conf 2> /dev/null; then
	check "allow_other is refused with a sentence that says what allows it" \
		says "/etc/fuse.conf has the line user_allow_other" \
		as_user "$CHAINFS" mount "$T/home/st" "$T/home/mnt" -o allow_other
	check "as a failed mount" exits 32 as_user "$CHAINFS" mount "$T/home/st" "$T/home/mnt" -o allow_other
	check "nothing is mounted" is_not_mounted "$T/home/mnt"
fi
mkdir "$T/other"
if [ "$(id -u)" = 0 ] && ! getent passwd 4242 > /dev/null; then
	mkdir "$T/nameless" && cp -a "$T/home/st" "$T/nameless/st" && mkdir "$T/nameless/mnt" &&
		chown -R 4242:4242 "$T/nameless"
	check "why fusermount3 refuses is passed on" says "cannot be mounted on: fusermount3: could not determine" \
		env -u XDG_RUNTIME_DIR setpriv --reuid=4242 --regid=4242 --clear-groups \
		"$CHAINFS" mount "$T/nameless/st" "$T/nameless/mnt"
fi
if [ "$(id -u)" = 0 ]; then
	check "a folder of somebody else is refused with a sentence" says "only its owner may mount on it" \
		as_user "$CHAINFS" mount "$T/home/st" "$T/other"
fi

as_user "$CHAINFS" mount "$T/home/st" "$T/home/mnt"
check "the process that serves is killed" kill -9 "$(daemon_of "$T/home/st")"
check "the mount answers all the same" as_user timeout -s KILL 60 stat -f "$T/home/mnt"
check "a daemon that was killed" kill_mount "$T/home/st"
check "is cleared by the user's next mount" as_user "$CHAINFS" mount "$T/home/st" "$T/home/mnt"
check "umount(8) unmounts it for its user" as_user umount "$T/home/mnt"
check "and mounts again" as_user "$CHAINFS" mount "$T/home/st" "$T/home/mnt"
check "fusermount3 -u unmounts" as_user fusermount3 -u "$T/home/mnt"
check "the store is free" eventually 10 as_user "$CHAINFS" status "$T/home/st"
if [ "$(id -u)" = 0 ]; then # else other scripts mount as this user, too
	nothing_of_ctl() { [ -z "$(ls "/tmp/chainfs-$user" 2> /dev/null)" ]; }
	check "nothing of ctl is left" eventually 10 nothing_of_ctl # its keeper ends behind the store
fi
