#!/bin/bash
# ctl: a stream of events that waits, can be interrupted and polled; metrics as of the open.
. "$(dirname "$0")/lib.bash"

import_vectors "$T/st" --hyper on --range 1-100 || exit 1
mount_store "$T/st" "$T/mnt" || exit 1
ctl=$T/mnt/ctl
probe names 4096 / > /dev/null || exit 1

same "ctl lists its files" "$(ls "$ctl/" | tr '\n' ' ')" \
	"README backward cap events fetch freeze last_error log-level metrics pause pins trust verify "
same "README is as large as it says" "$(cat "$ctl/README" | wc -c)" "$(stat -Lc %s "$ctl/README")"
check "README names the files" grep -q '^metrics ' "$ctl/README"
same "metrics are whole" "$(cat "$ctl/metrics" | tail -c 1 | wc -l)" 1
check "metrics count requests" grep -q '^chainfs_fuse_requests_total [1-9]' "$ctl/metrics"
same "one open of metrics reads as of one moment" \
	"$(dd if="$ctl/metrics" bs=7 2> /dev/null | grep -c '^# TYPE ')" "$(grep -c '^# TYPE ' "$ctl/metrics")"

timeout 0.3 cat "$ctl/events" > "$T/nothing"
same "a reader that waits is interruptible" $? 124
same "and was given nothing that came before its open" "$(cat "$T/nothing")" ""
timeout -s INT 0.3 cat "$ctl/events" > /dev/null
same "by Ctrl-C, too" $? 124
cat "$ctl/events" > /dev/null &
victim=$!
disown $victim
sleep 0.2
kill -9 $victim
check "and by kill -9" eventually 5 is_gone $victim

same "without waiting the answer is EAGAIN" "$(probe nowait "$ctl/events")" EAGAIN
same "poll has nothing to tell" "$(probe poll "$ctl/events" 200)" nothing
same "poll of metrics is ready" "$(probe poll "$ctl/metrics" 200)" ready

cat "$ctl/events" > "$T/first" &
first=$!
cat "$ctl/events" > "$T/second" &
second=$!
probe poll "$ctl/events" 60000 > "$T/polled" &
poller=$!
dd if="$ctl/events" bs=5 > "$T/third" 2> /dev/null &
third=$!
sleep 0.3
check "an import runs through the daemon" import_vectors "$T/st" --range 101-200
check "poll wakes" eventually 10 is_gone $poller
same "poll says that there is something" "$(cat "$T/polled")" ready
blocks=$(awk '$1 == "shard" && $3 == "held" { n += $4 } END { print n }' "$T/mnt/$NET/status")
lines_of() {
	grep -c " $NET block shard=" "$1"
}
eventually 10 grep -q " shard=0 height=200 " "$T/first"
eventually 10 grep -q " shard=0 height=200 " "$T/second"
sleep 0.5
same "each block's line came to the first reader" "$(lines_of "$T/first")" \
	"$(sort -u "$T/first" | grep -c " $NET block shard=")"
check "and there are hundreds of them" test "$(lines_of "$T/first")" -ge 300
check "of the heights that were missing" grep -q " $NET block shard=0 height=101 items=" "$T/first"
same "and not of those that were there" "$(grep -c ' shard=0 height=100 ' "$T/first")" 0
check "the second reader got the same" cmp "$T/first" "$T/second"
check "the one that reads five bytes at a time, too" eventually 10 cmp "$T/first" "$T/third"
kill $first $second $third
check "readers end" eventually 5 is_gone $first
check "the store grew" test "$blocks" -gt 500

unmount "$T/mnt"
