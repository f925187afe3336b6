#!/bin/bash
# A daemon goes by the settings that it was started with, also for the verbs that it runs for
# others.
. "$(dirname "$0")/lib.bash"

unset XDG_CONFIG_HOME CHAINFS_SETTINGS
export HOME=$T/home
mkdir "$HOME"

limit_of() { awk '/Max address space/ { print $4 }' "/proc/$1/limits"; }
hyper_of() { "$CHAINFS" status "$1" --network "$2" | grep -m 1 hyper | awk '{ print $2 }'; }

import_vectors "$T/s" --range 1-20 || exit 1
echo 'limits: { memory: 1G }' > "$T/s/chainfs.yaml"
memory=$((1 << 30))
# The sanitizers' shadow is larger than any limit that could be of use, and so is what libc's malloc reserves.
case ${FLAVOUR:-release} in asan | tsan | cov) memory=unlimited; rm "$T/s/chainfs.yaml" ;; esac

mount_store "$T/s" "$T/mnt" --set hyper.enabled=true,mount.threads=3 --set mount.render_cache=1M
pid=$(daemon_of "$T/s")
same "limits.memory bounds the daemon" "$(limit_of "$pid")" "$memory"
check "config show tells the daemon's settings" says "^hyper.enabled	true	flag$" \
	"$CHAINFS" config show "$T/s" --origin
CHAINFS_LIMITS_CACHE=9M "$CHAINFS" config show "$T/s" --origin > "$T/show"
same "not those of who asks" "$(grep -c '^limits.cache	256M	default$' "$T/show")" 1
check "--set of a verb that the daemon runs is refused" says "goes by its own settings" \
	"$CHAINFS" status "$T/s" --set limits.cache=1M
check "as busy" exits 5 "$CHAINFS" status "$T/s" --set limits.cache=1M
check "an import through it goes by its settings" exits 0 \
	"$CHAINFS" import "$T/s" "$ARCHIVE" --network second --quiet
same "hyper is on in the network that it made" "$(hyper_of "$T/s" second)" root
same "and as it was in the other" "$(hyper_of "$T/s" $NET)" off
check "everything can be read below the limit" sh -c "cd '$T/mnt' && tar cf - . | cat > /dev/null"
check "an export through it is an archive" exits 0 "$CHAINFS" export "$T/s" "$T/archive" --network second --quiet
check "verify, too" exits 0 "$CHAINFS" verify "$T/s" --network second
unmount "$T/mnt"
eventually 20 is_gone "$pid"
"$CHAINFS" import "$T/again" "$T/archive" --hyper on --quiet > "$T/out" 2>&1
same "which is the same store again" "$("$CHAINFS" status "$T/again" | grep root)" \
	"$("$CHAINFS" status "$T/s" --network second | grep root)"

check "a limit that is too small is said" says "0 or at least 512M" \
	"$CHAINFS" mount "$T/s" "$T/mnt" --set limits.memory=1M
check "and mounts nothing" is_not_mounted "$T/mnt"

# ---- the log ----
"$CHAINFS" mount "$T/again" "$T/mnt" --set log.level=debug 2> "$T/log" &&
	cat "$T/mnt/$NET/legacy/blocks/99999999/header" > /dev/null 2>&1
check "with log.level=debug a daemon goes on writing to where it was started" \
	eventually 10 grep -q " debug fs: " "$T/log"
unmount "$T/mnt"
eventually 20 is_not_mounted "$T/mnt"
