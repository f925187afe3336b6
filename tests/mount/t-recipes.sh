#!/bin/bash
# Every recipe of docs/recipes, run from the page itself on the demo chain: its sh blocks, one after
# another in one shell, must print what its text blocks say. UPDATE=1 writes what was printed into the pages.
. "$(dirname "$0")/lib.bash"

for tool in jq sqlite3 rsync awk; do
	command -v $tool >/dev/null || skip "there is no $tool here"
done
"$CHAINFS" demo "$T/demo" --quiet >/dev/null || exit 1
mkdir "$T/bin" && ln -s "$CHAINFS" "$T/bin/chainfs"
export PATH=$T/bin:$PATH MNT=$T/demo/mnt NET=$T/demo/mnt/demo STORE=$T/demo/store

# Each sh block, and the mark that ends what it printed.
mark='#### end of a block'
script_of() # PAGE
{
	awk -v mark="$mark" '
		/^```sh$/ { inside = 1; next }
		/^```$/ && inside { inside = 0; print "cd \"$WORK\"; echo \"" mark "\""; next }
		inside' "$1"
}

text_of() # PAGE
{
	awk -v mark="$mark" '
		/^```text$/ { inside = 1; next }
		/^```$/ && inside { inside = 0; print mark; next }
		inside' "$1"
}

renew() # PAGE PRINTED
{
	awk -v printed="$2" -v mark="$mark" '
		/^```text$/ { print; inside = 1
			while ((getline line < printed) > 0 && line != mark) print line
			next }
		/^```$/ && inside { inside = 0 }
		!inside' "$1" >"$T/page" && cp "$T/page" "$1"
}

for page in "$TESTS"/../docs/recipes/*.md; do
	name=$(basename "$page" .md)
	[ "$name" = README ] && continue
	export WORK=$T/work-$name
	mkdir "$WORK"
	script_of "$page" >"$T/$name.sh"
	(cd "$WORK" && bash -eu -o pipefail "$T/$name.sh") >"$T/$name.out" 2>"$T/$name.err" </dev/null
	code=$?
	[ -z "${UPDATE:-}" ] || renew "$page" "$T/$name.out"
	text_of "$page" >"$T/$name.wanted"
	same "recipe $name ends well" "$code $(cat "$T/$name.err")" "0 "
	check "recipe $name prints what its page says" diff "$T/$name.wanted" "$T/$name.out"
	check "recipe $name stands in the list of recipes" grep -q "($name.md)" "$TESTS/../docs/recipes/README.md"
done
[ $tests_failed = 0 ]
