#!/bin/bash
# The process that serves is killed, replaced and given up under readers, and they notice nothing. KILLS=100 kills it
# a hundred times.
. "$(dirname "$0")/lib.bash"
command -v pgrep > /dev/null || skip "pgrep is not there"
[ "${CHAINFS_MOUNT_TRANSPORT:-classic}" != uring ] ||
	skip "rings die with their process: t-uring.sh shows what then happens"

KILLS=${KILLS:-$(rounds 40)}
SEED=${TEST_SEED:-$RANDOM}
RANDOM=$SEED
echo "# TEST_SEED=$SEED KILLS=$KILLS"
${CC:-cc} -O1 -o "$T/readers" "$HERE/readers.c" -lpthread || exit 1
"$CHAINFS" demo "$T/demo" --no-mount --quiet > /dev/null || exit 1
S=$T/demo/store M=$T/mnt

start_readers() { # FOLDER: they loop below it until they are told to stop
	rm -f "$T/stop"
	"$T/readers" "$1" "$T/stop" "$M/demo/legacy/blocks" > "$T/readers.out" 2>&1 &
	readers=$!
	eventually 60 grep -q '^reading' "$T/readers.out"
}

stop_readers() { # SENTENCE
	touch "$T/stop"
	wait $readers
	same "$1: no call failed, no byte was wrong" $? 0
	sed 's/^/# /' "$T/readers.out" | tail -n 12
}

answers() { # within a time that is not the test's to judge
	timeout -s KILL 60 stat -f "$M" > /dev/null
}

other_than() { # PROCESS: does another one serve?
	local now
	now=$(pgrep -P "$keeper" | head -n 1)
	[ -n "$now" ] && [ "$now" != "$1" ]
}

ms() { echo $(($(date +%s%N) / 1000000)); }

# ---- killed, again and again ----

check "mounts" mount_store "$S" "$M" -o umask=027,transport=classic
keeper=$(keeper_of "$S") ctl=$(ctl_of "$M")
[ "${FLAVOUR:-}" = tsan ] || # which has a thread of its own
	check "the keeper is one thread" test "$(ls "/proc/$keeper/task" | wc -l)" = 1
same "which holds nothing of the store" "$(find "/proc/$keeper/fd" -lname "$S/*" | wc -l)" 0
anon=$(awk '/^RssAnon/ { print $2 }' "/proc/$keeper/status")
case ${FLAVOUR:-release} in
release) check "and little memory: $anon kB" test "$anon" -lt 8192 ;;
esac
start_readers "$M/demo/hyper"
exec 8< "$M/demo/legacy/blocks/100/header"
state=$(echo "$M"/demo/legacy/state/accounts/*/ | cut -d' ' -f1)
cd "$state"
before=$(ls) handles=$(cat "$M/demo/status")
exec 9< "$M/demo/status"
first=$(daemon_of "$S")
for n in $(seq "$KILLS"); do
	pid=$(daemon_of "$S")
	begun=$(ms)
	kill -9 "$pid"
	answers || not_ok "after kill $n it does not answer"
	echo $(($(ms) - begun)) >> "$T/times"
	# At random moments: also before the next one serves.
	sleep 0.$(printf %03d $((RANDOM % 300)))
done
same "the working directory lists as before" "$(ls)" "$before"
cd /
same "a file that settles, opened before, reads as it did" "$(cat <&9)" "$handles"
exec 9<&-
stop_readers "$KILLS kills"
check "a file opened before the first kill is read" grep -q . <&8
exec 8<&-
sort -n "$T/times" > "$T/sorted"
median=$(sed -n "$((KILLS / 2 + 1))p" "$T/sorted")
echo "# answers again after $median ms (median), $(tail -n 1 "$T/sorted") ms (longest)"
case ${FLAVOUR:-release} in
release) check "within seconds" test "$(sed -n "$((KILLS / 2 + 1))p" "$T/sorted")" -lt 3000 ;;
esac
same "the keeper is the same" "$(keeper_of "$S")" "$keeper"
check "and the worker another" test "$(daemon_of "$S")" != "$first"

# ---- ctl ----

cat "$ctl/events" > "$T/events" &
cat=$!
exec 7< "$ctl/metrics"
head -c 10 <&7 > /dev/null
waits() { grep -q 'fuse\|wait' "/proc/$cat/wchan" 2> /dev/null || [ "$(awk '{ print $3 }' "/proc/$cat/stat")" = S ]; }
check "a reader of events waits" eventually 10 waits
sleep 0.2
pid=$(daemon_of "$S")
kill -9 "$pid"
check "ctl answers after a kill" grep -q events "$ctl/README"
check "the reader of events is told of what comes then" eventually 20 grep -q 'mount state=ready' "$T/events"
if head -c 10 <&7 > /dev/null 2> "$T/said"; then
	not_ok "a text that was read in part is not made of two halves"
else
	check "a text that was read in part is stale" grep -qi stale "$T/said"
fi
exec 7<&-
check "and is read again from its begin" grep -q chainfs "$ctl/metrics"

# ---- plain: files that the kernel reads by itself, and those that it does not ----

complete() { [ "$(cat "$ctl/pins/$1/state")" = complete ]; }
P=$M/plain/demo
check "a pin" timeout 20 mkdir "$ctl/pins/kept@200"
check "is built" eventually 30 complete kept
check "another" timeout 20 mkdir "$ctl/pins/goes@250"
check "is built" eventually 30 complete goes
(cd "$P" && find segments checkpoints/0000000200-* -type f | sort | head -n 60 | tr '\n' '\0' |
	xargs -0 sha256sum) > "$T/plain.sums"
check "there are plain files" test "$(wc -l < "$T/plain.sums")" -gt 10
pack=$(find "$P"/checkpoints/0000000250-* -type f -size +20k | sort | head -n 1)
cp "$pack" "$T/pack"
exec 8< "$pack" 7< "$pack"
head -c 1000 > /dev/null <&8
passed=$(counter plain_passed "$M")
rm -f "$T/stop"
loops=()
for n in 1 2 3; do
	(cd "$P" && until [ -e "$T/stop" ]; do sha256sum --quiet -c "$T/plain.sums" ||
		echo "reader $n failed"; done) > "$T/plain.$n" 2>&1 &
	loops+=($!)
done
check "the pin of an open file goes" timeout 20 rmdir "$ctl/pins/goes"
for n in $(seq 10); do
	kill -9 "$(daemon_of "$S")"
	answers || not_ok "after kill $n it does not answer"
	sleep 0.$(printf %03d $((RANDOM % 300)))
done
touch "$T/stop"
wait "${loops[@]}"
same "who opens, reads and closes plain files noticed nothing of 10 kills" "$(cat "$T"/plain.? | head -n 5)" ""
if [ "$passed" -gt 0 ]; then
	check "an open file that was deleted meanwhile is read on" bash -c "cmp <(tail -c +1001 $T/pack) -" <&8
	check "from its begin, too" cmp "$T/pack" - <&7
	head -c 10 "$P/$(head -n 1 "$T/plain.sums" | cut -c67-)" > /dev/null
	check "opens are passed through by the new one" test "$(counter plain_passed "$M")" -gt 0
	same "which reads nothing itself" "$(counter plain_reads "$M")" 0
fi
exec 8<&- 7<&-

# ---- an import is under way ----

start_readers "$M/demo/hyper/blocks"
"$CHAINFS" forge "$T/other" --blocks 400 --seed 5 --quiet > /dev/null 2>&1 ||
	"$CHAINFS" forge "$T/other" --quiet > /dev/null
for n in 1 2 3; do
	"$CHAINFS" import "$S" "$T/other" --network other --quiet > "$T/import" 2>&1 &
	import=$!
	case $n in # made, and twice nothing committed yet, mostly
	1) eventually 10 test -d "$M/other" ;;
	3) sleep 0.$((RANDOM % 5 + 1)) ;;
	esac
	kill -9 "$(daemon_of "$S")"
	answers
	wait $import
done
check "the import is done by the one that nobody kills" timeout 120 "$CHAINFS" import "$S" \
	"$T/other" --network other --quiet
stop_readers "kills during an import"
check "what came meanwhile is there" test -d "$M/other/legacy/blocks"
same "and nothing is missing" "$(ls "$M/other/gaps")" ""

# ---- upgrade ----

start_readers "$M/demo/hyper/blocks"
cat "$ctl/events" > "$T/events" &
cat=$!
for n in 1 2 3; do
	pid=$(daemon_of "$S")
	check "upgrade $n" exits 0 timeout 60 "$CHAINFS" upgrade "$M"
	check "another process serves" eventually 10 other_than "$pid"
done
stop_readers "upgrades"
same "under the same number" "$(keeper_of "$S")" "$keeper"
check "a reader of events lives on" kill -0 $cat
same "with the same options" "$(stat -c %a "$M/demo/status")" 440
check "all of them" sh -c "tr '\\0' ' ' < /proc/$keeper/cmdline | grep -q 'umask=27.*transport=classic'"
kill -9 "$(daemon_of "$S")"
check "between two workers an upgrade waits for the next" exits 0 timeout 60 "$CHAINFS" upgrade "$M"
check "upgrade of nothing is refused" exits 1 "$CHAINFS" upgrade "$T"
unasked() # from a folder that is gone, of which the request cannot tell the daemon
(
	mkdir "$T/gone" && cd "$T/gone" && rmdir "$T/gone" || exit 1
	"$CHAINFS" upgrade "$M"
)
check "one that the daemon was not asked for is none" exits 3 unasked
check "the store's verbs find the daemon" "$CHAINFS" status "$S"

# ---- its ends ----

pid=$(daemon_of "$S")
exec 8< "$M/README"
kill -9 "$keeper"
check "the keeper is killed: the worker ends" eventually 30 is_gone "$pid"
check "and leaves no mount" is_not_mounted "$M"
exec 8<&-
check "the store is free" eventually 10 "$CHAINFS" status "$S"

check "mounts again" mount_store "$S" "$M"
keeper=$(keeper_of "$S") pid=$(daemon_of "$S")
kill -STOP "$keeper" # so that nobody starts the next one
kill -9 "$pid"
timeout -s KILL 60 "$CHAINFS" umount "$M"
check "umount while nobody serves" is_not_mounted "$M"
kill -CONT "$keeper"
check "ends the keeper" eventually 20 is_gone "$keeper"

"$CHAINFS" mount --foreground "$S" "$M" 2> "$T/trace" &
keeper=$!
check "mounts in front" eventually 20 is_mounted "$M"
check "and answers" answers
pid=$(pgrep -P "$keeper")
mv "$S/networks/demo/db/CURRENT" "$T/CURRENT"
start=$(ms)
kill -9 "$pid"
exited() { ! kill -0 "$keeper" 2> /dev/null; }
check "a worker that dies every time is given up" eventually 60 exited
wait $keeper
same "with a code of its own" $? 70
check "and a sentence" grep -q 'in a row died before they served' "$T/trace"
check "nothing is mounted" is_not_mounted "$M"
echo "# given up after $(($(ms) - start)) ms"
mv "$T/CURRENT" "$S/networks/demo/db/CURRENT"
check "once mended it mounts" mount_store "$S" "$M"
keeper=$(keeper_of "$S")
kill -TERM "$keeper"
check "SIGTERM ends both" eventually 20 is_gone "$keeper"
check "and unmounts" is_not_mounted "$M"

# ---- a service manager that stores descriptors ----

command -v python3 > /dev/null || { echo "# descriptors that are stored: skipped, no python3"; exit 0; }
cat > "$T/manager.py" <<-'END'
	import array, os, signal, socket, sys
	notify, program, store, mnt, orders = sys.argv[1:6]
	s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
	s.bind(notify)
	stored = {}
	def start():
	    pid = os.fork()
	    if pid:
	        return pid
	    env = dict(os.environ, NOTIFY_SOCKET=notify, FDSTORE="8")
	    if stored:
	        high = [(name, os.dup2(fd, 100 + i)) for i, (name, fd) in enumerate(sorted(stored.items()))]
	        for i, (name, fd) in enumerate(high):
	            os.dup2(fd, 3 + i, inheritable=True)
	        os.closerange(3 + len(high), 200)
	        env.update(LISTEN_FDS=str(len(high)), LISTEN_PID=str(os.getpid()),
	                   LISTEN_FDNAMES=":".join(name for name, fd in high))
	    os.execve(program, ["chainfs", "mount", "--foreground", store, mnt], env)
	def wait_ready():
	    while True:
	        text, fds, flags, address = socket.recv_fds(s, 4096, 4)
	        lines = text.decode().split("\n")
	        if "FDSTORE=1" in lines:
	            name = [l for l in lines if l.startswith("FDNAME=")][0][7:]
	            if name in stored:
	                os.close(stored[name])
	            stored[name] = fds[0]
	        if "READY=1" in lines:
	            return
	pid = start()
	wait_ready()
	print("ready", pid, ",".join(sorted(stored)), flush=True)
	for word in sys.stdin:
	    os.kill(pid, getattr(signal, word.strip()))
	    print("ended", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
	    if word.strip() == "SIGTERM":
	        break
	    pid = start()
	    wait_ready()
	    print("ready", pid, ",".join(sorted(stored)), flush=True)
END
mkfifo "$T/orders"
python3 "$T/manager.py" "$T/notify" "$CHAINFS" "$S" "$M" x < "$T/orders" > "$T/managed" 2> "$T/trace" &
manager=$!
exec 6> "$T/orders"
said() { [ "$(grep -c "^$2" "$T/managed")" -ge "$1" ]; }
check "a service manager is given what to store" eventually 20 said 1 \
	'ready.*chainfs-ctl,chainfs-keep,chainfs-main,chainfs-plain'
start_readers "$M/demo/hyper/blocks"
exec 8< "$M/demo/status"
before=$(cat "$M/demo/status")
echo SIGUSR2 >&6
check "on restart it leaves the mount to the manager" eventually 30 said 2 ready
same "and ends well" "$(grep -c '^ended 0' "$T/managed")" 1
echo SIGKILL >&6
check "a keeper that dies, too" eventually 30 said 3 ready
same "a file opened before both reads as it did" "$(cat <&8)" "$before"
exec 8<&-
stop_readers "a restart and a death of the keeper"
echo SIGTERM >&6
check "stop ends it" eventually 30 said 3 ended
wait $manager
exec 6>&-
check "and unmounts" is_not_mounted "$M"
