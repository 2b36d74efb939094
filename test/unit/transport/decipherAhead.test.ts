import assert from 'node:assert/strict';
import crypto, { createDecipheriv, randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { DecipherAhead, type MakeDecipher } from '../../../src/transport/decipherAhead';
import '../../../src/transport/ssh2Library';

interface Ciphers {
  readonly CIPHER_INFO: Readonly<Record<string, { readonly keyLen: number; readonly ivLen: number }>>;
  createCipher(config: object): { allocPacket(bytes: number): Buffer; encrypt(packet: Buffer): void };
  createDecipher(config: object): { decrypt(bytes: Buffer, from: number, to: number): void };
}

/** One direction of a connection. */
interface Way {
  readonly packet: (payload: Buffer) => Buffer;
  readonly read: (bytes: Buffer) => void;
  /** The payloads that came out. */
  readonly came: Buffer[];
}

/** The ciphers of ssh2, loaded while Node makes deciphers in another way. */
function ciphersWith(make: MakeDecipher): Ciphers {
  const load = createRequire(__filename);
  const file = load.resolve('ssh2/lib/protocol/crypto.js');
  const loaded = load.cache[file];
  load.cache[file] = undefined;
  try {
    crypto.createDecipheriv = make as typeof createDecipheriv;
    return load('ssh2/lib/protocol/crypto.js') as Ciphers;
  } finally {
    crypto.createDecipheriv = createDecipheriv;
    load.cache[file] = loaded;
  }
}

describe('a decipher made ahead', () => {
  const asked: string[] = [];
  const create = createDecipheriv as MakeDecipher;
  const ahead = new DecipherAhead((name, key, iv, options) => {
    asked.push(name);
    return create(name, key, iv, options);
  });
  let taken = 0;
  const ciphers = ciphersWith((...words) => {
    taken += 1;
    return ahead.make(...words);
  });

  function way(cipher: string): Way {
    const info = ciphers.CIPHER_INFO[cipher];
    assert.ok(info);
    const [key, iv] = [randomBytes(info.keyLen), randomBytes(info.ivLen)];
    let sent: Buffer[] = [];
    const came: Buffer[] = [];
    const out = ciphers.createCipher({
      outbound: {
        seqno: 0,
        cipherInfo: info,
        cipherKey: Buffer.from(key),
        cipherIV: Buffer.from(iv),
        forceNative: true,
        onWrite: (bytes: Buffer) => sent.push(Buffer.from(bytes)),
      },
    });
    const into = ciphers.createDecipher({
      inbound: {
        seqno: 0,
        decipherInfo: info,
        decipherKey: key,
        decipherIV: iv,
        forceNative: true,
        onPayload: (payload: Buffer) => void came.push(Buffer.from(payload)),
      },
    });
    return {
      came,
      packet: (payload) => {
        const packet = out.allocPacket(payload.length);
        payload.copy(packet, 5);
        sent = [];
        out.encrypt(packet);
        return Buffer.concat(sent);
      },
      read: (bytes) => into.decrypt(bytes, 0, bytes.length),
    };
  }

  it('gives what one made at once gives, however packets of several connections come', () => {
    const step = fc.record({
      connection: fc.nat(1),
      payloads: fc.array(fc.uint8Array({ minLength: 1, maxLength: 90 }), { minLength: 1, maxLength: 3 }),
      cuts: fc.array(fc.nat(300), { maxLength: 3 }),
      prepared: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const ways = [way('aes128-gcm@openssh.com'), way('aes256-gcm@openssh.com')];
        const went: Buffer[][] = [[], []];
        for (const { connection, payloads, cuts, prepared } of steps) {
          const one = ways[connection];
          assert.ok(one);
          const bytes = Buffer.concat(payloads.map((payload) => one.packet(Buffer.from(payload))));
          went[connection]?.push(...payloads.map((payload) => Buffer.from(payload)));
          const ends = [...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
          let at = 0;
          for (const end of ends) {
            one.read(bytes.subarray(at, end));
            at = end;
            if (prepared) ahead.prepare();
          }
        }
        assert.deepEqual(
          ways.map(({ came }) => came),
          went,
        );
      }),
    );
  });

  it('is there when a packet comes, and made once', () => {
    const { packet, read, came } = way('aes128-gcm@openssh.com');
    read(packet(Buffer.from('first')));
    for (let count = 0; count < 5; count++) {
      ahead.prepare();
      ahead.prepare();
      const made = asked.length;
      const before = taken;
      const bytes = packet(Buffer.from(`packet ${count}`));
      read(bytes.subarray(0, 7));
      // In the midst of a packet there is none to make.
      ahead.prepare();
      read(bytes.subarray(7));
      assert.deepEqual([asked.length, taken], [made, before + 1]);
    }
    assert.equal(came.length, 6);
  });

  it('does not take what was changed on its way', () => {
    const { packet, read, came } = way('aes128-gcm@openssh.com');
    read(packet(Buffer.from('first')));
    ahead.prepare();
    const bytes = packet(Buffer.from('second'));
    bytes.writeUInt8(bytes.readUInt8(9) ^ 1, 9);
    assert.throws(() => read(bytes));
    assert.equal(came.length, 1);
  });

  it('leaves other ciphers as they are', () => {
    const key = randomBytes(16);
    const iv = randomBytes(16);
    const decipher = ahead.make('aes-128-ctr', key, iv);
    ahead.prepare();
    assert.notEqual(ahead.make('aes-128-ctr', key, iv), decipher);
  });

  it('is not in the way of anybody but ssh2', () => {
    assert.equal(crypto.createDecipheriv, createDecipheriv);
  });
});
