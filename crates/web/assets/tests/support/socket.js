// The server's side of one WebSocket (RFC 6455), as little of it as the tests need: text frames under 64 kB, ping, close.

import { createHash } from 'node:crypto';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

export class ServerSocket {
  /**
   * Answers the upgrade.
   * @param {import('node:http').IncomingMessage} request
   * @param {import('node:stream').Duplex} stream
   */
  constructor(request, stream) {
    const accept = createHash('sha1').update(request.headers['sec-websocket-key'] + GUID).digest('base64');
    stream.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: ${request.headers['sec-websocket-protocol']}\r\n\r\n`,
    );
    this.stream = stream;
    this.pending = Buffer.alloc(0);
    /** @type {object[]} */
    this.received = [];
    this.closed = false;
    this.onMessage = (/** @type {any} */ _message) => {};
    stream.on('data', (bytes) => this.#take(bytes));
    stream.on('close', () => (this.closed = true));
    stream.on('error', () => (this.closed = true));
  }

  /** @param {object} message */
  send(message) {
    const body = Buffer.from(JSON.stringify(message));
    const head = body.length < 126 ? Buffer.from([0x81, body.length]) : Buffer.from([0x81, 126, body.length >> 8, body.length & 255]);
    if (!this.closed) this.stream.write(Buffer.concat([head, body]));
  }

  /** Cuts the line without a word. */
  cut() {
    this.stream.destroy();
  }

  /** @param {Buffer} bytes */
  #take(bytes) {
    this.pending = Buffer.concat([this.pending, bytes]);
    for (;;) {
      const frame = readFrame(this.pending);
      if (frame === null) return;
      this.pending = this.pending.subarray(frame.size_bytes);
      if (frame.opcode === 8) this.stream.end();
      if (frame.opcode !== 1) continue;
      const message = JSON.parse(frame.body.toString());
      this.received.push(message);
      if (message.type === 'ping') this.send({ type: 'pong' });
      this.onMessage(message);
    }
  }
}

/** @param {Buffer} bytes */
function readFrame(bytes) {
  if (bytes.length < 6) return null;
  let length = bytes[1] & 127;
  let at = 2;
  if (length === 126) {
    length = bytes.readUInt16BE(2);
    at = 4;
  }
  if (length === 127 || bytes.length < at + 4 + length) return null;
  const mask = bytes.subarray(at, at + 4);
  const body = Buffer.from(bytes.subarray(at + 4, at + 4 + length)).map((byte, index) => byte ^ mask[index % 4]);
  return { opcode: bytes[0] & 15, body, size_bytes: at + 4 + length };
}
