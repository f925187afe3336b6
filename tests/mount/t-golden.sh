#!/bin/bash
# The demo chain as a reader of the mount sees it, byte for byte: the tree's own description, and chosen
# files of every kind. A change here is a change of what people's scripts read: renew with UPDATE=1, and say
# so in the commit.
. "$(dirname "$0")/lib.bash"
golden=$TESTS/golden

"$CHAINFS" demo "$T/demo" --no-mount --quiet >/dev/null || exit 1
mount_store "$T/demo/store" "$T/mnt" || exit 1
net=$T/mnt/demo
blocks=legacy/blocks/0000000000-0000000999

list()
{
	echo "$blocks/index.tsv" "$blocks/items.jsonl" \
		"$blocks"/0000000100/{header,header.json,parent,block.pb,outcomes.tsv,verify}
	echo {legacy,hyper}/roots/0000000000-0000000999.tsv {legacy,hyper}/shards/1/roots/0000000000-0000000999.tsv
	echo {legacy,hyper}/at/200/roots.tsv {legacy,hyper}/at/200/shards/2/roots.tsv
	echo hyper/shards/1/envelopes/0000000000-0000000999/0000000200.{pb,json}
	echo diffs/diverged diffs/200/report diffs/200/report.json
	echo diffs/200/reasons.tsv diffs/100..200/{report,report.json,legacy.tsv,hyper.tsv,reasons.tsv}
	(cd "$net" && ls -d legacy/state/shards/1/accounts/*/*/{root,counts,limits,*.jsonl} | head -n 60)
	(cd "$net" && find legacy/state/shards/2/accounts -name '*.json' | sort | head -n 40)
}

compare() # NAME: standard input against the golden file of that name
{
	if [ -n "${UPDATE:-}" ]; then
		cat >"$golden/$1"
	else
		diff "$golden/$1" -
	fi
}
check "the mount's README is the one of the golden listing" compare README.txt <"$T/mnt/README"
check "the network's README too" compare README-network.txt <"$net/README"
list | tr ' ' '\n' | (cd "$net" && xargs sha256sum) >"$T/digests"
check "chosen files of the demo chain are what they were" compare demo.sha256 <"$T/digests"
(cd "$net" && find legacy/at/200/shards/1 | sort) >"$T/listing"
check "and so is the listing of a state" compare listing.txt <"$T/listing"
