#!/bin/bash
# Four sources at once: one slow, one that hangs midway, one that lies, one honest. Whatever the lie,
# everything arrives and is what an import has, nothing false is stored, and the liar is banned with
# the reason, or, where its lie proves nothing, trusted less.
#
#     MODES="bad-hash silent" tests/mount/t-sources-many.sh       some lies alone
#     MODES=all                                                   as in tests/slow
. "$(dirname "$0")/lib.bash"
. "$(dirname "$0")/../peers/lib.bash"

MAIN=273
BELOW=40 # what everybody has from the start; above it only the liar has blocks at first
HANGS=120 # as far as the hanging one is asked before it hangs
cp "$ARCHIVE/network.json" "$T/network.json"
import_vectors "$T/imported" || exit 1
mount_store "$T/imported" "$T/other" || exit 1

number_of() { # STORE SHARD KEY
	"$CHAINFS" status "$1" --json | python3 -c 'import json, sys
print(json.load(sys.stdin)["networks"][0]["shards"][int(sys.argv[1])][sys.argv[2]])' "$2" "$3"
}

CHUNKS1=$(number_of "$T/imported" 1 replayed)
CHUNKS2=$(number_of "$T/imported" 2 replayed)

# Nothing is compared with other sources any more, or about to be taken back.
settled() { # STORE
	[ "$("$CHAINFS" status "$1" --json | python3 -c 'import json, sys
print(json.load(sys.stdin)["networks"][0]["sync"]["doubted"])')" = 0 ]
}

whole() {
	settled "$1" && [ "$(number_of "$1" 0 replayed)" = $MAIN ] && [ "$(number_of "$1" 1 replayed)" = "$CHUNKS1" ] &&
		[ "$(number_of "$1" 2 replayed)" = "$CHUNKS2" ]
}

# A digest of every file that two machines have the same, and of what each block's check found: all
# but who named the validators.
tree_of() { # MNT
	(cd "$1/$NET" && find legacy/blocks legacy/shards legacy/state legacy/roots hyper/state -type f \
		! -name commits.pb ! -name verify | sort | tr '\n' '\0' | xargs -0 sha256sum &&
		find legacy -name verify | sort | tr '\n' '\0' | xargs -0 grep -v ^validators) | sha256sum
}

column() { # STORE PEER N: of `source list`; 5 is the state, 6 the score, the last the reason
	"$CHAINFS" source list "$1" | awk -F '\t' -v name="127.0.0.1-${PEER_PORTS[$2]}" -v n="$3" \
		'$2 == name { print n ? $n : $NF }'
}

is_banned() { # STORE PEER
	[ "$(column "$1" "$2" 5)" = banned ]
}

# Its score comes back with good answers, and these stay.
has_faults() { # FOLDER
	grep -q ' [1-9]' "$1/faults"
}

has_lied() { # PEER
	peer_order "$1" stats | grep -q '"lies":[1-9]'
}

has_served() { # PEER: any height
	peer_order "$1" stats | grep -q '"heights":{[^}]*:[1-9]'
}

WANTED=$(tree_of "$T/other")
unmount "$T/other"

# lies MODE BANNED [OPTION…]: BANNED is yes (what it gives proves it), later (another one's block does),
# score (nothing is proved, but it costs trust), or no (what it does is no fault)
lies() {
	local mode=$1 banned=$2 store=$T/st.$1 name source
	shift 2
	case " ${MODES-bad-hash changed-transactions} " in *" $mode "* | " all ") ;; *) return ;; esac
	peer_start liar --archive "$ARCHIVE" --lie "${mode%+*}" --seed "${TEST_SEED:-1}" "$@" || exit 1
	peer_start hanging --archive "$ARCHIVE" --at $BELOW || exit 1
	peer_start slow --archive "$ARCHIVE" --at $BELOW --latency 150 --rate 100000 || exit 1
	peer_start honest --archive "$ARCHIVE" --at $BELOW || exit 1
	mkdir -p "$T/mnt"
	rm -f "$T/ctl_of.mnt"
	"$CHAINFS" mount "grpc://127.0.0.1:${PEER_PORTS[liar]}" "$T/mnt" --network $NET --config "$T/network.json" \
		-o "store=$store" -o "source=grpc://127.0.0.1:${PEER_PORTS[hanging]}" \
		-o "source=grpc://127.0.0.1:${PEER_PORTS[slow]}" -o "source=grpc://127.0.0.1:${PEER_PORTS[honest]}" \
		--set sync.from=start || exit 1
	same "$mode: four are followed" "$("$CHAINFS" source list "$store" | wc -l)" 4
	check "$mode: it lies to us" eventually 20 has_lied liar
	[ "$banned" != yes ] || check "$mode: and is banned at once" eventually 20 is_banned "$store" liar
	peer_order hanging at $HANGS > /dev/null
	check "$mode: one serves, and then hangs" eventually 20 has_served hanging
	peer_order hanging at all > /dev/null
	peer_order hanging hang > /dev/null
	peer_order slow at all > /dev/null
	peer_order honest at all > /dev/null
	check "$mode: everything arrives" eventually 60 whole "$store"
	case $banned in
	yes | later) check "$mode: the liar is banned" eventually 20 is_banned "$store" liar ;;
	esac
	check "$mode: and what it gave is compared" eventually 60 whole "$store"
	same "$mode: the tree is that of an import" "$(tree_of "$T/mnt")" "$WANTED"
	same "$mode: nothing is missing" "$(ls "$T/mnt/$NET/gaps")" ""
	source=$T/mnt/$NET/sources/127.0.0.1-${PEER_PORTS[liar]}
	case $banned in
	yes | later)
		check "$mode: with the reason" grep -q '[a-z].* ' <(column "$store" liar 0)
		check "$mode: also in its files" grep -qF ": $(cat "$source/last_error")" \
			<(grep '^banned until ' "$source/status")
		;;
	score)
		check "$mode: it counts as a fault" has_faults "$source"
		check "$mode: with the reason" grep -q '[a-z].* ' "$source/last_error"
		;;
	esac
	echo "# $mode: $(column "$store" liar 5) $(column "$store" liar 6), $(column "$store" liar 0)"
	for name in honest slow; do
		check "$mode: the $name one is not" grep -qv banned <(column "$store" $name 5)
	done
	unmount "$T/mnt"
	for name in liar hanging slow honest; do
		peer_stop $name
	done
	check "$mode: the store is sound" eventually 20 "$CHAINFS" fsck "$store" --quiet
	rm -rf "$store"
}

lies bad-hash yes --lie-every 5
lies bad-commit yes --lie-every 5
lies truncated yes --lie-every 5
lies wrong-network yes --lie-every 5
lies wrong-network+other yes --lie-every 5 --other "$VECTORS/devnet-r"
lies changed-transactions later --lie-every 5
lies changed-message later --lie-every 5
lies reordered score --lie-every 5
lies repeated score --lie-every 5
lies oversized score --lie-every 5 --oversize 70000000
lies error score --lie-every 2
lies reset score --lie-every 2
lies silent score --lie-every 2
lies beyond score --lie-every 2
lies empty no --lie-every 2
lies future no
