// Kafka's primitive types, its checksum and its hash.
'use strict'

class Writer {
  #parts = []

  #fixed(size, put) {
    const part = Buffer.allocUnsafe(size)
    put(part)
    this.#parts.push(part)
    return this
  }

  int8(n) { return this.#fixed(1, b => b.writeInt8(n)) }
  int16(n) { return this.#fixed(2, b => b.writeInt16BE(n)) }
  int32(n) { return this.#fixed(4, b => b.writeInt32BE(n)) }
  int64(n) { return this.#fixed(8, b => b.writeBigInt64BE(BigInt(n))) }

  raw(buffer) {
    this.#parts.push(buffer)
    return this
  }

  string(text) {
    if (text === null) return this.int16(-1)
    const encoded = Buffer.from(text)
    return this.int16(encoded.length).raw(encoded)
  }

  bytes(buffer) { return this.int32(buffer.length).raw(buffer) }

  array(rows, write) {
    this.int32(rows.length)
    for (const row of rows) write(this, row)
    return this
  }

  varint(n) {
    let rest = n >= 0 ? n * 2 : -n * 2 - 1 // zigzag; no bit operators: timestamps need more than 32 bits
    const bytes = []
    while (rest > 127) {
      bytes.push((rest % 128) | 128)
      rest = Math.floor(rest / 128)
    }
    bytes.push(rest)
    return this.raw(Buffer.from(bytes))
  }

  varbytes(buffer) { return buffer === null ? this.varint(-1) : this.varint(buffer.length).raw(buffer) }
  done() { return Buffer.concat(this.#parts) }
}

class Reader {
  #buffer
  #at = 0

  constructor(buffer) { this.#buffer = buffer }

  int8() { return this.#buffer.readInt8((this.#at += 1) - 1) }
  int16() { return this.#buffer.readInt16BE((this.#at += 2) - 2) }
  int32() { return this.#buffer.readInt32BE((this.#at += 4) - 4) }
  int64() { return this.#buffer.readBigInt64BE((this.#at += 8) - 8) }

  #take(size) {
    if (this.#at + size > this.#buffer.length) throw new RangeError('a frame ends early')
    return this.#buffer.subarray(this.#at, (this.#at += size))
  }

  string() {
    const size = this.int16()
    return size < 0 ? null : this.#take(size).toString()
  }

  bytes() {
    const size = this.int32()
    return size < 0 ? null : this.#take(size)
  }

  array(read) {
    const rows = []
    for (let left = this.int32(); left > 0; left--) rows.push(read(this))
    return rows
  }

  varint() {
    let found = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#buffer.readUInt8(this.#at++)
      found += (byte & 127) * scale
      if (byte < 128) return found % 2 ? -(found + 1) / 2 : found / 2
    }
  }

  varbytes() {
    const size = this.varint()
    return size < 0 ? null : this.#take(size)
  }

  rest() { return this.#buffer.subarray(this.#at) }
}

const TABLE = new Uint32Array(256).map((_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0x82f63b78 : n >>> 1
  return n
})

function crc32c(buffer) {
  let crc = 0xffffffff
  for (const byte of buffer) crc = TABLE[(crc ^ byte) & 255] ^ (crc >>> 8)
  return (crc ^ 0xffffffff) >>> 0
}

/** The hash by which Java's producer chooses a key's partition. */
function murmur2(key) {
  const m = 0x5bd1e995
  let h = 0x9747b28c ^ key.length
  const whole = key.length & ~3
  for (let at = 0; at < whole; at += 4) {
    let k = Math.imul(key.readInt32LE(at), m)
    k = Math.imul(k ^ (k >>> 24), m)
    h = Math.imul(h, m) ^ k
  }
  const rest = key.length - whole
  if (rest === 3) h ^= key[whole + 2] << 16
  if (rest >= 2) h ^= key[whole + 1] << 8
  if (rest >= 1) h = Math.imul(h ^ key[whole], m)
  h = Math.imul(h ^ (h >>> 13), m)
  return h ^ (h >>> 15)
}

module.exports = {Writer, Reader, crc32c, murmur2}
