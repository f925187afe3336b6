// lies.mjs: what a lying node sends instead of its blocks.
//
// What is false of a block depends on the seed, its shard and its height alone: however often and
// in whatever order it is asked for, the lie is the same.
import { blake3 } from "@noble/hashes/blake3";
import { all, flipped, len, rewrite, varint } from "./pb.mjs";

// Of single blocks; the rest of an answer stays true.
export const BLOCK_LIES = [
	"bad-hash",
	"bad-commit",
	"reordered",
	"truncated",
	"oversized",
	"wrong-network",
	"changed-transactions",
	"changed-message",
	"repeated",
];
// Of answers.
export const ANSWER_LIES = ["beyond", "empty", "error", "reset", "silent"];
// Of what the node says of itself.
export const INFO_LIES = ["future"];
export const LIES = ["none", ...BLOCK_LIES, ...ANSWER_LIES, ...INFO_LIES];

export function dice(...words) {
	// a stream of 32-bit numbers
	let state = 0x9e3779b9;
	for (const w of words)
		state = mix(state ^ (w >>> 0)) ^ mix(Math.floor(w / 2 ** 32) + 0x7f4a7c15);
	return () => mix((state = (state + 0x9e3779b9) >>> 0));
}

function mix(x) {
	x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
	x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
	return (x ^ (x >>> 16)) >>> 0;
}

const PARTS = [
	{ transactions: 5, commits: 4 },
	{ transactions: 3, commits: 4 },
]; // of a block, of a chunk

// lie(mode, block, context): other bytes in place of a block's; null where this block gives no
// occasion. context: {shard, height, seed, archive, other, oversize}
export function lie(mode, block, c) {
	const roll = dice(c.seed, c.shard, c.height);
	const part = PARTS[c.shard === 0 ? 0 : 1];

	switch (mode) {
		case "bad-hash":
			return rewrite(block, (f) =>
				f[0] === 2 ? flipped(f[2], roll) : undefined,
			);
		case "bad-commit": {
			let any = false;
			const out = rewrite(block, (f) =>
				f[0] !== part.commits
					? undefined
					: rewrite(f[2], (g) => {
							if (g[0] !== 4) return undefined;
							any = true;
							return rewrite(g[2], (h) =>
								h[0] === 2
									? flipped(h[2], roll)
									: undefined,
							);
						}),
			);
			return any ? out : null;
		}
		case "truncated":
			return block.subarray(0, 1 + (roll() % (block.length - 1)));
		case "oversized": // a field that nobody knows
			return Buffer.concat([
				block,
				len(200, Buffer.alloc(c.oversize, roll() & 0xff)),
			]);
		case "wrong-network": {
			const lane = c.other?.lanes[c.shard];
			if (lane) return lane.has(c.height) ? lane.block(c.height) : null;
			// a chunk does not say which network it is of
			if (c.shard !== 0) return null;
			const header = rewrite(all(block, 1)[0], (f) =>
				f[0] === 4
					? [
							Buffer.concat([
								varint(4 * 8),
								varint(f[2] === 1 ? 3 : 1),
							]),
						]
					: undefined,
			);
			return rewrite(block, (f) =>
				f[0] === 1 ? header : f[0] === 2 ? blake3(header) : undefined,
			);
		}
		case "changed-transactions": {
			const held = all(block, part.transactions);
			if (held.length) {
				let left = roll() % held.length;
				return rewrite(block, (f) =>
					f[0] === part.transactions && left-- === 0
						? null
						: undefined,
				);
			}
			// One of an earlier block, so that it is well signed.
			const lane = c.archive.lanes[c.shard];
			for (let h = c.height - 1; h >= lane.first; h--) {
				const earlier = all(lane.block(h), part.transactions);
				if (earlier.length)
					return Buffer.concat([
						block,
						len(
							part.transactions,
							earlier[roll() % earlier.length],
						),
					]);
			}
			return null;
		}
		case "changed-message": {
			let done = false;
			const out = rewrite(block, (f) =>
				f[0] !== part.transactions || done
					? undefined
					: rewrite(f[2], (g) => {
							if (g[0] !== 2 || done) return undefined;
							done = true;
							// Its signature: the one part of every
							// message that takes any bits.
							return rewrite(g[2], (h) =>
								h[0] === 4
									? flipped(h[2], roll)
									: undefined,
							);
						}),
			);
			return done ? out : null;
		}
		default:
			throw new Error(`no lie of blocks: ${mode}`);
	}
}
