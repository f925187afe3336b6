#!/bin/bash
# kill -9 at random moments of an import: what was acknowledged is there, and the end is the same.
. "$(dirname "$0")/../support/lib.bash"

KILLS=${KILLS:-$(rounds 4)}
seed=${TEST_SEED:-1}
echo "# TEST_SEED=$seed KILLS=$KILLS"
RANDOM=$seed
archive=$VECTORS/devnet-r
state() { "$CHAINFS" status "$1" --json | grep -vE '"(size|store)"'; }

"$CHAINFS" import "$T/whole" "$archive" --hyper on --quiet >/dev/null || exit 1
state "$T/whole" >"$T/whole.txt"

killed() # N
{
	local store=$T/killed-$1 pid held=0 now
	for _ in 1 2 3; do
		"$CHAINFS" import "$store" "$archive" --hyper on --quiet >/dev/null 2>&1 &
		pid=$!
		sleep "0.0$((RANDOM % 10))$((RANDOM % 10))"
		[ $((RANDOM % 2)) = 0 ] && sleep "0.$((RANDOM % 5))"
		kill -9 "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
		[ -d "$store" ] || continue
		now=$("$CHAINFS" status "$store" --json 2>/dev/null | awk -F'[:,]' '/"held"/ { n += $2 } END { print n + 0 }')
		[ "$now" -ge "$held" ] || { echo "$held blocks were held, then $now"; return 1; }
		held=$now
	done
	"$CHAINFS" import "$store" "$archive" --hyper on --quiet >/dev/null || return 1
	state "$store" | diff "$T/whole.txt" - || return 1
	"$CHAINFS" verify "$store" >/dev/null || return 1
	rm -rf "$store"
}
for n in $(seq "$KILLS"); do
	check "import $n, killed three times, ends in the same state" killed "$n"
done
