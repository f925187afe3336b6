#!/bin/bash
# A store that is restored from a checkpoint, as a reader of the mount sees it: from that height on
# it is the store that the checkpoint was made of.
. "$(dirname "$0")/lib.bash"

# trees_same FOLDER: below both mounts; names, sizes, times and bytes
trees_same() {
	local of
	for of in origin restored; do
		(cd "$T/mnt-$of/$1" && find . -printf '%P %y %s %T@\n' | sort) > "$T/list-$of"
	done
	diff "$T/list-origin" "$T/list-restored" && diff -r "$T/mnt-origin/$1" "$T/mnt-restored/$1" &&
		[ "$(wc -l < "$T/list-origin")" -gt 50 ]
}

# shown PATH…: the files below the restored network, as one text
shown() {
	(cd "$T/mnt-restored/$net" && cat "$@" 2>&1)
}

refuses() { # STATUS WORDS COMMAND…
	local status=$1 words=$2 got
	shift 2
	"$@" > "$T/said" 2>&1
	got=$?
	[ "$got" = "$status" ] && grep -q -- "$words" "$T/said" || { echo "exit $got"; cat "$T/said"; return 1; }
}

round() { # NETWORK ARCHIVE HEIGHT LATER…
	local archive=$2 h=$3 later first s context
	net=$1
	shift 3
	rm -rf "$T/origin" "$T/restored" "$T/points"
	"$CHAINFS" import "$T/origin" "$archive" --network "$net" --hyper on --quiet > /dev/null || exit 1
	point=$("$CHAINFS" checkpoint "$T/origin" "$T/points" --height "$h" | tail -n 1)
	point=$T/points/${point##*/}
	check "$net: a store is restored at $h" "$CHAINFS" restore "$T/restored" "$point" --network "$net" --quiet
	check "$net: verify has nothing to say against it" "$CHAINFS" verify "$T/restored"

	mount_store "$T/origin" "$T/mnt-origin" || exit 1
	mount_store "$T/restored" "$T/mnt-restored" || exit 1
	check "$net: legacy/at/$h is the same, file by file" trees_same "$net/legacy/at/$h"
	check "$net: hyper/at/$h is the same, file by file" trees_same "$net/hyper/at/$h"
	check "$net: diffs/$h is the same" diff -r "$T/mnt-origin/$net/diffs/$h" "$T/mnt-restored/$net/diffs/$h"
	check "$net: at/$((h - 1)) is no data" refuses 2 "No data available" \
		ls -d "$T/mnt-restored/$net/legacy/at/$((h - 1))"
	same "$net: everything below it is one gap" "$(ls "$T/mnt-restored/$net/gaps/0")" \
		"$(printf '%010d-%010d' 1 $((h - 1)))"
	same "$net: the map says the same" "$(shown heights/0.map | head -c $((h + 1)) | tr '\0' . | tr -d '\n')" \
		"$(printf '%*s' $((h - 1)) '' | tr ' ' .)r"

	for s in 0 1 2; do
		first=$(awk -v s=$s '$1 == "shard" && $2 == s && $3 == "begins" { print $4 }' \
			"$T/mnt-restored/$net/status")
		check "$net: the rest of shard $s is imported while it is mounted" \
			"$CHAINFS" import "$T/restored" "$archive" --network "$net" --range "$s:$first-9999" --quiet
	done
	for later in "$@"; do
		check "$net: legacy/at/$later is the same" trees_same "$net/legacy/at/$later"
		check "$net: hyper/at/$later is the same" trees_same "$net/hyper/at/$later"
	done
	check "$net: legacy/state is the same" trees_same "$net/legacy/state"
	check "$net: hyper/state is the same" trees_same "$net/hyper/state"
	for s in "" shards/1/ shards/2/; do
		for context in legacy hyper; do
			first=$(head -n 1 "$T/mnt-restored/$net/$context/${s}roots"/*.tsv | cut -f 1)
			same "$net: $context/${s}roots, from where it begins" \
				"$(cat "$T/mnt-restored/$net/$context/${s}roots"/*.tsv)" \
				"$(cat "$T/mnt-origin/$net/$context/${s}roots"/*.tsv | awk -v f="$first" '$1 >= f')"
		done
		check "$net: hyper/${s}envelopes are the same" \
			sh -c "cd '$T/mnt-restored/$net/hyper/${s}envelopes' && find . -type f | head -n 400 |
				while read -r f; do
					cmp \"\$f\" '$T/mnt-origin/$net/hyper/${s}envelopes/'\"\$f\" || exit 1
				done"
	done
	check "$net: earlier blocks are imported as well" \
		"$CHAINFS" import "$T/restored" "$archive" --network "$net" --quiet
	same "$net: then nothing is missing" "$(find "$T/mnt-restored/$net/gaps" -mindepth 1)" ""
	check "$net: and at/$((h - 1)) is still no data" refuses 2 "No data available" \
		ls -d "$T/mnt-restored/$net/legacy/at/$((h - 1))"
	check "$net: whose outcomes say why" says "not-replayed.the state here begins at height $h" \
		cat "$T/mnt-restored/$net/legacy/blocks/$((h - 1))/outcomes.tsv" \
		"$T/mnt-restored/$net/legacy/blocks/$h/outcomes.tsv"
	check "$net: as verify does" says "^state.pending.not replayed: the state here begins at height $h\$" \
		cat "$T/mnt-restored/$net/legacy/blocks/$((h - 1))/verify"
	check "$net: all of the network can be read" \
		sh -c "find '$T/mnt-restored/$net' -type f -exec cat {} + > /dev/null"
	check "$net: blocks and their items are the same" \
		diff -r -x verify -x outcomes.tsv "$T/mnt-origin/$net/legacy/blocks" \
		"$T/mnt-restored/$net/legacy/blocks"
	check "$net: the mounted store verifies" "$CHAINFS" verify "$T/restored"
	unmount "$T/mnt-restored"
	unmount "$T/mnt-origin"
	eventually 20 is_not_mounted "$T/mnt-origin" && eventually 20 is_not_mounted "$T/mnt-restored"
}

# What is recorded from others, when there is time for both.
[ "$(rounds 2)" = 1 ] || round $NET "$ARCHIVE" 137 138 200 272

"$CHAINFS" demo "$T/demo" --no-mount --quiet > /dev/null || exit 1
round demo "$T/demo/archive" 150 151 280

# ---- what the verb says ----

check "a store that exists is left alone" refuses 4 "is there already" \
	"$CHAINFS" restore "$T/restored" "$point" --network demo --quiet
check "what is no checkpoint is refused" refuses 3 "is no checkpoint" \
	"$CHAINFS" restore "$T/none" "$T/demo" --network demo --quiet
cp -r "$point" "$T/bad"
printf x | dd of="$T/bad/blocks/1.pb" bs=1 seek=40 conv=notrunc 2> /dev/null
check "one that was tampered with is refused with the level" refuses 4 "does not prove: bytes: failed" \
	"$CHAINFS" restore "$T/none" "$T/bad" --network demo --quiet
same "and nothing was made" "$(ls -d "$T"/none* 2> /dev/null)" ""
check "other validators than those that signed are refused" refuses 4 "does not prove: commits" \
	"$CHAINFS" restore "$T/none" "$point" --network demo --config "$ARCHIVE/network.json" --quiet
same "and nothing was made" "$(ls -d "$T"/none* 2> /dev/null)" ""
"$CHAINFS" restore "$T/json" "$point" --network demo --json --quiet > "$T/json.out"
same "--json says what was proved" "$(grep -c '"verdict": "ok"' "$T/json.out")" 6
same "--json says where it begins" "$(field height < "$T/json.out")" 150
check "status says so too" says "replayed 150, from the state of a checkpoint at 150" "$CHAINFS" status "$T/json"


check "verify checks the records that were carried" says \
	"^[0-9][0-9]* records checked whose bytes a checkpoint brought" \
	"$CHAINFS" verify "$T/json"
printf chainfs | dd of="$T/json/networks/demo/segments/000001.seg" bs=1 seek=5000 conv=notrunc 2> /dev/null
check "and finds their damage" refuses 4 "carried bytes 1: .*do not match their checksum" "$CHAINFS" verify "$T/json"

# Without a mount, killed at any moment: no store, or all of it.
for n in 1 2 3 4 5 6; do
	rm -rf "$T/killed"
	"$CHAINFS" restore "$T/killed" "$point" --network demo --quiet > /dev/null 2>&1 &
	pid=$!
	case $n in
	1) ;;
	2) eventually 5 test -d "$T/killed.part" ;;
	3) eventually 5 test -d "$T/killed.part/networks/demo" ;;
	4) eventually 5 sh -c "test -s '$T/killed.part/networks/demo/segments/000001.seg'" ;;
	5) eventually 5 test -d "$T/killed" ;;
	6) eventually 5 test -d "$T/killed.part" ;;
	esac
	[ $n = 6 ] && kill -INT "$pid" || kill -9 "$pid" 2> /dev/null
	wait "$pid" 2> /dev/null
	if [ -d "$T/killed" ]; then
		check "round $n: the store is whole" "$CHAINFS" verify "$T/killed"
	else
		ok "round $n: there is no store"
	fi
done
rm -rf "$T/killed"
check "what the killed ones left is in nobody's way" \
	"$CHAINFS" restore "$T/killed" "$point" --network demo --quiet
same "and is gone" "$(ls -d "$T"/killed.part 2> /dev/null)" ""
