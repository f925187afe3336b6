#!/bin/bash
# A node is mounted by its address: the first ls waits for nobody, blocks come, history fills behind
# them, and in the end the tree is that of an import. Workers are killed, nodes go and come.
. "$(dirname "$0")/lib.bash"
. "$(dirname "$0")/../peers/lib.bash"

MAIN=273 # heights of the recorded network's main shard
cp "$ARCHIVE/network.json" "$T/network.json"

follow_url() { # STORE MNT PORT [OPTION…]
	local store=$1 at=$2 port=$3
	shift 3
	mkdir -p "$at"
	rm -f "$T/ctl_of.${at##*/}"
	"$CHAINFS" mount "grpc://127.0.0.1:$port" "$at" --network $NET --config "$T/network.json" -o "store=$store" "$@"
}

number_of() { # STORE SHARD KEY
	"$CHAINFS" status "$1" --json | python3 -c 'import json, sys
print(json.load(sys.stdin)["networks"][0]["shards"][int(sys.argv[1])][sys.argv[2]])' "$2" "$3"
}

replayed() { # STORE SHARD HEIGHT: it is replayed that far
	[ "$(number_of "$1" "$2" replayed)" -ge "$3" ]
}

whole() { # STORE
	replayed "$1" 0 $MAIN && replayed "$1" 1 "$CHUNKS1" && replayed "$1" 2 "$CHUNKS2"
}

tree_of() { # MNT: a digest of every file that two machines have the same
	(cd "$1/$NET" && find legacy/blocks legacy/shards legacy/state legacy/roots hyper/state -type f \
		! -name commits.pb ! -name verify | LC_ALL=C sort | tr '\n' '\0' | xargs -0 sha256sum) | sha256sum
}

import_vectors "$T/imported" || exit 1
mount_store "$T/imported" "$T/other" || exit 1
CHUNKS1=$(number_of "$T/imported" 1 replayed)
CHUNKS2=$(number_of "$T/imported" 2 replayed)

files=$(cd "$T/other/$NET" && find legacy/blocks legacy/shards legacy/state -type f | wc -l)
check "what is compared is all of a tree" test "$files" -gt 5000

# ---- what has to be said ----

mkdir -p "$T/mnt"
check "a new store needs to know who the validators are" says "no node can vouch for" \
	"$CHAINFS" mount grpc://127.0.0.1:1 "$T/mnt" -o "store=$T/none"
check "and nothing is left behind" test ! -e "$T/none"
check "a network that is no preset needs its parameters" says "there is no preset" \
	"$CHAINFS" mount grpc://127.0.0.1:1 "$T/mnt" --network nobody -o "store=$T/none"
check "an address is checked" says "there is no host" \
	"$CHAINFS" mount grpc:// "$T/mnt" --network $NET --config "$T/network.json" -o "store=$T/none"
check "every -o is read, not the last alone" says "no-such-option" \
	"$CHAINFS" mount grpc://127.0.0.1:1 "$T/mnt" --network $NET --config "$T/network.json" \
	-o no-such-option=1 -o "store=$T/none"
check "so is its protocol" says "speaks \"http\"" \
	"$CHAINFS" mount http://127.0.0.1:1 "$T/mnt" --network $NET --config "$T/network.json" -o "store=$T/none"
check "before a store is made" test ! -e "$T/none"
check "-o store goes with an address" says "goes with the address of a node" \
	"$CHAINFS" mount grpc:/127.0.0.1:1 "$T/mnt" -o "store=$T/none"

# ---- a node that is not there ----

check "a mount waits for no node" follow_url "$T/dead" "$T/mnt" 1
check "and ls works" test -d "$T/mnt/$NET"
check "source list says that it connects" says "connecting\|open" "$CHAINFS" source list "$T/dead"
unmount "$T/mnt"

# ---- all of it ----

peer_start one --archive "$ARCHIVE" || exit 1
PORT=$PEER_PORT
check "a node is mounted by its address" follow_url "$T/st" "$T/mnt" "$PORT"
check "all of its blocks come, and are replayed" eventually 60 whole "$T/st"
same "the tree is that of an import" "$(tree_of "$T/mnt")" "$(tree_of "$T/other")"
same "nothing is missing" "$(ls "$T/mnt/$NET/gaps")" ""
check "source list says what came from whom" \
	says "^$NET	127.0.0.1-$PORT	grpc://127.0.0.1:$PORT	127.0.0.1-$PORT	connected	1000	[1-9]" \
	"$CHAINFS" source list "$T/st"
check "fsck finds nothing" "$CHAINFS" fsck "$T/st" --quiet

# ---- others write, too ----

check "an import takes its turn" says "held already" "$CHAINFS" import "$T/st" "$ARCHIVE" --network $NET --quiet
check "so does a repair" "$CHAINFS" fsck "$T/st" --repair --quiet

# ---- sources come and go ----

peer_start two --archive "$ARCHIVE" || exit 1
same "a source is added to a mount" "$("$CHAINFS" source add "$T/st" "grpc://127.0.0.1:$PEER_PORT" bob --name two)" two
check "and connects" eventually 20 says "two	.*	bob	connected" "$CHAINFS" source list "$T/st"
check "twice it is refused" says "has a source two already" "$CHAINFS" source add "$T/st" grpc://127.0.0.1:9 --name two
check "its file says it" grep -q "^two grpc://127.0.0.1:$PEER_PORT bob$" "$T/st/networks/$NET/sources"
check "it is removed" "$CHAINFS" source remove "$T/st" two
check "and is in no list" sh -c "! '$CHAINFS' source list '$T/st' | grep -q two"
check "who is not there cannot be pardoned" says "has no source two" "$CHAINFS" source pardon "$T/st" two
unmount "$T/mnt"
check "a store alone lists its sources, too" eventually 20 says \
	"127.0.0.1-$PORT	.*	-	0" "$CHAINFS" source list "$T/st"
peer_stop two

# ---- a store that is mounted while its disk is full ----

if [ "$(id -u)" = 0 ] && mkdir "$T/disk" && mount -t tmpfs -o size=200m none "$T/disk" 2> /dev/null; then
	follow_url "$T/disk/st" "$T/mnt" "$PORT" > /dev/null
	unmount "$T/mnt"
	eventually 20 says "127.0.0.1-$PORT	.*	-	0" "$CHAINFS" source list "$T/disk/st" > /dev/null
	dd if=/dev/zero of="$T/disk/fill" bs=64k 2> /dev/null
	mount_store "$T/disk/st" "$T/mnt"
	same "nobody is followed" "$("$CHAINFS" source list "$T/disk/st" | cut -f5)" "-"
	rm "$T/disk/fill"
	check "until there is room again" eventually 30 says "	connected	" "$CHAINFS" source list "$T/disk/st"
	unmount "$T/mnt"
	eventually 20 umount "$T/disk"
fi

# ---- live: a node that grows, restarts, and a worker that is killed ----

peer_start live --archive "$ARCHIVE" --at 100 || exit 1
check "a node in the middle of its chain is followed" follow_url "$T/live" "$T/mnt" "$PEER_PORT"
check "up to its tip" eventually 60 replayed "$T/live" 0 100
peer_order live advance 20 > /dev/null
check "what it gets comes" eventually 20 replayed "$T/live" 0 120
check "and is read" cat "$T/mnt/$NET/legacy/blocks/120/header"
peer_order live restart > /dev/null
peer_order live advance 10 > /dev/null
check "a restart of the node is met" eventually 30 replayed "$T/live" 0 130
before=$(number_of "$T/live" 0 held)
worker=$(daemon_of "$T/live")
kill -9 "$worker"
peer_order live advance 10 > /dev/null
check "a killed worker is replaced, and follows on" eventually 30 replayed "$T/live" 0 140
check "nothing that was acknowledged is lost" test "$(number_of "$T/live" 0 held)" -ge "$before"
peer_order live speed 200 > /dev/null
for try in 1 2 3; do
	worker=$(daemon_of "$T/live")
	[ -n "$worker" ] && kill -9 "$worker"
	eventually 20 test -r "$T/mnt/$NET/legacy/blocks/100/header"
done
check "also when it is killed while blocks come" eventually 60 replayed "$T/live" 0 $MAIN
peer_order live at all > /dev/null
check "to the end" eventually 60 whole "$T/live"
same "and the tree is that of an import" "$(tree_of "$T/mnt")" "$(tree_of "$T/other")"
unmount "$T/mnt"
check "the store is sound" eventually 20 "$CHAINFS" fsck "$T/live" --quiet
peer_stop live

# ---- from the start, and what is mounted again ----

check "from height 1 upwards, too" follow_url "$T/start" "$T/mnt" "$PORT" --set sync.from=start
check "all of it comes" eventually 60 whole "$T/start"
unmount "$T/mnt"
eventually 20 "$CHAINFS" status "$T/start" > /dev/null
check "a store that names sources follows them when it is mounted" mount_store "$T/start" "$T/mnt"
check "and its sources are connected" eventually 20 says "	connected	" "$CHAINFS" source list "$T/start"
unmount "$T/mnt"
unmount "$T/other"
