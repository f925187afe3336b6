#!/bin/bash
# What is there is named: every page in the index of docs/, every folder of source by a README and
# in that of the root. (That what is named is there, t-pages.sh looks at.)
. "$(dirname "$0")/../support/lib.bash"

root=${TESTS%/*}
cd "$root" || exit 1
left_out=
for page in docs/*.md; do
	name=${page#docs/}
	[ "$name" = README.md ] || grep -qF "]($name)" docs/README.md || left_out="$left_out $name"
done
same "docs/README.md names every page beside it" "$left_out" ""

left_out=
for page in docs/recipes/*.md; do
	name=${page##*/}
	[ "$name" = README.md ] || grep -qF "]($name)" docs/recipes/README.md || left_out="$left_out $name"
done
same "docs/recipes/README.md names every recipe" "$left_out" ""

without=
for folder in core/* fs net proto mount-helpers; do
	[ -f "$folder/README.md" ] || without="$without $folder"
done
same "every folder of source has a README" "$without" ""

unnamed=
for folder in core/*/ ; do
	grep -qF "$folder" README.md || unnamed="$unnamed $folder"
done
same "the README of the root names every folder of core" "$unnamed" ""
