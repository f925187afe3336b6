#!/bin/bash
# Importing recordings: counts, resuming, ranges in any order, what is refused and how it is said.
. "$(dirname "$0")/../support/lib.bash"

import() { "$CHAINFS" import "$@"; }
state() \
	{ "$CHAINFS" status "$1" --json |
	grep -E '"(held|hyper_root|legacy_root|missing|replayed|records|retained|items|tip)"'; }

a=$VECTORS/devnet-a
counts() # STORE ARCHIVE BLOCKS
{
	local line
	line=$(import "$1" "$2" --hyper on --json --quiet | tail -n 1) || return 1
	[ "$(echo "$line" | field blocks)" = "$3" ] && [ "$(echo "$line" | field refused)" = 0 ] &&
		[ "$(echo "$line" | field replayed)" = "$3" ] || { echo "$line"; return 1; }
}
check "devnet-a: 273 + 280 + 280 blocks are taken and replayed" counts "$T/a" "$a" 833
check "devnet-c: 312 + 309 + 309 blocks are taken and replayed" counts "$T/c" "$VECTORS/devnet-c" 930
check "devnet-r: three times 644 blocks are taken and replayed" counts "$T/r" "$VECTORS/devnet-r" 1932

again() { import "$T/a" "$a" --json --quiet | grep -q '"blocks":0,.*"held":833,'; }
check "a second import of the same archive takes nothing" again
check "gaps has nothing to say of a whole import" test -z "$("$CHAINFS" gaps "$T/a")"
check "verify finds every level ok" sh -c "'$CHAINFS' verify '$T/a' | grep -qx 'shard 1 state: ok 280'"
check "verify says that the archive vouches for its own validators" \
	sh -c "'$CHAINFS' verify '$T/a' --stored | grep -q 'validators from the archive'"

disorder()
{
	local s=$T/disorder
	for range in 0:200-273 2:1-100 1:150-280 100-199 1:1-149 2:101-280 1-99; do
		import "$s" "$VECTORS/devnet-a-node2" --range "$range" --hyper on --quiet || return 1
	done
	for range in 0:1-273 1:1-280 2:1-280; do # the second recording goes on for one height more
		import "$s" "$VECTORS/devnet-a-node2" --range "$range" --quiet || return 1
	done
	[ "$(state "$s")" = "$(state "$T/a")" ] || { diff <(state "$T/a") <(state "$s"); return 1; }
}
check "another validator's recording, in any order of ranges, is the same state" disorder

gap()
{
	import "$T/gap" "$a" --range 1:50-100 --quiet || return 1
	[ "$("$CHAINFS" gaps "$T/gap")" = "$(printf '1\t0000000001-0000000049\tnot-fetched\t')" ] &&
		"$CHAINFS" status "$T/gap" --json | grep -q '"replayed": 0'
}
check "a range that begins above 1 leaves a gap, and what lies beyond it waits" gap
fill() { import "$T/gap" "$a" --range 1:1-49 --quiet && "$CHAINFS" status "$T/gap" --json | grep -q '"replayed": 100'; }
check "filling the gap replays what waited" fill

check "another chain under the same name is refused" exits 4 import "$T/a" "$VECTORS/devnet-c" --quiet
check "the same chain fits under another name" import "$T/a" "$VECTORS/devnet-c" --network other --quiet

mkdir "$T/empty" "$T/foreign" "$T/cut" "$T/long"
echo "this is no stream of blocks, whatever its name says" >"$T/foreign/blocks-0.pbs"
cp "$a/network.json" "$T/foreign"
zstd -dqc "$a/blocks-0.pbs.zst" | head -c 100000 >"$T/cut/blocks-0.pbs"
cp "$a/network.json" "$T/cut"
printf '\377\377\377\377\177' >"$T/long/blocks-0.pbs"
cp "$a/network.json" "$T/long"
refuses() # STATUS WORDS STORE ARCHIVE [OPTION…]
{
	local out
	out=$(import "${@:3}" --quiet 2>&1)
	[ $? = "$1" ] && echo "$out" | grep -q "$2" || { echo "$out"; return 1; }
}
check "an empty folder is no archive, in a sentence" refuses 3 "is no archive" "$T/s1" "$T/empty"
check "a foreign file is refused in a sentence" refuses 4 "blocks-0.pbs" "$T/s2" "$T/foreign"
nothing() { "$CHAINFS" status "$T/s2" --json | grep '"held"' | sort -u | grep -q '"held": 0,' ; }
check "and nothing of it is stored" nothing
check "a stream that is cut off keeps what came before" refuses 4 "cut off" "$T/s3" "$T/cut"
check "an absurd size is refused before any memory is taken" refuses 4 "possible" "$T/s4" "$T/long"
check "an archive that does not exist is a sentence" refuses 3 "No such file" "$T/s5" "$T/nowhere"
check "a folder that is no store is not written to" refuses 2 "" "$a" "$a"
check "a bad range is explained" sh -c "'$CHAINFS' import '$T/a' '$a' --range 9-2 2>&1 | grep -q 'FIRST-LAST'"
check "a network's name that is too long is refused, not cut" \
	exits 1 import "$T/s7" "$a" --network "$(printf '%065d' 0)" --quiet
check "--hyper maybe is refused before anything is made" refuses 1 "on or off" "$T/s8" "$a" --hyper maybe
unmade() { "$CHAINFS" status "$T/s8" --json | jq -e '.networks == []'; }
check "and no network is" unmade
mkdir "$T/fifo"
mkfifo "$T/fifo/blocks-0.pbs"
check "a fifo in the place of a stream is refused, not waited for" \
	exits 4 timeout 20 "$CHAINFS" import "$T/s9" "$T/fifo" --quiet

# The message of three bytes that begins shard 2 is none; shard 1 alone is asked for.
mkdir "$T/apart"
cp "$a/network.json" "$a/blocks-0.pbs.zst" "$a/chunks-1.pbs.zst" "$T/apart"
printf '\003abc' >"$T/apart/chunks-2.pbs"
check "what is damaged outside the range is left alone" import "$T/s10" "$T/apart" --range 1:1-20 --quiet

closed() { exits 2 "$CHAINFS" import "$T/closed" "$a" 2>&- >&- && "$CHAINFS" verify "$T/closed" |
	grep -qx 'shard 1 state: ok 280'; }
check "with its standard files closed it says nothing into the store's" closed

# A block that waits beyond a gap, and then does not decode: it is the tip until its turn comes.
damaged()
{
	local s=$T/damaged
	import "$s" "$a" --range 1:2-2 --quiet || return 1
	dd if=/dev/zero of="$(ls "$s"/networks/*/segments/*.seg)" bs=1 seek=100 count=200 conv=notrunc 2>/dev/null
	exits 4 import "$s" "$a" --range 1:1-1 --quiet || return 1
	"$CHAINFS" status "$s" --json | jq -ce '.networks[0].shards[1] | [.held, .tip, .replayed]'
}
same "the tip goes back when the block at it turns out damaged" "$(damaged | tail -n 1)" "[1,1,1]"
wrong() \
	{ dd if=/dev/zero of="$(ls "$T"/closed/networks/*/segments/*.seg)" bs=1 seek=2000 \
	count=3000 conv=notrunc 2>/dev/null; }
wrong
check "verify finds damage" exits 4 "$CHAINFS" verify "$T/closed"
faults() { "$CHAINFS" verify "$T/closed" --json | jq -es '.[0].error and (.[-1].damaged > 0)'; }
check "and its --json is JSON then too" faults

bare=$T/bare
mkdir "$bare"
cp "$a"/*.zst "$bare"
check "without network.json the parameters are asked for" refuses 1 "say --network" "$T/s6" "$bare"
check "and no store is left behind" test ! -e "$T/s6"
check "nor where there is no such file" refuses 3 "/none" "$T/s6" "$bare" --network named --config "$T/none"
check "nor where it is none of parameters" refuses 1 "not JSON" "$T/s6" "$bare" --network named --config "$0"
check "and no store is left then" test ! -e "$T/s6"
check "they may come by a pipe" import "$T/s-pipe" "$bare" --network named --config <(cat "$a/network.json") --quiet
check "and taken from --config" import "$T/s6" "$bare" --network named --config "$a/network.json" --quiet
check "verify then says that they come from the configuration" \
	sh -c "'$CHAINFS' verify '$T/s6' --stored | grep -q 'validators from the config'"

check "an archive that is none leaves no store behind" test ! -e "$T/s1"
check "a range that is none is refused" refuses 1 "both included, from 1" "$T/s-range" "$a" --range 5-1
check "and leaves no store behind" test ! -e "$T/s-range"
check "a range that the archive does not hold is said" \
	says "holds no height of --range 5000-6000" "$CHAINFS" import "$T/a" "$a" --range 5000-6000 --quiet
check "and exits with 3" exits 3 "$CHAINFS" import "$T/a" "$a" --range 5000-6000 --quiet

cp -r "$T/a" "$T/rot"
rot()
{
	local file
	file=$(ls -S "$T/rot/networks/devnet/db/"*.sst | head -n 1)
	printf '\377\377\377\377' | dd of="$file" bs=1 seek=$(($(stat -c %s "$file") / 3)) conv=notrunc status=none
	"$CHAINFS" verify "$T/rot" --network devnet >"$T/rot.out" 2>&1
	[ $? = 4 ] && grep -q "cannot be read" "$T/rot.out" || { cat "$T/rot.out"; return 1; }
}
check "verify names rows of the database that are damaged, and exits with 4" rot
