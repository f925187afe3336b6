#!/bin/bash
# One process owns a store: verbs on a mounted one go through its daemon, a second owner is told who
# holds it.
. "$(dirname "$0")/lib.bash"

a=$VECTORS/devnet-a
mkdir "$T/mnt" "$T/mnt2"
"$CHAINFS" import "$T/store" "$a" --range 1-100 --hyper on --quiet >/dev/null || exit 1
"$CHAINFS" mount "$T/store" "$T/mnt" || exit 1

check "status answers through the daemon" says "network devnet" "$CHAINFS" status "$T/store"
check "a second mount is told who holds the store" says "held by.*mount at $T/mnt" "$CHAINFS" mount "$T/store" "$T/mnt2"
check "and exits with 5" exits 5 "$CHAINFS" mount "$T/store" "$T/mnt2"
check "in front as well" exits 5 "$CHAINFS" mount -f "$T/store" "$T/mnt2"
check "a store that is not there is a sentence" \
	says "there is no store at $T/none; .* make one" "$CHAINFS" mount "$T/none" "$T/mnt2"
check "and exits with 3" exits 3 "$CHAINFS" mount "$T/none" "$T/mnt2"
check "a folder to mount on that is not there, too" \
	says "there is no folder $T/none to mount on; mkdir makes it" "$CHAINFS" mount "$T/store" "$T/none"
check "gaps answers through the daemon" exits 0 "$CHAINFS" gaps "$T/store"
check "verify answers through the daemon" says "blocks checked" "$CHAINFS" verify "$T/store"
check "an import goes through the daemon" exits 0 "$CHAINFS" import "$T/store" "$a" --quiet
check "and the mount shows what came" test -d "$T/mnt/devnet/legacy/blocks/0000000000-0000000999/0000000273"
check "a relative path is the caller's" sh -c "cd '$VECTORS' && '$CHAINFS' import '$T/store' devnet-a --quiet"
check "an error of the daemon's verb comes with its exit code" exits 3 "$CHAINFS" import "$T/store" "$T/nowhere"

interrupt()
{
	timeout -s INT 0.2 "$CHAINFS" verify "$T/store" >/dev/null 2>&1
	"$CHAINFS" status "$T/store" >/dev/null
}
check "a call that is interrupted leaves the daemon well" interrupt
check "the socket is its owner's alone" test "$(stat -c %a "$T/store/control")" = 600
check "umount ends the daemon" unmount "$T/mnt"
released()
{
	for _ in $(seq 50); do
		"$CHAINFS" status "$T/store" >/dev/null 2>&1 && [ ! -e "$T/store/control" ] && return 0
		sleep 0.1
	done
	return 1
}
check "which lets go of the store" released

# demo imports and then mounts: its daemon must be able to write as any other.
check "demo makes a chain and mounts it" "$CHAINFS" demo "$T/demo" --quiet
daemon=$(daemon_of "$T/demo/store")
check "its daemon takes an import" timeout 60 "$CHAINFS" import "$T/demo/store" "$a" --network other --quiet
working() { cat "/proc/$daemon"/task/*/comm | grep -q '^rocksdb:'; }
check "with the storage library's own threads at work" working
check "umount ends it" unmount "$T/demo/mnt"
check "and nothing of it stays behind" eventually 20 is_gone "$daemon"
