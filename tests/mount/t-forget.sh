#!/bin/bash
# A million lookups, and as many forgotten: the daemon keeps nothing of them.
# alone: it makes the kernel forget, and measures memory.
. "$(dirname "$0")/lib.bash"

"$CHAINFS" forge "$T/archive" --blocks 3000 --messages 2000 --quiet || exit 1
"$CHAINFS" import "$T/st" "$T/archive" --network $NET --quiet > /dev/null || exit 1
mount_store "$T/st" "$T/mnt" || exit 1
ask rss $$ > /dev/null || exit 1
N=$T/mnt/$NET
if [ -n "${FLAVOUR:-}" ] && [ "$FLAVOUR" != release ]; then # a sanitizer's own memory is not ours
	skip "memory is measured of a release alone"
fi
ROUNDS=$(rounds 32) ROOM_KB=8192
daemon=$(daemon_of "$T/st")

round() { # everything looked up once, and forgotten
	find "$N/legacy/blocks/" "$N/legacy/shards/" -size -1000000c | wc -l
	if ! drop_caches; then
		"$CHAINFS" umount "$T/mnt"
		mount_store "$T/st" "$T/mnt"
	fi
}
drop_caches || skip "only root makes the kernel forget, and a new daemon would prove nothing"
lookups=$(round)
lookups=$((lookups + $(round)))
before=$(ask rss "$daemon")
for _ in $(seq 3 "$ROUNDS"); do
	lookups=$((lookups + $(round)))
done
after=$(ask rss "$daemon")
check "$lookups lookups were given and forgotten" test "$lookups" -ge $((30000 * ROUNDS))
check "the daemon went from $before to $after kB" test $((after - before)) -lt $ROOM_KB

# States come and go with their slots.
states() { for h in $(seq 1 900); do printf '%s/legacy/at/%d/accounts\0' "$N" "$h"; done |
	xargs -0 stat -c %i | wc -l; }
same "900 states are looked at" "$(states)" 900
drop_caches
before=$(ask rss "$daemon")
for _ in $(seq "$(rounds 10)"); do
	states > /dev/null
	drop_caches
done
after=$(ask rss "$daemon")
check "and as many as $(rounds 10) times more, and from $before to $after kB" test $((after - before)) -lt $ROOM_KB
