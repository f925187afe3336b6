#!/bin/bash
# Handles (name_to_handle_at, NFS): they lead back to the same file also when the kernel has forgotten it;
# what they named and is gone is stale.
# alone: it makes the kernel forget.
. "$(dirname "$0")/lib.bash"

[ "$(id -u)" = 0 ] || skip "only root opens by handle"
import_vectors "$T/st" --hyper on --range 1-200 || exit 1
mount_store "$T/st" "$T/mnt" || exit 1
ask rss $$ > /dev/null || exit 1
N=$T/mnt/$NET
R=0000000000-0000000999
record=$(find "$N/hyper/at/150/shards/1/accounts" -name '*.json' | sort | head -n 1)
item=$(find "$N/legacy/shards/1/blocks/$R/" -name '*-cast-add-*.json' | head -n 1)
account=$(dirname "$(dirname "$record")")

places="$T/mnt $T/mnt/README $N $N/legacy $N/hyper/shards $N/hyper/shards/1 $N/legacy/blocks $N/legacy/blocks/$R
	$N/hyper/shards/1/blocks/$R/0000000100 $N/legacy/blocks/$R/0000000100/items $N/hyper/shards/2/roots
	$N/hyper/envelopes $N/hyper/envelopes/$R $N/diffs $N/gaps $N/heights $N/by-hash $N/legacy/at
	$N/hyper/envelopes/$R/0000000100.json"
objects="$N/legacy/blocks/$R/0000000100/header $N/legacy/blocks/$R/0000000100/block.pb
	$N/hyper/blocks/$R/0000000100/verify $record $item"
states="$N/hyper/at/150 $N/hyper/at/150/shards/1 $account $account/root $N/legacy/state $N/status"

# handles NAME COMMAND PATH…: handles taken, the command run, the handles opened
handles() {
	local name=$1 command=$2 pid
	shift 2
	rm -f "$T/go" && mkfifo "$T/go"
	ask handles "$T/mnt" "$@" < "$T/go" > "$T/$name" &
	pid=$!
	exec 6> "$T/go"
	eventually 20 grep -q '^taken' "$T/$name"
	$command
	echo >&6
	exec 6>&-
	wait $pid
}
bad() { grep -v '^ok \|^taken' "$T/$1"; }

handles cached true $places $objects $states
same "handles of all kinds while the kernel knows them" "$(bad cached)" ""
handles dropped drop_caches $places
same "folders and files of places, once it has forgotten them" "$(bad dropped)" ""
handles objects drop_caches $objects
same "files of objects" "$(bad objects)" ""

# A checkpoint is a scope of its own; while somebody is in it, it is found.
mkdir "$(ctl_of "$T/mnt")/pins/kept"
complete() { [ "$(cat "$T/mnt/ctl/pins/kept/state")" = complete ]; }
eventually 30 complete
made=$(echo "$N"/checkpoints/0*)
exec 5< "$made"
handles checkpoint drop_caches "$made" "$made/info" "$made/legacy/0" "$made/evidence"
same "of a checkpoint that is in use" "$(bad checkpoint)" ""
exec 5<&-

# A folder of a state holds its height as long as somebody uses it.
exec 5< "$N/hyper/at/150"
cd "$account" || exit 1
handles held drop_caches "$account" "$account/root" "$N/hyper/at/150"
same "of a state that is in use" "$(bad held)" ""
cd /
exec 5<&-
handles gone drop_caches "$N/hyper/at/123/accounts" "$N/hyper/at/123"
check "of one that is not, they are stale or the same" sh -c "! grep -v '^ok \|^taken\|^ESTALE ' '$T/gone'"

# Another view: the handle to the older one is stale, never another file.
status_moves() {
	import_vectors "$T/st" --range 201-210
	cat "$N/status" "$N/legacy/state/roots.tsv" > /dev/null
	drop_caches
}
handles moved status_moves "$N/status" "$N/legacy/state" "$N/legacy/state/roots.tsv"
same "handles of views that are gone" "$(grep -c '^ESTALE ' "$T/moved")" 3
handles stays status_moves "$N/legacy/blocks/$R" "$N/legacy/blocks/$R/0000000100/header"
check "handles of folders that grow stay" test "$(grep -c '^ok \|^another ' "$T/stays")" = 2

# Another mount: numbers of objects stay, numbers of folders begin anew.
remount() {
	"$CHAINFS" umount "$T/mnt"
	mount_store "$T/st" "$T/mnt"
	find "$N/" -maxdepth 3 > /dev/null
}
handles remounted remount "$N/legacy/blocks/$R/0000000100/header" "$record" "$N/hyper/shards/1" "$N/legacy/blocks/$R"
same "objects outlive the mount" "$(grep -c '^ok ' "$T/remounted")" 2
same "folders of an earlier mount are stale" "$(grep -c '^ESTALE ' "$T/remounted")" 2
