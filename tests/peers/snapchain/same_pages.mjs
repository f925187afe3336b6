#!/usr/bin/env node
// same_pages.mjs: are two folders of a replicated state the same, but for the order of account
// roots?
//
//     same_pages.mjs FOLDER FOLDER
import fs from "node:fs";
import path from "node:path";
import { readStream } from "./archive.mjs";
import { all, delimited } from "./pb.mjs";

function contents(folder) {
	const out = [],
		fetched = JSON.parse(fs.readFileSync(path.join(folder, "fetch.json")));
	for (const shard of Object.keys(fetched.shards).sort()) {
		out.push(`shard ${shard} height ${fetched.shards[shard].height}`);
		for (const e of fetched.shards[shard].errors) out.push(`refused ${e.join(" ")}`);
		const index = JSON.parse(fs.readFileSync(path.join(folder, `index-${shard}.json`)));
		for (const i of index) out.push(`index ${i.join(" ")}`);
		for (const page of delimited(readStream(folder, `shard-${shard}`))) {
			out.push(...all(page, 1).map((i) => `item ${i.toString("hex")}`));
			out.push(
				...all(page, 2)
					.map((r) => `root ${r.toString("hex")}`)
					.sort(),
			);
		}
	}
	return out;
}

const [one, two] = process.argv.slice(2).map(contents);
const at = one.findIndex((line, i) => line !== two[i]);
if (at >= 0 || one.length !== two.length) {
	console.log(
		`they differ: ${String(one[Math.max(at, 0)]).slice(0, 200)}\nand           ${String(two[Math.max(at, 0)]).slice(0, 200)}`,
	);
	process.exit(1);
}
console.log(`${one.length} lines are equal`);
