// replica.mjs: states as the replication service gives them, from folders of recorded or generated
// pages.
//
// A folder holds metadata-S.pb, shard-S.pbs, index-S.json and fetch.json (../README.md says what is
// in them). A page goes out as it lies there, unless it is to be tampered with.
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { readStream } from "./archive.mjs";
import { dice } from "./lies.mjs";
import { all, delimited, fields, flipped, last, len, num, rewrite } from "./pb.mjs";
import { Trie, vshardOf } from "./trie.mjs";

export const TAMPERINGS = [
	"none",
	"missing",
	"repeated",
	"changed",
	"wrong-root",
	"token-loop",
	"swapped",
	"short",
	"refused",
	"other-shard",
	"other-height",
	"moved",
	"endless",
	"token-cycle",
];

// Of the metadata: nothing of a page is false.
export const METADATA_TAMPERINGS = ["false-root", "other-block", "many-snapshots"];
const SNAPSHOTS = 200000; // of many-snapshots;

// Which messages an account's list has, by their types.
const LISTS = new Map([
	["GetAllCastMessagesByFid", [1, 2]],
	["GetAllReactionMessagesByFid", [3, 4]],
	["GetAllLinkMessagesByFid", [5, 6]],
	["GetAllVerificationMessagesByFid", [7, 8]],
	["GetAllUserDataMessagesByFid", [11]],
	["GetAllLendStorageMessagesByFid", [15]],
]);

function pageOf(bytes, code, details) {
	return {
		bytes,
		code,
		details,
		next: bytes ? last(bytes, 3, Buffer.alloc(0)).toString() : "",
	};
}

// What the recording beside an archive tells of the vshards that were refused: the messages that
// its node listed at the end, and the on-chain events, names and keys of the blocks.
function recorded(archive, shard, height, refused) {
	const out = new Map(),
		lane = archive.lanes[shard];
	const keep = (fid, rest, tag, bytes) => {
		const prefix = Buffer.alloc(5);
		prefix[0] = vshardOf(fid);
		prefix.writeUInt32BE(fid % 2 ** 32, 1);
		const key = Buffer.concat([prefix, ...rest]);
		if (refused.has(prefix[0])) out.set(key.toString("hex"), { key, tag, bytes });
	};
	const message = (m) => {
		const bytes = last(m, 7),
			data = bytes?.length ? bytes : last(m, 1);
		keep(last(data, 2, 0), [Buffer.from([last(data, 1, 0) << 3]), last(m, 2)], 2, m);
		return data;
	};
	const onchain = (e) =>
		keep(
			last(e, 8, 0),
			[Buffer.from([last(e, 1, 0)]), last(e, 6), orderOf(last(e, 7, 0))],
			3,
			e,
		);
	for (const m of delimited(
		readStream(path.join(archive.folder, "expected"), `messages-${shard}`) ??
			Buffer.alloc(0),
	))
		message(m);
	const added = new Map();
	for (let h = lane.first; h <= Math.min(height, lane.last); h++)
		for (const tx of all(lane.block(h), 3))
			for (const system of all(tx, 3))
				for (const [field, , value] of fields(system)) {
					if (field === 1) onchain(value);
					if (field !== 3) continue;
					const data = last(value, 2, Buffer.alloc(0)),
						event = last(data, 8),
						carried = last(data, 7);
					if (event) onchain(last(event, 1));
					if (!carried) continue;
					const m = last(carried, 1),
						bytes = last(m, 7),
						said = bytes?.length ? bytes : last(m, 1),
						type = last(said, 1, 0);
					if (type === 16)
						added.set(
							last(last(said, 19), 1).toString("hex"),
							m,
						);
					if (type !== 17) continue;
					const key = last(last(said, 20), 1).toString("hex");
					message(m);
					added.delete(key);
				}
	for (const m of added.values()) message(m);
	return out.values();
}

function orderOf(...numbers) {
	const b = Buffer.alloc(4 * numbers.length);
	numbers.forEach((n, i) => b.writeUInt32BE(n, 4 * i));
	return b;
}

function shuffled(list, roll) {
	const out = [...list];
	for (let i = out.length - 1; i > 0; i--) {
		const j = roll() % (i + 1);
		[out[i], out[j]] = [out[j], out[i]];
	}
	return out;
}

// One of the fields `number` of a page: its beginning says which it is.
function pick(b, number, roll) {
	const list = fields(b).filter((f) => f[0] === number);
	return list.length ? list[roll() % list.length][3] : -1;
}

// What is false of a page; modes that need no more than the page itself, and a loop of tokens.
const tamper = {
	missing(b, roll) {
		const at = pick(b, 1, roll);
		return pageOf(rewrite(b, (f) => (f[3] === at ? null : undefined)));
	},
	repeated(b, roll) {
		const at = pick(b, 1, roll);
		const twice = (f) => [
			Buffer.concat([b.subarray(f[3], f[4]), b.subarray(f[3], f[4])]),
		];
		return pageOf(rewrite(b, (f) => (f[3] === at ? twice(f) : undefined)));
	},
	// An item under its own key: a bit of a message's hash, an event's transaction, a proof.
	changed(b, roll) {
		const at = pick(b, 1, roll);
		const content = (g) => {
			if (g[0] === 1) return undefined;
			const inside = g[0] === 2 ? 2 : g[0] === 3 ? 6 : 4;
			return rewrite(g[2], (h) =>
				h[0] === inside ? flipped(h[2], roll) : undefined,
			);
		};
		return pageOf(
			rewrite(b, (f) => (f[3] === at ? rewrite(f[2], content) : undefined)),
		);
	},
	"wrong-root"(b, roll) {
		const at = pick(b, 2, roll);
		const content = (g) => (g[0] === 2 ? flipped(g[2], roll) : undefined);
		return pageOf(
			rewrite(b, (f) => (f[3] === at ? rewrite(f[2], content) : undefined)),
		);
	},
	// All of it, and what would follow.
	short() {
		return pageOf(Buffer.alloc(0));
	},
	// As a node does that meets a key message; what it held is asked for in other ways.
	refused(b, roll) {
		const at = pick(b, 1, roll),
			item = fields(b).find((f) => f[3] === at)?.[2],
			fid = item ? last(item, 1).readUInt32BE(1) : 0;
		const why = `Invalid message type for FID ${fid}: KeyAdd`;
		return pageOf(null, 13, `Failed to get transactions: Invalid message: ${why}`);
	},
	// An account of another shard beside those of the page, whole and with its own root: every
	// record is right, and keys ascend.
	moved(b, _, other) {
		const own = new Set(all(b, 1).map((i) => last(i, 1).readUInt32BE(1)));
		const guest = all(other, 2).find((c) => !own.has(last(c, 1) % 2 ** 32));
		if (!guest) return pageOf(b);
		const fid = last(guest, 1) % 2 ** 32;
		const items = [
			...all(b, 1),
			...all(other, 1).filter((i) => last(i, 1).readUInt32BE(1) === fid),
		].sort((x, y) => Buffer.compare(last(x, 1), last(y, 1)));
		return pageOf(
			Buffer.concat([
				...items.map((i) => len(1, i)),
				...all(b, 2).map((c) => len(2, c)),
				len(2, guest),
			]),
		);
	},
	// The token of this page itself.
	loop(b, token) {
		const rest = rewrite(b, (f) => (f[0] === 3 ? null : undefined));
		return pageOf(Buffer.concat([rest, len(3, token)]));
	},
};

export class Replica {
	static turn = 1; // of what comes in random order

	static METHODS = {
		HubService: [
			"GetTrieMetadataByPrefix",
			"GetOnChainEvents",
			"GetLinkCompactStateMessageByFid",
			"GetUserNameProofsByFid",
			"GetUsernameProof",
			...LISTS.keys(),
		],
		ReplicationService: ["GetShardSnapshotMetadata", "GetShardTransactions"],
	};

	constructor(folder, seed) {
		this.folder = folder;
		this.seed = seed;
		this.shards = new Map(); // {height, snapshot: bytes, pages: by vshard}
		this.tampered = { mode: "none" };
		const fetched = JSON.parse(fs.readFileSync(path.join(folder, "fetch.json")));
		for (const [word, said] of Object.entries(fetched.shards)) {
			const shard = Number(word);
			const listed = JSON.parse(
				fs.readFileSync(path.join(folder, `index-${shard}.json`)),
			);
			const responses = delimited(readStream(folder, `shard-${shard}`));
			const pages = new Map();
			for (const [vshard, page, size] of listed) {
				if (!pages.has(vshard)) pages.set(vshard, []);
				if (size < 0) {
					const why = said.errors.find(
						(e) => e[0] === vshard && e[1] === page,
					);
					pages.get(vshard).push(
						pageOf(
							null,
							13,
							why ? why[3] : "Failed to get transactions",
						),
					);
					continue;
				}
				const bytes = responses.next().value;
				if (bytes.length !== size)
					throw new Error(
						`${folder}: page ${page} of vshard ${vshard} has ${bytes.length} bytes, not ${size}`,
					);
				pages.get(vshard).push(pageOf(bytes));
			}
			const snapshots = all(
				readStream(folder, `metadata-${shard}`, ".pb") ?? Buffer.alloc(0),
				1,
			);
			const snapshot = snapshots.find((s) => last(s, 2, 0) === said.height);
			if (!snapshot)
				throw new Error(
					`${folder}: no snapshot of height ${said.height} in metadata-${shard}.pb`,
				);
			this.shards.set(shard, { height: said.height, snapshot, pages });
		}
	}

	// tamper(MODE [SHARD VSHARD PAGE]): what is false of one page; says of which
	tamper([mode, shard, vshard, page]) {
		const modes = [...TAMPERINGS, ...METADATA_TAMPERINGS];
		if (!modes.includes(mode)) throw new Error(`tamper: one of ${modes.join(" ")}`);
		const t = {
			mode,
			shard: Number(shard ?? 1),
			vshard: vshard === undefined ? -1 : Number(vshard),
			page: Number(page ?? 0),
		};
		const pages = this.shards.get(t.shard)?.pages;
		if (t.vshard < 0 && pages) {
			// the first with as much in it as can be told from nothing
			const roll = dice(this.seed, t.shard);
			const full = [...pages].filter(
				([, list]) => list[0].bytes && all(list[0].bytes, 1).length > 1,
			);
			if (full.length) t.vshard = full[roll() % full.length][0];
		}
		this.tampered = t;
		return mode === "none" ? "none" : `${t.shard} ${t.vshard} ${t.page}`;
	}

	// What GetShardSnapshotMetadata says of this state.
	metadata(shard) {
		const s = this.shards.get(shard).snapshot,
			t = this.tampered;
		if (t.shard !== shard || !METADATA_TAMPERINGS.includes(t.mode)) return [s];
		if (t.mode === "many-snapshots") {
			const none = rewrite(s, (f) => (f[0] > 2 ? null : undefined));
			return [...Array(SNAPSHOTS).fill(none), s];
		}
		// Its header says another root; the certificate is that of the block it was.
		if (t.mode === "false-root")
			return [
				rewrite(s, (f) =>
					f[0] !== 5
						? undefined
						: rewrite(f[2], (g) =>
								g[0] !== 1
									? undefined
									: rewrite(g[2], (h) =>
											h[0] === 4
												? flipped(h[2], () => 3)
												: undefined,
										),
							),
				),
			];
		const other = [...this.shards.keys()].find((k) => k !== shard),
			theirs = other && last(this.shards.get(other).snapshot, 5);
		return [rewrite(s, (f) => (f[0] === 5 && theirs ? [len(5, theirs)] : undefined))];
	}

	// The page that the server would give, or another one; `all` states of this node.
	page(shard, vshard, index, states) {
		const pages = this.shards.get(shard).pages,
			list = pages.get(vshard) ?? [pageOf(Buffer.alloc(0))],
			t = this.tampered,
			page = list[index];
		if (t.mode === "endless" && t.shard === shard && t.vshard === vshard)
			return pageOf(len(3, Buffer.from(`endless ${index}`)));
		const here = t.shard === shard && t.vshard === vshard && t.page === index;
		// Also where this state's own is refused.
		if (here && t.mode === "other-height") {
			const other = states.find((r) => r !== this && r.shards.has(shard));
			return other?.shards.get(shard).pages.get(vshard)?.[index] ?? page;
		}
		if (t.mode === "none" || !here || !page?.bytes) return page;
		const roll = dice(this.seed, shard, vshard, index);
		if (t.mode === "token-loop")
			return tamper.loop(page.bytes, index ? list[index - 1].next : "again");
		if (t.mode === "token-cycle")
			return tamper.loop(page.bytes, "again" + (this.turn = 1 - (this.turn ?? 0)));
		if (t.mode === "other-shard" || t.mode === "moved") {
			const other = [...this.shards.keys()].find((k) => k !== shard),
				theirs = this.shards.get(other)?.pages;
			if (t.mode === "moved")
				return theirs?.get(vshard)?.[0]?.bytes
					? tamper.moved(page.bytes, roll, theirs.get(vshard)[0].bytes)
					: page;
			return theirs?.get(vshard)?.[0] ?? pageOf(Buffer.alloc(0));
		}
		if (t.mode === "swapped") {
			const others = [...pages].filter(
				([v, l]) => v !== vshard && l[0].bytes?.length,
			);
			return others.length ? others[roll() % others.length][1][0] : page;
		}
		return tamper[t.mode](page.bytes, roll);
	}

	// The items of a shard's state, refused pages included as far as anything here tells of
	// them.
	state(shard, archive) {
		const s = this.shards.get(shard);
		if (s.state) return s.state;
		const items = [],
			refused = new Set();
		const take = (page) => {
			for (const item of all(page, 1)) {
				const [, content] = fields(item);
				items.push({
					key: last(item, 1),
					tag: content[0],
					bytes: content[2],
				});
			}
		};
		for (const [vshard, list] of s.pages)
			for (const page of list)
				page.bytes ? take(page.bytes) : refused.add(vshard);
		const held = readStream(this.folder, `withheld-${shard}`, ".pb");
		if (held) take(held);
		else if (refused.size) items.push(...recorded(archive, shard, s.height, refused));
		const chunk = last(s.snapshot, 5),
			trie = new Trie(
				new Map(items.map((i) => [i.key.toString("hex"), i.key])).values(),
			);
		const signed = last(last(chunk, 1), 4, Buffer.alloc(0));
		return (s.state = { items, trie, whole: trie.root().equals(signed) });
	}

	// forget([FID ["all"]]): the tries that are told of lack the first record of an account, or
	// all of them; how many. Without an account they are whole again.
	forget([fid, how], archive) {
		let gone = 0;
		for (const shard of this.shards.keys()) {
			const state = this.state(shard, archive);
			state.told = null;
			if (fid === undefined) continue;
			const of = (k) => k.readUInt32BE(1) === Number(fid);
			const lacking = state.trie.keys.filter(of);
			if (how !== "all") lacking.splice(1);
			gone += lacking.length;
			state.told = new Trie(state.trie.keys.filter((k) => !lacking.includes(k)));
		}
		return gone;
	}

	// The newest state that this node can tell of.
	static newest(c, shard) {
		const list = Replica.visible(c, shard).sort(
			(a, b) => b.shards.get(shard).height - a.shards.get(shard).height,
		);
		return list.length ? list[0].state(shard, c.archive) : null;
	}

	static home(c, fid) {
		const b = Buffer.alloc(4);
		b.writeUInt32BE(fid % 2 ** 32);
		return (
			(createHash("sha256").update(b).digest().readUInt32BE(0) %
				(c.lanes.length - 1)) +
			1
		);
	}

	static GetTrieMetadataByPrefix(request, c) {
		const shard = last(request, 1, 0),
			prefix = last(request, 2, Buffer.alloc(0));
		if (!(shard > 0 && shard < c.lanes.length))
			throw new c.Refusal(c.STATUS.INVALID_ARGUMENT, "no shard store for fid");
		const state = Replica.newest(c, shard);
		if (!state?.whole)
			throw new c.Refusal(
				c.STATUS.UNIMPLEMENTED,
				"this peer was given no whole state of that shard",
			);
		const node = (state.told ?? state.trie).node(prefix);
		if (!node)
			throw new c.Refusal(
				c.STATUS.INTERNAL,
				"Node not found for the given prefix",
			);
		const said = (n) =>
			Buffer.concat([
				n.path.length ? len(1, n.path) : Buffer.alloc(0),
				num(2, n.count),
				len(3, n.hash.toString("hex")),
			]);
		return Buffer.concat([
			said(node),
			...shuffled(node.children, dice(c.seed, shard, Replica.turn++)).map((n) =>
				len(4, said(n)),
			),
		]);
	}

	// The messages or events of an account, oldest first, a page at a time; a token is the
	// place of the next.
	static listed(request, c, fid, tag, types) {
		const shard = Replica.home(c, fid),
			state = Replica.newest(c, shard);
		if (!state)
			throw new c.Refusal(c.STATUS.UNIMPLEMENTED, "this peer was given no state");
		const size = last(request, tag === 2 ? 2 : 3, 1000),
			token = last(request, tag === 2 ? 3 : 4, Buffer.alloc(0));
		const list = [];
		for (const i of state.items) {
			if (i.tag !== tag) continue;
			if (tag === 3) {
				if (
					!types.includes(last(i.bytes, 1, 0)) ||
					last(i.bytes, 8, 0) !== fid
				)
					continue;
				list.push([
					orderOf(last(i.bytes, 3, 0), last(i.bytes, 7, 0)),
					i.bytes,
				]);
				continue;
			}
			const bytes = last(i.bytes, 7),
				data = bytes?.length ? bytes : last(i.bytes, 1);
			if (!types.includes(last(data, 1, 0)) || last(data, 2, 0) !== fid) continue;
			list.push([
				Buffer.concat([orderOf(last(data, 3, 0)), last(i.bytes, 2)]),
				i.bytes,
			]);
		}
		list.sort((a, b) => Buffer.compare(a[0], b[0]));
		if (last(request, tag === 2 ? 4 : 5, 0)) list.reverse();
		const at = token.length ? list.findIndex((x) => x[0].equals(token)) : 0;
		if (at < 0) throw new c.Refusal(c.STATUS.INVALID_ARGUMENT, "Invalid page token");
		const next = list[at + size];
		return Buffer.concat([
			...list.slice(at, at + size).map((x) => len(1, x[1])),
			...(next ? [len(2, next[0])] : []),
		]);
	}

	static GetOnChainEvents(request, c) {
		return Replica.listed(request, c, last(request, 1, 0), 3, [last(request, 2, 0)]);
	}

	static GetLinkCompactStateMessageByFid(request, c) {
		return Replica.listed(request, c, last(request, 1, 0), 2, [14]);
	}

	// From every shard: a name that is in both is told twice.
	static GetUserNameProofsByFid(request, c) {
		const fid = last(request, 1, 0),
			out = [];
		for (const lane of c.lanes.slice(1)) {
			const state = Replica.newest(c, lane.shard);
			if (!state)
				throw new c.Refusal(
					c.STATUS.UNIMPLEMENTED,
					"this peer was given no state",
				);
			for (const i of state.items) {
				if (i.key.readUInt32BE(1) !== fid % 2 ** 32) continue;
				if (i.tag === 4) out.push(len(1, last(i.bytes, 4)));
				if (i.tag !== 2 || i.key[5] !== 12 << 3) continue;
				const bytes = last(i.bytes, 7);
				out.push(
					len(1, last(bytes?.length ? bytes : last(i.bytes, 1), 15)),
				);
			}
		}
		return Buffer.concat(out);
	}

	// By name, from the transfers of all blocks: also of names that are in no trie.
	static GetUsernameProof(request, c) {
		const name = last(request, 1, Buffer.alloc(0));
		let found = null;
		for (const lane of c.lanes.slice(1))
			for (let h = lane.first; h <= c.tip[lane.shard]; h++)
				for (const tx of all(lane.block(h), 3))
					for (const system of all(tx, 3)) {
						const transfer = last(system, 2),
							proof = transfer && last(transfer, 4);
						if (
							!proof ||
							!last(proof, 2, Buffer.alloc(0)).equals(
								name,
							)
						)
							continue;
						const time = (p) => last(p, 1, 0);
						const newer =
							!found ||
							time(proof) > time(found) ||
							(time(proof) === time(found) &&
								Buffer.compare(
									last(proof, 4),
									last(found, 4),
								) > 0);
						if (newer) found = proof;
					}
		if (!found || !last(found, 5, 0))
			throw new c.Refusal(
				c.STATUS.INTERNAL,
				"not_found/Username proof not found",
			);
		return found;
	}

	// answer(name, request, c): the bytes of the one message, or a refusal thrown
	static answer(name, request, c) {
		if (LISTS.has(name))
			return this.listed(request, c, last(request, 1, 0), 2, LISTS.get(name));
		return this[name](request, c);
	}

	// Those that this node can have: not of heights that are yet to come.
	static visible(c, shard) {
		const lane = c.lanes[shard];
		return c.replicas.filter((r) => {
			const s = r.shards.get(shard);
			return s && (s.height <= c.tip[shard] || s.height > lane.last);
		});
	}

	static GetShardSnapshotMetadata(request, c) {
		const shard = last(request, 1, 0);
		if (shard === 0 && c.replicas.length) return Buffer.from([0x0a, 0]);
		if (shard >= c.lanes.length || !c.replicas.length)
			throw new c.Refusal(
				c.STATUS.INTERNAL,
				`No snapshots available for shard ${shard}`,
			);
		const list = Replica.visible(c, shard).flatMap((r) => r.metadata(shard));
		return Buffer.concat(
			shuffled(list, dice(c.seed, shard, Replica.turn++)).map((s) => len(1, s)),
		);
	}

	static GetShardTransactions(request, c) {
		const shard = last(request, 1, 0),
			height = last(request, 2, 0),
			vshard = last(request, 3, 0);
		const token = last(request, 4, Buffer.alloc(0)).toString();
		if (vshard > 255)
			throw new c.Refusal(
				c.STATUS.INVALID_ARGUMENT,
				`Invalid virtual trie shard ${vshard}`,
			);
		const r = Replica.visible(c, shard).find(
			(x) => x.shards.get(shard).height === height,
		);
		if (!r)
			throw new c.Refusal(
				c.STATUS.INTERNAL,
				`No snapshot of height ${height} for shard ${shard}`,
			);
		let index = 0;
		if (token.startsWith("endless ")) {
			index = Number(token.slice(8)) + 1;
		} else if (token && !token.startsWith("again")) {
			const list = r.shards.get(shard).pages.get(vshard) ?? [];
			index = list.findIndex((p) => p.next === token) + 1;
			if (index === 0)
				throw new c.Refusal(
					c.STATUS.INTERNAL,
					"Failed to get transactions: invalid page token",
				);
		}
		const page = r.page(shard, vshard, index, Replica.visible(c, shard));
		if (!page)
			throw new c.Refusal(
				c.STATUS.INTERNAL,
				"Failed to get transactions: invalid page token",
			);
		if (!page.bytes) throw new c.Refusal(page.code, page.details);
		return page.bytes;
	}
}
