#!/bin/bash
# What people see of following: sources and what becomes of them, claims of gaps, status, orders,
# and a missing block that a look brings.
. "$(dirname "$0")/lib.bash"
. "$(dirname "$0")/../peers/lib.bash"

cp "$ARCHIVE/network.json" "$T/network.json"
import_vectors "$T/imported" || exit 1
mount_store "$T/imported" "$T/other" || exit 1
other=$T/other/$NET
peer_start liar --archive "$ARCHIVE" --lie bad-hash || exit 1
peer_start honest --archive "$ARCHIVE" || exit 1
mnt=$T/mnt net=$T/mnt/$NET
liar=127.0.0.1-${PEER_PORTS[liar]} honest=127.0.0.1-${PEER_PORTS[honest]}

file_says() { # PATTERN FILE…
	local pattern=$1
	shift
	cat "$@" | grep -q -- "$pattern"
}

lists() { # FOLDER NAME…: no more and no less
	local folder=$1
	shift
	[ "$(ls "$folder")" = "$(printf '%s\n' "$@" | LC_ALL=C sort)" ]
}

reads_as() { # FILE TEXT
	[ "$(cat "$1")" = "$2" ]
}

holds() { # HEIGHT: of the main shard
	[ -d "$net/legacy/blocks/$1" ]
}

# ---- nobody follows ----

same "sources is empty while nobody follows" "$(ls "$other/sources")" ""
check "a status without sources says nothing of them" eval '! grep -q "^sources" "$other/status"'
same "nor does the root's" "$(cut -f 7- "$T/other/status")" "$(printf -- '----------\t----------\t--\t--')"
same "an order about following has nobody to go to" \
	"$(bash -c "echo off > '$T/other/ctl/backward'" 2>&1 | grep -c 'not supported')" 1
check "and says so" file_says "no network is followed" "$T/other/ctl/last_error"
same "backward has nothing to say then" "$(cat "$T/other/ctl/backward")" ""

# ---- a liar alone ----

mkdir -p "$mnt"
check "a mount follows a node" "$CHAINFS" mount "grpc://127.0.0.1:${PEER_PORTS[liar]}" "$mnt" --network $NET \
	--config "$T/network.json" --set sync.backward=false -o "store=$T/st,fetch=2"
check "it is listed" eventually 10 lists "$net/sources" "$liar"
check "with all that is known of it" lists "$net/sources/$liar" address faults last_error operator range rate \
	remark score status version
same "its address" "$(cat "$net/sources/$liar/address")" "grpc://127.0.0.1:${PEER_PORTS[liar]}"
check "it lies and is banned, and its file says until when and why" \
	eventually 20 file_says "^banned until 20..-..-..T..:..:..Z: ." "$net/sources/$liar/status"
check "its last error is the lie" file_says "hash" "$net/sources/$liar/last_error"
check "which is counted" file_says "^lie [1-9]" "$net/sources/$liar/faults"
check "metrics know it" eventually 5 file_says "^chainfs_sync_source_banned{.*} 1$" "$mnt/ctl/metrics"
check "nothing false is shown" test -z "$(ls "$net/legacy/blocks" 2> /dev/null)"

# ---- an honest one beside it ----

check "a source is added" "$CHAINFS" source add "$T/st" "grpc://127.0.0.1:${PEER_PORTS[honest]}"
check "and the listing, which the kernel keeps, grows" eventually 10 lists "$net/sources" "$liar" "$honest"
check "it is connected" eventually 10 reads_as "$net/sources/$honest/status" connected
check "it offers all heights" eventually 10 file_says "^0 0000000001 0000000273$" "$net/sources/$honest/range"
check "its version is told" file_says "^0.14.2" "$net/sources/$honest/version"
check "the newest blocks come" eventually 30 holds 273
check "the network's status tells of both" eventually 5 file_says "^connected [12]$" "$net/status"
check "and of the head" file_says "^shard 0 head 273$" "$net/status"
check "backward is off, as the setting has it" reads_as "$mnt/ctl/backward" off
check "so there is a gap" test -d "$net/gaps/0"
gap=$(echo "$net"/gaps/0/0000000001-*)
check "that waits, and says so" reads_as "$gap/claim" waiting
same "a gap's files" "$(ls "$gap" | tr '\n' ' ')" "claim last_error next_try reason status tries "
same "the root's status is one line of one size" "$(wc -l < "$mnt/status")" 1
check "in it the head, the lag and the sources" \
	file_says "	0000000273	0000000000	[0-9][0-9]	02$" "$mnt/status"

# ---- a look brings a block ----

check "a missing block is fetched by a look at it" cmp "$net/legacy/blocks/100/header" "$other/legacy/blocks/100/header"
check "its neighbour is still missing" eval '! grep -q "^shard 0 held 273$" "$net/status"'
check "also by its full name" cmp "$net/legacy/blocks/0000000000-0000000999/0000000101/header" \
	"$other/legacy/blocks/0000000000-0000000999/0000000101/header"
peer_order honest close > /dev/null
check "the source says that it is gone" eventually 20 file_says "^open\|^connecting" "$net/sources/$honest/status"
begin=$(date +%s)
said=$(cat "$net/legacy/blocks/50/header" 2>&1)
check "without a source a look ends by its deadline" test $(($(date +%s) - begin)) -le 10
same "and says that there are no data, or that they took too long" \
	"$(echo "$said" | grep -c 'No data available\|timed out')" 1
for height in 51 52 53 54 55 56 57 58 59 60 61 62; do
	cat "$net/legacy/blocks/$height/header" > /dev/null 2>&1 &
	waiting+=($!)
done
check "while others wait, the mount answers" timeout 5 cat "$net/legacy/blocks/273/header"
wait "${waiting[@]}"
peer_order honest open > /dev/null
"$CHAINFS" source pardon "$T/st" "$honest"
check "it comes back" eventually 40 file_says "^connected" "$net/sources/$honest/status"

# ---- orders ----

echo 0 30-40 > "$mnt/ctl/fetch"
check "what was asked for comes" eventually 30 eval '[ -d "$net/legacy/blocks/0000000000-0000000999/0000000035" ]'
check "and is no longer waited for" eventually 10 reads_as "$mnt/ctl/fetch" ""
echo 512k > "$mnt/ctl/cap"
check "a cap is set" eventually 5 reads_as "$mnt/ctl/cap" 524288
check "and seen" eventually 5 file_says "^cap 524288$" "$net/status"
same "a cap is a number" "$(bash -c "echo much > '$mnt/ctl/cap'" 2>&1 | grep -c 'Invalid argument')" 1
echo 0 > "$mnt/ctl/cap"
"$CHAINFS" status "$T/st" --watch > "$T/watched" 2>&1 &
watch=$!
check "status --watch tells a line a second" eventually 10 eval '[ "$(wc -l < "$T/watched")" -ge 2 ]'
kill -INT $watch
wait $watch
same "and ends when it is interrupted" "$?" 0
check "a line has the head" file_says "shard=0 held=273 head=273" "$T/watched"
check "status --json has the same numbers" says '"head": 273' "$CHAINFS" status "$T/st" --json
check "and what caches had" says '"caches"' "$CHAINFS" status "$T/st" --json
echo on > "$mnt/ctl/backward"
check "history comes when it is let" eventually 60 eval '[ -z "$(ls "$net/gaps")" ]'

# ---- as a tree ----

check "names, attributes and sizes agree" eval 'find "$net/sources" -type f | while read -r f; do
	[ "$(wc -c < "$f")" -ge 0 ] || exit 1; done'
check "a file of a source is as large as it says" eval '
	for f in "$net/sources/$honest"/{address,operator,score,status,version}; do
		[ "$(stat -c %s "$f")" = "$(wc -c < "$f")" ] || exit 1
	done'
check "who opened one reads one version" eval 'exec 7< "$net/sources/$honest/rate"; sleep 0.3
	[ "$(cat <&7 | wc -l)" = 8 ]; rc=$?; exec 7<&-; [ $rc = 0 ]'
check "getfattr goes through them" eval '! command -v getfattr > /dev/null || getfattr -dR "$net/sources" > /dev/null'
check "du takes no notice of folders" eval 'du -s --apparent-size "$net/sources" > /dev/null'
check "the blocks are those of an import" diff -r "$net/legacy/blocks" "$other/legacy/blocks" \
	-x commits.pb -x verify
command -v promtool > /dev/null && check "promtool finds no fault with the metrics" \
	eval 'promtool check metrics < "$mnt/ctl/metrics"'
check "a source is removed" "$CHAINFS" source remove "$T/st" "$liar"
check "and leaves the listing" eventually 10 lists "$net/sources" "$honest"
unmount "$T/other"
check "without a daemon there is nothing to watch" says "no daemon holds" "$CHAINFS" status "$T/imported" --watch
