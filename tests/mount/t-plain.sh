#!/bin/bash
# plain/: whole plain files on a connection of their own, with opens: read by the kernel itself
# where it passes them through, else by the daemon. The same bytes, whoever reads.
. "$(dirname "$0")/lib.bash"

"$CHAINFS" demo "$T/demo" --no-mount --quiet > /dev/null || exit 1
lower=$T/demo/store
cp -r "$lower" "$T/copy"

complete() { # NAME
	[ "$(cat "$M/ctl/pins/$1/state")" = complete ]
}
gone() { # HEIGHT
	! ls "$P/checkpoints" | grep -q "^$(printf %010d "$1")"
}
descriptors() {
	find "/proc/$(daemon_of "$1")/fd" -lname "$2" | wc -l
}
resident() { # of a store's daemon, in KiB
	awk '$1 == "VmRSS:" { print $2 }' "/proc/$(daemon_of "$1")/status"
}

# reads_well STORE FOLDER: everything that is said of plain, whoever reads the files
reads_well() {
	local store=$1 name files first pack reads before
	M=$2 P=$2/plain/demo C=$1/networks/demo/checkpoints

	same "the root leads there" "$(readlink "$M/plain" | sed 's,/plain-.*,/plain-,')" \
		"$(readlink "$M/ctl" | sed 's,/ctl-.*,/plain-,')"
	same "it lists networks alone" "$(ls -A "$M/plain/")" demo
	same "and of them plain files alone" "$(ls -A "$P" | tr '\n' ' ')" "checkpoints segments "
	check "nothing else is found there by its name" sh -c \
		"! stat '$M/plain/README' '$M/plain/status' '$P/legacy' '$P/status' 2> /dev/null"
	check "the main tree has no segments" test ! -e "$M/demo/segments"
	check "a pin" timeout 10 mkdir "$M/ctl/pins/first@200"
	check "is built" eventually 30 complete first
	name=$(basename "$P"/checkpoints/0000000200-*)
	first=$P/checkpoints/$name

	check "its checkpoint is there as it lies on the disk" diff -r "$first" "$C/$name"
	check "and as the main tree shows it" diff -r "$first" "$M/demo/checkpoints/$name"
	same "with the same attributes" "$(cd "$first" && find . -type f -printf '%p %s %T@ %m %U\n' | sort)" \
		"$(cd "$M/demo/checkpoints/$name" && find . -type f -printf '%p %s %T@ %m %U\n' | sort)"
	check "sha256sum -c agrees" sh -c "cd '$first' && sha256sum -c --quiet SHA256SUMS"
	check "segments are what lies on the disk" diff -r "$P/segments" "$store/networks/demo/segments"
	check "cp copies" cp -r "$P" "$T/copied"
	check "all of it" diff -r "$P" "$T/copied"
	check "rsync copies" rsync -a "$P/" "$T/synced/"
	same "and finds nothing to do again" "$(rsync -ai "$P/" "$T/synced/")" ""
	rm -rf "$T/copied" "$T/synced"
	pack=$first/rules/1/both.pb
	check "a part of a file is read from its place" bash -c \
		"dd if='$pack' bs=7 skip=31 status=none | cmp - <(tail -c +218 '$C/$name/rules/1/both.pb')"
	check "by mmap, too" bash -c "cmp '$pack' <(\"$T/probe\" map '$pack' 2> /dev/null < /dev/null)"
	check "nobody writes there" sh -c "! (: > '$pack') 2> /dev/null && ! mkdir '$P/x' 2> /dev/null"

	reads=$(counter plain_reads "$M")
	cat "$first"/legacy/*/*.pb "$pack" | sha256sum > /dev/null
	if [ "$3" = passed ]; then
		same "no read of a checkpoint came to the daemon" "$(counter plain_reads "$M")" "$reads"
		check "as opens were passed through" test "$(counter plain_passed "$M")" -gt 0
	else
		same "no open was passed through" "$(counter plain_passed "$M")" 0
		check "reads came to the daemon" test "$(counter plain_reads "$M")" -gt 0
	fi

	# One that is taken away goes on being read by who has it open.
	cp "$pack" "$T/before"
	rm -f "$T/mapped.err" # of the round before
	mkfifo "$T/go"
	probe map "$pack" < "$T/go" > "$T/mapped" 2> "$T/mapped.err" &
	mapper=$!
	exec 7> "$T/go" 3< "$pack" 4< "$first/info"
	check "one more has it mapped" eventually 10 grep -q mapped "$T/mapped.err"
	check "the pin goes" timeout 10 rmdir "$M/ctl/pins/first"
	check "its checkpoint goes" eventually 10 gone 200
	check "its name is gone" test ! -e "$pack"
	check "who has a file open reads all of it" cmp - "$T/before" <&3
	same "and knows its size" "$(stat -Lc %s /proc/self/fd/4 4<&4)" "$(wc -c <&4)"
	exec 7>&-
	wait $mapper
	check "so does who has it mapped" cmp "$T/mapped" "$T/before"
	exec 3<&- 4<&-
	rm "$T/go"
	no_more() { [ "$(descriptors "$store" '*(deleted)')" = "$deleted" ]; }
	check "nothing of it stays open in the daemon" eventually 10 no_more
}

probe opens /dev/zero 1 || exit 1
mount_store "$lower" "$T/mnt" || exit 1
deleted=$(descriptors "$lower" '*(deleted)')
if [ "$(id -u)" = 0 ] && "$CHAINFS" doctor | grep -q 'passthrough offered'; then
	reads_well "$lower" "$T/mnt" passed
else
	echo "# the kernel does not pass files through here, or not for this user"
	reads_well "$lower" "$T/mnt" read
fi

# ---- often, and at the same time as an import ----

check "another pin" timeout 10 mkdir "$M/ctl/pins/second@100"
check "is built" eventually 30 complete second
info=$(echo "$P"/checkpoints/*/info)
probe opens "$info" 2000
resident=$(resident "$lower") open=$(descriptors "$lower" '*')
check "100,000 opens" probe opens "$info" "$(rounds 100000)"
all_closed() { [ "$(descriptors "$lower" '*')" -le "$open" ]; }
check "leave no descriptor" eventually 10 all_closed
case ${FLAVOUR:-release} in asan | tsan) ;; *) # which keep what was freed
	check "nor memory: $resident KiB before, $(resident "$lower") after" \
		test "$(resident "$lower")" -lt $((resident + 8192)) ;;
esac

grower=$M/plain/more/segments/000001.seg
seen() { # whole versions of it, one after another, until something stops us
	local n=0 size last=0
	while [ ! -e "$T/stop" ]; do
		exec 5< "$grower" || continue
		size=$(stat -Lc %s /proc/self/fd/5 5<&5)
		[ "$size" != "$last" ] || continue
		last=$size
		cat <&5 > "$T/version.$n"
		exec 5<&-
		[ "$(stat -c %s "$T/version.$n")" = "$size" ] || echo "version $n is not as large as it said"
		[ $n = 0 ] || [ "$(stat -c %s "$T/version.$n")" -ge "$(stat -c %s "$T/version.$((n - 1))")" ] ||
			echo "version $n is shorter than the one before"
		n=$((n + 1))
	done
	echo "$n" > "$T/versions"
} 2> /dev/null
seen > "$T/complaints" &
seer=$!
grow() { # RANGE: and somebody saw what came of it
	check "an import of $1 through the daemon" \
		"$CHAINFS" import "$lower" "$T/demo/archive" --network more --quiet --range "$1"
	is_seen() { cmp -s "$(ls -t "$T"/version.* | head -n 1)" "$lower/networks/more/segments/000001.seg"; }
	check "is seen" eventually 10 is_seen
}
grow 1-50
exec 6< "$grower"
early=$(stat -Lc %s /proc/self/fd/6 6<&6)
grow 51-100
grow 101-200
grow 201-250
cat <&6 > "$T/early"
exec 6<&-
same "who opened it before has the version of then" "$(stat -c %s "$T/early")" "$early"
check "which is how it begins" cmp -n "$early" "$T/early" "$grower"
touch "$T/stop"
wait $seer
same "no reader meanwhile saw it torn" "$(cat "$T/complaints")" ""
check "in the end it is what lies on the disk" cmp "$grower" "$lower/networks/more/segments/000001.seg"
begins() { # each version is how the file begins that it became
	local n
	[ "$(cat "$T/versions")" -ge 4 ] || return
	for n in $(seq 0 $(($(cat "$T/versions") - 1))); do
		cmp -n "$(stat -c %s "$T/version.$n")" "$T/version.$n" "$grower" || return
	done
}
check "of $(cat "$T/versions") versions each is how it begins" begins

# ---- a file that was cut ----

cp -r "$T/copy" "$T/cut" && mount_store "$T/cut" "$T/mnt3" || exit 1
cut=$(ls "$T/mnt3"/plain/demo/segments/* | tail -n 1)
truncate -s 5000 "$T/cut/networks/demo/segments/${cut##*/}"
check "what grows and was cut is an error" says "Bad message" sh -c "cat '$cut' > /dev/null"
check "what is there of it is read" cmp -n 4096 "$cut" "$T/cut/networks/demo/segments/${cut##*/}"
unmount "$T/mnt3"

# ---- the end ----

plain=$(readlink "$T/mnt/plain") daemon=$(daemon_of "$lower")
exec 3< "$info"
check "unmounting does not wait for a reader there" unmount "$T/mnt"
check "the daemon ends" eventually 20 is_gone "$daemon"
check "nothing is left of it" test ! -e "$plain"
check "nor mounted" is_not_mounted "$plain"
exec 3<&-

# ---- where the kernel does not pass through: a store on an overlay ----

mkdir "$T/over" "$T/upper" "$T/work"
if [ "$(id -u)" = 0 ] && mount -t overlay overlay -o "lowerdir=$T/copy,upperdir=$T/upper,workdir=$T/work" \
	"$T/over" 2> /dev/null; then
	mount_store "$T/over" "$T/mnt2" || exit 1
	deleted=$(descriptors "$T/over" '*(deleted)')
	reads_well "$T/over" "$T/mnt2" read
	daemon=$(daemon_of "$T/over")
	check "a pin" timeout 10 mkdir "$M/ctl/pins/many@100"
	check "is built" eventually 30 complete many
	: > "$T/opened"
	hold_all() { # until told; says of each whether it was opened
		local file fd
		for file in "$P"/checkpoints/*/*/*/*.pb; do
			{ exec {fd}< "$file"; } 2>> "$T/refused" && echo "$fd" >> "$T/opened"
		done
		head -c 1 < "/proc/self/fd/$(head -n 1 "$T/opened")" > /dev/null || echo "unreadable" >> "$T/refused"
	}
	if command -v prlimit > /dev/null; then
		prlimit --pid "$daemon" --nofile=$(($(descriptors "$T/over" '*') + 40))
		(hold_all)
		check "files are opened while the daemon may hold them" test "$(wc -l < "$T/opened")" -ge 20
		check "then it is Too many open files" grep -q 'Too many open files' "$T/refused"
		same "and nothing else" "$(grep -v 'Too many open files' "$T/refused")" ""
		check "once they are closed all can be read again" diff -r "$P/checkpoints" "$M/demo/checkpoints"
	fi
	check "unmounts" unmount "$T/mnt2"
	check "the daemon ends" eventually 20 is_gone "$daemon"
	umount "$T/over"
else
	echo "# an overlay: skipped, none can be made here"
fi
