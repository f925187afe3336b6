# lib.bash: peers for scripts. Source it after tests/support/lib.bash (or tests/mount/lib.bash).
#
# peer_start NAME OPTION…   starts one and waits until it listens; sets PEER_PID and PEER_PORT, and
#                           PEER_PIDS[NAME], PEER_PORTS[NAME]. Its standard error is $T/peer.NAME.err.
#                           PEER_IN_NETWORK names the network namespace that it runs in, if set
# peer_order NAME ORDER…    one order; its answer is printed. False when the answer is an error
# peer_stop NAME            ends it
#
# At the end of the script every peer that is left is ended, also after a failure: their standard input
# closes with the script's end, whatever becomes of it.

PEERS=$TESTS/peers
declare -A PEER_PIDS PEER_PORTS PEER_IN PEER_OUT

command -v node > /dev/null || skip "node is not here, and peers need it (.ci/setup installs it)"
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ] ||
	skip "peers need node 18 or newer, this is $(node --version)"
[ -d "$PEERS/node_modules/@grpc/grpc-js" ] ||
	skip "the packages of tests/peers are not installed: npm ci --prefix tests/peers"

peer_start() {
	local name=$1 in out word
	shift
	rm -f "$T/peer.$name.in" "$T/peer.$name.out"
	mkfifo "$T/peer.$name.in" "$T/peer.$name.out" || return 1
	# In a session of its own, as a service is: processors are shared out by sessions first.
	${PEER_IN_NETWORK:+ip netns exec "$PEER_IN_NETWORK"} setsid \
		node "$PEERS/snapchain/peer.mjs" "$@" < "$T/peer.$name.in" > "$T/peer.$name.out" \
		2> "$T/peer.$name.err" &
	PEER_PID=$!
	# In this order: each side's open waits for the other's.
	exec {in}> "$T/peer.$name.in" {out}< "$T/peer.$name.out"
	PEER_PIDS[$name]=$PEER_PID PEER_IN[$name]=$in PEER_OUT[$name]=$out
	PEER_PORT=
	if ! read -r -t 120 -u "$out" word PEER_PORT || [ "$word" != ready ]; then
		cat "$T/peer.$name.err"
		peer_stop "$name"
		return 1
	fi
	PEER_PORTS[$name]=$PEER_PORT
}

peer_order() { # one answer a line, so that answers cannot be taken for another's
	local name=$1 said
	shift
	echo "$*" >&"${PEER_IN[$name]}" || return 1
	read -r -t 300 -u "${PEER_OUT[$name]}" said || { echo "peer $name does not answer"; return 1; }
	echo "$said"
	[ "${said#error}" = "$said" ]
}

peer_stop() {
	local name=$1 in=${PEER_IN[$1]-} out=${PEER_OUT[$1]-}
	[ -n "$in" ] || return 0
	exec {in}>&- {out}<&-
	kill "${PEER_PIDS[$name]}" 2> /dev/null
	wait "${PEER_PIDS[$name]}" 2> /dev/null
	unset "PEER_PIDS[$name]" "PEER_PORTS[$name]" "PEER_IN[$name]" "PEER_OUT[$name]"
}
