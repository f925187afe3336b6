#!/bin/bash
# The state of a store against that of a node: which accounts differ.
. "$(dirname "$0")/../support/lib.bash"
. "$TESTS/peers/lib.bash"
FROM=$VECTORS/devnet-r

# The peer's state is that of height 340 of both shards, which main block 341 witnesses.
peer_start node --archive "$FROM" --replication "$FROM/replication" --at 341 || exit 1
at=grpc://127.0.0.1:$PEER_PORT
"$CHAINFS" import "$T/whole" "$FROM" --quiet --range 1-341 > /dev/null || exit 1
compare() { # STORE OPTION…: its lines in $T/out; prints its code
	local store=$1
	shift
	timeout 60 "$CHAINFS" compare "$T/$store" "$at" "$@" > "$T/out" 2> "$T/err"
	echo $?
}
calls() { peer_order node stats | grep -o '"GetTrieMetadataByPrefix":{"calls":[0-9]*' | grep -o '[0-9]*$'; }
line() { grep -cE -- "$1" "$T/out"; }

same "equal states are equal" "$(compare whole)" 0
same "of every shard but the main one" "$(line '^shard [12]: equal as of 340: root [0-9a-f]{40}, ')" 2
same "and that is all that is said" "$(wc -l < "$T/out")" 2
same "for which one node a shard was asked for" "$(calls)" 2
same "as JSON too" "$(compare whole --json)" 0
check "it is JSON" node -e 'const l = JSON.parse(require("fs").readFileSync(process.argv[1]));
	const same = (s) => s.equal && s.height === 340 && s.root === s.node_root && !s.accounts.length;
	if (l.length !== 2 || !l.every(same)) process.exit(1)' "$T/out"

# ---- an account that differs ----

same "one shard alone" "$(compare whole --shard 2)" 0
same "is what is told" "$(line '^shard 2: equal')-$(wc -l < "$T/out")" 1-1
fid=1002
before=$(calls)
gone=$(peer_order node forget $fid)
gone=${gone#ok }
check "the node forgets a record of an account" test "$gone" -gt 0
same "a node that lacks a record of account $fid differs" "$(compare whole)" 4
root='[0-9a-f]{40}, [0-9]+ records'
same "in that account, in each shard that has it" \
	"$(line "^shard [12]: account $fid other-root: here $root; there $root")" "$gone"
same "and no other" "$(line ': account ')" "$gone"
check "and was asked for little" test $(($(calls) - before)) -le $((80 * gone + 2))
peer_order node forget $fid all > /dev/null
same "one that lacks all of it differs" "$(compare whole)" 4
same "in that account, which is missing there" \
	"$(line "^shard [12]: account $fid missing-there: .*; there -, 0 records")" "$gone"
same "and no other is" "$(line ': account ')" "$gone"
peer_order node forget > /dev/null

# ---- other heights ----

"$CHAINFS" import "$T/below" "$FROM" --quiet --range 1-100 > /dev/null || exit 1
same "a store that is behind differs by what came since" "$(compare below)" 4
between='accounts that blocks in between changed differ as well'
same "and both heights are said" \
	"$(line "^shard [12]: the node is at 340, this store at 99: $between\$")" 2
"$CHAINFS" import "$T/above" "$FROM" --quiet --range 1-360 > /dev/null || exit 1
same "a store that is ahead has the node's height still" "$(compare above)" 0
same "and both heights are said as well" \
	"$(line '^shard [12]: the node is at 340, this store at 359: compared as of 340$')" 2

# ---- what cannot be asked ----

same "of the main shard no node tells" "$(compare whole --shard 0)" 1
check "in a sentence" grep -q "nodes tell no trie of the main shard" "$T/err"
same "an address that is none is usage" "$(compare whole --shard 7)" 1
peer_start plain --archive "$FROM" --at 341 || exit 1
at=grpc://127.0.0.1:$PEER_PORT
same "a node that tells of no trie is no equal one" "$(compare whole)" 3
check "and says why" grep -q "given no whole state" "$T/err"
exit $((tests_failed > 0))
