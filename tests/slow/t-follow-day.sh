#!/bin/bash
# A day of a chain with a block a second is followed at many times that speed: the daemon's memory and
# descriptors stay where they are, under readers who look at what is newest and with nodes that restart.
# alone: it measures memory.
#
#     HEIGHTS=86400 SPEED=300 tests/slow/t-follow-day.sh
#
# HEIGHTS of each of three shards; SPEED: heights a second that the nodes get.
#
# What is measured is the daemon's own memory, without pages of files that the kernel may take back, when
# it has just forgotten all names: at each of 60 steps, since at any one moment up to 16 MiB of rows wait
# to be written out, and about as much was freed and not yet returned. So the mean of the last
# third of the day is compared with that of the second: a byte that a height leaves behind shows as a
# third of the heights. The first third fills what has a bound, which is why the bounds are small here:
# limits.cache also bounds what the states of a follower keep while they are open, which is for ever.
. "$(dirname "$0")/../mount/lib.bash"
. "$(dirname "$0")/../peers/lib.bash"

HEIGHTS=${HEIGHTS:-86400} SPEED=${SPEED:-300} ROOM_KB=8192 BEGIN=1000
[ "${FLAVOUR:-release}" = release ] || skip "memory is measured of a release alone"
drop_caches || skip "only root makes the kernel forget"
export CHAINFS_LIMITS_CACHE=${CHAINFS_LIMITS_CACHE:-8M} CHAINFS_MOUNT_RENDER_CACHE=4M CHAINFS_SYNC_MEMORY=8M

archive=${DAY_ARCHIVE:-$T/archive}
[ -e "$archive" ] ||
	"$CHAINFS" forge "$archive" --blocks $((HEIGHTS * 3)) --messages $((HEIGHTS * 3 / 5)) \
	--quiet || exit 1
peer_start one --archive "$archive" --at $BEGIN || exit 1
peer_start two --archive "$archive" --at $BEGIN || exit 1
mkdir -p "$T/mnt"
"$CHAINFS" mount "grpc://127.0.0.1:${PEER_PORTS[one]}" "$T/mnt" --network $NET --config "$archive/network.json" \
	-o "store=$T/st" --set sync.from=start || exit 1
"$CHAINFS" source add "$T/st" "grpc://127.0.0.1:${PEER_PORTS[two]}" --name two > /dev/null
N=$T/mnt/$NET
is_up_to() { # HEIGHT
	[ -r "$N/legacy/blocks/$1/header" ]
}
check "the head is reached" eventually 60 is_up_to $BEGIN
daemon=$(daemon_of "$T/st") first_daemon=$daemon
# But those of the database's tables, whose number has a bound of its own.
descriptors() { find "/proc/$daemon/fd" -type l ! -lname '*.sst' 2> /dev/null | wc -l; }
own_memory() { awk '/^Rss(Anon|Shmem)/ { sum += $2 } END { print sum }' "/proc/$daemon/status"; }
mean() { # FIRST LAST: of the steps after FIRST up to LAST
	awk -v first="$1" -v last="$2" \
		'NR > first && NR <= last { sum += $1; n++ } END { printf "%d\n", sum / n }' \
		"$T/memory"
}
threads() { awk '/^Threads/ { print $2 }' "/proc/$daemon/status"; }

look() { # as who follows the chain does
	head -c 100 "$N/head/header" "$N/status" > /dev/null
	ls "$N/legacy/blocks/" "$N/gaps/" "$N/legacy/state/" > /dev/null
	tail -n 1 "$N/legacy/blocks/$(ls "$N/legacy/blocks/" | tail -n 1)/index.tsv" > /dev/null
	cat "$N/legacy/state/roots.tsv" "$T/mnt/ctl/metrics" > /dev/null
}

began=$(date +%s) steps=60 failed=0
for name in one two; do
	peer_order $name speed "$SPEED" > /dev/null || exit 1
done
for step in $(seq $steps); do
	height=$((BEGIN + (HEIGHTS - BEGIN) * step / steps))
	until is_up_to $height; do
		look || failed=$((failed + 1))
		if [ $(($(date +%s) - began)) -gt $((HEIGHTS / SPEED * 4 + 300)) ]; then
			not_ok "it keeps up with $SPEED heights a second, in four times that time"
			exit 1
		fi
		sleep 0.5
	done
	# Now one restarts, now the other; a third of the time both at once.
	case $((step % 6)) in
	1) peer_order one restart > /dev/null ;;
	3) peer_order two restart > /dev/null ;;
	5) peer_order one restart > /dev/null; peer_order two restart > /dev/null ;;
	esac
	drop_caches
	own_memory >> "$T/memory"
	[ "$step" != $((steps / 3)) ] || { third_fds=$(descriptors) third_threads=$(threads); }
	[ $((step % 5)) != 0 ] ||
		size=$(mean $((step - 5)) "$step")
		echo "# height $height after $(($(date +%s) - began)) s: $size kB," \
			"$(descriptors) descriptors, $(threads) threads"
done
took=$(($(date +%s) - began))
second=$(mean $((steps / 3)) $((steps / 3 * 2))) last=$(mean $((steps / 3 * 2)) $steps)
day_fds=$(descriptors) day_threads=$(threads)
same "every look found what it looked for" "$failed" 0
same "it is the same daemon all the time" "$(daemon_of "$T/st")" "$first_daemon"
check "$HEIGHTS heights of a second each were followed in $took s, at least ten times as fast" \
	test $((took * 10)) -le "$HEIGHTS"
check "from the second third of the day to the last the daemon went from $second to $last kB" \
	test $((last - second)) -lt $ROOM_KB
check "and from $third_fds to $day_fds descriptors" test $((day_fds - third_fds)) -lt 16
same "and has as many threads" "$day_threads" "$third_threads"
unmount "$T/mnt"
check "what it holds is sound" eventually 60 "$CHAINFS" fsck "$T/st" --quiet
