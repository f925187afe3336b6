# lib.bash: what the scripts of this folder share beyond tests/support/lib.bash: stores of the
# recorded network, mounts of them, and a probe of system calls. Leaves with 77 where nothing can be
# mounted.

. "$(dirname "${BASH_SOURCE[0]}")/../support/lib.bash"
HERE=$TESTS/mount
ARCHIVE=$VECTORS/devnet-a
NET=devnet

[ -c /dev/fuse ] || skip "there is no /dev/fuse here"
[ -w /dev/fuse ] || skip "/dev/fuse may not be opened by this user"
[ "$(id -u)" = 0 ] || command -v fusermount3 > /dev/null || skip "neither root nor fusermount3"
[ -d "$ARCHIVE" ] || skip "the recorded network is not at $ARCHIVE"

probe() {
	[ -x "$T/probe" ] || ${CC:-cc} -O1 -o "$T/probe" "$HERE/probe.c" || exit 1
	"$T/probe" "$@"
}

ask() {
	[ -x "$T/ask" ] || ${CC:-cc} -O1 -o "$T/ask" "$HERE/ask.c" || exit 1
	"$T/ask" "$@"
}

# counter NAME MNT: of the mount's metrics; itself it asks nothing of the mount but where ctl is
counter() {
	awk -v name="chainfs_$1_total" '$1 == name { print $2 }' "$(ctl_of "$2")/metrics"
}

ctl_of() { # where a mount's ctl is, so that looking there is no look at the mount
	[ -e "$T/ctl_of.${1##*/}" ] || readlink "$1/ctl" > "$T/ctl_of.${1##*/}"
	cat "$T/ctl_of.${1##*/}"
}

drop_caches() { # dentries and inodes that nobody uses; the kernel forgets them
	[ "$(id -u)" = 0 ] && echo 2 2> /dev/null > /proc/sys/vm/drop_caches
}

# ---- stores and mounts ----

# import_vectors STORE [OPTION…]
import_vectors() {
	local store=$1
	shift
	"$CHAINFS" import "$store" "$ARCHIVE" --network $NET --quiet "$@" > "$T/import.out" 2>&1 && return
	cat "$T/import.out"
	return 1
}

# mount_store STORE FOLDER [OPTION…]: returns when it answers; the daemon is in the background.
mount_store() {
	local store=$1 at=$2
	shift 2
	mkdir -p "$at"
	rm -f "$T/ctl_of.${at##*/}"
	"$CHAINFS" mount "$store" "$at" "$@"
}

keeper_of() { # of a mounted store: the process that stays, which messages name
	sed -n 's/.*pid \([0-9][0-9]*\).*/\1/p' "$1/lock"
}

daemon_of() { # of a mounted store: the process that serves it
	pgrep -P "$(keeper_of "$1")" | head -n 1
}

kill_mount() { # STORE: both processes, so that a dead mount is left
	local keeper daemon
	keeper=$(keeper_of "$1") daemon=$(daemon_of "$1")
	kill -STOP "$daemon" # else it would unmount
	kill -9 "$keeper"
	kill -9 "$daemon"
	eventually 10 is_gone "$keeper" && eventually 10 is_gone "$daemon"
}

is_mounted() {
	awk -v at="$1" '$2 == at { found = 1 } END { exit !found }' /proc/self/mounts
}

is_not_mounted() {
	! is_mounted "$1"
}

unmount() {
	if [ "$(id -u)" = 0 ]; then
		umount "$1"
	else
		fusermount3 -u "$1"
	fi
}
