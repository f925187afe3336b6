#!/bin/bash
# What the service manager is told, and that it is told of a mount that does not answer; the unit
# files.
. "$(dirname "$0")/lib.bash"
command -v python3 > /dev/null || skip "python3, which listens here, is not installed"

import_vectors "$T/st" || exit 1
mkdir "$T/mnt"

# A notify socket of our own: a line a word, with the process that said it.
cat > "$T/listen.py" <<-'END'
	import socket, struct, sys
	s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
	s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
	s.bind(sys.argv[1])
	print("listening", flush=True)
	while True:
	    data, extra, flags, sender = s.recvmsg(4096, 256)
	    pid = struct.unpack("3i", extra[0][2])[0]
	    for line in data.decode().split("\n"):
	        print(pid, line, flush=True)
END
python3 "$T/listen.py" "$T/notify" >> "$T/said" &
check "somebody listens" eventually 10 grep -q listening "$T/said"

told() { # [PROCESS] WORDS: were they said?
	if [ $# = 2 ]; then
		grep -q "^$1 $2" "$T/said"
	else
		grep -q " $1" "$T/said"
	fi
}

count() { # of a line that was said
	grep -c " $1" "$T/said"
}

more_than() { # COUNT LINE
	[ "$(count "$2")" -gt "$1" ]
}

# ---- a service in front ----

# As systemd starts it: the period is of the process that becomes the daemon.
bash -c 'export NOTIFY_SOCKET="$1" WATCHDOG_USEC=400000 WATCHDOG_PID=$$; shift; exec "$@"' sh \
	"$T/notify" "$CHAINFS" mount --foreground "$T/st" "$T/mnt" 2> "$T/trace" &
daemon=$!
check "it says that it is ready" eventually 20 told $daemon READY=1
check "then the mount answers" test -s "$T/mnt/$NET/head/header"
check "and what it serves" told $daemon "STATUS=$T/mnt serves $T/st"
check "signs of life come" eventually 10 more_than 3 WATCHDOG=1
same "all of them from the daemon itself" "$(grep -c WATCHDOG "$T/said")" "$(grep -c "^$daemon WATCHDOG" "$T/said")"
watcher=$(pgrep -P "$(daemon_of "$T/st")" | head -n 1)
check "a process of its own looks at the mount" test -n "$watcher"
same "which holds nothing but its two pipes" \
	"$(find "/proc/$watcher/fd" -type l ! -lname /dev/null ! -lname 'pipe:*' -printf '%l\n')" ""
kill -STOP "$watcher" # as if the mount did not answer
check "a mount that does not answer is told" eventually 10 told $daemon "STATUS=$T/mnt has not answered for"
before=$(count WATCHDOG=1)
late=$(count "STATUS=$T/mnt has not")
check "again and again" eventually 10 more_than $((late + 2)) "STATUS=$T/mnt has not"
same "and no sign of life is sent meanwhile" "$(count WATCHDOG=1)" "$before"
kill -CONT "$watcher"
check "once it answers again, that is told" eventually 10 told $daemon "STATUS=$T/mnt answers again"
check "and signs of life come" eventually 10 more_than "$before" WATCHDOG=1

kill -HUP $daemon
check "SIGHUP reads the settings again" eventually 10 told $daemon RELOADING=1
check "with the time that systemd asks for" told $daemon "MONOTONIC_USEC=[0-9]"
check "and is ready again" eventually 10 more_than 1 READY=1
check "it says so in its trace" eventually 10 grep -q "settings read again" "$T/trace"
echo "nonsense: [" > "$T/st/chainfs.yaml"
kill -HUP $daemon
check "settings that cannot be read" eventually 10 told $daemon "STATUS=the old settings stay: .*chainfs.yaml"
check "change nothing" test -s "$T/mnt/README"
rm "$T/st/chainfs.yaml"

exec 9< "$T/mnt/README"
kill -TERM $daemon
check "SIGTERM is told" eventually 10 told $daemon STOPPING=1
wait $daemon
same "and ends with 0, though a file is open" $? 0
check "nothing is mounted" is_not_mounted "$T/mnt"
exec 9<&-
check "nobody is left" eventually 10 is_gone "$watcher"

# ---- a daemon of its own, started by a service ----

: > "$T/said"
NOTIFY_SOCKET=$T/notify "$CHAINFS" mount "$T/st" "$T/mnt"
pid=$(keeper_of "$T/st")
check "a daemon is told by number" eventually 10 told "MAINPID=$pid"
same "by the process that was started, in one message with READY" \
	"$(grep -B1 ' READY=1' "$T/said" | sed 's/^[0-9]* //' | tr '\n' ' ')" "MAINPID=$pid READY=1 "
check "a daemon that was killed leaves nobody" kill_mount "$T/st"
check "and is cleared by the next" "$CHAINFS" mount "$T/st" "$T/mnt"
: > "$T/said"
"$CHAINFS" umount "$T/mnt"

NOTIFY_SOCKET=$T/notify "$CHAINFS" mount --foreground "$T/st" "$T/mnt" 2> /dev/null &
daemon=$!
check "ready" eventually 20 told $daemon READY=1
unmount "$T/mnt"
wait $daemon
same "an unmount ends it with 0" $? 0
check "and is told" told $daemon STOPPING=1
same "no period, no sign of life" "$(count WATCHDOG)" 0

NOTIFY_SOCKET=$T/nothing "$CHAINFS" mount "$T/st" "$T/mnt" 2> /dev/null
same "a service manager that is gone does not matter" $? 0
"$CHAINFS" umount "$T/mnt"
: > "$T/said"
NOTIFY_SOCKET=$T/notify "$CHAINFS" mount --foreground "$T/nothing" "$T/mnt" 2> /dev/null
same "no store: an exit code that no restart helps" $? 3
same "and never ready" "$(count READY)" 0

# ---- how long it waits, by the unit's own lines ----

unit=$TESTS/../mount-helpers/systemd/chainfs@.service.in
mkdir "$T/run" "$T/bin"
printf '#!/bin/sh\necho "$1" >> "%s/slept"\n' "$T" > "$T/bin/sleep"
chmod +x "$T/bin/sleep"
# of_unit EXEC WORD RESULT: runs the line of that kind that has the word, as systemd 252 reads it: lines
# that are continued are one, $$ is $
of_unit() {
	local line
	line=$(sed -e ':more' -e '/\\$/{N;s/\\\n/ /;b more}' "$unit" |
		sed -n "s|^$1=-/bin/sh -c '\(.*$2.*\)'\$|\1|p" | sed 's/\$\$/$/g')
	[ -n "$line" ] || { echo "no line $1 with $2"; return 1; }
	env PATH="$T/bin:$PATH" RUNTIME_DIRECTORY="$T/run" SERVICE_RESULT="${3:-}" /bin/sh -c "$line"
}
fails() { of_unit ExecStopPost wait "${1:-exit-code}" && of_unit ExecStartPre wait; }
waits() { # of COUNT failures, one after another
	: > "$T/slept"
	for ((i = 0; i < $1; i++)); do fails; done
	tr '\n' ' ' < "$T/slept"
}
of_unit ExecStartPre wait
same "the first start waits for nothing" "$(cat "$T/slept" 2> /dev/null)" ""
same "each failure makes the next start wait longer, up to a bound" "$(waits 9)" "0 5 10 20 40 80 160 160 160 "
of_unit ExecStopPost wait success
same "a stop that went well begins anew" "$(waits 3)" "0 5 10 "
touch -d '-11 minutes' "$T/run/wait"
same "ten minutes of life do, too" "$(waits 2)" "0 5 "
touch -d '-9 minutes' "$T/run/wait"
same "nine do not" "$(waits 1)" "10 "
fails core-dump && fails watchdog
same "whatever it died of" "$(tail -n 2 "$T/slept" | tr '\n' ' ')" "20 40 "
restart_s=$(sed -n 's/^RestartSec=\([0-9]*\)s$/\1/p' "$unit")
burst=$(sed -n 's/^StartLimitBurst=//p' "$unit")
in_limit() { # how many starts there are in the five minutes that are counted
	local at=0 count=1 wait
	for wait in 0 5 10 20 40 80 160 160 160 160; do
		at=$((at + restart_s + wait))
		[ $at -ge 300 ] || count=$((count + 1))
	done
	echo $count
}
check "so many failures never come to the limit of starts" test "$(in_limit)" -lt "$burst"
check "and the longest wait ends before a start is given up" test 160 -lt 300

# ---- the unit files ----

command -v systemd-analyze > /dev/null || { echo "# unit files: skipped, no systemd-analyze"; exit 0; }
units=$TESTS/../mount-helpers/systemd
mkdir -p "$T/root/units"
for unit in "$units"/*.in "$units"/*.mount "$units"/*.automount; do
	name=$(basename "$unit" .in)
	sed "s|@BINDIR@/chainfs|$CHAINFS|" "$unit" > "$T/root/units/$name"
done
said=$(SYSTEMD_UNIT_PATH=$T/root/units: systemd-analyze verify --man=no "$T/root/units/chainfs@main.service" 2>&1)
same "systemd has nothing to say about the service" "$said" ""
sed 's/^Type=notify/Type=rubbish/' "$T/root/units/chainfs@.service" > "$T/root/units/bad@.service"
check "though it would have" says rubbish env "SYSTEMD_UNIT_PATH=$T/root/units:" \
	systemd-analyze verify --man=no "$T/root/units/bad@main.service"
for unit in "$T/root/units"/*mount; do
	said=$(SYSTEMD_UNIT_PATH=$T/root/units: systemd-analyze verify --man=no "$unit" 2>&1)
	same "nor about ${unit##*/}" "$said" ""
done
