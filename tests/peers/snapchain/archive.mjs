// archive.mjs: an archive in memory, laid out so that answers are slices of it.
//
// A lane holds the blocks of one shard, framed, in one buffer: shard 0 as messages of a stream
// (five bytes before each), the others as fields of one message. Any range of heights is then one
// slice, which goes to the socket as it is.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { all, delimited, fields, last, varintSize, writeVarint } from "./pb.mjs";

export function readStream(folder, name, suffix = ".pbs") {
	// NAME.pbs or NAME.pbs.zst; null when there is neither
	const plain = path.join(folder, name + suffix);
	if (fs.existsSync(plain)) return fs.readFileSync(plain);
	if (!fs.existsSync(`${plain}.zst`)) return null;
	return execFileSync("zstd", ["-dqc", `${plain}.zst`], { maxBuffer: 2 ** 31 - 1 });
}

function heightOf(header) {
	const h = last(header, 1, Buffer.alloc(0));
	return [last(h, 1, 0), last(h, 2, 0)];
}

class Lane {
	// framed: bytes in the file's order; bounds[i]..bounds[i + 1] is block i with its frame,
	// body[i] where it begins
	constructor(shard, raw) {
		const bounds = [],
			bodies = [];
		let size = 0;
		for (const block of delimited(raw)) {
			bounds.push(size);
			size += shard === 0 ? 5 : 1 + varintSize(block.length);
			bodies.push(size);
			size += block.length;
		}
		bounds.push(size);
		this.shard = shard;
		this.count = bodies.length;
		this.framed = Buffer.allocUnsafe(size);
		this.bounds = Float64Array.from(bounds);
		this.bodies = Float64Array.from(bodies);
		this.seconds = new Float64Array(this.count);
		// user messages up to and with this block
		this.items = new Float64Array(this.count);
		this.reach = []; // of shard 0: what each block witnesses, [shard, height]
		let i = 0,
			items = 0;
		for (const block of delimited(raw)) {
			const at = bounds[i];
			if (shard === 0) {
				this.framed[at] = 0;
				this.framed.writeUInt32BE(block.length, at + 1);
			} else {
				this.framed[at] = 0x0a;
				writeVarint(this.framed, at + 1, block.length);
			}
			block.copy(this.framed, bodies[i]);
			const parts = fields(block);
			const header = parts.find((f) => f[0] === 1)?.[2] ?? Buffer.alloc(0);
			const [lane, height] = heightOf(header);
			if (i === 0) this.first = height;
			if (lane !== shard || height !== this.first + i)
				throw new Error(
					`block ${i} of shard ${shard} says that it is ${height} of shard ${lane}`,
				);
			this.seconds[i] = last(header, 2, 0);
			for (const f of parts)
				if (f[0] === (shard === 0 ? 5 : 3))
					for (const g of fields(f[2])) if (g[0] === 2) items++;
			this.items[i] = items;
			if (shard === 0) {
				const witness =
					parts.find((f) => f[0] === 3)?.[2] ?? Buffer.alloc(0);
				this.reach.push(all(witness, 1).map((w) => heightOf(w)));
			}
			i++;
		}
		this.last = this.count ? this.first + this.count - 1 : 0;
		// When each block became available, in microseconds: of the machine's monotonic
		// clock and of the day.
		this.monotonic = new Float64Array(this.count);
		this.wall = new Float64Array(this.count);
		this.served = new Uint32Array(this.count);
	}

	has(height) {
		return this.count > 0 && height >= this.first && height <= this.last;
	}

	block(height) {
		const i = height - this.first;
		return this.framed.subarray(this.bodies[i], this.bounds[i + 1]);
	}

	// Heights [from, end) with their frames; both must be held or be one past the last.
	run(from, end) {
		return this.framed.subarray(
			this.bounds[from - this.first],
			this.bounds[end - this.first],
		);
	}

	// The end of a run from `from` that has about `size` bytes, at least one block, and ends by
	// `end`.
	runEnd(from, end, size) {
		let low = from - this.first + 1,
			high = end - this.first;
		const most = this.bounds[from - this.first] + size;
		while (low < high) {
			const middle = (low + high + 1) >> 1;
			if (this.bounds[middle] <= most) low = middle;
			else high = middle - 1;
		}
		return low + this.first;
	}

	hash(height) {
		return last(this.block(height), 2, Buffer.alloc(0));
	}
}

// The events of one shard, ascending: framed as messages of a stream.
class Events {
	constructor() {
		this.list = []; // {id, type, block, bytes}
		this.told = 0; // how many of them a subscriber may have seen
	}

	add(id, type, block, bytes) {
		this.list.push({ id, type, block, bytes });
	}

	from(id) {
		// the place of the first with an id as high
		let low = 0,
			high = this.list.length;
		while (low < high) {
			const middle = (low + high) >> 1;
			if (this.list[middle].id < id) low = middle + 1;
			else high = middle;
		}
		return low;
	}
}

export class Archive {
	constructor(folder) {
		this.folder = folder;
		this.network = JSON.parse(fs.readFileSync(path.join(folder, "network.json")));
		this.lanes = [];
		this.events = [];
		const main = readStream(folder, "blocks-0");
		if (!main) throw new Error(`${folder} has no blocks-0.pbs`);
		this.lanes.push(new Lane(0, main));
		for (let shard = 1; shard <= this.network.num_shards; shard++) {
			const raw = readStream(folder, `chunks-${shard}`) ?? Buffer.alloc(0);
			this.lanes.push(new Lane(shard, raw));
		}
	}

	// Events as recorded; or, where none were, the one that a node tells of every block: its
	// bytes are made when they are asked for.
	loadEvents() {
		if (this.events.length) return;
		this.events.push(null);
		for (const lane of this.lanes.slice(1)) {
			const events = new Events();
			const raw = readStream(this.folder, `events-${lane.shard}`);
			if (raw) {
				for (const bytes of delimited(raw))
					events.add(
						last(bytes, 2, 0),
						last(bytes, 1, 0),
						last(bytes, 12, 0),
						bytes,
					);
			} else {
				for (let h = lane.first; h <= lane.last && lane.count; h++) {
					const id = h * 16384;
					events.add(id, 11, h, null);
				}
			}
			this.events.push(events);
		}
	}
}

// BLOCK_CONFIRMED of a chunk, as a node tells it of one without other events.
export function confirmed(lane, height, id) {
	const put = (out, number, value) => {
		if (value) out.push(...bytesOf(number * 8), ...bytesOf(value));
	};
	const bytesOf = (value) => {
		const b = Buffer.alloc(10);
		return b.subarray(0, writeVarint(b, 0, value));
	};
	const body = [],
		out = [];
	put(body, 1, height);
	put(body, 2, lane.shard);
	put(body, 3, lane.seconds[height - lane.first]);
	const hash = lane.hash(height);
	body.push(0x22, hash.length, ...hash);
	put(body, 5, 1);
	body.push(0x32, 4, 8, 11, 16, 1);
	put(out, 1, 11);
	put(out, 2, id);
	out.push(...bytesOf(16 * 8 + 2), ...bytesOf(body.length), ...body);
	// Field 12 stands before 16 in number, and after it as nodes write it.
	put(out, 12, height);
	put(out, 14, lane.shard);
	put(out, 15, lane.seconds[height - lane.first]);
	return Buffer.from(out);
}
