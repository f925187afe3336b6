#!/bin/bash
# The peer that other tests follow: is it the node that it plays, and does it lie as it is told?
. "$(dirname "$0")/../support/lib.bash"
. "$TESTS/peers/lib.bash"

"$CHAINFS" forge "$T/forged" --quiet --seed 5 --messages 2000 || exit 1
tls=
command -v openssl > /dev/null && tls=1 && mkdir "$T/tls" &&
	openssl req -x509 -newkey ed25519 -nodes -days 2 -subj /CN=localhost \
	-addext subjectAltName=DNS:localhost -keyout "$T/tls/key.pem" -out "$T/tls/cert.pem" 2> /dev/null
node "$PEERS/snapchain/check.mjs" "$VECTORS" "$T/forged" ${tls:+"$T/tls"} > "$T/check.out" \
	2> "$T/check.err" || tests_failed=$((tests_failed + 1))
cat "$T/check.out" "$T/check.err"

# ---- states that are made, against those that a node gave ----

"$CHAINFS" import "$T/r" "$VECTORS/devnet-r" --quiet > /dev/null || exit 1
replica() # HEIGHT FOLDER
{
	local at
	at=$("$CHAINFS" checkpoint "$T/r" "$T/checkpoints" --height "$1") || return 1
	node "$PEERS/snapchain/make_replica.mjs" "$at" "$VECTORS/devnet-r" "$2"
}
like_recorded() # FOLDER RECORDED: its pages, and which are refused and why
{
	node "$PEERS/snapchain/same_pages.mjs" "$1" "$VECTORS/devnet-r/$2"
}
check "a state is made of a checkpoint, and its root is the signed one" replica 341 "$T/340"
check "its pages are those that the recorded node gave" like_recorded "$T/340" replication
check "so is a later one, with messages that refuse their page" replica 641 "$T/640"
check "and its pages and refusals are those of the recorded node" like_recorded "$T/640" replication-with-keys

cut_short() # a vshard less
{
	local at
	at=$(ls -d "$T"/checkpoints/0000000341-*) && cp -r "$at" "$T/short" || return 1
	rm "$(ls -S "$T"/short/legacy/1/*.pb | head -n 1)"
	node "$PEERS/snapchain/make_replica.mjs" "$T/short" "$VECTORS/devnet-r" \
		"$T/no" > "$T/short.out" 2>&1 && return 1
	grep -q 'shard 1: the root of' "$T/short.out" || { cat "$T/short.out"; return 1; }
}
check "a state that lacks records is not made, and why is said" cut_short

# ---- what scripts use ----

peer_start one --archive "$VECTORS/devnet-a" --at 20 || not_ok "a peer starts"
one=$PEER_PID
peer_start two --archive "$VECTORS/devnet-c" --at 10 || not_ok "a second peer starts"
same "orders and answers: the first" "$(peer_order one advance 2)" "ok 22"
same "orders and answers: the second" "$(peer_order two at 15)" "ok 15"
check "an order that is none is a failure" exits 1 peer_order one dance
check "each has its port" test "${PEER_PORTS[one]}" != "${PEER_PORTS[two]}"
peer_stop one
check "one that is stopped is gone" is_gone "$one"
same "and the other is there" "$(peer_order two advance)" "ok 16"
bad() { ! peer_start bad --archive "$T/nowhere"; }
check "one that cannot start says so" bad
exit $((tests_failed > 0))
