// pb.mjs: protobuf's wire format, as much of it as a peer needs.
//
// Nothing decoded here is encoded again to be sent in its place: readers give slices of what they
// read.

export function readVarint(b, at) {
	// [value, next]; a value above 2^53 is not exact
	let value = 0,
		scale = 1;
	for (let i = at; i < at + 10; i++) {
		if (i >= b.length) throw new Error("a varint is cut");
		const x = b[i];
		value += (x & 0x7f) * scale;
		if (x < 0x80) return [value, i + 1];
		scale *= 128;
	}
	throw new Error("a varint of more than ten bytes");
}

// fields(b): [number, wire type, value or slice, where the field begins, where it ends]
export function fields(b) {
	const out = [];
	for (let at = 0; at < b.length; ) {
		const first = at;
		let key, value;
		[key, at] = readVarint(b, at);
		const number = Math.floor(key / 8),
			type = key % 8;
		if (number === 0) throw new Error("a field without a number");
		if (type === 0) {
			[value, at] = readVarint(b, at);
		} else if (type === 2) {
			let size;
			[size, at] = readVarint(b, at);
			if (at + size > b.length) throw new Error("a field is cut");
			value = b.subarray(at, at + size);
			at += size;
		} else if (type === 1 || type === 5) {
			const size = type === 1 ? 8 : 4;
			if (at + size > b.length) throw new Error("a field is cut");
			value = b.subarray(at, at + size);
			at += size;
		} else {
			throw new Error(`wire type ${type}`);
		}
		out.push([number, type, value, first, at]);
	}
	return out;
}

// The values of one field, in order, to `take`; the others are stepped over, which is most of the
// work of reading an archive.
function scan(b, number, take) {
	for (let at = 0; at < b.length; ) {
		let key, value;
		[key, at] = readVarint(b, at);
		const type = key % 8,
			wanted = Math.floor(key / 8) === number;
		if (type === 0) {
			[value, at] = readVarint(b, at);
			if (wanted) take(value);
			continue;
		}
		let size = type === 1 ? 8 : 4;
		if (type === 2) [size, at] = readVarint(b, at);
		else if (type !== 1 && type !== 5) throw new Error(`wire type ${type}`);
		if (key < 8) throw new Error("a field without a number");
		if (at + size > b.length) throw new Error("a field is cut");
		if (wanted) take(b.subarray(at, at + size));
		at += size;
	}
}

// last(b, number, otherwise): the last value of a field, as protobuf reads a field given twice
export function last(b, number, otherwise) {
	let found = otherwise;
	scan(b, number, (value) => (found = value));
	return found;
}

export function all(b, number) {
	const out = [];
	scan(b, number, (value) => out.push(value));
	return out;
}

export function varint(value) {
	const out = [];
	while (value >= 128) {
		out.push((value % 128) + 128);
		value = Math.floor(value / 128);
	}
	out.push(value);
	return Buffer.from(out);
}

export function varintSize(value) {
	let n = 1;
	while (value >= 128) ((value = Math.floor(value / 128)), n++);
	return n;
}

export function writeVarint(b, at, value) {
	// the next place
	while (value >= 128) {
		b[at++] = (value % 128) + 128;
		value = Math.floor(value / 128);
	}
	b[at++] = value;
	return at;
}

// Of a field that is absent when zero or empty, as proto3 writes it.
export function num(number, value) {
	return value ? Buffer.concat([varint(number * 8), varint(value)]) : Buffer.alloc(0);
}

export function len(number, bytes) {
	// also when it is empty
	const b = typeof bytes === "string" ? Buffer.from(bytes) : bytes;
	return Buffer.concat([varint(number * 8 + 2), varint(b.length), b]);
}

export function* delimited(b) {
	for (let at = 0; at < b.length; ) {
		const [size, body] = readVarint(b, at);
		if (body + size > b.length) throw new Error(`a message of ${size} bytes is cut`);
		yield b.subarray(body, body + size);
		at = body + size;
	}
}

// The fields of a message again, each as it was or as change(field) says: bytes for its content,
// null to drop it, [bytes] in place of the whole field.
export function rewrite(b, change) {
	const out = [];
	for (const f of fields(b)) {
		const said = change(f);
		if (said === undefined) out.push(b.subarray(f[3], f[4]));
		else if (said !== null) out.push(Array.isArray(said) ? said[0] : len(f[0], said));
	}
	return Buffer.concat(out);
}

// With one bit of it changed.
export function flipped(b, roll) {
	const out = Buffer.from(b);
	if (out.length) out[roll() % out.length] ^= 1 << roll() % 8;
	return out;
}
