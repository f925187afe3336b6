#!/usr/bin/env node
// make_replica.mjs: a checkpoint as the replication service would give that state.
//
//     make_replica.mjs CHECKPOINT ARCHIVE FOLDER
//
// CHECKPOINT is what `chainfs checkpoint` made, ARCHIVE has the blocks of the same chain; FOLDER
// gets metadata-S.pb, shard-S.pbs, index-S.json and fetch.json, and withheld-S.pb: what refused
// pages would have held, which is asked for in other ways. Of the checkpoint only the bytes of
// records are taken, as their blocks carried them: trie keys and account roots are computed here,
// from those bytes, and must fold to the root that the block signs.
import fs from "node:fs";
import path from "node:path";
import { Archive } from "./archive.mjs";
import { all, delimited, last, len, num, varint } from "./pb.mjs";
import { Trie, vshardOf } from "./trie.mjs";

const PAGE = 1000;
const MESSAGE = 1,
	ONCHAIN = 2,
	FNAME = 3,
	PROOF = 4; // what a record's bytes are
const KEY_MESSAGES = { 16: "KeyAdd", 17: "KeyRemove" };

function be32(n) {
	const b = Buffer.alloc(4);
	b.writeUInt32BE(n);
	return b;
}

// What one record is in the trie and on a page.
function itemOf(record) {
	const row = last(record, 1),
		form = last(record, 6, 0),
		object = last(record, 8, Buffer.alloc(0));
	const prefix = row.subarray(1, 6),
		fid = prefix.readUInt32BE(1);
	if (row[0] !== 0x52 || vshardOf(fid) !== prefix[0])
		throw new Error(`a row that is no record: ${row.toString("hex")}`);
	if (form === MESSAGE) {
		const data = last(object, 1),
			bytes = last(object, 7),
			type = last(bytes?.length ? bytes : data, 1, 0);
		const key = Buffer.concat([prefix, Buffer.from([type << 3]), last(object, 2)]);
		// A node tells what it read from data_bytes as data, too.
		const told =
			bytes?.length && !data ? Buffer.concat([len(1, bytes), object]) : object;
		return { key, fid, refused: KEY_MESSAGES[type], content: len(2, told) };
	}
	if (form === ONCHAIN) {
		const key = Buffer.concat([
			prefix,
			Buffer.from([last(object, 1, 0)]),
			last(object, 6),
			be32(last(object, 7, 0)),
		]);
		return { key, fid, content: len(3, object) };
	}
	if (form === FNAME || form === PROOF) {
		const proof = form === FNAME ? last(object, 4) : object,
			name = Buffer.alloc(20);
		last(proof, 2, Buffer.alloc(0)).copy(name);
		return {
			key: Buffer.concat([prefix, Buffer.from([7]), name]),
			fid,
			content: len(4, len(4, proof)),
		};
	}
	throw new Error(`a record of form ${form}`);
}

function shardsOf(info) {
	const out = [];
	for (const line of info.split("\n")) {
		const [word, value] = line.split(" ");
		if (word === "shard") out.push({ shard: Number(value) });
		else if (
			out.length &&
			(word === "height" || word === "legacy_root" || word === "legacy_records")
		)
			out[out.length - 1][word] = word === "legacy_root" ? value : Number(value);
	}
	return out;
}

export function makeReplica(checkpoint, archive, folder) {
	const info = shardsOf(fs.readFileSync(path.join(checkpoint, "info"), "utf8"));
	const blocks = new Archive(archive),
		fetched = { addr: "generated", shards: {} };
	fs.mkdirSync(folder, { recursive: true });
	fs.writeFileSync(path.join(folder, "metadata-0.pb"), Buffer.from([0x0a, 0]));
	for (const { shard, height, legacy_records } of info.filter((s) => s.shard > 0)) {
		const packs = path.join(checkpoint, "legacy", String(shard)),
			items = [];
		for (const name of fs.existsSync(packs) ? fs.readdirSync(packs).sort() : [])
			for (const record of delimited(fs.readFileSync(path.join(packs, name))))
				items.push(itemOf(record));
		items.sort((a, b) => Buffer.compare(a.key, b.key));
		const trie = new Trie(items.map((i) => i.key));
		const chunk = blocks.lanes[shard].block(height),
			header = all(chunk, 1)[0],
			root = trie.root();
		const signed = last(header, 4, Buffer.alloc(0));
		if (!root.equals(signed) || items.length !== legacy_records)
			throw new Error(
				`shard ${shard}: the root of ${items.length} items is ${root.toString("hex")}, ` +
					`the block of height ${height} signs ${signed.toString("hex")}`,
			);
		const { stream, index, errors, held } = pagesOf(items, trie);
		fs.writeFileSync(path.join(folder, `shard-${shard}.pbs`), stream);
		if (held.length) fs.writeFileSync(path.join(folder, `withheld-${shard}.pb`), held);
		fs.writeFileSync(path.join(folder, `index-${shard}.json`), JSON.stringify(index));
		fs.writeFileSync(
			path.join(folder, `metadata-${shard}.pb`),
			len(
				1,
				Buffer.concat([
					num(1, shard),
					num(2, height),
					num(3, last(header, 2, 0)),
					len(5, chunk),
					num(7, items.length),
				]),
			),
		);
		fetched.shards[shard] = {
			height,
			responses: index.length,
			items: items.length,
			errors,
			bytes: stream.length,
			multi_page_vshards: [
				...new Set(index.filter((i) => i[1] > 0).map((i) => i[0])),
			],
		};
	}
	fs.writeFileSync(path.join(folder, "fetch.json"), `${JSON.stringify(fetched, null, 1)}\n`);
	return fetched;
}

function pagesOf(items, trie) {
	const index = [],
		errors = [],
		stream = [],
		held = [];
	let at = 0;
	for (let vshard = 0; vshard < 256; vshard++) {
		let end = at;
		while (end < items.length && items[end].key[0] === vshard) end++;
		let page = 0;
		do {
			const part = items.slice(at, Math.min(end, at + PAGE)),
				refused = part.find((i) => i.refused);
			if (refused) {
				// and nobody learns the token of what follows
				for (const i of items.slice(at, end))
					held.push(
						len(1, Buffer.concat([len(1, i.key), i.content])),
					);
				index.push([vshard, page, -1, 0]);
				errors.push([
					vshard,
					page,
					"INTERNAL",
					"Failed to get transactions: Invalid message: " +
						`Invalid message type for FID ${refused.fid}: ${refused.refused}`,
				]);
				at = end;
				break;
			}
			at += part.length;
			const out = part.map((i) =>
				len(1, Buffer.concat([len(1, i.key), i.content])),
			);
			const fids = new Map(part.map((i) => [i.fid, i.key.subarray(0, 5)]));
			for (const [fid, prefix] of fids) {
				const node = trie.node(prefix);
				out.push(
					len(
						2,
						Buffer.concat([
							num(1, fid),
							len(2, node.hash),
							num(3, node.count),
						]),
					),
				);
			}
			if (at < end) out.push(len(3, part[part.length - 1].key.toString("hex")));
			const bytes = Buffer.concat(out);
			index.push([vshard, page++, bytes.length, part.length]);
			stream.push(varint(bytes.length), bytes);
		} while (at < end);
	}
	return { stream: Buffer.concat(stream), index, errors, held: Buffer.concat(held) };
}

if (process.argv[1] && path.resolve(process.argv[1]) === new URL(import.meta.url).pathname) {
	if (process.argv.length !== 5) {
		console.error("usage: make_replica.mjs CHECKPOINT ARCHIVE FOLDER");
		process.exit(2);
	}
	try {
		const made = makeReplica(...process.argv.slice(2));
		for (const [shard, s] of Object.entries(made.shards))
			console.log(
				`shard ${shard} height ${s.height} items ${s.items} pages ${s.responses} ` +
					`refused ${s.errors.length} bytes ${s.bytes}`,
			);
	} catch (e) {
		console.error(`make_replica: ${e.message}`);
		process.exit(1);
	}
}
