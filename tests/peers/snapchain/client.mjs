// client.mjs: the smallest client of a Snapchain node: bytes in, bytes out. For the peer's own
// test.
import grpc from "@grpc/grpc-js";

const bytes = (b) => b;

export class Client {
	// root: the certificate to trust, where the peer speaks TLS
	constructor(port, root = null) {
		const how = root
			? grpc.credentials.createSsl(root)
			: grpc.credentials.createInsecure();
		this.grpc = new grpc.Client(`${root ? "localhost" : "127.0.0.1"}:${port}`, how, {
			"grpc.max_receive_message_length": -1,
			"grpc.enable_retries": 0,
			"grpc.use_local_subchannel_pool": 1,
		});
	}

	// {messages, code, details}; `limit` ends the call after so many messages, `wait` after so
	// many ms
	call(path, request = Buffer.alloc(0), { limit = Infinity, wait = 30000, onMessage } = {}) {
		return new Promise((done) => {
			const messages = [];
			const stream = this.grpc.makeServerStreamRequest(
				`/${path}`,
				bytes,
				bytes,
				request,
			);
			const timer = setTimeout(() => stream.cancel(), wait);
			stream.on("data", (m) => {
				messages.push(m);
				onMessage?.(m);
				if (messages.length >= limit) stream.cancel();
			});
			stream.on("error", () => undefined);
			stream.on("status", (s) => {
				clearTimeout(timer);
				done({ messages, code: s.code, details: s.details });
			});
		});
	}

	close() {
		this.grpc.close();
	}
}
