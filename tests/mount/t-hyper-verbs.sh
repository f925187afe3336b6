#!/bin/bash
# chainfs hyper …: through a daemon by its socket, a tail that ends with Ctrl-C, the soft cap's
# alerts, and metrics that promtool has nothing to say of.
. "$(dirname "$0")/lib.bash"

unset XDG_CONFIG_HOME CHAINFS_SETTINGS
cap=20000
import_vectors "$T/s" --range 1-60 --hyper on || exit 1
mount_store "$T/s" "$T/mnt" --set hyper.retention_soft_cap=$cap --set hyper.metrics_interval=100ms || exit 1
ctl=$T/mnt/ctl
bytes() { "$CHAINFS" hyper metrics --rpc "$T/s/control" --json | field storage_bytes; }
metric() { awk -v m="$1" 'index($1, m) == 1 { n += $2 } END { print n + 0 }' "$ctl/metrics"; }
alerts() { grep -c " - hyper alert=$1 bytes=[0-9]* cap=$cap$" "$T/events"; }
more() { "$CHAINFS" import "$T/s" "$ARCHIVE" --network $NET --quiet "$@" > /dev/null; }

# ---- the soft cap ----

cat "$ctl/events" > "$T/events" &
follower=$!
check "below the cap at first" test "$(bytes)" -le $cap
check "and status says so" says "hyper soft cap $cap bytes, $(bytes) held alone: below it" \
	"$CHAINFS" status --rpc "$T/s/control"
same "the metric, too" "$(metric chainfs_hyper_soft_cap_exceeded)" 0
more --range 1-200
check "then more is retained than that" test "$(bytes)" -gt $cap
check "there is an alert" eventually 20 sh -c "grep -q ' - hyper alert=soft-cap bytes' '$T/events'"
check "and status says so" says "held alone: exceeded" "$CHAINFS" status "$T/s"
check "in JSON, too" sh -c "'$CHAINFS' status '$T/s' --json | jq -e .hyper_soft_cap_exceeded"
same "the metrics, too" "$(metric chainfs_hyper_soft_cap_exceeded) $(metric chainfs_hyper_soft_cap_bytes)" "1 $cap"
before=$(bytes)
check "nothing is refused" more --range 1-230
check "hyper retains on" test "$(bytes)" -ge "$before"
more --range 1-230 --hyper off
more --range 1-233 --hyper on # a new base: what the earlier one retained goes
check "below it again it is said" eventually 20 sh -c "grep -q ' - hyper alert=soft-cap-ended bytes' '$T/events'"
same "each of them once" "$(alerts soft-cap) $(alerts soft-cap-ended)" "1 1"
check "below it" test "$(bytes)" -le $cap
kill $follower

# ---- metrics ----

same "bytes are the same wherever they are told" "$(metric chainfs_hyper_storage_bytes)" "$(bytes)"
same "by status, too" "$("$CHAINFS" status "$T/s" --json | jq .hyper_bytes)" "$(bytes)"
same "hyper is not behind" "$(metric chainfs_hyper_pipeline_lag_heights)" 0
same "replay neither" "$(metric chainfs_replay_lag_heights)" 0
same "nothing failed" "$(metric chainfs_hyper_diff_failures_total)" 0
if command -v promtool > /dev/null; then
	same "promtool has nothing to say of them" "$(promtool check metrics < "$ctl/metrics" 2>&1)" ""
else
	echo "# promtool is not here (Debian: prometheus); the names of metrics go unchecked"
fi
for name in $(sed -n 's/^# TYPE \([^ ]*\) .*/\1/p' "$ctl/metrics"); do
	grep -q "^| \`$name[\`{]" "$TESTS/../docs/metrics.md" || not_ok "$name has a line in docs/metrics.md"
done

# ---- by the socket ----

for verb in "status" "gaps" "verify --stored" "hyper audit --latest 20" "hyper metrics" "hyper diff --block 233" \
	"hyper diff --block 233 --json"; do
	check "$verb is answered through the socket" exits 0 "$CHAINFS" $verb --rpc "$T/s/control"
	case $verb in *metrics*) continue ;; esac
	same "as with the store's name" "$("$CHAINFS" $verb --rpc "$T/s/control" | sha256sum)" \
		"$("$CHAINFS" ${verb%% --*} "$T/s" ${verb#"${verb%% --*}"} | sha256sum)"
done
check "from its own folder, too" sh -c "cd '$T/s' && '$CHAINFS' status --rpc control"
check "a socket that is none is a sentence" says "no daemon listens there" "$CHAINFS" status --rpc "$T/nobody"
check "and exits with 3" exits 3 "$CHAINFS" status --rpc "$T/nobody"
check "nor is a file one" says "no daemon listens there" "$CHAINFS" gaps --rpc "$T/s/lock"
check "nor a folder" says "a folder, not a socket" "$CHAINFS" gaps --rpc "$T/s/"
check "a folder that is not there" exits 3 "$CHAINFS" gaps --rpc "$T/none/control"
check "socket and store are one too many" says "stands for the store" "$CHAINFS" status "$T/s" --rpc "$T/s/control"
check "and exits with 1" exits 1 "$CHAINFS" status "$T/s" --rpc "$T/s/control"
check "settings of this call alone are refused" says "goes by its own settings" \
	"$CHAINFS" status --rpc "$T/s/control" --set log.level=error
check "verbs that need the store itself have no socket" says "no option" "$CHAINFS" mount --rpc "$T/s/control" "$T/m2"

# ---- a tail ----

"$CHAINFS" hyper metrics --rpc "$T/s/control" --tail > "$T/tail" &
tail=$!
check "a tail gives line after line" eventually 20 sh -c "[ \$(wc -l < '$T/tail') -ge 3 ]"
kill -INT $tail
wait $tail
same "and ends well with Ctrl-C" $? 0
check "its call ends in the daemon, too" eventually 10 sh -c "'$CHAINFS' status '$T/s' > /dev/null"
"$CHAINFS" hyper metrics "$T/s" --tail --json > "$T/tail" &
tail=$!
check "the same with the store's name, in JSON" eventually 20 sh -c "[ \$(jq -s length '$T/tail' 2>/dev/null) -ge 2 ]"
kill -TERM $tail
wait $tail
same "and it ends as well" $? 0
daemon=$(daemon_of "$T/s")
unmount "$T/mnt"
eventually 20 is_gone "$daemon"

# ---- without a daemon ----

"$CHAINFS" hyper metrics "$T/s" --tail --set hyper.metrics_interval=100ms > "$T/tail" &
tail=$!
check "a tail in a process of its own" eventually 20 sh -c "[ \$(wc -l < '$T/tail') -ge 3 ]"
kill -TERM $tail
wait $tail
same "which ends well, too" $? 0
check "an audit of a store of several bases" exits 0 "$CHAINFS" hyper audit "$T/s"
