// trie.mjs: the chain's trie over a set of keys: a root for any part of it.
//
// 16 ways, a nibble a step. Down to depth 12 there is a node for every nibble; below, a subtree
// with one key is a leaf. A leaf's hash is of its key, one nibble a byte; another node's of its
// children's hashes in order. BLAKE3, cut to 20 bytes.
import { createHash } from "node:crypto";
import { blake3 } from "@noble/hashes/blake3";

const SPLIT = 12; // nibbles: vshard, fid and type stand above

export function vshardOf(fid) {
	// and its hash
	const b = Buffer.alloc(4);
	b.writeUInt32BE(fid % 2 ** 32);
	return createHash("sha256").update(b).digest().readUInt32BE(0) % 256;
}

const hash20 = (b) => blake3(b, { dkLen: 20 });

function nibbles(key) {
	const out = Buffer.alloc(key.length * 2);
	for (let i = 0; i < key.length; i++) {
		out[2 * i] = key[i] >> 4;
		out[2 * i + 1] = key[i] & 15;
	}
	return out;
}

const nibbleAt = (key, d) => (d & 1 ? key[d >> 1] & 15 : key[d >> 1] >> 4);

export class Trie {
	constructor(keys) {
		// distinct
		this.keys = [...keys].sort(Buffer.compare);
		this.known = new Map(); // hashes of nodes above the accounts
	}

	// The end of the keys from `from` that have nibble n at depth d.
	end(from, to, d, n) {
		let low = from,
			high = to;
		while (low < high) {
			const middle = (low + high) >> 1;
			if (nibbleAt(this.keys[middle], d) <= n) low = middle + 1;
			else high = middle;
		}
		return low;
	}

	hash(from, to, d) {
		if (from === to) return Buffer.alloc(0);
		if (d >= SPLIT && to - from === 1) return hash20(nibbles(this.keys[from]));
		const name = d <= 10 ? `${from} ${to} ${d}` : null;
		if (name && this.known.has(name)) return this.known.get(name);
		const parts = [];
		for (const [, a, b] of this.children(from, to, d))
			parts.push(this.hash(a, b, d + 1));
		const hash = hash20(Buffer.concat(parts));
		if (name) this.known.set(name, hash);
		return hash;
	}

	children(from, to, d) {
		// [nibble, from, to]
		const out = [];
		for (let at = from; at < to; ) {
			const n = nibbleAt(this.keys[at], d),
				next = this.end(at, to, d, n);
			out.push([n, at, next]);
			at = next;
		}
		return out;
	}

	root() {
		return Buffer.from(this.hash(0, this.keys.length, 0));
	}

	// Keys that begin with these nibbles: [from, to).
	range(path) {
		let from = 0,
			to = this.keys.length;
		for (let d = 0; d < path.length && from < to; d++) {
			const start = path[d] ? this.end(from, to, d, path[d] - 1) : from;
			to = this.end(start, to, d, path[d]);
			from = start;
		}
		return [from, to];
	}

	// The node at a prefix of whole bytes, or null: absent, or below a leaf.
	node(prefix) {
		const path = nibbles(prefix);
		if (path.length > SPLIT) {
			const [a, b] = this.range(path.subarray(0, path.length - 1));
			if (b - a < 2) return null;
		}
		const [from, to] = this.range(path),
			d = path.length;
		if (from === to) return null;
		const leaf = d >= SPLIT && to - from === 1;
		return {
			path,
			count: to - from,
			hash: Buffer.from(this.hash(from, to, d)),
			children: leaf
				? []
				: this.children(from, to, d).map(([n, a, b]) => ({
						path: Buffer.concat([path, Buffer.from([n])]),
						count: b - a,
						hash: Buffer.from(this.hash(a, b, d + 1)),
					})),
		};
	}
}
