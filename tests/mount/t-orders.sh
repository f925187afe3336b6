#!/bin/bash
# Orders of ctl: one value a file, obeyed or refused on the write itself; pause, freeze, verify,
# log-level.
. "$(dirname "$0")/lib.bash"

"$CHAINFS" demo "$T/demo" --no-mount --quiet > /dev/null || exit 1
import_vectors "$T/st" --hyper on --range 1-100 || exit 1
shared= # only root may without a line in fuse.conf, and only root tries what others may
[ "$(id -u)" != 0 ] || shared="-o allow_other"
mount_store "$T/st" "$T/mnt" $shared || exit 1
ctl=$T/mnt/ctl

order() { # FILE TEXT
	timeout 60 bash -c 'printf %s "$2" > "$1"' _ "$ctl/$1" "$2"
}
refused() { # WORDS FILE TEXT
	order "$2" "$3" 2>&1 | grep -q "$1"
}

# ---- how orders are taken ----

same "pause says 0" "$(cat "$ctl/pause")" 0
check "it takes 1" order pause 1
same "and says it" "$(cat "$ctl/pause")" 1
check "a newline belongs to it" bash -c "echo 0 > '$ctl/pause'"
same "0 again" "$(cat "$ctl/pause")" 0
check ">> is taken as well" bash -c "echo 1 >> '$ctl/pause' && echo 0 >> '$ctl/pause'"
check "other words are invalid" refused 'Invalid argument' pause 2
same "and say why" "$(cat "$ctl/last_error")" "pause takes 1 or 0"
check "a word too many is" refused 'Invalid argument' log-level 'info debug'
check "an order too long is" refused 'Message too long' verify "$(head -c 5000 /dev/zero | tr '\0' x)"
check "the level is set" order log-level debug
same "and read" "$(cat "$ctl/log-level")" debug
order log-level error
check "what is read only takes nothing" sh -c "! echo 1 2> /dev/null > '$ctl/metrics'"
# For who is not root the kernel answers some of it by the folder's mode.
denied="Operation not permitted"
[ "$(id -u)" = 0 ] || denied="$denied\|Permission denied"
for command in "chmod 777 $ctl/pause" "mv $ctl/pause $ctl/x" "rm -f $ctl/pause" "touch $ctl/new" "mkdir $ctl/new" \
	"ln -s x $ctl/new" "ln $ctl/pause $ctl/new" "rmdir $ctl/pins" "chown 1 $ctl/pause"; do
	check "not permitted: ${command%% *}" sh -c "$command 2>&1 | grep -q '$denied'"
done
check "a name that is not there" sh -c "cat '$ctl/none' 2>&1 | grep -q 'No such file'"
check "README names what there is" sh -c \
	"for f in events freeze last_error log-level metrics pause pins/ verify; do
		grep -q \"^\$f \" '$ctl/README' || exit 1
	done"
if [ "$(id -u)" = 0 ] && command -v setpriv > /dev/null; then
	chmod 755 "$T"
	other() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
	check "another user reads" other cat "$ctl/pause"
	check "and does not order" \
		sh -c "! setpriv --reuid=65534 --regid=65534 --clear-groups \
			sh -c \"echo 1 > '$ctl/pause'\" 2> '$T/said'"
	check "permission denied" grep -q 'Permission denied' "$T/said"
	check "nor makes pins" \
		sh -c "setpriv --reuid=65534 --regid=65534 --clear-groups mkdir '$ctl/pins/x' 2>&1 |
			grep -q 'Permission denied'"
fi

# ---- events ----

timeout 20 tail -n 2 "$ctl/events" > "$T/tail" # ends by itself: it is no stream for it
same "tail shows the last events" "$(wc -l < "$T/tail")" 2
tail -f "$ctl/events" > "$T/followed" 2> /dev/null &
follower=$!
check "tail -f begins with what was" eventually 10 grep -q 'mount state=ready' "$T/followed"
order pause 1
check "and shows what comes" eventually 10 grep -q 'pause state=paused' "$T/followed"
order pause 0
check "more than once" eventually 10 grep -q 'pause state=going-on' "$T/followed"
kill $follower
check "and can be ended" eventually 5 is_gone $follower

# ---- pause ----

held() {
	"$CHAINFS" status "$T/st" --json | awk -F: '/"held"/ { n += $2 } END { print n }'
}
before=$(held)
order pause 1
check "status says paused" says '^imports paused' "$CHAINFS" status "$T/st"
same "as JSON, too" "$("$CHAINFS" status "$T/st" --json | field paused)" true
"$CHAINFS" import "$T/st" "$ARCHIVE" --network $NET > "$T/paused" 2>&1 &
import=$!
check "an import says that it is paused" eventually 20 grep -q 'paused; it goes on when' "$T/paused"
same "and takes nothing" "$(held)" "$before"
check "Ctrl-C works" exits 8 timeout --preserve-status -s INT 0.5 "$CHAINFS" import "$T/st" "$ARCHIVE" --network $NET
same "nothing came" "$(held)" "$before"
order pause 0
wait $import
same "then it goes on and ends" $? 0
check "and all of it came" test "$(held)" -gt "$before"

# ---- freeze ----

snapshot() { # INTO: a copy of the store's folder, file by file
	mkdir "$1" && tar -C "$T/st" --exclude=control -cf - . | tar -C "$1" -xf -
}
"$CHAINFS" import "$T/st" "$T/demo/archive" --network other --hyper on --quiet > "$T/import.out" 2>&1 &
import=$!
busy() { [ -d "$T/mnt/other" ]; }
eventually 20 busy
mkdir "$ctl/pins/other:p@20" 2> /dev/null
check "a freeze comes about while an import runs" order freeze '1 50'
same "and is read" "$(cat "$ctl/freeze")" 1
check "status says frozen" says '^frozen' "$CHAINFS" status "$T/st"
check "the store is copied" snapshot "$T/one"
check "pins wait" sh -c "mkdir '$ctl/pins/$NET:q' 2>&1 | grep -q 'Resource temporarily unavailable'"
check "and once more" snapshot "$T/two"
check "nothing was written in between" diff -r "$T/one" "$T/two"
check "reading goes on" test -s "$T/mnt/$NET/status"
check "Ctrl-C works while it is frozen" exits 8 timeout --preserve-status -s INT 0.5 "$CHAINFS" \
	import "$T/st" "$ARCHIVE" --network third
"$CHAINFS" fsck "$T/st" --network $NET --repair > "$T/repair.out" 2> "$T/repair.err" &
repair=$!
check "fsck --repair says that it waits" eventually 30 grep -q 'frozen; it goes on' "$T/repair.err"
check "0 thaws" order freeze 0
wait $repair
same "and the repair ends" $? 0
same "and is read, too" "$(cat "$ctl/freeze")" 0
wait $import
same "the import ends well" $? 0
check "a copy is a whole store" exits 0 "$CHAINFS" verify "$T/one" --network $NET
check "of both networks" exits 0 "$CHAINFS" verify "$T/one" --network other
check "it takes what was missing" "$CHAINFS" import "$T/one" "$T/demo/archive" --network other --quiet
check "an hour too long is invalid" refused 'Invalid argument' freeze '1 999999'
check "a freeze of one second" order freeze '1 1'
thawed() { [ "$(cat "$ctl/freeze")" = 0 ]; }
check "thaws by itself" eventually 10 thawed
check "and says so" eventually 5 sh -c "timeout 5 tail -n 20 '$ctl/events' | grep -q 'freeze state=thawed reason=time'"

# ---- verify ----

ended() { tail -n 1 "$ctl/verify" | grep -q "^result $1"; }
check "verify is begun" order verify $NET
check "and found nothing" eventually 60 ended ok
check "it says what it did" grep -q 'blocks checked' "$ctl/verify"
check "and events tell its end" \
	sh -c "timeout 5 tail -n 20 '$ctl/events' | grep -q ' $NET verify state=ended result=ok'"
check "a range" order verify "$NET 10-20"
check "ends well" eventually 60 ended ok
same "eleven main blocks and theirs" "$(grep -c 'shard 0 structure: ok 11$' "$ctl/verify")" 1
check "a range beyond the end says so" order verify "$NET 900000-900001"
check "as failed" eventually 60 ended failed
mkdir "$ctl/pins/other:here@30"
built() { [ "$(cat "$ctl/pins/other:here/state")" = complete ]; }
eventually 20 built
name=$(basename "$(readlink "$ctl/pins/other:here/checkpoint")")
check "a checkpoint" order verify "other $name"
check "holds" eventually 60 ended ok
check "up to the signed root" grep -q "^legacy" "$ctl/verify"
check "a network that is not there is refused" refused 'No such file' verify nowhere
check "a checkpoint that is not there, too" refused 'No such file' verify "$NET 0000000001-00000000"
check "and a range that is none" refused 'Invalid argument' verify "$NET x-y"
unmount "$T/mnt"
