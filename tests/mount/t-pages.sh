#!/bin/bash
# The tutorial and every recipe of docs/, run from the pages themselves on the demo chain: the sh blocks of a page,
# one after another in one shell, must print what the text blocks behind them say. UPDATE=1 writes what was
# printed into the pages.
. "$(dirname "$0")/lib.bash"

for tool in jq sqlite3 rsync awk; do
	command -v $tool >/dev/null || skip "there is no $tool here"
done
DOCS=$TESTS/../docs
mkdir "$T/bin" && ln -s "$CHAINFS" "$T/bin/chainfs"
export PATH=$T/bin:$PATH

# What the nth sh block prints goes to OUT/n; the text block behind it, if there is one, is
# WANTED/n.
script_of() # PAGE
{
	awk '
		/^```sh$/ { inside = 1; print "exec >\"$OUT/" ++n "\""; next }
		/^```$/ { inside = 0 }
		inside' "$1"
}

texts_of() # PAGE WANTED
{
	awk -v wanted="$2" '
		/^```sh$/ { n++ }
		/^```text$/ { inside = 1; printf "" >(wanted "/" n); next }
		/^```$/ { inside = 0 }
		inside { print >(wanted "/" n) }' "$1"
}

renew() # PAGE OUT
{
	awk -v out="$2" '
		/^```sh$/ { n++ }
		/^```text$/ { print; inside = 1; while ((getline line <(out "/" n)) > 0) print line; next }
		/^```$/ { inside = 0 }
		!inside' "$1" >"$T/page" && cp "$T/page" "$1"
}

as_said() # NAME: each text block is what the block before it printed
{
	local wanted
	for wanted in "$T/wanted-$1"/*; do
		diff "$wanted" "$T/out-$1/${wanted##*/}" || return 1
	done
}

# runs NAME PAGE OPTION…: by a shell with these options, from a folder of its own, $WORK
runs() {
	local name=$1 page=$2 code
	shift 2
	export WORK=$T/work-$name OUT=$T/out-$name
	mkdir "$WORK" "$OUT" "$T/wanted-$name"
	script_of "$page" >"$T/$name.sh"
	(cd "$WORK" && bash "$@" "$T/$name.sh") 2>"$T/$name.err" </dev/null
	code=$?
	[ -z "${UPDATE:-}" ] || renew "$page" "$OUT"
	texts_of "$page" "$T/wanted-$name"
	same "$name ends well" "$code $(grep -v '^demo: ' "$T/$name.err")" "0 "
	check "$name prints what its page says" as_said "$name"
	same "$name leaves nothing mounted" "$(grep -F " $WORK/" /proc/self/mounts)" ""
}

runs tutorial "$DOCS/tutorial.md" -eu

# What the README shows first: each line says something, and nothing is left of it.
mkdir "$T/readme"
(cd "$T/readme" && "$CHAINFS" demo --quiet >/dev/null) || exit 1
OUT=$T/readme.out
awk '/^```sh$/ { n++; next } /^```$/ { n += n == 2 } n == 2' "$TESTS/../README.md" |
	sed "s|.*|{ & ; } >> $OUT.\$((++line)) 2>\&1|" > "$T/readme.sh"
(cd "$T/readme" && bash "$T/readme.sh")
same "the README shows six lines" "$(wc -l < "$T/readme.sh")" 6
for i in 2 3 4 5; do
	check "line $i prints something" test -s "$OUT.$i"
	same "line $i complains of nothing, and names what there is" \
		"$(grep -E 'No such|cannot|error|null$' "$OUT.$i")" ""
done
same "at the end nothing is mounted" "$(grep -F " $T/readme" /proc/self/mounts)" ""
"$CHAINFS" umount "$T/readme/chainfs-demo/mnt" 2> /dev/null

"$CHAINFS" demo "$T/demo" --quiet >/dev/null || exit 1
export MNT=$T/demo/mnt NET=$T/demo/mnt/demo STORE=$T/demo/store
for page in "$DOCS"/recipes/*.md; do
	name=$(basename "$page" .md)
	[ "$name" = README ] && continue
	runs "$name" "$page" -eu -o pipefail
	check "$name stands in the list of recipes" grep -q "($name.md)" "$DOCS/recipes/README.md"
done

dead=
for page in "$TESTS"/../*.md "$DOCS"/*.md "$DOCS"/recipes/*.md; do
	for link in $(grep -o '](\([^)#]*\)' "$page" | cut -c 3- | grep -v '^http'); do
		[ -e "$(dirname "$page")/$link" ] || dead="$dead ${page#"$TESTS/../"}:$link"
	done
done
same "every link of a page leads somewhere" "$dead" ""
[ $tests_failed = 0 ]
