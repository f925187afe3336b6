#!/bin/bash
# diffs/FROM..TO: the records that each context gained and lost between two heights are those that
# diff -r of the two states tells of, and nothing else.
. "$(dirname "$0")/lib.bash"

import_vectors "$T/st" --hyper on || exit 1
mount_store "$T/st" "$T/mnt" || exit 1
cd "$T/mnt/$NET" || exit 1

# What diff -r prints of two states, as the lines of a span: sign, shard, account, set, name. An
# account or a set that only one of them has stands for all records in it.
by_diff() { # CONTEXT FROM TO
	local context=$1 from=$2 to=$3
	diff -rq "$context/at/$from" "$context/at/$to" | awk -v from="$context/at/$from" '
		/^Only in / {
			path = substr($0, 9); sub(/: /, "/", path)
			print (index(path, from "/") == 1 ? "-" : "+") "\t" path
		}
		/^Files .* differ$/ && $2 ~ /\/accounts\/[^\/]*\/[^\/]*\/[^\/]*\/[^\/]*\.json$/ {
			print "-\t" $2; print "+\t" $4
		}' | while IFS=$'\t' read -r sign path; do
		if [ -d "$path" ]; then
			find "$path" -path '*/accounts/*/*/*/*.json' | sed "s/^/$sign\t/"
		else
			case $path in */accounts/*/*/*/*.json) printf '%s\t%s\n' "$sign" "$path" ;; esac
		fi
	done | awk -F'\t' '{
		n = split($2, part, "/"); shard = 0
		for (i = 1; i < n; i++) if (part[i] == "shards") shard = part[i + 1]
		sub(/\.json$/, "", part[n])
		printf "%s\t%02d\t%s\t%s\t%s\n", $1, shard, part[n - 2], part[n - 1], part[n]
	}' | sort
}

by_span() { # CONTEXT FROM TO
	cut -f 1,2,4,5,6 "diffs/$2..$3/$1.tsv" | sort
}

tip=$(awk '$1 == "shard" && $2 == 0 && $3 == "tip" { print $4 }' status)
seen=0
for pair in "1 $((tip / 3))" "$((tip / 3)) $((tip / 2))" "$((tip / 2)) $((tip / 2 + 1))" "$((tip / 4)) $tip"; do
	set -- $pair
	for context in legacy hyper; do
		same "$context $1..$2: the records that diff -r tells of" \
			"$(by_span $context $1 $2 | sha256sum)" "$(by_diff $context $1 $2 | sha256sum)"
		seen=$((seen + $(wc -l < "diffs/$1..$2/$context.tsv")))
		same "$context $1..$2: the report counts the lines" \
			"$(cut -c1 "diffs/$1..$2/$context.tsv" | sort | uniq -c |
			awk '{ print $2 $1 }' | sort | xargs)" \
			"$(awk -v c=$context '$1 == c { print $2; print $3 }' "diffs/$1..$2/report" |
			grep -v '^[+-]0$' | sort | xargs)"
		same "$context $1..$2: and so do the reasons" \
			"$(cut -f 1,7 "diffs/$1..$2/$context.tsv" | sort | uniq -c |
			awk '{ print $2, $3, $1 }' | sort)" \
			"$(awk -v c=$context '$1 == c { print $2, $3, $4 }' "diffs/$1..$2/reasons.tsv" | sort)"
	done
done
check "that was something" test "$seen" -gt 500
span=diffs/$((tip / 4))..$tip
check "legacy loses what is pruned" grep -q 'pruned$' "$span/legacy.tsv"
check "hyper loses nothing so" sh -c "! grep -q 'pruned\$' '$span/hyper.tsv'"
check "records were removed, too" grep -q '^-.*removed$' "$span/hyper.tsv"
net() { # of a context: gained less lost
	sed -n "s/^$1 +\([0-9]*\) -\([0-9]*\)\$/\1 \2/p" "$span/report" | awk '{ print $1 - $2 }'
}
grown() { # the column of the shards' records, from one report to the other
	cat "diffs/$tip/report" "diffs/$((tip / 4))/report" | awk -v c="$1" '
		$1 == "height" { sign = sign ? -1 : 1 }
		$1 == "shard" { n += sign * $c }
		END { print n }'
}
same "legacy grew by what it gained less what it lost" "$(net legacy)" "$(grown 6)"
same "and so did hyper" "$(net hyper)" "$(grown 7)"
same "every height of a line lies in its shard's part" "$(awk '
	NR == FNR { if ($1 == "shard") { lo[$2] = $3; hi[$2] = $4 }; next }
	$3 + 0 <= lo[$2 + 0] || $3 + 0 > hi[$2 + 0]' "$span/report" "$span/hyper.tsv" | wc -l)" 0
same "the lines are in order" "$(cut -f 2,3 "$span/hyper.tsv" | sort -c 2>&1)" ""
check "report.json is JSON" jq -e '.from.height < .to.height' "$span/report.json"
same "and says the same" "$(jq -r '.legacy | "+\(.gained) -\(.lost)"' "$span/report.json")" \
	"$(sed -n 's/^legacy //p' "$span/report")"
same "any number of digits names it" "$(stat -c %i "diffs/5..9/report")" \
	"$(stat -c %i "diffs/0000000005..0000000009/report")"
same "sizes are those of the bytes" "$(find "$span" -type f -printf '%s %p\n' | while read -r size path; do
	[ "$size" = "$(cat "$path" | wc -c)" ] || echo "$path"
done)" ""
same "its folder lists five files" "$(ls "$span" | xargs)" "hyper.tsv legacy.tsv reasons.tsv report report.json"
check "spans are not listed" sh -c "! ls diffs | grep -F .."

for bad in 9..5 5..5 0..5 ..5 5.. 5...9 5..9..11 a..b -1..5 5..x 5..99999999999999999999999 "5.. 9"; do
	check "$bad is no such name" sh -c "ls 'diffs/$bad' 2>&1 | grep -q 'No such file'"
done
check "a height that does not exist is no such name" sh -c "ls diffs/5..$((tip + 1000)) 2>&1 | grep -q 'No such file'"

for h in $((tip / 2)) "$tip"; do
	same "reasons of $h: as many of each shard and set as the report says" \
		"$(awk -F'\t' '{ n[($1 + 0) " " $2] += $5 } END { for (i in n) print i, n[i] }' \
		"diffs/$h/reasons.tsv" | sort)" \
		"$(awk '$1 == "set" { print $2, $3, $4 }' "diffs/$h/report" | sort)"
	same "reasons of $h: accounts as a recount of folders finds" \
		"$(awk -F'\t' '{ n[$1 + 0] += $6 } END { for (i in n) print i, n[i] }' "diffs/$h/reasons.tsv" | sort)" \
		"$(find "diffs/$h/retained" -mindepth 3 -maxdepth 3 -type d |
		awk -F/ '{ n[$4]++ } END { for (i in n) print i, n[i] }' | sort)"
done
same "all of it was pruned, and some of it in a shard that is not the account's" \
	"$(cut -f 3,4 "diffs/$tip/reasons.tsv" | sort -u | xargs)" "pruned foreign pruned own"
cd /
