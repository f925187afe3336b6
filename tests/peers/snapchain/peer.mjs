#!/usr/bin/env node
// peer.mjs: plays a Snapchain node, from recorded and generated data. ../README.md says how to use
// it.
//
// gRPC, its headers and statuses are grpc-js's. The bytes of an answer are slices of the archive,
// already framed, and go to the stream under a call directly: that is what makes thousands of small
// blocks as fast as a few large ones. (The package's version is pinned for that reason, too.)
import grpc from "@grpc/grpc-js";
import fs from "node:fs";
import http2 from "node:http2";
import net from "node:net";
import { Archive, confirmed } from "./archive.mjs";
import { ANSWER_LIES, BLOCK_LIES, LIES, dice, lie } from "./lies.mjs";
import { fields, last, len, num, rewrite } from "./pb.mjs";
import { Replica } from "./replica.mjs";

const EPOCH = 1609459200; // the chain counts its seconds from here
const RUN = 256 * 1024; // bytes that are handed to a stream at once
const PAGE = 1000; // events of a page, as a node reads them for a subscriber
const STATUS = grpc.status;

class Refusal extends Error {
	constructor(code, message) {
		super(message);
		this.code = code;
	}
}

// ---- options ----

const OPTIONS = {
	archive: "",
	other: "",
	port: 0,
	host: "127.0.0.1",
	at: "all",
	speed: 0,
	latency: 0,
	"event-lead": 2,
	rate: 0,
	ring: 16384,
	"pruned-below": 0,
	lie: "none",
	"lie-at": 0,
	"lie-every": 0,
	"lie-times": 0,
	"lie-status": STATUS.UNAVAILABLE,
	oversize: 64 << 20,
	seed: 0,
	replication: [],
	version: "0.14.2",
	"tls-cert": "",
	"tls-key": "",
};

function options(words) {
	const o = structuredClone(OPTIONS);
	for (let i = 0; i < words.length; i++) {
		const name = words[i].replace(/^--/, "");
		if (!words[i].startsWith("--") || !(name in OPTIONS) || i + 1 === words.length) {
			console.error(
				`peer: ${words[i]}: no such option, or its value is missing; one of ` +
					`--${Object.keys(OPTIONS).join(" --")}`,
			);
			process.exit(2);
		}
		const value = words[++i];
		if (Array.isArray(OPTIONS[name])) o[name].push(value);
		else if (typeof OPTIONS[name] === "number") o[name] = number(value, `--${name}`);
		else o[name] = value;
	}
	if (!LIES.includes(o.lie)) throw new Error(`--lie ${o.lie}: one of ${LIES.join(" ")}`);
	if (!o.archive) throw new Error("--archive DIR is missing");
	return o;
}

function number(word, name) {
	const n = Number(word);
	if (word === "" || !Number.isFinite(n) || n < 0)
		throw new Error(`${name}: ${word} is no number`);
	return n;
}

// ---- the state of the chain, as this node has it ----

const o = (() => {
	try {
		return options(process.argv.slice(2));
	} catch (e) {
		console.error(`peer: ${e.message}`);
		process.exit(2);
	}
})();
const archive = new Archive(o.archive);
const other = o.other ? new Archive(o.other) : null;
archive.loadEvents();
const lanes = archive.lanes,
	main = lanes[0];
const tip = lanes.map(() => 0); // the highest that can be read, by shard; 0: none
const told = lanes.map(() => 0); // the highest whose events were told
let pruned = o["pruned-below"]; // heights below are not held any more
let liar = { mode: o.lie, told: [], count: 0, answers: 0 };
const subscribers = new Set();
const sockets = new Set();
const counts = { calls: {}, bytes: 0, connections: 0, requests: 0 };
const replicas = o.replication.map((folder) => new Replica(folder, o.seed));

// How far each shard is when the main one is at `height`: as far as its block witnesses.
const reach = (() => {
	const at = lanes.map(() => 0),
		out = [];
	for (let i = 0; i < main.count; i++) {
		at[0] = main.first + i;
		for (const [shard, height] of main.reach[i])
			if (shard > 0 && shard < at.length)
				at[shard] = Math.max(
					at[shard],
					Math.min(height, lanes[shard].last),
				);
		out.push([...at]);
	}
	return out;
})();

function reachAt(height) {
	if (height < main.first || !main.count) return lanes.map(() => 0);
	if (height >= main.last) return lanes.map((l) => l.last);
	return reach[height - main.first];
}

function clocks() {
	return [
		Number(process.hrtime.bigint() / 1000n),
		Math.round((performance.timeOrigin + performance.now()) * 1000),
	];
}

// Events first; what they tell of can be read a moment later, as on a node.
function tell(to) {
	for (const lane of lanes.slice(1)) {
		if (to[lane.shard] <= told[lane.shard]) continue;
		told[lane.shard] = to[lane.shard];
		const events = archive.events[lane.shard];
		while (
			events.told < events.list.length &&
			events.list[events.told].block <= to[lane.shard]
		) {
			const e = events.list[events.told++];
			for (const s of subscribers) s.live(lane.shard, e);
		}
	}
}

function reveal(to) {
	const [monotonic, wall] = clocks();
	for (const lane of [...lanes.slice(1), main]) {
		const s = lane.shard;
		for (let h = Math.max(tip[s] + 1, lane.first); h <= to[s]; h++) {
			lane.monotonic[h - lane.first] = monotonic;
			lane.wall[h - lane.first] = wall;
		}
		tip[s] = Math.max(tip[s], to[s]);
	}
}

function pause(ms) {
	return ms > 0 ? new Promise((done) => setTimeout(done, ms)) : undefined;
}

async function advance(height) {
	const to = reachAt(height);
	tell(to);
	await pause(o["event-lead"]);
	reveal(to);
}

// A node that starts with less than it had, or with more.
function jump(height) {
	const to = reachAt(height);
	for (const lane of lanes) {
		if (to[lane.shard] >= tip[lane.shard]) continue;
		tip[lane.shard] = told[lane.shard] = to[lane.shard];
		const events = archive.events[lane.shard];
		if (events)
			events.told = events.list.filter((e) => e.block <= to[lane.shard]).length;
	}
	tell(to);
	reveal(to);
}

let pace = { timer: null };

function speed(perSecond) {
	clearTimeout(pace.timer);
	pace = { timer: null };
	if (!perSecond) return;
	const mine = pace,
		from = tip[0],
		start = performance.now();
	const tick = () => {
		if (mine !== pace) return;
		const due = Math.min(
			main.last,
			from + Math.floor(((performance.now() - start) * perSecond) / 1000),
		);
		if (due > told0) advance((told0 = due));
		if (due >= main.last) return;
		const next = start + ((due + 1 - from) * 1000) / perSecond;
		mine.timer = setTimeout(tick, Math.max(1, next - performance.now()));
	};
	let told0 = from;
	tick();
}

const low = (lane) => Math.max(lane.first, pruned);

// ---- one call ----

let rateFree = 0; // when the next byte may go, by the bound on all of them

class Call {
	constructor(method, call) {
		this.method = method;
		this.grpc = call.call;
		this.stream = call.call.stream;
		this.request = call.request;
		this.gone = false;
		this.started = false;
		this.stream.once("close", () => (this.gone = true));
		// A node counts the time only until its headers, and calls it cancelled.
		if (this.grpc.deadlineTimer) {
			clearTimeout(this.grpc.deadlineTimer);
			const left = this.grpc.deadline - Date.now();
			const timer = setTimeout(
				() =>
					this.started ||
					this.fail(STATUS.CANCELLED, "Timeout expired"),
				left,
			);
			this.stream.once("close", () => clearTimeout(timer));
		}
	}

	start() {
		if (this.started || this.gone) return;
		this.started = true;
		this.grpc.sendMetadata(new grpc.Metadata());
	}

	async write(bytes) {
		this.start();
		if (!o.rate) return this.put(bytes);
		for (let at = 0; at < bytes.length && !this.gone; at += 16384) {
			const part = bytes.subarray(at, at + 16384);
			const now = performance.now();
			rateFree = Math.max(rateFree, now) + (part.length * 1000) / o.rate;
			await pause(rateFree - now);
			await this.put(part);
		}
	}

	put(bytes) {
		if (this.gone || !bytes.length) return undefined;
		counts.bytes += bytes.length;
		counts.calls[this.method].bytes += bytes.length;
		if (this.stream.write(bytes)) return undefined;
		return new Promise((done) => {
			const ready = () => {
				this.stream.off("drain", ready);
				this.stream.off("close", ready);
				done();
			};
			this.stream.once("drain", ready);
			this.stream.once("close", ready);
		});
	}

	async message(bytes) {
		const head = Buffer.alloc(5);
		head.writeUInt32BE(bytes.length, 1);
		await this.write(bytes.length > RUN ? head : Buffer.concat([head, bytes]));
		if (bytes.length > RUN) await this.write(bytes);
	}

	ok() {
		this.start();
		if (!this.gone)
			this.grpc.sendStatus({ code: STATUS.OK, details: "", metadata: null });
	}

	fail(code, details) {
		if (!this.gone) this.grpc.sendStatus({ code, details, metadata: null });
	}

	reset() {
		if (!this.gone) this.stream.close(http2.constants.NGHTTP2_CANCEL);
	}
}

// ---- methods of HubService ----

function u64(request, field, otherwise) {
	const v = last(request, field, otherwise);
	if (v !== otherwise && typeof v !== "number")
		throw new Refusal(
			STATUS.INTERNAL,
			"failed to decode Protobuf message: invalid wire type",
		);
	return v;
}

async function getInfo(call) {
	const now = Math.floor(Date.now() / 1000) - EPOCH;
	const ahead = liar.mode === "future" ? 1000 : 0;
	if (ahead) tellLie(0, 0);
	const info = (lane) => {
		const at = tip[lane.shard],
			i = at - lane.first;
		return len(
			9,
			Buffer.concat([
				num(1, lane.shard),
				num(2, at ? at + ahead : 0),
				num(3, at ? lane.items[i] : 0),
				num(5, at ? lane.bounds[i + 1] : 0),
				num(6, at ? 0 : now),
			]),
		);
	};
	const rest = lanes.slice(1),
		roll = dice(o.seed, counts.calls.GetInfo.calls);
	for (let i = rest.length - 1; i > 0; i--) {
		const j = roll() % (i + 1);
		[rest[i], rest[j]] = [rest[j], rest[i]];
	}
	const items = rest.reduce(
		(sum, l) => sum + (tip[l.shard] ? l.items[tip[l.shard] - l.first] : 0),
		0,
	);
	await call.message(
		Buffer.concat([
			len(1, o.version),
			len(5, num(1, items)),
			len(6, `12D3KooWpeer${String(o.seed).padStart(40, "1")}`),
			num(8, lanes.length - 1),
			info(main),
			...rest.map(info),
		]),
	);
	call.ok();
}

// The heights [from, end) that an answer holds, of those asked for.
function range(lane, start, stop) {
	let from = Math.max(start, 1),
		end =
			stop === undefined
				? tip[lane.shard] + 1
				: Math.min(stop, tip[lane.shard] + 1);
	if (!tip[lane.shard]) end = 0;
	from = Math.max(from, low(lane));
	return from < end ? [from, end] : [from, from];
}

function tellLie(shard, height) {
	liar.count++;
	if (liar.told.length < 10000) liar.told.push([shard, height]);
}

const mayLie = () => !o["lie-times"] || liar.count < o["lie-times"];

function liesAt(height) {
	if (!mayLie()) return false;
	if (o["lie-at"]) return height === o["lie-at"];
	return !o["lie-every"] || height % o["lie-every"] === 0;
}

// Does this answer as a whole lie? True only of the lies that are of answers.
function liesInAnswer(from, end) {
	if (!ANSWER_LIES.includes(liar.mode) || !mayLie()) return false;
	if (o["lie-at"]) return from <= o["lie-at"] && o["lie-at"] < end;
	return !o["lie-every"] || ++liar.answers % o["lie-every"] === 0;
}

// The blocks of a range with what is false of some: [height, bytes] each.
function falsified(lane, from, end) {
	const out = [];
	for (let h = from; h < end; h++) {
		let bytes = lane.block(h);
		const here = liesAt(h);
		if (here && liar.mode !== "reordered" && liar.mode !== "repeated") {
			const said = lie(liar.mode, bytes, {
				shard: lane.shard,
				height: h,
				seed: o.seed,
				archive,
				other,
				oversize: o.oversize,
			});
			if (said) {
				bytes = said;
				tellLie(lane.shard, h);
			}
		}
		out.push([h, bytes]);
		if (here && liar.mode === "repeated") {
			out.push([h, bytes]);
			tellLie(lane.shard, h);
		}
	}
	for (let i = 0; liar.mode === "reordered" && i + 1 < out.length; i++) {
		if (!liesAt(out[i][0])) continue;
		tellLie(lane.shard, out[i][0]);
		[out[i], out[i + 1]] = [out[i + 1], out[i]];
		i++;
	}
	return out;
}

function served(lane, from, end) {
	for (let h = from; h < end; h++) lane.served[h - lane.first]++;
}

// Says how a lying answer goes on: null when it is over.
async function answerLie(call, lane, from, end) {
	tellLie(lane.shard, o["lie-at"] || from);
	switch (liar.mode) {
		case "beyond":
			return [from, Math.min(lane.last + 1, end + 10)];
		case "empty":
			return [from, from];
		case "error":
			call.fail(o["lie-status"], "this peer was told to fail");
			return null;
		case "reset": {
			// amid a message
			const bytes = from < end ? lane.run(from, end) : Buffer.alloc(0);
			await call.write(bytes.subarray(0, Math.floor(bytes.length / 2)));
			call.reset();
			return null;
		}
		default: // silent: until the other side gives up
			return null;
	}
}

async function getBlocks(call) {
	let [from, end] = range(main, u64(call.request, 2, 0), u64(call.request, 3, undefined));
	if (liesInAnswer(from, end)) {
		const said = await answerLie(call, main, from, end);
		if (!said) return;
		[from, end] = said;
	}
	call.start();
	if (BLOCK_LIES.includes(liar.mode)) {
		for (const [h, bytes] of falsified(main, from, end)) {
			if (call.gone) return;
			main.served[h - main.first]++;
			await call.message(bytes);
		}
	} else {
		while (from < end && !call.gone) {
			const next = main.runEnd(from, end, RUN);
			served(main, from, next);
			await call.write(main.run(from, next));
			from = next;
		}
	}
	call.ok();
}

async function getShardChunks(call) {
	const lane = lanes[u64(call.request, 1, 0)];
	if (!lane || lane === main)
		throw new Refusal(STATUS.UNKNOWN, "invalid_internal_state/Missing shard store");
	let [from, end] = range(lane, u64(call.request, 2, 0), u64(call.request, 3, undefined));
	if (liesInAnswer(from, end)) {
		const said = await answerLie(call, lane, from, end);
		if (!said) return;
		[from, end] = said;
	}
	if (BLOCK_LIES.includes(liar.mode)) {
		const list = falsified(lane, from, end);
		for (const [h] of list) lane.served[h - lane.first]++;
		await call.message(Buffer.concat(list.map(([, bytes]) => len(1, bytes))));
	} else {
		const bytes = from < end ? lane.run(from, end) : Buffer.alloc(0);
		served(lane, from, end);
		const head = Buffer.alloc(5);
		head.writeUInt32BE(bytes.length, 1);
		if (bytes.length < RUN) {
			await call.write(Buffer.concat([head, bytes]));
		} else {
			await call.write(head);
			for (let at = 0; at < bytes.length && !call.gone; at += RUN)
				await call.write(bytes.subarray(at, at + RUN));
		}
	}
	call.ok();
}

// ---- events ----

// What a pruned block's event lacks: its time.
function eventBytes(shard, e) {
	const bytes = e.bytes ?? confirmed(lanes[shard], e.block, e.id);
	if (e.block >= low(lanes[shard])) return bytes;
	return rewrite(bytes, (f) => (f[0] === 15 ? null : undefined));
}

class Subscriber {
	constructor(call, types, shards) {
		this.call = call;
		this.types = types;
		this.shards = shards;
		this.waiting = new Map(shards.map((s) => [s, []]));
		this.lost = 0;
		this.busy = false;
	}

	live(shard, e) {
		const queue = this.waiting.get(shard);
		if (!queue || !this.types.has(e.type)) return;
		queue.push(e);
		if (queue.length > o.ring) {
			queue.shift();
			this.lost++;
			counts.lost = (counts.lost ?? 0) + 1;
		}
		this.pump();
	}

	async pump() {
		if (this.busy) return;
		this.busy = true;
		await pause(o.latency);
		for (let any = true; any && !this.call.gone; ) {
			any = false;
			for (const [shard, queue] of this.waiting) {
				const e = queue.shift();
				if (!e) continue;
				any = true;
				await this.call.message(eventBytes(shard, e));
			}
		}
		this.busy = false;
	}
}

async function subscribe(call) {
	const types = new Set();
	let from, only;
	for (const [field, type, value] of fields(call.request)) {
		if (field === 1 && type === 0) types.add(value);
		if (field === 1 && type === 2) for (const v of unpacked(value)) types.add(v);
		if (field === 2) from = value;
		if (field === 4) only = value;
	}
	if (only !== undefined && !(only > 0 && only < lanes.length))
		throw new Refusal(STATUS.UNKNOWN, "invalid_internal_state/Invalid shard id");
	const shards = only === undefined ? lanes.slice(1).map((l) => l.shard) : [only];
	const s = new Subscriber(call, types, shards);
	call.start();
	// Old events a page at a time, each handed over before the next is read; one that is not full
	// is the last. Whoever is slow at that misses what comes between the last page and the first
	// live event: so does it on a node.
	for (const shard of from === undefined ? [] : shards) {
		const events = archive.events[shard];
		let i = events.from(from),
			full = true;
		while (full && !call.gone) {
			const end = Math.min(events.told, i + PAGE);
			full = end - i === PAGE;
			for (; i < end && !call.gone; i++)
				if (types.has(events.list[i].type))
					await call.message(eventBytes(shard, events.list[i]));
		}
	}
	if (call.gone) return;
	subscribers.add(s);
	call.stream.once("close", () => subscribers.delete(s));
}

function unpacked(b) {
	const out = [];
	for (let at = 0; at < b.length; ) {
		let value = 0,
			scale = 1,
			x;
		do {
			x = b[at++];
			value += (x & 0x7f) * scale;
			scale *= 128;
		} while (x >= 128 && at < b.length);
		out.push(value);
	}
	return out;
}

// Ascending ids of the shards asked for, a page at a time; a token names the next id of each shard.
async function getEvents(call) {
	const start = u64(call.request, 1, 0),
		only = u64(call.request, 2, undefined);
	const stop = u64(call.request, 3, Infinity),
		size = u64(call.request, 4, PAGE),
		reverse = u64(call.request, 6, 0);
	const token = last(call.request, 5, Buffer.alloc(0));
	if (only !== undefined && !(only > 0 && only < lanes.length))
		throw new Refusal(STATUS.INVALID_ARGUMENT, "Shard not found");
	const shards = only === undefined ? lanes.slice(1).map((l) => l.shard) : [only];
	let places = shards.map(() => undefined);
	if (token.length) {
		try {
			places = JSON.parse(token.toString());
			if (!Array.isArray(places) || places.length !== shards.length)
				throw new Error();
		} catch {
			throw new Refusal(STATUS.INVALID_ARGUMENT, "Invalid page token");
		}
	}
	const out = [],
		next = [];
	shards.forEach((shard, k) => {
		const events = archive.events[shard];
		if (places[k] === null) return next.push(null);
		const first = events.from(start),
			end = Math.min(events.told, events.from(stop));
		const set = events.list.slice(first, Math.max(first, end));
		if (reverse) set.reverse();
		let i = 0;
		if (places[k] !== undefined) {
			const after = Number(Buffer.from(places[k]).readBigUInt64BE());
			i = set.findIndex((e) => (reverse ? e.id < after : e.id > after));
			if (i < 0) i = set.length;
		}
		const page = set.slice(i, i + Math.max(1, size));
		for (const e of page) out.push(len(1, eventBytes(shard, e)));
		if (page.length < Math.max(1, size)) return next.push(null);
		const b = Buffer.alloc(8);
		b.writeBigUInt64BE(BigInt(page[page.length - 1].id));
		next.push([...b]);
	});
	await call.message(Buffer.concat([...out, len(2, JSON.stringify(next))]));
	call.ok();
}

async function getEvent(call) {
	const id = u64(call.request, 1, 0),
		shard = u64(call.request, 5, 0),
		events = archive.events[shard];
	if (!events) throw new Refusal(STATUS.INVALID_ARGUMENT, "Shard not found");
	const e = events.list[events.from(id)];
	if (!e || e.id !== id || e.block > told[shard])
		throw new Refusal(STATUS.INTERNAL, "not_found/Event not found");
	await call.message(eventBytes(shard, e));
	call.ok();
}

// ---- the server ----

const SERVICES = {
	HubService: {
		GetInfo: getInfo,
		GetBlocks: getBlocks,
		GetShardChunks: getShardChunks,
		Subscribe: subscribe,
		GetEvents: getEvents,
		GetEvent: getEvent,
	},
	ReplicationService: {},
};

// What replicas answer with; they know nothing of calls.
function fromReplica(name) {
	return async (call) => {
		const said = Replica.answer(name, call.request, {
			replicas,
			tip,
			lanes,
			Refusal,
			STATUS,
			seed: o.seed,
			archive,
		});
		await call.message(said);
		call.ok();
	};
}
for (const [service, names] of Object.entries(Replica.METHODS))
	for (const name of names) SERVICES[service][name] = fromReplica(name);

function methods(service) {
	const bytes = (b) => b;
	const out = { definition: {}, handlers: {} };
	for (const [name, answer] of Object.entries(SERVICES[service])) {
		// To the wire, one message is a stream that ends after one.
		out.definition[name] = {
			path: `/${service}/${name}`,
			requestStream: false,
			responseStream: true,
			requestSerialize: bytes,
			requestDeserialize: bytes,
			responseSerialize: bytes,
			responseDeserialize: bytes,
		};
		counts.calls[name] = { calls: 0, bytes: 0, refused: 0 };
		out.handlers[name] = async (raw) => {
			const call = new Call(name, raw);
			counts.calls[name].calls++;
			try {
				await pause(o.latency);
				await answer(call);
			} catch (e) {
				counts.calls[name].refused++;
				const decoding =
					!(e instanceof Refusal) &&
					/cut|varint|wire type|field without/.test(e.message);
				if (!(e instanceof Refusal) && !decoding)
					console.error(`peer: ${name}: ${e.stack}`);
				call.fail(
					e.code ?? STATUS.INTERNAL,
					decoding
						? `failed to decode Protobuf message: ${e.message}`
						: e.message,
				);
			}
		};
	}
	return out;
}

// A call without a message is refused by grpc-js with other words than a node's.
function wordsOfNode(method, call) {
	const send = call.sendStatus.bind(call);
	call.sendStatus = (s) =>
		send(
			/^Received no request message/.test(s.details)
				? {
						code: STATUS.INTERNAL,
						details: "Missing request message.",
						metadata: null,
					}
				: s,
		);
	return call;
}

const server = new grpc.Server({
	interceptors: [wordsOfNode],
	"grpc.enable_channelz": 0,
	"grpc.max_send_message_length": -1,
	"grpc.max_receive_message_length": 4 << 20,
});
for (const service of Object.keys(SERVICES)) {
	const { definition, handlers } = methods(service);
	server.addService(definition, handlers);
}
// We own the sockets: a node that dies says no goodbye.
const injector = server.createConnectionInjector(
	!o["tls-cert"]
		? grpc.ServerCredentials.createInsecure()
		: grpc.ServerCredentials.createSsl(null, [
				{
					cert_chain: fs.readFileSync(o["tls-cert"]),
					private_key: fs.readFileSync(o["tls-key"]),
				},
			]),
);
for (const h of server.http2Servers.keys()) {
	h.updateSettings({
		initialWindowSize: 1 << 20,
		maxFrameSize: 16384,
		maxHeaderListSize: 16384,
	});
	h.on("session", (session) => session.setLocalWindowSize(1 << 20));
	h.on("sessionError", () => undefined);
}
const listener = net.createServer({ noDelay: true }, (socket) => {
	counts.connections++;
	sockets.add(socket);
	socket.on("error", () => undefined);
	socket.on("close", () => sockets.delete(socket));
	injector.injectConnection(socket);
});

// ---- orders ----

function summary(lane) {
	// runs of heights served as often: {"1-100": 1, "101": 2}
	const out = {};
	for (let i = 0; i < lane.count; ) {
		let j = i;
		while (j < lane.count && lane.served[j] === lane.served[i]) j++;
		if (lane.served[i])
			out[
				i + 1 === j
					? `${lane.first + i}`
					: `${lane.first + i}-${lane.first + j - 1}`
			] = lane.served[i];
		i = j;
	}
	return out;
}

function stats() {
	const once = {},
		again = {};
	for (const lane of lanes) {
		once[lane.shard] = lane.served.filter((n) => n > 0).length;
		again[lane.shard] = lane.served.reduce((sum, n) => sum + Math.max(0, n - 1), 0);
	}
	return {
		tip: Object.fromEntries(tip.map((h, s) => [s, h])),
		calls: counts.calls,
		bytes: counts.bytes,
		connections: counts.connections,
		open: sockets.size,
		subscribers: subscribers.size,
		lost: counts.lost ?? 0,
		served: Object.fromEntries(lanes.map((l) => [l.shard, summary(l)])),
		heights: once,
		repeats: again,
		lie: liar.mode,
		lies: liar.count,
		lied: liar.told,
	};
}

function times(shard, from, end) {
	// by shard, a height: [height, monotonic µs, wall µs]
	const out = {};
	for (const lane of lanes) {
		if (shard !== undefined && lane.shard !== shard) continue;
		out[lane.shard] = [];
		for (
			let h = Math.max(from ?? 0, lane.first);
			h <= tip[lane.shard] && h < (end ?? Infinity);
			h++
		)
			out[lane.shard].push([
				h,
				lane.monotonic[h - lane.first],
				lane.wall[h - lane.first],
			]);
	}
	return out;
}

function restart() {
	for (const socket of sockets) {
		if (socket.resetAndDestroy) socket.resetAndDestroy();
		else socket.destroy();
	}
	subscribers.clear();
}

async function order(line) {
	const [word, ...rest] = line.trim().split(/\s+/);
	switch (word) {
		case "advance": {
			const to = Math.min(
				main.last,
				tip[0] + (rest[0] === undefined ? 1 : number(rest[0], "advance")),
			);
			for (let h = tip[0] + 1; h <= to; h++) await advance(h);
			return `ok ${tip[0]}`;
		}
		case "at":
			jump(rest[0] === "all" ? main.last : number(rest[0] ?? "", "at"));
			return `ok ${tip[0]}`;
		case "speed":
			speed(number(rest[0] ?? "", "speed"));
			return "ok";
		case "latency":
		case "rate":
			o[word] = number(rest[0] ?? "", word);
			return "ok";
		case "hang":
			hang();
			return null;
		case "go":
			return "ok";
		case "lie": {
			if (!LIES.includes(rest[0]))
				throw new Error(`lie: one of ${LIES.join(" ")}`);
			liar = { mode: rest[0], told: [], count: 0, answers: 0 };
			o["lie-at"] = o["lie-every"] = o["lie-times"] = 0;
			for (let i = 1; i + 1 < rest.length; i += 2) {
				if (!["at", "every", "times"].includes(rest[i]))
					throw new Error(`lie: ${rest[i]}: at, every or times`);
				o[`lie-${rest[i]}`] = number(rest[i + 1], rest[i]);
			}
			return "ok";
		}
		case "restart":
			restart();
			return "ok";
		case "close": // nobody can connect until open
			restart();
			await new Promise((done) => listener.close(done));
			return "ok";
		case "open":
			await listen(port);
			return "ok";
		case "prune":
			pruned = number(rest[0] ?? "", "prune");
			return "ok";
		case "forget":
			if (!replicas.length) throw new Error("forget: there is no replica");
			return `ok ${replicas.reduce((n, r) => n + r.forget(rest, archive), 0)}`;
		case "tamper":
			if (!replicas.length) throw new Error("tamper: there is no replica");
			return `ok ${replicas.map((r) => r.tamper(rest)).join(" ")}`;
		case "stats":
			return JSON.stringify(stats());
		case "time":
			return JSON.stringify(times(...rest.map((w) => number(w, "time"))));
		case "quit":
			say("ok");
			return finish();
		default:
			throw new Error(`${word}: no such order`);
	}
}

function say(line) {
	let bytes = Buffer.from(`${line}\n`);
	while (bytes.length) {
		try {
			bytes = bytes.subarray(fs.writeSync(1, bytes));
		} catch (e) {
			if (e.code !== "EAGAIN") finish();
			Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
		}
	}
}

function finish() {
	for (const socket of sockets) socket.destroy();
	process.exit(0);
}

const lines = [];
let rest = "",
	ordering = false;

function hear(text) {
	rest += text;
	const parts = rest.split("\n");
	rest = parts.pop();
	lines.push(...parts.filter((l) => l.trim()));
}

async function obey() {
	if (ordering) return;
	ordering = true;
	while (lines.length) {
		const line = lines.shift();
		try {
			const said = await order(line);
			if (said !== null) say(said);
		} catch (e) {
			say(`error ${e.message}`);
		}
	}
	ordering = false;
}

// A stopped node: connections stay open, the kernel takes new ones, nothing moves. So nothing here
// may either, but for reading orders.
function hang() {
	say("ok");
	const buffer = Buffer.alloc(4096),
		wait = new Int32Array(new SharedArrayBuffer(4));
	for (;;) {
		while (lines.length) {
			const line = lines.shift().trim();
			if (line === "go") return say("ok");
			if (line === "quit") {
				say("ok");
				finish();
			}
			say("error this peer hangs until go");
		}
		try {
			const n = fs.readSync(0, buffer);
			if (n === 0) finish();
			hear(buffer.toString("utf8", 0, n));
		} catch (e) {
			if (e.code === "EOF") finish();
			if (e.code !== "EAGAIN") throw e;
			Atomics.wait(wait, 0, 0, 5);
		}
	}
}

function listen(at) {
	return new Promise((done, failed) => {
		listener.once("error", failed);
		listener.listen(at, o.host, 1024, () => {
			listener.off("error", failed);
			done(listener.address().port);
		});
	});
}

jump(o.at === "all" ? main.last : number(o.at, "--at"));
const port = await listen(o.port).catch((e) => {
	console.error(`peer: port ${o.port}: ${e.message}`);
	process.exit(1);
});
process.stdin.setEncoding("utf8");
process.stdin.on("data", (text) => {
	hear(text);
	obey();
});
process.stdin.on("end", finish);
process.stdin.on("error", finish);
say(`ready ${port}`);
speed(o.speed);
