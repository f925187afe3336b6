#!/bin/bash
# diff -r of the two contexts prints the retained records and what they explain, and nothing else.
. "$(dirname "$0")/lib.bash"

import_vectors "$T/st" --hyper on || exit 1
mount_store "$T/st" "$T/mnt" || exit 1
cd "$T/mnt/$NET" || exit 1

records() { # files of records below a folder of a state, by find alone
	find "$1" -path '*/accounts/*/*/*/*' -name '*.json'
}

# Records that diff says are in hyper alone. An account of which nothing but retained records is
# left is one line of diff's: what is in it counts.
only_in_hyper() {
	sed -n 's/^Only in \(hyper[^:]*\): \(.*\)$/\1\/\2/p' "$1" | grep /accounts | while read -r path; do
		if [ -d "$path" ]; then
			records "$path"
		else
			echo "$path"
		fi
	done
}

explained='^(root|counts|roots\.tsv|[a-z-]+\.jsonl)$'

tip=$(awk '$1 == "shard" && $2 == 0 && $3 == "tip" { print $4 }' status)
for i in 1 2 3 4 5 6 7 8 9 10; do
	h=$((tip * i / 10))
	diff -r "legacy/at/$h" "hyper/at/$h" > "$T/out" 2> "$T/complaints"
	only=$(only_in_hyper "$T/out" | wc -l)
	wrong=$(
		grep '^Only in ' "$T/out" |
			grep -v '^Only in hyper/.*/accounts/.*\.json$\|^Only in hyper/.*/accounts\(/..\)\?: [0-9a-f]*$'
		grep '^Only in ' "$T/out" | grep -v "^Only in hyper/at/$h/"
		sed -n 's/^diff -r .*\///p' "$T/out" | grep -vE "$explained"
		grep -v '^Only in \|^diff -r \|^[<>] \|^---$\|^[0-9,]*[acd][0-9,]*$' "$T/out"
		cat "$T/complaints"
	)
	same "height $h: nothing but retained records and what they explain" "$wrong" ""
	same "height $h: as many as the report counts" "$only" \
		"$(awk '$1 == "set" { n += $4 } END { print n + 0 }' "diffs/$h/report")"
	same "height $h: as many as a recount of files finds" "$only" \
		"$(($(records "hyper/at/$h" | wc -l) - $(records "legacy/at/$h" | wc -l)))"
	same "height $h: the same that diffs/$h/retained lists" \
		"$(only_in_hyper "$T/out" | sed 's/.*\///' | sort | sha256sum)" \
		"$(find "diffs/$h/retained" -type f -printf '%f\n' | sort | sha256sum)"
	same "height $h: what the shards retain is the total" \
		"$(awk '$1 == "shard" { n += $8 } END { print n + 0 }' "diffs/$h/report")" \
		"$(awk '$1 == "retained" { print $2 }' "diffs/$h/report")"
done
check "at the newest height something is retained, so that this says something" test "$only" -gt 100

diff -r legacy hyper > "$T/out" 2> "$T/complaints"
same "the contexts as a whole: only hyper has more" "$(grep '^Only in ' "$T/out" | grep -v '^Only in hyper')" ""
same "the contexts as a whole: envelopes, and the retained records of the state" \
	"$(grep '^Only in ' "$T/out" | grep -v '^Only in hyper/state/\(shards/[0-9]*/\)\?accounts[/:]' | sort)" \
	"$(printf '%s\n' "Only in hyper/shards/1: envelopes" "Only in hyper/shards/2: envelopes" \
	"Only in hyper: envelopes")"
same "the contexts as a whole: only roots and the state differ" \
	"$(sed -n 's/^diff -r [^ ]* hyper\///p' "$T/out" | grep -vE '^(shards/[0-9]+/)?roots/|^state/')" ""
same "the state's differing files are those that the records explain" \
	"$(sed -n 's/^diff -r [^ ]* hyper\/state\/.*\///p' "$T/out" | grep -vE "$explained")" ""
same "no loop and no complaint" "$(cat "$T/complaints")" ""
cd /
