#!/usr/bin/env python3
"""Bit rot: flips in every kind of file of a store, and what comes of each. Run by rot.sh.

    rot.py CHAINFS READ_TREE FOLDER SEED FLIPS [JOBS]
    rot.py flip STORE SEED FLIPS       only flips, and says where: for kill.sh

A flip is 1 to 64 bytes of one file made others, or one bit. Then, in this order, on a copy of the store:
  read     every place of the tree is looked up and read: the bytes of before, or an error that says
           damage. Anything else, ENOENT too, is wrong. What was pinned is pinned, at its height. Whoever opens a
           store for writing mends a pin's file on the way, and says so
  fsck     names something, or nothing is wrong with what is read; a damaged pin, on a copy that nobody has read
  repair   chainfs fsck --repair, an import of the archive, and what was pinned is built: every place
           reads as before, and fsck has nothing to say
FLIP=n runs that one alone and keeps its store."""
import json, os, random, re, shutil, subprocess, sys, time
from concurrent.futures import ThreadPoolExecutor

FLIP_ONLY = sys.argv[1:2] == ["flip"]
CHAINFS, READ_TREE, WORK = (None, None, None) if FLIP_ONLY else sys.argv[1:4]
SEED, FLIPS = int(sys.argv[3 if FLIP_ONLY else 4]), int(sys.argv[4 if FLIP_ONLY else 5])
JOBS = int(sys.argv[6]) if len(sys.argv) > 6 else os.cpu_count()
ONLY = int(os.environ["FLIP"]) if "FLIP" in os.environ else None
NET = next(n for n in sorted(os.listdir(f"{sys.argv[2]}/networks")) if n[0] != ".") if FLIP_ONLY else "crowd"
EBADMSG, EIO, ENODATA, EUCLEAN, ENOENT, EPROTONOSUPPORT = 74, 5, 61, 117, 2, 93
HONEST = {f"!{e}" for e in (EBADMSG, EIO, ENODATA, EUCLEAN)}


def run(*words, limit=120):
    p = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=limit)
    return p.returncode, p.stdout.decode(errors="replace"), p.stderr.decode(errors="replace")


# ---- what there is to flip ----

def varint(b, at):
    n = shift = 0
    while True:
        c = b[at]
        at += 1
        n |= (c & 127) << shift
        shift += 7
        if c < 128:
            return n, at


SST_MAGIC = (0x88e241b785f4cff7).to_bytes(8, "little")


def sst_regions(path):
    """(name, first, end) of the parts of a table file, of which data is the rest. One that a kill cut off has none, and
    the database does not know it."""
    b = open(path, "rb").read()
    if not b.endswith(SST_MAGIC):
        return [("cut off", 0, len(b))]
    foot = len(b) - 53
    at = foot + 1
    meta_at, at = varint(b, at)
    meta_n, at = varint(b, at)
    index_at, at = varint(b, at)
    index_n, at = varint(b, at)
    parts = [("footer", foot, len(b)), ("metaindex", meta_at, meta_at + meta_n + 5),
             ("index", index_at, index_at + index_n + 5)]
    block, at, key = b[meta_at:meta_at + meta_n], 0, b""
    restarts = int.from_bytes(block[-4:], "little") & 0x7fffffff
    while at < len(block) - 4 - 4 * restarts:
        shared, at = varint(block, at)
        more, at = varint(block, at)
        size, at = varint(block, at)
        key = key[:shared] + block[at:at + more]
        value = block[at + more:at + more + size]
        at += more + size
        first, j = varint(value, 0)
        n, j = varint(value, j)
        name = "filter" if b"filter" in key else "properties" if b"properties" in key else "meta"
        parts.append((name, first, first + n + 5))
    parts.append(("data", 0, min(p[1] for p in parts)))
    return parts


def targets(store, state):
    """{kind: [(file, first, end)]}"""
    out = {}

    def add(kind, file, first=0, end=None):
        size = os.path.getsize(f"{store}/{file}")
        end = size if end is None else min(end, size)
        if end > first:
            out.setdefault(kind, []).append((file, first, end))

    base = f"networks/{NET}"
    for name in sorted(os.listdir(f"{store}/{base}/db")):
        file = f"{base}/db/{name}"
        if name.endswith(".sst"):
            for part, first, end in sst_regions(f"{store}/{file}"):
                add(f"sst {part}", file, first, end)
        elif name.endswith(".log"):
            b = open(f"{store}/{file}", "rb").read()
            add("log", file, 0, len(b.rstrip(b"\0")))
            add("log, free bytes", file, len(b.rstrip(b"\0")) + 64)
        else:
            for word in ("MANIFEST", "CURRENT", "OPTIONS", "IDENTITY"):
                if name.startswith(word):
                    add(word, file)
    for name in ("identity", "acknowledged"):
        if os.path.exists(f"{store}/{base}/{name}"):
            add(name, f"{base}/{name}")
    seg = f"{base}/segments/000001.seg"
    b = open(f"{store}/{seg}", "rb").read()
    at = 0
    while at + 24 <= len(b) and b[at:at + 4] == b"CFSF":
        n = int.from_bytes(b[at + 12:at + 16], "big")
        add("segment, frame header", seg, at, at + 24)
        add("segment, frame body", seg, at + 24, at + 24 + n)
        last = at
        at += 24 + n
    add("segment, last frame", seg, last, at)
    checkpoints = f"{base}/checkpoints"
    for folder, _, files in os.walk(f"{store}/{checkpoints}"):
        for name in sorted(files):
            file = os.path.relpath(f"{folder}/{name}", store)
            kind = ("sums beside" if name.startswith(".") else "evidence" if "/evidence/" in file or name == "verdict" else
                    "sums" if name == "SHA256SUMS" else "info" if name == "info" else "files")
            add(f"checkpoint, {kind}", file)
    pins = f"{store}/{base}/pins"
    for name in sorted(os.listdir(pins)) if os.path.isdir(pins) else []:
        add("pin", f"{base}/pins/{name}")
    add("chainfs-store", "chainfs-store", 0, len("chainfs store "))  # another number is another program's
    add("lock", "lock")
    return {f"{k} ({state})" if k.startswith(("sst", "log", "MAN", "ack")) else k: v for k, v in out.items()}


# ---- a chain, in a store that was closed and in one that was killed ----

def make():
    archive = f"{WORK}/archive"
    run(CHAINFS, "forge", archive, "--seed", str(SEED % 1000 + 1), "--blocks", "60", "--messages", "400",
        "--accounts", "12")
    closed, killed = f"{WORK}/closed", f"{WORK}/killed"
    rc, _, said = run(CHAINFS, "import", closed, archive, "--hyper", "on", "--quiet")
    if rc or run(CHAINFS, "pin", closed, "p1")[0]:
        sys.exit(f"not ok 1 - a store to flip bytes in\n# {said}")
    stores = {"closed": closed}
    if kill(killed, archive):
        stores["killed"] = killed
    for s in stores.values():
        os.path.exists(f"{s}/reserve") and os.unlink(f"{s}/reserve")
    return archive, stores


def kill(store, archive):
    """What kill -9 of a daemon leaves that took it all: the log holds everything. False: no mounts here."""
    mount = f"{WORK}/mnt"
    half = ["--range", "1-3"]
    os.mkdir(mount)
    if run(CHAINFS, "import", store, archive, "--hyper", "on", "--quiet", *half)[0]:
        return False
    daemon = subprocess.Popen((CHAINFS, "mount", "-f", store, mount), stderr=subprocess.DEVNULL)
    for _ in range(500):
        if os.path.ismount(mount) or daemon.poll() is not None:
            break
        time.sleep(0.02)
    taken = os.path.ismount(mount) and run(CHAINFS, "import", store, archive, "--quiet")[0] == 0
    daemon.kill()
    daemon.wait()
    run("umount", "-l", mount)
    if os.path.exists(f"{store}/control"):
        os.unlink(f"{store}/control")
    return taken


MORE = [f"{NET}/{c}/at/{h}" for c in ("legacy", "hyper") for h in (7, 15)] + [f"{NET}/diffs/15"]


def baseline(store):
    """{path: sum} of what reads the same twice, and pins_of()."""
    seen = []
    for _ in range(2):
        copy = f"{WORK}/base"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(store, copy)
        out = run(READ_TREE, copy, *MORE)[1]
        seen.append(dict(line.split("\t") for line in out.splitlines()))
        pins = pins_of(copy)
        shutil.rmtree(copy)
    return pins, {p: s for p, s in seen[0].items() if seen[1].get(p) == s and not s.startswith("!")
            and not p.startswith("/status") and not p.endswith("/status")
            and "/segments" not in p}  # raw files: their frames carry sums, and lie as blocks came


def pins_of(store):
    """{name: height} of what does not say that it failed; None when the store says nothing."""
    rc, out, _ = run(CHAINFS, "checkpoints", store, "--json")
    if rc:
        return None
    return {p["name"]: p["height"] for n in json.loads(out) for p in n["pins"] if p["state"] != "failed"}


# ---- one flip ----

class Trial:
    pass


def flip_bytes(path, first, end, r):
    with open(path, "r+b") as f:
        b = bytearray(f.read())
        span = end - first
        if r.random() < 0.4:
            at = r.randrange(first, end)
            b[at] ^= 1 << r.randrange(8)
            what = f"bit at {at}"
        else:
            n = min(r.choice((1, 1, 2, 4, 8, 16, 32, 64)), span)
            at = r.randrange(first, end - n + 1)
            for i in range(at, at + n):
                b[i] ^= r.randrange(1, 256)
            what = f"{n} bytes at {at}"
        f.seek(0)
        f.write(b)
    return what


FIXED = re.compile(r"/(blocks/\d+-\d+/\d+|envelopes/\d+-\d+|at|diffs/\d+)/")


def compare(out, base, earlier=False):
    """(wrong, errors): places with other bytes, or absent without a word; places that are errors. A store that
    lost the end of its log is as of an earlier height: what settles may say so, what is fixed may not."""
    got = {}
    whole = None
    for line in out.splitlines():
        part = line.split("\t")
        if part[0] == "" and part[1].startswith("!"):
            whole = line.strip()
            break
        got[part[0]] = part[1]
    if whole:
        return [], [whole]
    wrong, errors = [], []
    for path, sum in base.items():
        now = got.get(path, "nothing")
        if now == sum:
            continue
        honest = now in HONEST or (earlier and not FIXED.search(path))
        (errors if honest else wrong).append(f"{path} {now}")
    return wrong, errors


def trial(i, kind, place, store, pinned, base, archive):
    t = Trial()
    r = random.Random(f"{SEED}/{i}")
    t.i, t.kind, t.file = i, kind, place[0]
    t.copy = f"{WORK}/t{i}"
    shutil.rmtree(t.copy, ignore_errors=True)
    shutil.copytree(store, t.copy)
    t.what = flip_bytes(f"{t.copy}/{place[0]}", place[1], place[2], r)
    paths = f"{store}.paths"
    unread = f"{t.copy}.unread"
    if kind == "pin":
        shutil.rmtree(unread, ignore_errors=True)
        shutil.copytree(t.copy, unread)
    t.told = kind == "pin" and f"file={place[0].split('/', 2)[2]}" in run(CHAINFS, "checkpoints", t.copy)[2]
    rc, out, said = run(READ_TREE, t.copy, f"@{paths}")
    t.died = rc != 0
    t.wrong, t.errors = compare(out, base, kind.startswith("log")) if rc == 0 else ([], [f"died with {rc}: {said[-200:]}"])
    pins = pins_of(t.copy)
    if pins and pins.items() - pinned.items():
        t.wrong += [f"pins {pins}"]
    rc, out, said = run(CHAINFS, "fsck", unread if kind == "pin" else t.copy)
    t.fsck = rc
    t.fsck_died = rc < 0 or rc > 100
    t.named = [l for l in (out + said).splitlines() if l][:3]
    rc, out, said = run(CHAINFS, "fsck", unread if kind == "pin" else t.copy, "--repair")
    t.repair = (rc, (said or out)[-400:])
    if kind == "pin":
        shutil.rmtree(t.copy)
        os.rename(unread, t.copy)
    run(CHAINFS, "import", t.copy, archive, "--quiet")
    t.imported = run(CHAINFS, "pin", t.copy, "again")
    run(CHAINFS, "unpin", t.copy, "again")
    rc, out, said = run(READ_TREE, t.copy, f"@{paths}")
    wrong, errors = compare(out, base) if rc == 0 else (["died"], [])
    t.after = wrong + errors
    pins = pins_of(t.copy)
    if pins != pinned:
        t.after += [f"pins {pins}"]
    rc, out, said = run(CHAINFS, "fsck", t.copy)
    t.clean = rc == 0
    if rc:
        t.after += [(out + said).splitlines()[0]]
    t.keep = t.wrong or t.after
    if ONLY is None:
        shutil.rmtree(t.copy, ignore_errors=True)
    return t


def flip_only(store):
    """FLIPS places, each of a kind of its own. The file identity is damaged alone: it is the other copy of what the
    database says, and with both gone the repair gives up."""
    r = random.Random(SEED)
    places = targets(store, "closed")
    if FLIPS > 1:
        places.pop("identity", None)
    for kind in r.sample(sorted(places), min(FLIPS, len(places))):
        file, first, end = r.choice(places[kind])
        print(f"{kind}: {file}, {flip_bytes(f'{store}/{file}', first, end, r)}")


def main():
    started = time.time()
    archive, stores = make()
    bases = {}
    for store in stores.values():
        bases[store] = baseline(store)
        base = bases[store][1]
        with open(f"{store}.paths", "w") as f:
            f.write("".join(f"{p}\n" for p in sorted(base)))
    places = {}
    for state, store in stores.items():
        for kind, list in targets(store, state).items():
            if state == "closed" or state in kind:
                places[kind] = (store, list)
    r = random.Random(SEED)
    plan = []
    kinds = sorted(places)
    for i in range(FLIPS):
        kind = kinds[i % len(kinds)]
        store, list = places[kind]
        plan.append((i, kind, r.choice(list), store))
    if ONLY is not None:
        plan = plan[ONLY:ONLY + 1]
    with ThreadPoolExecutor(JOBS) as pool:
        done = [*pool.map(lambda p: trial(*p, *bases[p[3]], archive), plan)]
    print(f"# seed {SEED}, {len(done)} flips, {len(base)} places read after each, {time.time() - started:.0f} s")
    print(f"# {'kind':28} flips  read  fsck harmless healed wrong not-healed")
    total = [0] * 7
    for kind in kinds:
        of = [t for t in done if t.kind == kind]
        row = [len(of), sum(bool(t.errors) or t.told for t in of), sum(t.fsck != 0 for t in of),
               sum(not t.errors and t.fsck == 0 and not t.wrong for t in of),
               sum((bool(t.errors) or t.fsck != 0) and not t.after for t in of),
               sum(bool(t.wrong) for t in of), sum(bool(t.after) for t in of)]
        total = [a + b for a, b in zip(total, row)]
        print("# {:28} {:5} {:5} {:5} {:8} {:6} {:5} {:10}".format(kind, *row))
    print("# {:28} {:5} {:5} {:5} {:8} {:6} {:5} {:10}".format("all", *total))
    for t in done:
        if t.wrong or t.after or t.died or t.fsck_died or ONLY is not None:
            print(f"# flip {t.i}: {t.kind}, {t.file}, {t.what}; read: {len(t.errors)} errors, {len(t.wrong)} wrong "
                  f"{t.wrong[:2] + t.errors[:1]}; fsck {t.fsck} {t.named[:1]}; repair {t.repair}; after: {t.after[:2]}")
    number = 0

    def check(sentence, good):
        nonlocal number
        number += 1
        print(f"{'ok' if good else 'not ok'} {number} - {sentence}")
        return good

    good = check("no reader gets a wrong byte, or is told that damaged things are not there",
                 not any(t.wrong for t in done))
    good &= check("nobody dies of damage", not any(t.died or t.fsck_died for t in done))
    good &= check("what a reader meets fsck finds and names",
                  all(t.fsck != 0 and t.named for t in done if t.errors))
    if any(t.kind == "pin" for t in done):
        good &= check("a damaged pin is named by who opens the store, and by fsck",
                      all(t.told and t.fsck != 0 and any("\tpin\t" in l for l in t.named) for t in done if t.kind == "pin"))
    good &= check("everything is as before after a repair and an import", not any(t.after for t in done))
    sys.exit(not good)


flip_only(sys.argv[2]) if FLIP_ONLY else main()
