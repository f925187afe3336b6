#!/bin/bash
# The daemon's memory and descriptors stay where they are: over finds of a million entries, and while a
# day of blocks arrives, a minute's at a time, under readers who look at what is newest.
# alone: it measures memory.
#
#     ENTRIES=1000000 MINUTES=1440 BLOCKS=259200 tests/slow/t-memory.sh
#
# A day of a chain with a block a second is 86,400 heights, in three shards.
. "$(dirname "$0")/../mount/lib.bash"

ENTRIES=${ENTRIES:-1000000} MINUTES=${MINUTES:-1440} BLOCKS=${BLOCKS:-259200} ROOM_KB=16384
[ "${FLAVOUR:-release}" = release ] || skip "memory is measured of a release alone"
drop_caches || skip "only root makes the kernel forget"
# Small caches are full within a third of a day: what grows after that is no cache.
export CHAINFS_LIMITS_CACHE=32M CHAINFS_MOUNT_RENDER_CACHE=4M

"$CHAINFS" forge "$T/archive" --blocks "$BLOCKS" --messages $((BLOCKS / 5)) --quiet || exit 1
heights=$((BLOCKS / 3)) # of each of three shards
"$CHAINFS" import "$T/st" "$T/archive" --network $NET --hyper on --quiet --range \
	"0:1-$((heights / 8))" > "$T/import.out" 2>&1 ||
	exit 1
mount_store "$T/st" "$T/mnt" || exit 1
ask rss $$ > /dev/null || exit 1
N=$T/mnt/$NET
daemon=$(daemon_of "$T/st")
# But those of the database's tables, whose number has a bound of its own (400) that a day comes
# near.
descriptors() { find "/proc/$daemon/fd" -type l ! -lname '*.sst' | wc -l; }
tables() { find "/proc/$daemon/fd" -type l -lname '*.sst' | wc -l; }

look() { # as who follows the chain does
	head -c 100 "$N/head/header" "$N/status" > /dev/null
	ls "$N/legacy/blocks/" "$N/gaps/" "$N/legacy/state/" > /dev/null
	tail -n 1 "$N/legacy/blocks/$(ls "$N/legacy/blocks/" | tail -n 1)/index.tsv" > /dev/null
	cat "$N/legacy/state/roots.tsv" > /dev/null
}

minute=0 first=$((heights / 8 + 1))
step=$(((heights - first + 1) / MINUTES + 1))
failed=0
while [ "$first" -le "$heights" ]; do
	last=$((first + step - 1))
	[ "$last" -le "$heights" ] || last=$heights
	"$CHAINFS" import "$T/st" "$T/archive" --network $NET --quiet --range "0:$first-$last" > "$T/import.out" 2>&1 ||
		failed=$((failed + 1))
	look
	first=$((last + 1)) minute=$((minute + 1))
	# What fills up to a bound has done so after a third of the day.
	[ "$minute" != $((MINUTES / 3)) ] || { drop_caches; third=$(ask rss "$daemon") third_fds=$(descriptors); }
	[ $((minute % 120)) != 0 ] || echo "# minute $minute: $(ask rss "$daemon") kB, $(descriptors) descriptors"
done
drop_caches
day=$(ask rss "$daemon") day_fds=$(descriptors)
same "$minute minutes of blocks came, none failed" "$failed" 0
check "over two thirds of a day the daemon went from $third to $day kB" test $((day - third)) -lt $ROOM_KB
check "and from $third_fds to $day_fds descriptors" test $((day_fds - third_fds)) -lt 16
open_tables=$(tables)
check "and $open_tables tables of the database" test "$open_tables" -le 400

# Finds of a million entries, from cold to cold.
count() { find "$N/legacy/" "$N/hyper/" -size -1000000000c | head -n "$ENTRIES" | wc -l; }
seen=$(count)
while [ "$seen" -lt "$ENTRIES" ]; do
	drop_caches
	more=$(count)
	[ "$more" -gt 0 ] || break
	seen=$((seen + more))
done
drop_caches
before=$(ask rss "$daemon")
seen=0
while [ "$seen" -lt "$ENTRIES" ]; do
	more=$(count)
	[ "$more" -gt 0 ] || break
	seen=$((seen + more))
	drop_caches
done
after=$(ask rss "$daemon")
check "over a find of $seen entries the daemon went from $before to $after kB" test $((after - before)) -lt $ROOM_KB
