// check.mjs: does the peer do what it says? Prints an ok or a not ok for each sentence.
//
//     check.mjs VECTORS FORGED [TLS]      recorded networks, a forged archive, a folder with
// cert.pem and key.pem
//
// What a node's answer must be is taken from the archive's files by a reader of its own.
import { spawn } from "node:child_process";
import { createPublicKey, verify } from "node:crypto";
import fs from "node:fs";
import http2 from "node:http2";
import path from "node:path";
import { blake3 } from "@noble/hashes/blake3";
import { readStream } from "./archive.mjs";
import { Client } from "./client.mjs";
import { all, fields, last, len, num } from "./pb.mjs";

const [vectors, forged, tls] = process.argv.slice(2);
const HERE = path.dirname(new URL(import.meta.url).pathname);
let failed = 0,
	number = 0;

async function check(sentence, test) {
	try {
		const said = await test();
		if (said === false) throw new Error("it is not so");
		console.log(`ok ${++number} - ${sentence}`);
	} catch (e) {
		failed++;
		console.log(`not ok ${++number} - ${sentence}`);
		console.log(
			String(e.stack)
				.split("\n")
				.slice(0, 4)
				.map((l) => `# ${l}`)
				.join("\n"),
		);
	}
}

function same(got, wanted, what = "") {
	const text = (v) => (Buffer.isBuffer(v) ? v.toString("hex") : JSON.stringify(v));
	if (text(got) !== text(wanted))
		throw new Error(
			`${what} is ${text(got)?.slice(0, 200)}, not ${text(wanted)?.slice(0, 200)}`,
		);
}

const ms = (n) => new Promise((done) => setTimeout(done, n));

class Peer {
	static running = new Set();

	static async start(...words) {
		const p = new Peer();
		p.child = spawn(process.execPath, [path.join(HERE, "peer.mjs"), ...words], {
			stdio: ["pipe", "pipe", "inherit"],
		});
		Peer.running.add(p.child);
		p.text = "";
		p.waiting = [];
		p.child.stdout.on("data", (d) => {
			p.text += d;
			for (
				let at;
				(at = p.text.indexOf("\n")) >= 0;
				p.text = p.text.slice(at + 1)
			)
				p.waiting.shift()?.(p.text.slice(0, at));
		});
		p.ended = new Promise((done) =>
			p.child.once("exit", (code) => {
				Peer.running.delete(p.child);
				for (const w of p.waiting.splice(0)) w("error it has ended");
				done(code);
			}),
		);
		const [word, port] = (await p.line()).split(" ");
		if (word !== "ready") throw new Error("it did not start");
		p.port = Number(port);
		p.client = new Client(p.port);
		return p;
	}

	line() {
		return new Promise((done) => this.waiting.push(done));
	}

	async order(line) {
		const said = this.line();
		this.child.stdin.write(`${line}\n`);
		const text = await said;
		if (text.startsWith("error")) throw new Error(`${line}: ${text}`);
		return text;
	}

	stats() {
		return this.order("stats").then(JSON.parse);
	}

	stop() {
		this.client.close();
		this.child.stdin.end();
		return this.ended;
	}

	// Blocks of shard 0, or the chunks of one message.
	async blocks(shard, start, stop) {
		const r = await this.ask(shard, start, stop);
		if (r.code !== 0) throw new Error(`status ${r.code} ${r.details}`);
		return shard === 0 ? r.messages : r.messages.flatMap((m) => all(m, 1));
	}

	ask(shard, start, stop, options) {
		const asked = Buffer.concat([
			shard ? num(1, shard) : Buffer.alloc(0),
			num(2, start),
			stop === undefined
				? Buffer.alloc(0)
				: Buffer.concat([Buffer.from([0x18]), num(3, stop).subarray(1)]),
		]);
		return this.client.call(
			`HubService/${shard === 0 ? "GetBlocks" : "GetShardChunks"}`,
			stop === 0
				? Buffer.concat([
						asked.subarray(0, asked.length - 1),
						Buffer.from([0x18, 0]),
					])
				: asked,
			options,
		);
	}
}

// A file's messages, by a loop that has nothing to do with pb.mjs.
function streamed(dir, name) {
	const b = readStream(dir, name),
		out = [];
	for (let at = 0; at < b.length; ) {
		let size = 0,
			shift = 0;
		do ((size |= (b[at] & 0x7f) << shift), (shift += 7));
		while (b[at++] & 0x80);
		out.push(b.subarray(at, (at += size)));
	}
	return out;
}

const names = ["blocks-0", "chunks-1", "chunks-2"];
const archive = (dir) => names.map((n) => streamed(dir, n));
const equal = (got, wanted, what) => {
	same(got.length, wanted.length, `${what}: the count`);
	got.forEach((b, i) => {
		if (!b.equals(wanted[i])) throw new Error(`${what}: number ${i} differs`);
	});
};

// One raw call: frames as they come. {headers, ended with headers, data, trailers, code}
function raw(port, pathOf, body, headers = {}) {
	return new Promise((done, bad) => {
		const session = http2.connect(`http://127.0.0.1:${port}`),
			out = { data: 0, goaway: false };
		session.on("error", bad);
		session.on("goaway", () => (out.goaway = true));
		session.on("remoteSettings", (s) => (out.settings = s));
		const stream = session.request({
			":method": "POST",
			":path": pathOf,
			"content-type": "application/grpc",
			...headers,
		});
		stream.on("response", (h, flags) => {
			out.headers = h;
			out.only = (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0;
		});
		stream.on("trailers", (t) => (out.trailers = t));
		stream.on("data", (d) => (out.data += d.length));
		stream.on("error", () => undefined);
		stream.on("close", () => {
			out.code = stream.rstCode;
			session.destroy();
			done(out);
		});
		if (body) {
			const head = Buffer.alloc(5);
			head.writeUInt32BE(body.length, 1);
			stream.write(Buffer.concat([head, body]));
		}
		stream.end();
	});
}

// ---- what an honest peer does ----

async function honest() {
	for (const dir of [path.join(vectors, "devnet-a"), forged]) {
		const wanted = archive(dir),
			p = await Peer.start("--archive", dir);
		await check(
			`${path.basename(dir)}: every block of three shards is served as it lies in the archive`,
			async () => {
				for (const s of [0, 1, 2])
					equal(await p.blocks(s, 1), wanted[s], `shard ${s}`);
				for (const s of [0, 1, 2]) {
					// in windows of any size
					const got = [];
					for (let h = 1; h <= wanted[s].length; h += 37)
						got.push(...(await p.blocks(s, h, h + 37)));
					equal(got, wanted[s], `windows of shard ${s}`);
				}
			},
		);
		await check(`${path.basename(dir)}: stats tell what was served twice`, async () => {
			const s = await p.stats();
			same(
				s.heights,
				Object.fromEntries(wanted.map((w, i) => [i, w.length])),
				"heights",
			);
			same(s.repeats, s.heights, "repeats");
			same(s.served[1], { [`1-${wanted[1].length}`]: 2 }, "shard 1");
		});
		await check("input that ends, ends it", async () =>
			same(await p.stop(), 0, "its exit code"),
		);
	}

	const dir = path.join(vectors, "devnet-a"),
		wanted = archive(dir);
	const witness = (h) => all(last(wanted[0][h - 1], 3), 1).map((w) => last(last(w, 1), 2));
	const p = await Peer.start("--archive", dir, "--at", "40", "--event-lead", "0");
	const [one, two] = witness(40);

	await check("a height: shards are as far as its block witnesses", async () =>
		same((await p.stats()).tip, { 0: 40, 1: one, 2: two }, "tips"),
	);
	await check(
		"a range's stop is exclusive; stop 0, or not above the start, is an empty OK",
		async () => {
			equal(await p.blocks(0, 5, 9), wanted[0].slice(4, 8), "5 to 9");
			equal(await p.blocks(1, 5, 9), wanted[1].slice(4, 8), "5 to 9 of shard 1");
			for (const [from, stop] of [
				[1, 0],
				[5, 5],
				[9, 5],
				[0, 0],
			])
				for (const s of [0, 1])
					same(
						(await p.blocks(s, from, stop)).length,
						0,
						`${from} to ${stop} of shard ${s}`,
					);
			equal(await p.blocks(0, 0, 3), wanted[0].slice(0, 2), "from 0");
		},
	);
	await check(
		"past the tip there is what exists, and beyond it nothing, with OK",
		async () => {
			equal(await p.blocks(0, 39, 100), wanted[0].slice(38, 40), "39 to 100");
			const r = await p.ask(1, 100000),
				q = await p.ask(0, 100000);
			same(
				[
					r.code,
					r.messages.length,
					r.messages[0].length,
					q.code,
					q.messages.length,
				],
				[0, 1, 0, 0, 0],
				"beyond",
			);
		},
	);
	await check("the chain's own words and codes for what it refuses", async () => {
		const call = async (m, b) => {
			const r = await p.client.call(m, b);
			return [r.code, r.details];
		};
		for (const s of [0, 9])
			same(
				await call(
					"HubService/GetShardChunks",
					Buffer.concat([num(1, s), num(2, 1)]),
				),
				[2, "invalid_internal_state/Missing shard store"],
				`shard ${s}`,
			);
		same(
			await call(
				"HubService/Subscribe",
				Buffer.concat([num(1, 11), Buffer.from([0x20, 0])]),
			),
			[2, "invalid_internal_state/Invalid shard id"],
			"Subscribe of shard 0",
		);
		same(
			await call("HubService/GetEvents", Buffer.from([0x10, 0])),
			[3, "Shard not found"],
			"GetEvents of shard 0",
		);
		same((await call("HubService/Nope"))[0], 12, "a method that is none");
		const [code, words] = await call("HubService/GetShardChunks", Buffer.from([8]));
		same(
			[code, words.startsWith("failed to decode Protobuf message")],
			[13, true],
			"half a field",
		);
	});
	await check(
		"an error is one HEADERS frame that ends the stream; settings are a node's",
		async () => {
			const r = await raw(
				p.port,
				"/HubService/GetShardChunks",
				Buffer.from([8, 9, 16, 1]),
			);
			same(
				[
					r.only,
					r.headers[":status"],
					r.headers["grpc-status"],
					r.headers["grpc-message"],
					r.data,
				],
				[
					true,
					200,
					"2",
					"invalid_internal_state/Missing%20shard%20store",
					0,
				],
				"headers",
			);
			same(
				[r.settings.initialWindowSize, r.settings.maxFrameSize, r.goaway],
				[1 << 20, 16384, false],
				"settings",
			);
			const empty = await raw(p.port, "/HubService/GetBlocks", num(2, 100000));
			same(
				[empty.only, empty.data, empty.trailers?.["grpc-status"]],
				[false, 0, "0"],
				"an empty OK",
			);
			const bare = await raw(p.port, "/HubService/GetInfo", null);
			same([bare.only, bare.headers["grpc-status"]], [true, "13"], "no message");
		},
	);
	await check(
		"a client's deadline is answered as cancelled, and counts until the headers",
		async () => {
			await p.order("latency 400");
			const r = await raw(p.port, "/HubService/GetInfo", Buffer.alloc(0), {
				"grpc-timeout": "50m",
			});
			await p.order("latency 0");
			same(
				[
					r.headers["grpc-status"],
					decodeURIComponent(r.headers["grpc-message"]),
				],
				["1", "Timeout expired"],
				"the status",
			);
		},
	);
	await check("GetInfo: shard 0 first, every shard's height", async () => {
		for (let i = 0; i < 8; i++) {
			const r = await p.client.call("HubService/GetInfo"),
				infos = all(r.messages[0], 9);
			same(last(infos[0], 1, 0), 0, "the first shard");
			same(
				infos
					.map((x) => [last(x, 1, 0), last(x, 2, 0)])
					.sort((a, b) => a[0] - b[0]),
				[
					[0, 40],
					[1, one],
					[2, two],
				],
				"heights",
			);
			same(
				[last(r.messages[0], 8), last(r.messages[0], 1).toString()],
				[2, "0.14.2"],
				"shards and version",
			);
		}
	});

	const events = streamed(dir, "events-1"),
		id = (e) => last(e, 2),
		blockOf = (e) => last(e, 12, 0);
	const subscribe = (types, from, shard, options) =>
		p.client.call(
			"HubService/Subscribe",
			Buffer.concat([
				...types.map((t) => num(1, t)),
				from === undefined
					? Buffer.alloc(0)
					: Buffer.concat([
							Buffer.from([0x10]),
							num(2, from).subarray(1),
							from ? Buffer.alloc(0) : Buffer.from([0]),
						]),
				shard ? num(4, shard) : Buffer.alloc(0),
			]),
			options,
		);
	await check(
		"Subscribe: recorded events from an id on, inclusive, of the types asked for",
		async () => {
			const held = events.filter((e) => blockOf(e) <= one),
				start = id(held[100]);
			const wantedEvents = held.filter(
				(e) => id(e) >= start && [1, 11].includes(last(e, 1)),
			);
			const r = await subscribe([1, 11], start, 1, {
				limit: wantedEvents.length,
			});
			equal(r.messages, wantedEvents, "events");
			const hole = await subscribe([11], start + 1, 1, { limit: 1 });
			same(id(hole.messages[0]) > start, true, "a hole's next");
		},
	);
	await check(
		"Subscribe without types, or with unknown ones, is open and silent",
		async () => {
			for (const types of [[], [99]]) {
				const r = await subscribe(types, 1, 1, { wait: 200 });
				same([r.code, r.messages.length], [1, 0], "what came");
			}
		},
	);
	await check("live events come with the blocks; an advance is one main block", async () => {
		while ((await p.stats()).subscribers > 0) await ms(5);
		const now = witness(43)[0],
			live = subscribe([11], undefined, 1, { limit: now - one });
		while ((await p.stats()).subscribers < 1) await ms(5);
		same(await p.order("advance 3"), "ok 43", "the answer");
		const r = await live;
		same(
			r.messages.map(blockOf),
			Array.from({ length: now - one }, (_, i) => one + 1 + i),
			"heights confirmed",
		);
		equal(await p.blocks(0, 41), wanted[0].slice(40, 43), "new blocks");
	});
	await check("GetEvents pages through all, its tokens end with null", async () => {
		const got = [],
			held = events.filter((e) => blockOf(e) <= witness(43)[0]);
		for (let token = Buffer.alloc(0), i = 0; i < 100; i++) {
			const r = await p.client.call(
				"HubService/GetEvents",
				Buffer.concat([
					num(1, 1),
					num(2, 1),
					num(4, 100),
					token.length ? len(5, token) : Buffer.alloc(0),
				]),
			);
			got.push(...all(r.messages[0], 1));
			token = last(r.messages[0], 2);
			if (token.toString() === "[null]") break;
		}
		equal(got, held, "events");
	});
	await check("time tells of every height when it could be read", async () => {
		const t = JSON.parse(await p.order("time"));
		same(
			t[0].map((x) => x[0]),
			Array.from({ length: 43 }, (_, i) => i + 1),
			"heights",
		);
		const now = Number(process.hrtime.bigint() / 1000n),
			[, at, wall] = t[0][42];
		same(
			[
				at <= now && now - at < 60e6,
				Math.abs(wall / 1000 - Date.now()) < 60000,
				t[0][41][1] <= at,
			],
			[true, true, true],
			"clocks",
		);
	});
	await check("pruned heights are left out and look like the end", async () => {
		await p.order("prune 30");
		equal(await p.blocks(0, 1), wanted[0].slice(29, 43), "from 1");
		same((await p.blocks(0, 1, 30)).length, 0, "1 to 30");
		equal(await p.blocks(1, 20, 35), wanted[1].slice(29, 34), "20 to 35 of shard 1");
		const old = await subscribe([11], 1, 1, { limit: 1 });
		same(
			[blockOf(old.messages[0]), last(old.messages[0], 15)],
			[1, undefined],
			"an old event has no time",
		);
		await p.order("prune 0");
	});
	await check("a speed moves the tip by itself, every height in its time", async () => {
		const from = (await p.stats()).tip[0],
			start = performance.now();
		await p.order("speed 200");
		await ms(300);
		await p.order("speed 0");
		const gone = (await p.stats()).tip[0] - from,
			due = (performance.now() - start) / 5;
		same(
			gone >= due / 3 - 2 && gone <= due + 1,
			true,
			`${gone} blocks where ${due} are due: within bounds`,
		);
	});
	await check("at: back and forth", async () => {
		await p.order("at 10");
		equal(await p.blocks(0, 1), wanted[0].slice(0, 10), "at 10");
		await p.order("at all");
		for (const s of [0, 1, 2])
			equal(await p.blocks(s, 1), wanted[s], `all of shard ${s}`);
	});
	await check("hang: nothing moves until go, orders are refused meanwhile", async () => {
		await p.order("hang");
		let answered = false;
		const call = p.client
			.call("HubService/GetInfo")
			.then((r) => ((answered = true), r));
		await ms(250);
		same(answered, false, "answered while it hung");
		await p.order("stats").then(
			() => {
				throw new Error("stats were told");
			},
			() => undefined,
		);
		await p.order("go");
		same((await call).code, 0, "the status after go");
	});
	await check("restart: connections are cut without a word, and new ones work", async () => {
		while ((await p.stats()).subscribers > 0) await ms(5);
		const open = raw(p.port, "/HubService/Subscribe", num(1, 99)).then(
			(r) => r,
			(e) => e,
		);
		while ((await p.stats()).subscribers < 1) await ms(5);
		await p.order("restart");
		const r = await open;
		same([r.goaway ?? false, r.trailers], [false, undefined], "a goodbye");
		await ms(50);
		const c = new Client(p.port);
		same((await c.call("HubService/GetInfo")).code, 0, "afterwards");
		c.close();
	});
	await check("close and open: nobody can connect in between", async () => {
		await p.order("close");
		const r = await new Client(p.port).call("HubService/GetInfo", Buffer.alloc(0), {
			wait: 2000,
		});
		same(r.code, 14, "the status");
		await p.order("open");
		same((await new Client(p.port).call("HubService/GetInfo")).code, 0, "afterwards");
	});
	await check("latency and rate hold answers back", async () => {
		const c = new Client(p.port);
		await p.order("latency 120");
		let t = performance.now();
		await c.call("HubService/GetInfo");
		same(performance.now() - t >= 115, true, "120 ms of latency");
		await p.order("latency 0");
		await p.order("rate 400000");
		t = performance.now();
		const r = await c.call(
			"HubService/GetShardChunks",
			Buffer.concat([num(1, 1), num(2, 1), num(3, 90)]),
		);
		const least = (r.messages[0].length / 400) * 0.85;
		same(
			performance.now() - t >= least,
			true,
			`${r.messages[0].length} bytes at 400 kB/s`,
		);
		await p.order("rate 0");
		c.close();
	});
	await check("an order that is none is an error, and the peer goes on", async () => {
		await p.order("dance").then(
			() => {
				throw new Error("it danced");
			},
			() => undefined,
		);
		await p.order("stats");
	});
	await check("quit ends it", async () => {
		same(await p.order("quit"), "ok", "the answer");
		same(await p.ended, 0, "its exit code");
	});
	p.client.close();

	const q = await Peer.start("--archive", dir, "--at", "0");
	await check("before the first block there is no height, and nothing to read", async () => {
		const r = await q.client.call("HubService/GetInfo");
		same(
			all(r.messages[0], 9).map((x) => last(x, 2)),
			[undefined, undefined, undefined],
			"heights",
		);
		same(
			[(await q.blocks(0, 1)).length, (await q.blocks(1, 1)).length],
			[0, 0],
			"blocks",
		);
	});
	await check("an event comes before its chunk can be read", async () => {
		await q.order("quit").catch(() => undefined);
		const w = await Peer.start("--archive", dir, "--at", "5", "--event-lead", "300");
		let early = -1;
		const live = w.client.call(
			"HubService/Subscribe",
			Buffer.concat([num(1, 11), num(4, 1)]),
			{
				limit: 1,
				onMessage: async (e) =>
					(early = (await w.blocks(1, blockOf(e), blockOf(e) + 1))
						.length),
			},
		);
		while ((await w.stats()).subscribers < 1) await ms(5);
		await w.order("advance 1");
		await live;
		same(early, 0, "chunks at the event");
		await w.stop();
	});
	q.client.close();

	// A subscriber who does not read, until he is told to; gives the heights that were confirmed.
	const slow = async (w, from) => {
		const session = http2.connect(`http://127.0.0.1:${w.port}`, {
			settings: { initialWindowSize: 4096 },
		});
		const stream = session.request({
			":method": "POST",
			":path": "/HubService/Subscribe",
			"content-type": "application/grpc",
		});
		const body = Buffer.concat([
			num(1, 1),
			num(1, 11),
			from ? num(2, from) : num(4, 1),
			num(4, 1),
		]);
		stream.end(Buffer.concat([Buffer.from([0, 0, 0, 0, body.length]), body]));
		await new Promise((done) => stream.once("response", done));
		return async (last_) => {
			const heights = [];
			let bytes = Buffer.alloc(0);
			for await (const part of stream) {
				bytes = Buffer.concat([bytes, part]);
				for (
					let n;
					bytes.length >= 5 &&
					bytes.length >= 5 + (n = bytes.readUInt32BE(1));

				) {
					const e = bytes.subarray(5, 5 + n);
					bytes = bytes.subarray(5 + n);
					if (last(e, 1) === 11) heights.push(blockOf(e));
				}
				if (heights.at(-1) >= last_) break;
			}
			session.destroy();
			return heights;
		};
	};
	await check(
		"a slow subscriber loses the oldest live events, and the stream goes on",
		async () => {
			const w = await Peer.start("--archive", dir, "--at", "10", "--ring", "20");
			const read = await slow(w);
			while ((await w.stats()).subscribers < 1) await ms(5);
			await w.order("at all");
			const lost = (await w.stats()).lost,
				end = wanted[1].length,
				heights = await read(end);
			same(
				[lost > 100, heights.length < end - 10, heights.at(-1)],
				[true, true, end],
				`${lost} lost, heights`,
			);
			await w.stop();
		},
	);
	await check(
		"what comes between the last page of old events and the first live one is lost",
		async () => {
			const w = await Peer.start("--archive", dir, "--at", "40"),
				before = (await w.stats()).tip[1],
				read = await slow(w, 1);
			await w.order("advance 20");
			const missed = (await w.stats()).tip[1];
			same((await w.stats()).subscribers, 0, "those that are live");
			const rest = read(missed + 10);
			while ((await w.stats()).subscribers < 1) await ms(5);
			await w.order("advance 20");
			const heights = await rest;
			same(
				heights.filter((h) => h > before && h <= missed).length,
				0,
				"heights told of those committed meanwhile",
			);
			same(
				heights.includes(missed + 1) && heights.includes(before),
				true,
				"those around them",
			);
			await w.stop();
		},
	);

	if (tls)
		await check("TLS: the same answers, to who trusts the certificate", async () => {
			const cert = path.join(tls, "cert.pem"),
				t = await Peer.start(
					"--archive",
					dir,
					"--tls-cert",
					cert,
					"--tls-key",
					path.join(tls, "key.pem"),
				);
			t.client = new Client(t.port, fs.readFileSync(cert));
			equal(await t.blocks(1, 1), wanted[1], "shard 1");
			same(
				(
					await new Client(t.port).call(
						"HubService/GetInfo",
						Buffer.alloc(0),
						{ wait: 3000 },
					)
				).code !== 0,
				true,
				"refused in clear",
			);
			await t.order("restart");
			await t.stop();
		});
}

// ---- what a lying one does ----

// How many signatures of a certificate are what a validator signed.
function signatures(block) {
	const commits = last(block, 4),
		signed = all(commits, 4);
	return signed.filter((s) => {
		const voter = last(s, 1);
		const vote = Buffer.concat([
			num(1, 1),
			len(2, last(commits, 1)),
			num(3, last(commits, 2, 0)),
			len(4, last(commits, 3)),
			len(5, voter),
		]);
		const key = createPublicKey({
			key: Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), voter]),
			format: "der",
			type: "spki",
		});
		return verify(null, vote, key, last(s, 2));
	}).length;
}

const hashFits = (b) => Buffer.from(blake3(last(b, 1))).equals(last(b, 2));
const without = (b, number) =>
	Buffer.concat(
		fields(b)
			.filter((f) => f[0] !== number)
			.map((f) => b.subarray(f[3], f[4])),
	);

async function lying() {
	const dir = path.join(vectors, "devnet-a"),
		wanted = archive(dir),
		AT = 30;
	const p = await Peer.start("--archive", dir, "--seed", "7", "--oversize", "300000");
	const truth = (s) => wanted[s];
	// Under a lie at one height, all others are true; gives what came in its place.
	const oneLie = async (mode, s) => {
		await p.order(`lie ${mode} at ${AT}`);
		const got = await p.blocks(s, AT - 10, AT + 10);
		same(got.length, 20, "the count");
		got.forEach((b, i) => {
			if (i !== 10 && !b.equals(truth(s)[AT - 11 + i]))
				throw new Error(`height ${AT - 10 + i} is false, too`);
		});
		same((await p.stats()).lied, [[s, AT]], "what it says of its lies");
		return got[10];
	};

	for (const s of [0, 1]) {
		const true_ = truth(s)[AT - 1],
			txs = s === 0 ? 5 : 3;
		await check(
			`bad-hash of shard ${s}: the hash is not the header's, all else is true`,
			async () => {
				const b = await oneLie("bad-hash", s);
				same(
					[
						hashFits(true_),
						hashFits(b),
						without(b, 2).equals(without(true_, 2)),
					],
					[true, false, true],
				);
			},
		);
		await check(
			`bad-commit of shard ${s}: no signature is good any more, all else is true`,
			async () => {
				const b = await oneLie("bad-commit", s);
				same(
					[
						signatures(true_) >= 3,
						signatures(b),
						without(b, 4).equals(without(true_, 4)),
					],
					[true, 0, true],
				);
			},
		);
		await check(
			`changed-transactions of shard ${s}: under the same header, hash and certificate`,
			async () => {
				const b = await oneLie("changed-transactions", s);
				same(
					[
						b.equals(true_),
						without(b, txs).equals(without(true_, txs)),
					],
					[false, true],
				);
			},
		);
		await check(`truncated of shard ${s}: its bytes end early`, async () => {
			const b = await oneLie("truncated", s);
			same(
				[b.length < true_.length, true_.subarray(0, b.length).equals(b)],
				[true, true],
			);
		});
		await check(
			`oversized of shard ${s}: far more bytes than the block has`,
			async () => {
				const b = await oneLie("oversized", s);
				same(
					[
						b.length > 300000,
						b.subarray(0, true_.length).equals(true_),
					],
					[true, true],
				);
			},
		);
		await check(`reordered of shard ${s}: two change places`, async () => {
			await p.order(`lie reordered at ${AT}`);
			const got = await p.blocks(s, AT - 1, AT + 3),
				w = truth(s);
			equal(got, [w[AT - 2], w[AT], w[AT - 1], w[AT + 1]], "blocks");
		});
		await check(`repeated of shard ${s}: one comes twice`, async () => {
			await p.order(`lie repeated at ${AT}`);
			const w = truth(s);
			equal(
				await p.blocks(s, AT - 1, AT + 2),
				[w[AT - 2], w[AT - 1], w[AT - 1], w[AT]],
				"blocks",
			);
		});
		await check(`beyond of shard ${s}: more than was asked for`, async () => {
			await p.order("lie beyond");
			equal(await p.blocks(s, 5, 8), truth(s).slice(4, 17), "blocks");
		});
		await check(`empty of shard ${s}: nothing, with OK`, async () => {
			await p.order("lie empty");
			same((await p.blocks(s, 5, 8)).length, 0, "the count");
		});
		await check(`error of shard ${s}: a status`, async () => {
			await p.order("lie error");
			same((await p.ask(s, 5, 8)).code, 14, "the status");
		});
		await check(`reset of shard ${s}: the stream is cut amid a message`, async () => {
			await p.order("lie reset");
			const r = await raw(
				p.port,
				`/HubService/${s ? "GetShardChunks" : "GetBlocks"}`,
				Buffer.concat([
					s ? num(1, s) : Buffer.alloc(0),
					num(2, 5),
					num(3, 8),
				]),
			);
			same(
				[r.code, r.trailers],
				[http2.constants.NGHTTP2_CANCEL, undefined],
				"how it ended",
			);
		});
		await check(`silent of shard ${s}: no answer`, async () => {
			await p.order("lie silent");
			const r = await p.ask(s, 5, 8, { wait: 200 });
			same([r.code, r.messages.length], [1, 0], "what came");
			same(
				(await p.client.call("HubService/GetInfo")).code,
				0,
				"other calls go on",
			);
		});
	}
	await check(
		"changed-message: a signature of a user's message is flipped, under the same header",
		async () => {
			await p.order("lie changed-message");
			const got = await p.blocks(1, 1),
				w = truth(1);
			const changed = got.filter((b, i) => !b.equals(w[i]));
			const holders = w.filter((b) =>
				all(b, 3).some((tx) => all(tx, 2).length),
			).length;
			same(
				[
					holders > 10 && changed.length === holders,
					got.every((b, i) => without(b, 3).equals(without(w[i], 3))),
				],
				[true, true],
			);
			same((await p.stats()).lies, changed.length, "lies");
		},
	);
	await check(
		"changed-transactions: every block can lie so, also one that has none",
		async () => {
			await p.order("lie changed-transactions");
			const got = await p.blocks(1, 1),
				w = truth(1),
				first = w.findIndex((b) => all(b, 3).length);
			same(
				got.every((b, i) => i < first || !b.equals(w[i])),
				true,
				"they differ",
			);
		},
	);
	await check("wrong-network: a header of another network, well hashed", async () => {
		await p.order(`lie wrong-network at ${AT}`);
		const b = await p.blocks(0, AT, AT + 1),
			header = last(b[0], 1);
		same(
			[last(header, 4), hashFits(b[0]), last(last(truth(0)[AT - 1], 1), 4)],
			[1, true, 3],
		);
	});
	await check(
		"wrong-network with another archive: its blocks in place of these",
		async () => {
			const q = await Peer.start(
				"--archive",
				dir,
				"--other",
				path.join(vectors, "devnet-c"),
				"--lie",
				"wrong-network",
			);
			const c = archive(path.join(vectors, "devnet-c"));
			for (const s of [0, 1])
				equal(await q.blocks(s, 5, 50), c[s].slice(4, 49), `shard ${s}`);
			await q.stop();
		},
	);
	await check("future: it says that it is further than it can show", async () => {
		await p.order("lie future");
		const r = await p.client.call("HubService/GetInfo");
		same(last(all(r.messages[0], 9)[0], 2), wanted[0].length + 1000, "its height");
		same((await p.blocks(0, wanted[0].length + 1)).length, 0, "blocks beyond");
	});
	await check("every N, and so many times", async () => {
		await p.order("lie bad-hash every 10 times 3");
		const got = await p.blocks(0, 1, 100);
		same(
			got.map((b, i) => (hashFits(b) ? 0 : i + 1)).filter(Boolean),
			[10, 20, 30],
			"false heights",
		);
		await p.order("lie none");
		equal(await p.blocks(0, 1, 100), wanted[0].slice(0, 99), "afterwards");
	});
	await check(
		"the same seed tells the same lies, in whatever order they are asked for; another one others",
		async () => {
			for (const mode of [
				"bad-hash",
				"truncated",
				"changed-transactions",
				"bad-commit",
			]) {
				await p.order(`lie ${mode}`);
				const q = await Peer.start(
					"--archive",
					dir,
					"--seed",
					"7",
					"--lie",
					mode,
				);
				const r = await Peer.start(
					"--archive",
					dir,
					"--seed",
					"8",
					"--lie",
					mode,
				);
				const there = [];
				for (let h = 60; h >= 40; h--)
					there.unshift(...(await q.blocks(1, h, h + 1)));
				const mine = await p.blocks(1, 40, 61),
					others = await r.blocks(1, 40, 61);
				equal(mine, there, mode);
				same(
					mine.some((b, i) => !b.equals(others[i])),
					true,
					`${mode} of another seed differs`,
				);
				await q.stop();
				await r.stop();
			}
		},
	);
	await p.stop();
}

// ---- states ----

async function pages(p, shard, height, vshard, most = 40) {
	const out = [];
	for (let token = Buffer.alloc(0); out.length < most; ) {
		const r = await p.client.call(
			"ReplicationService/GetShardTransactions",
			Buffer.concat([
				num(1, shard),
				num(2, height),
				num(3, vshard),
				token.length ? len(4, token) : Buffer.alloc(0),
			]),
		);
		if (r.code) return [...out, r];
		out.push(r.messages[0]);
		token = last(r.messages[0], 3, Buffer.alloc(0));
		if (!token.length) break;
	}
	return out;
}

async function replicating() {
	const dir = path.join(vectors, "devnet-r"),
		plain = path.join(dir, "replication"),
		keys = path.join(dir, "replication-with-keys");
	const p = await Peer.start("--archive", dir, "--replication", plain, "--replication", keys);
	const trie = (shard, prefix) =>
		p.client.call(
			"HubService/GetTrieMetadataByPrefix",
			Buffer.concat([num(1, shard), len(2, prefix)]),
		);

	for (const [folderOf, height] of [
		[plain, 340],
		[keys, 640],
	]) {
		await check(
			`height ${height}: recorded pages are served as they are, refused ones with the node's sentence`,
			async () => {
				const errors = JSON.parse(
					fs.readFileSync(path.join(folderOf, "fetch.json")),
				).shards;
				for (const s of [1, 2]) {
					const got = [],
						refusals = [];
					for (let v = 0; v < 256; v++)
						for (const page of await pages(p, s, height, v))
							Buffer.isBuffer(page)
								? got.push(page)
								: refusals.push([
										v,
										page.code,
										page.details,
									]);
					equal(got, streamed(folderOf, `shard-${s}`), `shard ${s}`);
					same(
						refusals,
						errors[s].errors.map((e) => [e[0], 13, e[3]]),
						"refusals",
					);
				}
			},
		);
	}
	await check(
		"snapshots: all that it has, whole, in no order; none of what is yet to come",
		async () => {
			const heights = async () =>
				all(
					(
						await p.client.call(
							"ReplicationService/GetShardSnapshotMetadata",
							num(1, 1),
						)
					).messages[0],
					1,
				).map((s) => last(s, 2));
			const orders = new Set();
			for (let i = 0; i < 12; i++) orders.add((await heights()).join());
			same([...orders].sort(), ["340,640", "640,340"], "orders");
			same(
				(await p.client.call("ReplicationService/GetShardSnapshotMetadata"))
					.messages[0],
				Buffer.from([0x0a, 0]),
				"shard 0",
			);
			same(
				(
					await p.client.call(
						"ReplicationService/GetShardSnapshotMetadata",
						num(1, 9),
					)
				).code,
				13,
				"shard 9",
			);
			await p.order("at 500");
			same(await heights(), [340], "at 500");
			await p.order("at all");
		},
	);
	await check(
		"pages that are not there: an unknown height, shard 0, a vshard above 255",
		async () => {
			for (const [s, h, v, code] of [
				[1, 341, 0, 13],
				[0, 340, 0, 13],
				[1, 340, 256, 3],
			])
				same((await pages(p, s, h, v))[0].code, code, `${s} ${h} ${v}`);
		},
	);
	await check(
		"tries: the root that a recorded node told, its children, what has no node",
		async () => {
			const told = JSON.parse(
					fs.readFileSync(path.join(dir, "expected", "shards.json")),
				),
				orders = new Set();
			for (const s of [1, 2]) {
				for (let i = 0; i < 5; i++) {
					const m = (await trie(s, Buffer.alloc(0))).messages[0],
						kids = all(m, 4);
					same(
						[last(m, 3).toString(), last(m, 2)],
						[told[s].trie_root, told[s].trie_items],
						`root of shard ${s}`,
					);
					const got = kids.map((k) => [
						last(k, 1).toString("hex"),
						last(k, 2),
						last(k, 3).toString(),
					]);
					orders.add(got.map((k) => k[0]).join());
					same(
						got.sort((a, b) => (a[0] < b[0] ? -1 : 1)),
						told[s].root_children,
						`children of shard ${s}`,
					);
				}
				const [item] = all(
						streamed(plain, `shard-${s}`).find(
							(b) => all(b, 1).length > 5,
						),
						1,
					),
					key = last(item, 1);
				same(
					[
						(await trie(s, key.subarray(0, 5))).code,
						(await trie(s, key)).code,
						(await trie(s, Buffer.from("ffffffffff", "hex")))
							.code,
					],
					[0, 13, 13],
					"an account, a whole key, nobody",
				);
			}
			same(orders.size > 2, true, "orders differ");
			same((await trie(0, Buffer.alloc(0))).code, 3, "shard 0");
		},
	);
	await check("account roots in pages are those of the trie", async () => {
		let n = 0;
		for (const page of streamed(plain, "shard-1"))
			for (const r of all(page, 2).slice(0, 1)) {
				const item = all(page, 1).find(
					(i) => last(i, 1).readUInt32BE(1) === last(r, 1, 0),
				);
				const node = (await trie(1, last(item, 1).subarray(0, 5)))
					.messages[0];
				// The tree is of a later height: only of accounts that did not
				// change, or are gone.
				if (node && last(node, 2) === last(r, 3))
					(same(
						last(node, 3).toString(),
						last(r, 2).toString("hex"),
						`account ${last(r, 1)}`,
					),
						n++);
			}
		same(n > 10, true, `${n} accounts were equal in count`);
	});
	await check("an account's lists: by kind, in order, page by page", async () => {
		const FID = 1041,
			call = (extra) =>
				p.client.call(
					"HubService/GetAllReactionMessagesByFid",
					Buffer.concat([num(1, FID), ...extra]),
				);
		const whole = all((await call([])).messages[0], 1),
			paged = [];
		for (let token = null, i = 0; i < 20; i++) {
			const m = (await call([num(2, 17), ...(token ? [len(3, token)] : [])]))
				.messages[0];
			paged.push(...all(m, 1));
			token = last(m, 2);
			if (!token) break;
		}
		equal(paged, whole, "pages");
		const fids = JSON.parse(fs.readFileSync(path.join(dir, "expected", "fids.json")))[
			FID
		];
		same(
			whole.map((m) => last(m, 2).toString("hex")).sort(),
			fids.messages.reactions,
			"hashes",
		);
		const named = Object.entries(
			JSON.parse(fs.readFileSync(path.join(dir, "expected", "fids.json"))),
		).find(([, f]) => f.username_proofs?.length);
		if (named) {
			const r = await p.client.call(
				"HubService/GetUserNameProofsByFid",
				num(1, Number(named[0])),
			);
			same(
				all(r.messages[0], 1).length,
				named[1].username_proofs.length,
				`names of ${named[0]}`,
			);
			const [proof] = all(r.messages[0], 1),
				one = await p.client.call(
					"HubService/GetUsernameProof",
					len(1, last(proof, 2)),
				);
			same(
				one.code === 0 ? last(one.messages[0], 2) : one.details,
				last(proof, 2),
				"a proof by its name",
			);
		}
		same(
			(
				await p.client.call(
					"HubService/GetUsernameProof",
					len(1, "nobody-has-it"),
				)
			).code,
			13,
			"no such name",
		);
		const events = await p.client.call(
			"HubService/GetOnChainEvents",
			Buffer.concat([num(1, 1134), num(2, 3)]),
		);
		same(all(events.messages[0], 1).length, 1, "registrations of 1134");
	});

	await check(
		"tampering: each does what it says, to the page named and no other",
		async () => {
			const V = 26,
				[true_] = await pages(p, 1, 340, V);
			const items = (b) => all(b, 1).map((i) => i.toString("hex")),
				roots = (b) => all(b, 2).map((r) => r.toString("hex"));
			const seen = async (mode) => {
				same(
					await p.order(`tamper ${mode} 1 ${V} 0`),
					`ok 1 ${V} 0 1 ${V} 0`,
					"the answer",
				);
				const [other] = await pages(p, 1, 340, V + 4);
				same(other, streamed(plain, "shard-1")[V + 4], "another page");
				return pages(p, 1, 340, V, 4);
			};
			const n = items(true_).length;
			let [b] = await seen("missing");
			same([items(b).length, roots(b)], [n - 1, roots(true_)], "missing");
			[b] = await seen("repeated");
			same([items(b).length, new Set(items(b)).size], [n + 1, n], "repeated");
			[b] = await seen("changed");
			same(
				[
					items(b).length,
					items(b).filter((x, i) => x !== items(true_)[i]).length,
					roots(b),
				],
				[n, 1, roots(true_)],
				"changed",
			);
			[b] = await seen("wrong-root");
			same(
				[items(b), roots(b).filter((x, i) => x !== roots(true_)[i]).length],
				[items(true_), 1],
				"wrong-root",
			);
			[b] = await seen("swapped");
			same(last(all(b, 1)[0], 1)[0] !== V, true, "swapped");
			[b] = await seen("short");
			same(b.length, 0, "short");
			same((await seen("token-loop")).length, 4, "token-loop");
			[b] = await seen("refused");
			same(
				[
					b.code,
					/Invalid message type for FID [0-9]+: KeyAdd$/.test(
						b.details,
					),
				],
				[13, true],
				"refused",
			);
			await p.order("tamper none");
			same((await pages(p, 1, 340, V))[0], true_, "afterwards");
		},
	);
	await p.stop();
}

process.on("exit", () => {
	for (const child of Peer.running) child.kill();
});
for (const part of [honest, lying, replicating]) {
	try {
		await part();
	} catch (e) {
		failed++;
		console.log(`not ok ${++number} - ${part.name}: goes on to its end`);
		console.log(`# ${String(e.stack).split("\n").slice(0, 4).join("\n# ")}`);
	}
}
process.exit(failed ? 1 : 0);
