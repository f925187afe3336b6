#!/bin/bash
# doctor: a line a check, on a machine where other daemons may live and die beside the test's.
. "$(dirname "$0")/lib.bash"

unset XDG_CONFIG_HOME CHAINFS_SETTINGS
export HOME=$T/home TMPDIR=$T
mkdir "$HOME" "$T/full"
touch "$T/full/file"
import_vectors "$T/s" --range 1-20 || exit 1

found() { # VERDICT CHECK WORDS DOCTOR'S WORDS…
	local said
	said=$("$CHAINFS" doctor "${@:4}")
	echo "$said" | grep -P "^$1\t$2\t" | grep -q -- "$3" || { echo "$said"; return 1; }
}

check "a trial mount tells the protocol" found ok mount "FUSE protocol 7\."
same "and is gone again" "$(mounts_of_test; find "$T" -maxdepth 1 -name 'chainfs-doctor*')" ""
check "a whole store" found ok store "has format 3" "$T/s"
check "nobody holds it" found ok holder "nobody holds it" "$T/s"
check "its disk" found ok space "bytes are free" "$T/s"
check "its reserve" found ok reserve "are kept" "$T/s"
check "a mount point that is not there" found fault mountpoint "No such file" "$T/s" "$T/none"
check "is a fault" exits 4 "$CHAINFS" doctor "$T/s" "$T/none"
check "one that is not empty" found fault mountpoint "$T/full" "$T/s" "$T/full"
mkdir "$T/mnt"
check "one that can be mounted on" found ok mountpoint "can be mounted on" "$T/s" "$T/mnt"
check "no store" found fault store "No such file" "$T/none"
check "a folder that is none" found fault store "names no format" "$T/full"
check "a bad file of settings is a fault with its line" \
	found fault settings "bad.yaml:1:" --settings "$(echo 'x: y' > "$T/bad.yaml"; echo "$T/bad.yaml")"
check "a variable that is no setting is noted" env CHAINFS_HYPER_ENABLE=1 \
	sh -c "'$CHAINFS' doctor | grep -q 'CHAINFS_HYPER_ENABLE in the environment is no setting'"
check "few descriptors are noted" sh -c "ulimit -n 500; '$CHAINFS' doctor | grep -q '^note	descriptors	500 '"
case ${FLAVOUR:-release} in
asan | tsan) ;;
*) check "too little memory is a fault" \
	sh -c "ulimit -v 400000; '$CHAINFS' doctor | grep -q '^fault	memory	409600000 '" ;;
esac
check "--json is JSON" sh -c "'$CHAINFS' doctor '$T/s' --json | jq -e '.checks | length > 10'"
check "and counts the faults" sh -c "'$CHAINFS' doctor '$T/none' --json | jq -e '.faults > 0'"

mount_store "$T/s" "$T/mnt"
pid=$(daemon_of "$T/s")
keeper=$(keeper_of "$T/s")
check "a daemon is the holder" found ok holder "pid $keeper" "$T/s"
check "its mount point is known" found ok mountpoint "$T/s is mounted there" "$T/s" "$T/mnt"
kill -STOP "$pid"
check "a daemon that does not answer is a fault, and nobody waits for it" \
	sh -c "timeout -s KILL 20 '$CHAINFS' doctor |
		grep -q '^fault	mounts	$T/mnt: the daemon of .* does not answer'"
kill -CONT "$pid"
kill_mount "$T/s"
check "a mount whose daemon died is a fault" found fault mounts "$T/mnt: the daemon of $T/s is gone"
check "with what to do" sh -c "'$CHAINFS' doctor | grep -q 'chainfs umount $T/mnt$'"
check "its run-time folder is noted" found note run-time "ctl-$keeper"
check "as mount point it is noted alone" found note mountpoint "a dead mount covers it" "$T/s" "$T/mnt"
check "what it says to do works" exits 0 "$CHAINFS" umount "$T/mnt"
check "then it is no fault" sh -c "! '$CHAINFS' doctor | grep '$T/mnt'"
