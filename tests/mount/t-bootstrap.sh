#!/bin/bash
# A store that begins with the state of a node: as a reader of the mount sees it, from that height
# on it is the one that imported everything.
. "$(dirname "$0")/lib.bash"
FROM=$VECTORS/devnet-r

"$CHAINFS" import "$T/whole" "$FROM" --quiet --hyper on > /dev/null || exit 1

# The proof of a name that was renewed is in no trie, so nobody hands it out: names/ of a data shard
# lacks it until its next transfer.
RENEWED=carol-dev
same_tree() { # PATH STORE: all that the mount shows below it
	(cd "$T/mnt-whole/devnet/$1" && find . ! -path "./shards/*/names/$RENEWED" | sort) > "$T/list-whole"
	(cd "$T/mnt-$2/devnet/$1" && find . | sort) > "$T/list-$2"
	diff "$T/list-whole" "$T/list-$2" && diff -r -x "$RENEWED" "$T/mnt-whole/devnet/$1" "$T/mnt-$2/devnet/$1" &&
		[ "$(wc -l < "$T/list-$2")" -gt 1000 ]
}
refused() { # SENTENCE COMMAND…
	local sentence=$1
	shift
	"$@" > "$T/refused.out" 2>&1 && { cat "$T/refused.out"; return 1; }
	grep -qF -- "$sentence" "$T/refused.out" || { cat "$T/refused.out"; return 1; }
}
mount_store "$T/whole" "$T/mnt-whole" || exit 1

# ---- recorded pages ----

check "a store begins with recorded pages" "$CHAINFS" bootstrap "$T/pages" "$FROM/replication" --hyper on --quiet
check "there is no half of one left" test ! -e "$T/pages.part"
check "what is there stays" refused "is there already" "$CHAINFS" bootstrap "$T/pages" "$FROM/replication" --quiet
for said in 'grpc://|there is no host' 'grpc://[::1|bracket is not closed' \
	'grpc://127.0.0.1:0|:PORT, 1 to 65535' 'grpc://127.0.0.1:65536|:PORT, 1 to 65535' \
	'grpc://127.0.0.1: 1|:PORT, 1 to 65535' 'grpc://a b:1|there is no host'; do
	check "${said%%|*} is no address, and why is said" refused "${said#*|}" \
		"$CHAINFS" bootstrap "$T/none" "${said%%|*}" --config "$FROM/network.json" --network devnet --quiet
done
check "a height that is not offered is said" refused "no snapshot of height 341 is offered" \
	"$CHAINFS" bootstrap "$T/none" "$FROM/replication" --height 341 --quiet
check "of refused pages alone, without lists, none is made" refused "shard 1, vshard a2, page 0" \
	"$CHAINFS" bootstrap "$T/none" "$FROM/replication-with-keys" --quiet
check "and nothing of it is left" test ! -e "$T/none" -a ! -e "$T/none.part"
check "verify has nothing to say against it" "$CHAINFS" verify "$T/pages"
check "fsck neither" "$CHAINFS" fsck "$T/pages"
same "no account was guessed" "$("$CHAINFS" guessed "$T/pages")" ""
check "an import goes on from there" "$CHAINFS" import "$T/pages" "$FROM" --quiet
mount_store "$T/pages" "$T/mnt-pages" || exit 1
for h in 341 400 641; do
	check "at/$h is that of a full import" same_tree "legacy/at/$h" pages
done
roots=devnet/legacy/shards/1/roots
same_roots()
{
	tail -n +341 "$T/mnt-whole/$roots"/*.tsv > "$T/a"
	tail -n 304 "$T/mnt-pages/$roots"/*.tsv > "$T/b"
	test -s "$T/a" && tail -n 300 "$T/a" > "$T/c" && tail -n 300 "$T/b" | diff "$T/c" -
}
check "so are all roots from there on" same_roots
check "hyper's base is said" grep -q 340 "$T/mnt-pages/devnet/status"
umount "$T/mnt-pages"

# ---- a node ----

. "$TESTS/peers/lib.bash"
peer_start node --archive "$FROM" --replication "$FROM/replication-with-keys" || exit 1
at=grpc://127.0.0.1:$PEER_PORT
boot() { # STORE OPTION…
	local store=$1
	shift
	timeout 120 "$CHAINFS" bootstrap "$T/$store" "$at" --config "$FROM/network.json" --network devnet --quiet "$@"
}
boot keys --json > "$T/keys.json" || not_ok "a store begins with a node's state"
same "two pages were refused, and filled" "$(grep -c '"refused_pages": 1' "$T/keys.json")" 2
check "an import goes on from there" "$CHAINFS" import "$T/keys" "$FROM" --quiet
mount_store "$T/keys" "$T/mnt-keys" || exit 1
check "at/644 is that of a full import" same_tree legacy/at/644 keys
umount "$T/mnt-keys"
for lie in missing repeated changed wrong-root token-loop swapped short other-shard endless token-cycle; do
	said=$(peer_order node tamper $lie 1 26 0) || { not_ok "$lie: $said"; continue; }
	check "a page that is $lie is refused and named" refused "shard 1, vshard 1a" boot "lie-$lie"
	check "$lie: nothing is left" test ! -e "$T/lie-$lie" -a ! -e "$T/lie-$lie.part"
done
# Nothing in a page says that its records are of another shard or height: the root of the shard does.
for lie in moved false-root other-block many-snapshots; do
	where="1 26 0"
	[ $lie != moved ] || where="2 242 0" # the one that both shards have other accounts of
	said=$(peer_order node tamper $lie $where) || { not_ok "$lie: $said"; continue; }
	check "$lie is refused and named" refused "shard ${where%% *}" boot "lie-$lie"
	check "$lie: nothing is left" test ! -e "$T/lie-$lie" -a ! -e "$T/lie-$lie.part"
done
peer_order node tamper none > /dev/null
peer_order node tamper refused 1 26 0 > /dev/null
check "a page of many messages that is refused is filled from lists" boot filled
check "and an import goes on from there" "$CHAINFS" import "$T/filled" "$FROM" --quiet
same "without a gap" "$("$CHAINFS" gaps "$T/filled")" ""
peer_stop node
peer_start both --archive "$FROM" --replication "$FROM/replication" \
	--replication "$FROM/replication-with-keys" || exit 1
at=grpc://127.0.0.1:$PEER_PORT
peer_order both tamper other-height 1 162 0 > /dev/null # where keys came in between
check "a page of another height is refused and named" refused "shard 1" boot lie-height
peer_stop both
exit $((tests_failed > 0))
