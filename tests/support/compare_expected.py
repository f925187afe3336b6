#!/usr/bin/env python3
"""Compares a mounted network with what the recorded node itself answered (expected/ of a recording).

usage: compare_expected.py MOUNT/NETWORK RECORDING/expected

Reads the mount with ordinary files alone. Prints a line a comparison; exits 1 at the first kind of
difference, naming it.
"""
import collections
import json
import os
import sys

net, expected = sys.argv[1:3]
SETS = {"casts": "casts", "links": "links", "link_compact": "link-compacts", "reactions": "reactions",
        "user_data": "user-data", "verifications": "verifications", "lends": "lends"}
KIND_SET = {"cast": "casts", "link": "links", "reaction": "reactions", "verification": "verifications",
            "user": "user-data", "username": "username-proofs", "lend": "lends"}
faults = []


def same(what, got, want):
    if got != want:
        faults.append("%s: the mount says %s, the node %s" % (what, str(got)[:200], str(want)[:200]))


def text(*parts):
    with open(os.path.join(net, *parts)) as f:
        return f.read()


def record_hashes(folder):
    return sorted(n.rsplit(".", 1)[0].split("-", 1)[1] for n in os.listdir(folder)) if os.path.isdir(folder) else []


def accounts():
    fids = json.load(open(os.path.join(expected, "fids.json")))
    records = 0
    for fid, want in fids.items():
        at = os.path.join("legacy/state/shards", str(want["shard"]), "accounts", "%02x" % want["vshard"],
                          "%010d" % int(fid))
        if not want["account_items"]:
            same("account %s" % fid, os.path.exists(os.path.join(net, at)), False)
            continue
        same("root of account %s" % fid, text(at, "root").strip(), want["account_root"])
        counts = dict(line.split() for line in text(at, "counts").splitlines())
        same("records of account %s" % fid, int(counts["total"]), want["account_items"])
        records += want["account_items"]
        for kind, folder in SETS.items():
            same("%s of account %s" % (folder, fid), record_hashes(os.path.join(net, at, folder)),
                 sorted(want["messages"][kind]))
        onchain = collections.defaultdict(list)
        folder = os.path.join(net, at, "onchain")
        for name in os.listdir(folder):
            event = json.load(open(os.path.join(folder, name)))
            onchain[str(event_type(event))].append([event["transaction_hash"], event["log_index"]])
        same("onchain events of account %s" % fid, {k: sorted(v) for k, v in onchain.items()},
             {k: sorted(v) for k, v in want["onchain"].items() if v})
        limits = dict(line.split()[:2] for line in text(at, "limits").splitlines())
        for store, (limit, _) in want["limits"].items():
            name = store.lower().replace("storage_", "").replace("_", "-")
            if name in limits:
                same("limit of %s of account %s" % (name, fid), int(limits[name]), limit)
    print("%d accounts with %d records: roots, counts, messages, onchain events and limits compared" % (len(fids), records))


EVENT_TYPES = ["none", "signer", "signer-migrated", "id-register", "storage-rent", "tier-purchase", "channel-register"]


def event_type(event):
    t = event["type"]
    return t if isinstance(t, int) else EVENT_TYPES.index(t.replace("onchain-", "").replace("_", "-"))


def shards():
    for shard, want in json.load(open(os.path.join(expected, "shards.json"))).items():
        if not want["trie_root"]:
            continue
        rows = [line.split("\t") for line in text("legacy/state/shards", shard, "roots.tsv").splitlines()]
        same("records of shard %s" % shard, sum(int(r[3]) for r in rows), want["trie_items"])
        status = text("legacy/shards", shard, "roots", sorted(os.listdir(os.path.join(net, "legacy/shards", shard, "roots")))[-1])
        same("root of shard %s" % shard, status.splitlines()[-1].split("\t")[1], want["trie_root"])
        print("shard %s: %d accounts, %d records, root %s" % (shard, len(rows), want["trie_items"], want["trie_root"]))


def retained_of(shard):
    """What hyper's newest state of a shard lists and legacy's does not. A lend is listed under both of its
    accounts; the lender's is counted."""
    top, got = os.path.join(net, "hyper/state/shards", shard, "accounts"), []
    for vshard in os.listdir(top):
        for fid in os.listdir(os.path.join(top, vshard)):
            for folder in set(SETS.values()) | {"username-proofs"}:
                at = os.path.join(vshard, fid, folder)
                hyper = set(record_hashes(os.path.join(top, at)))
                got += [(int(fid), folder, h) for h in hyper - set(record_hashes(os.path.join(
                    net, "legacy/state/shards", shard, "accounts", at)))]
    return got


def hyper():
    path = os.path.join(expected, "hyper-by-checker.json")
    if not os.path.exists(path):
        print("no hyper roots to compare with")
        return
    for shard, want in json.load(open(path)).items():
        roots = {}
        for name in sorted(os.listdir(os.path.join(net, "hyper/shards", shard, "roots"))):
            for line in text("hyper/shards", shard, "roots", name).splitlines():
                height, root, records = line.split("\t")
                roots[int(height)] = ("" if root == "-" else root, int(records))
        compared = 0
        changes = want["changes"]
        for i, (height, _, items, root) in enumerate(changes):
            until = changes[i + 1][0] if i + 1 < len(changes) else max(roots) + 1
            for h in range(height, until):
                same("hyper root of shard %s at %d" % (shard, h), roots[h], (root, items))
                compared += 1
        got = retained_of(shard)
        same("retained of shard %s" % shard, sorted(got),
             sorted((r[0], KIND_SET[r[1].split("_")[0]], r[-1]) for r in want["retained"]))
        print("shard %s: hyper root and records equal at %d heights, %d retained records" % (shard, compared, len(got)))


accounts()
shards()
hyper()
for fault in faults[:20]:
    print("DIFFERENT " + fault)
if faults:
    sys.exit(1)
