// replica.mjs: states as the replication service gives them, from folders of recorded or generated pages.
//
// A folder holds metadata-S.pb, shard-S.pbs, index-S.json and fetch.json (../README.md says what is in
// them). A page goes out as it lies there, unless it is to be tampered with.
import fs from "node:fs";
import path from "node:path";
import { readStream } from "./archive.mjs";
import { all, delimited, fields, last, len } from "./pb.mjs";
import { dice } from "./lies.mjs";

export const TAMPERINGS = ["none", "missing", "repeated", "changed", "wrong-root", "token-loop", "swapped", "short"];

function pageOf(bytes, code, details) {
	return { bytes, code, details, next: bytes ? last(bytes, 3, Buffer.alloc(0)).toString() : "" };
}

export class Replica {
	static METHODS = { HubService: [], ReplicationService: ["GetShardSnapshotMetadata", "GetShardTransactions"] };

	constructor(folder, seed) {
		this.folder = folder;
		this.seed = seed;
		this.shards = new Map(); // {height, snapshot: bytes, pages: by vshard}
		this.tampered = { mode: "none" };
		const fetched = JSON.parse(fs.readFileSync(path.join(folder, "fetch.json")));
		for (const [word, said] of Object.entries(fetched.shards)) {
			const shard = Number(word);
			const listed = JSON.parse(fs.readFileSync(path.join(folder, `index-${shard}.json`)));
			const responses = delimited(readStream(folder, `shard-${shard}`));
			const pages = new Map();
			for (const [vshard, page, size] of listed) {
				if (!pages.has(vshard)) pages.set(vshard, []);
				if (size < 0) {
					const why = said.errors.find((e) => e[0] === vshard && e[1] === page);
					pages.get(vshard).push(pageOf(null, 13, why ? why[3] : "Failed to get transactions"));
					continue;
				}
				const bytes = responses.next().value;
				if (bytes.length !== size) throw new Error(`${folder}: page ${page} of vshard ${vshard} has ${bytes.length} bytes, not ${size}`);
				pages.get(vshard).push(pageOf(bytes));
			}
			const snapshots = all(fs.readFileSync(path.join(folder, `metadata-${shard}.pb`)), 1);
			const snapshot = snapshots.find((s) => last(s, 2, 0) === said.height);
			if (!snapshot) throw new Error(`${folder}: no snapshot of height ${said.height} in metadata-${shard}.pb`);
			this.shards.set(shard, { height: said.height, snapshot, pages });
		}
	}

	// tamper(MODE [SHARD VSHARD PAGE]): what is false of one page; says of which
	tamper([mode, shard, vshard, page]) {
		if (!TAMPERINGS.includes(mode)) throw new Error(`tamper: one of ${TAMPERINGS.join(" ")}`);
		const t = { mode, shard: Number(shard ?? 1), vshard: vshard === undefined ? -1 : Number(vshard), page: Number(page ?? 0) };
		const pages = this.shards.get(t.shard)?.pages;
		if (t.vshard < 0 && pages) { // the first with as much in it as can be told from nothing
			const roll = dice(this.seed, t.shard);
			const full = [...pages].filter(([, list]) => list[0].bytes && all(list[0].bytes, 1).length > 1);
			if (full.length) t.vshard = full[roll() % full.length][0];
		}
		this.tampered = t;
		return mode === "none" ? "none" : `${t.shard} ${t.vshard} ${t.page}`;
	}

	// The page that the server would give, or another one.
	page(shard, vshard, index) {
		const pages = this.shards.get(shard).pages, list = pages.get(vshard) ?? [pageOf(Buffer.alloc(0))];
		const t = this.tampered, page = list[index];
		if (t.mode === "none" || t.shard !== shard || t.vshard !== vshard || t.page !== index || !page?.bytes) return page;
		const parts = fields(page.bytes), b = page.bytes, roll = dice(this.seed, shard, vshard, index);
		const items = parts.filter((f) => f[0] === 1), roots = parts.filter((f) => f[0] === 2);
		const keep = (change) => pageOf(Buffer.concat(parts.map((f) => change(f) ?? b.subarray(f[3], f[4]))));
		const flip = (bytes) => {
			const out = Buffer.from(bytes);
			if (out.length) out[roll() % out.length] ^= 1 << (roll() % 8);
			return out;
		};
		switch (t.mode) {
		case "missing": // one item of it
		{
			const gone = items.length ? items[roll() % items.length] : null;
			return keep((f) => f === gone ? Buffer.alloc(0) : undefined);
		}
		case "short": // all of it, and what would follow
			return pageOf(Buffer.alloc(0));
		case "repeated": {
			const twice = items.length ? items[roll() % items.length] : null;
			return keep((f) => f === twice ? Buffer.concat([b.subarray(f[3], f[4]), b.subarray(f[3], f[4])]) : undefined);
		}
		case "changed": { // an item under its own key: bits of a message's hash, of an event's transaction, of a name
			const one = items.length ? items[roll() % items.length] : null;
			const deep = { 2: 2, 3: 6 };
			return keep((f) => f !== one ? undefined : len(1, Buffer.concat(fields(f[2]).map((g) => {
				if (g[0] === 1) return f[2].subarray(g[3], g[4]);
				return len(g[0], g[0] === 4 ? flip(g[2]) : Buffer.concat(fields(g[2]).map((h) =>
					h[0] === deep[g[0]] ? len(h[0], flip(h[2])) : g[2].subarray(h[3], h[4]))));
			}))));
		}
		case "wrong-root": {
			const one = roots.length ? roots[roll() % roots.length] : null;
			return keep((f) => f !== one ? undefined : len(2, Buffer.concat(fields(f[2]).map((g) =>
				g[0] === 2 ? len(2, flip(g[2])) : f[2].subarray(g[3], g[4])))));
		}
		case "token-loop": // the token of this page itself
			return pageOf(Buffer.concat([...parts.filter((f) => f[0] !== 3).map((f) => b.subarray(f[3], f[4])),
				len(3, index === 0 ? "again" : list[index - 1].next)]));
		default: { // swapped: the page of another vshard that has keys
			const others = [...pages].filter(([v, l]) => v !== vshard && l[0].bytes?.length);
			return others.length ? others[roll() % others.length][1][0] : page;
		}
		}
	}

	// answer(name, request, c): the bytes of the one message, or a refusal thrown
	static answer(name, request, c) {
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
			throw new c.Refusal(c.STATUS.INTERNAL, `No snapshots available for shard ${shard}`);
		const list = Replica.visible(c, shard).map((r) => r.shards.get(shard).snapshot);
		const roll = dice(c.seed, shard, Replica.asked = (Replica.asked ?? 0) + 1);
		for (let i = list.length - 1; i > 0; i--) {
			const j = roll() % (i + 1);
			[list[i], list[j]] = [list[j], list[i]];
		}
		return Buffer.concat(list.map((s) => len(1, s)));
	}

	static GetShardTransactions(request, c) {
		const shard = last(request, 1, 0), height = last(request, 2, 0), vshard = last(request, 3, 0);
		const token = last(request, 4, Buffer.alloc(0)).toString();
		if (vshard > 255) throw new c.Refusal(c.STATUS.INVALID_ARGUMENT, `Invalid virtual trie shard ${vshard}`);
		const r = Replica.visible(c, shard).find((x) => x.shards.get(shard).height === height);
		if (!r) throw new c.Refusal(c.STATUS.INTERNAL, `No snapshot of height ${height} for shard ${shard}`);
		let index = 0;
		if (token && token !== "again") {
			const list = r.shards.get(shard).pages.get(vshard) ?? [];
			index = list.findIndex((p) => p.next === token) + 1;
			if (index === 0) throw new c.Refusal(c.STATUS.INTERNAL, "Failed to get transactions: invalid page token");
		}
		const page = r.page(shard, vshard, index);
		if (!page) throw new c.Refusal(c.STATUS.INTERNAL, "Failed to get transactions: invalid page token");
		if (!page.bytes) throw new c.Refusal(page.code, page.details);
		return page.bytes;
	}
}
