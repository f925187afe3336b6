#!/bin/bash
# Help, usage, exit codes and JSON of every verb.
. "$(dirname "$0")/../support/lib.bash"

check "without words it prints its help and says that it is a mistake" exits 1 "$CHAINFS"
check "--help is no mistake" exits 0 "$CHAINFS" --help
for verb in demo import restore bootstrap guessed compare mount umount status gaps verify pin \
	unpin checkpoints checkpoint fsck doctor export \
	"config show" "config check" migrate presets "hyper diff" "hyper audit" "hyper metrics" version help; do
	# shellcheck disable=SC2086
	check "$verb --help says how it is used" says "^usage: chainfs $verb" "$CHAINFS" $verb --help
	# shellcheck disable=SC2086
	check "help $verb says the same" says "^usage: chainfs $verb" "$CHAINFS" help $verb
done
check "the help lists the exit codes" says "another process holds the store" "$CHAINFS" help
check "version names the store format" says "store format" "$CHAINFS" version
check "version --json is JSON" sh -c "'$CHAINFS' version --json | jq -e .store_format"
check "a verb that is none is a sentence" says "no verb" "$CHAINFS" frobnicate
check "and exits with 1" exits 1 "$CHAINFS" frobnicate
check "an option that is none is a sentence" says "no option" "$CHAINFS" status x --frobnicate
check "a missing word is asked for" says "it needs STORE" "$CHAINFS" status
check "a word that is empty is named" says "mount: MOUNTPOINT is empty" "$CHAINFS" mount x ''
check "without its brackets" says "doctor: STORE is empty" "$CHAINFS" doctor ''
check "at either end" says "demo: FOLDER is empty" "$CHAINFS" demo ''
check "and a mistake" exits 1 "$CHAINFS" status ''
check "a word too many is named" says "one word too many" "$CHAINFS" status a b
check "status of what is not there exits with 3" exits 3 "$CHAINFS" status "$T/none"

"$CHAINFS" import "$T/s" "$VECTORS/devnet-a" --quiet >/dev/null
for verb in status gaps verify; do
	check "$verb --json is JSON" sh -c "'$CHAINFS' $verb '$T/s' --json | jq -es ."
done
check "hyper is off unless asked for" sh -c "'$CHAINFS' status '$T/s' | grep -q 'hyper    off'"
check "a network that is not there is named" says "no network nope" "$CHAINFS" gaps "$T/s" --network nope
check "output to a closed pipe ends quietly" sh -c "'$CHAINFS' help | head -n 1"
check "output that cannot be written is a fault" exits 2 sh -c "'$CHAINFS' status '$T/s' >/dev/full"
check "demo has its import tell it, too" exits 2 \
	sh -c "'$CHAINFS' demo '$T/demo' --no-mount --quiet > /dev/full"
check "and one that is closed says so" says "cannot be written: Bad file descriptor" \
	sh -c "'$CHAINFS' status '$T/s' >&-; [ \$? = 2 ]"
check "which is none for who says nothing" exits 0 sh -c "'$CHAINFS' gaps '$T/s' >&-"
check "a log that is full ends no work" exits 0 \
	sh -c "'$CHAINFS' export '$T/s' '$T/out' >/dev/null 2>/dev/full && [ -e '$T/out/network.json' ]"
