#!/bin/bash
# What a person sees of transports: which one serves, what is said where rings cannot be had, and the
# ends of a daemon that serves over them. Run over the classic transport it tries the refusals alone.
# alone: it looks at a switch of the machine
. "$(dirname "$0")/lib.bash"
SWITCH=/sys/module/fuse/parameters/enable_uring

import_vectors "$T/store" || exit 1
serves() { # the transport of a mount
	sed -n 's/^chainfs_fuse_transport_info{transport="\(.*\)"} 1$/\1/p' "$(ctl_of "$1")/metrics"
}

check "a word that is no transport is refused" \
	says "classic, uring or auto" "$CHAINFS" mount "$T/store" "$T/mnt" -o transport=pigeon
mount_store "$T/store" "$T/mnt" -o transport=classic
same "what was asked for serves" "$(serves "$T/mnt")" classic
unmount "$T/mnt"
mount_store "$T/store" "$T/mnt" -o transport=auto
same "auto takes what can be had" "$(serves "$T/mnt")" \
	"$([ "$(cat $SWITCH 2> /dev/null)" = Y ] && echo uring || echo classic)"
unmount "$T/mnt"
if [ "${CHAINFS_MOUNT_TRANSPORT:-classic}" != uring ]; then
	if [ "$(cat $SWITCH 2> /dev/null)" != Y ]; then
		mkdir -p "$T/mnt"
		check "rings that cannot be had are refused with the reason" \
			says "transport uring:" "$CHAINFS" mount "$T/store" "$T/mnt" -o transport=uring
		check "and nothing is mounted" is_not_mounted "$T/mnt"
	fi
	exit
fi

mount_store "$T/store" "$T/mnt"
same "over rings" "$(serves "$T/mnt")" uring
blocks=$T/mnt/$NET/legacy/blocks
same "readers at a time read the same" "$(for k in 1 2 3 4; do
	tar c -C "$blocks" . | sha256sum &
done | sort -u | wc -l)" 1

# ---- ends ----

ask_on() { # four that ask without a pause, until a file is gone
	touch "$T/go"
	for k in 1 2 3 4; do
		while [ -e "$T/go" ]; do
			stat "$T/mnt/$NET/legacy/blocks/$k/none.$RANDOM" "$T/mnt/$NET/legacy/at/$k$RANDOM"
		done > /dev/null 2>&1 &
	done
	askers=$(jobs -p)
}
all_gone() {
	for p in "$@"; do is_gone "$p" || return 1; done
}
ask_on
daemon=$(daemon_of "$T/store") keeper=$(keeper_of "$T/store")
other_serves() { # mounted anew, by another process
	local now
	now=$(daemon_of "$T/store")
	[ -n "$now" ] && [ "$now" != "$1" ] && [ -s "$T/mnt/$NET/head/header" ] && [ "$(serves "$T/mnt")" = uring ]
} 2> /dev/null
kill -9 "$daemon"
rm "$T/go"
check "a daemon that was killed leaves nobody waiting" eventually 10 all_gone $askers
check "it is mounted anew, by itself, over rings" eventually 20 other_serves "$daemon"
same "by the same keeper" "$(keeper_of "$T/store")" "$keeper"
same "one mount stands there" "$(mounts_of_test | grep -c "^$T/mnt$")" 1
same "and one of ctl" "$(readlink "$T/mnt/ctl")" "$(ctl_of "$T/mnt")"
check "which answers" grep -q events "$T/mnt/ctl/README"
check "it cannot be handed over, and that is said" says "only classic can be handed over" "$CHAINFS" upgrade "$T/mnt"

ask_on
(cd "$T/mnt/$NET" && while [ -e "$T/go" ]; do sleep 0.05; done) &
inside=$!
daemon=$(daemon_of "$T/store")
kill -TERM "$daemon"
check "one that is told to end does, while it is asked and in use" eventually 10 is_gone "$daemon"
rm "$T/go"
check "and leaves nobody waiting" eventually 10 all_gone $askers $inside
check "nothing is mounted any more" eventually 10 is_not_mounted "$T/mnt"

mount_store "$T/store" "$T/mnt"
exec 7< "$T/mnt/$NET"
umount -l "$T/mnt" 2> /dev/null || fusermount3 -uz "$T/mnt"
check "a detached one serves who is in it" test -e "/proc/self/fd/7/legacy"
daemon=$(daemon_of "$T/store")
exec 7<&-
check "and ends when nobody is" eventually 10 is_gone "$daemon"
