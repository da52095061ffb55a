// Odradek over ZeroMQ: docs/zeromq_protocol.md says what goes over the wire.
//
//   const client = await connect('tcp://127.0.0.1:9192')
//   const producer = await client.producer()
//   const {partition, offset} = await producer.send('orders', {key: 'k', value: 'v'})
//   for await (const record of client.consumer('orders')) console.log(record.value.toString())
//   await client.close()
//
// The producer is idempotent and keeps the order of each partition; the consumer reads partitions from an offset on.
// Left out: groups, transactions, compression other than gzip.
'use strict'
const zmq = require('zeromq')
const {gunzipSync} = require('zlib')
const {Reader, Writer, crc32c, murmur2} = require('./wire')

const [PRODUCE, FETCH, LIST_OFFSETS, METADATA, INIT_PRODUCER_ID] = [0, 1, 2, 3, 22]
const VERSIONS = {[PRODUCE]: 7, [FETCH]: 4, [LIST_OFFSETS]: 1, [METADATA]: 4, [INIT_PRODUCER_ID]: 0}
const RETRIABLE = new Set([2, 3, 5, 6, 7, 8, 9, 13, 14, 15, 16, 19, 20, 56, 74, 75, 76, 78, 100])
const DUPLICATE = 46
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

class KafkaError extends Error {
  constructor(code, doing) {
    super(`${doing}: error ${code}`)
    this.code = code
    this.retriable = RETRIABLE.has(code)
  }
}

class Disconnected extends Error {
  retriable = true
}

function check(code, doing) {
  if (code !== 0) throw new KafkaError(code, doing)
}

/** One DEALER: requests out, answers back in the same order. */
class Connection {
  #socket
  #pending = []
  #correlation = 0
  #sending = Promise.resolve()

  constructor(endpoint, clientId, timeoutMs, curve) {
    Object.assign(this, {endpoint, clientId, timeoutMs, isClosed: false})
    const options = {linger: 0, sendHighWaterMark: 0, receiveHighWaterMark: 0, heartbeatInterval: 2000}
    if (curve) {
      const {publicKey, secretKey} = curve.secretKey ? curve : zmq.curveKeyPair()
      Object.assign(options, {curveServerKey: curve.serverKey, curvePublicKey: publicKey, curveSecretKey: secretKey})
    }
    this.#socket = new zmq.Dealer(options)
    this.#socket.connect(endpoint)
    this.#receive()
  }

  request(key, body, timeoutMs = this.timeoutMs) {
    if (this.isClosed) return Promise.reject(new Disconnected(this.endpoint))
    const correlation = (this.#correlation = (this.#correlation + 1) & 0x7fffffff)
    const frame = new Writer().int16(key).int16(VERSIONS[key]).int32(correlation).string(this.clientId).raw(body).done()
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.close('no answer in time'), timeoutMs)
      this.#pending.push({correlation, resolve, reject, timer})
      // zeromq allows one send at a time
      this.#sending = this.#sending.then(() => this.#socket.send(frame)).catch(error => this.close(error.message))
    })
  }

  async #receive() {
    try {
      for await (const parts of this.#socket) {
        const frame = parts.length === 1 ? parts[0] : Buffer.concat(parts)
        if (frame.length === 0) return this.close('the broker closed the connection')
        const head = this.#pending.shift()
        const reader = new Reader(frame)
        if (head === undefined || head.correlation !== reader.int32()) return this.close('answers out of order')
        clearTimeout(head.timer)
        head.resolve(reader)
      }
    } catch (error) {
      this.close(error.message)
    }
  }

  close(reason = 'closed') {
    if (this.isClosed) return
    this.isClosed = true
    this.#socket.close()
    for (const each of this.#pending.splice(0)) {
      clearTimeout(each.timer)
      each.reject(new Disconnected(`${this.endpoint}: ${reason}`))
    }
  }
}

/**
 * Asks any of the endpoints. `curve` encrypts: {serverKey} is the brokers' public key (Z85), {publicKey, secretKey} the
 * client's own pair, where brokers know their clients.
 */
async function connect(endpoints, {clientId = 'odradek-node', requestTimeoutMs = 5000, curve} = {}) {
  const client = new Client([].concat(endpoints), clientId, requestTimeoutMs, curve)
  await client.refresh([])
  return client
}

class Client {
  #connections = new Map()
  #brokers = new Map()
  #leaders = new Map()

  constructor(endpoints, clientId, timeoutMs, curve) {
    Object.assign(this, {endpoints, clientId, timeoutMs, curve, isClosed: false})
  }

  #at(endpoint) {
    if (this.isClosed) throw new Error('the client is closed')
    let found = this.#connections.get(endpoint)
    if (!found || found.isClosed) {
      found = new Connection(endpoint, this.clientId, this.timeoutMs, this.curve)
      this.#connections.set(endpoint, found)
    }
    return found
  }

  async anyone(key, body) {
    let failure
    for (const endpoint of [...new Set([...this.#brokers.values(), ...this.endpoints])]) {
      try {
        return await this.#at(endpoint).request(key, body)
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }

  /** Learn who leads these topics. */
  async refresh(topics) {
    const body = new Writer().array(topics, (w, name) => w.string(name)).int8(1).done()
    const reader = await this.anyone(METADATA, body)
    reader.int32()
    const brokers = reader.array(r => [r.int32(), r.string(), r.int32(), r.string()])
    this.#brokers = new Map(brokers.map(([id, host, port]) => [id, port === 0 ? host : `tcp://${host}:${port}`]))
    reader.string(), reader.int32()
    reader.array(r => {
      const [code, name] = [r.int16(), r.string()]
      r.int8()
      const partitions = r.array(p => {
        p.int16()
        const [index, leader] = [p.int32(), p.int32()]
        p.array(i => i.int32()), p.array(i => i.int32())
        return [index, leader]
      })
      if (code === 0) this.#leaders.set(name, new Map(partitions))
    })
  }

  async partitions(topic) {
    for (let attempt = 0; !this.#leaders.get(topic)?.size; attempt++) {
      if (attempt === 50) throw new Error(`${topic} does not exist`)
      if (attempt > 0) await sleep(100)
      await this.refresh([topic])
    }
    return [...this.#leaders.get(topic).keys()].sort((a, b) => a - b)
  }

  leader(topic, partition) {
    return this.#leaders.get(topic)?.get(partition) ?? -1
  }

  /** Ask the leader; again and again with fresh metadata while that may help. */
  async askLeader(topic, partition, key, body, read, patienceMs = 60_000, timeoutMs = this.timeoutMs) {
    const deadline = Date.now() + patienceMs
    await this.partitions(topic)
    for (;;) {
      try {
        const endpoint = this.#brokers.get(this.leader(topic, partition))
        if (endpoint === undefined) throw new KafkaError(5, `${topic}-${partition}`)
        return read(await this.#at(endpoint).request(key, body, timeoutMs))
      } catch (error) {
        if (!error.retriable || Date.now() > deadline || this.isClosed) throw error
        await sleep(50)
        await this.refresh([topic]).catch(() => {})
      }
    }
  }

  async producer(options = {}) {
    const reader = await this.anyone(INIT_PRODUCER_ID, new Writer().string(null).int32(60_000).done())
    reader.int32()
    check(reader.int16(), 'InitProducerId')
    return new Producer(this, reader.int64(), reader.int16(), options)
  }

  /** Records of all partitions, each in order. `from`: 'earliest', 'latest', or {partition: offset}. */
  async *consumer(topic, {from = 'earliest', maxWaitMs = 500, maxBytes = 1 << 20} = {}) {
    const positions = new Map()
    for (const partition of await this.partitions(topic)) {
      positions.set(partition, await this.#begin(topic, partition, from))
    }
    const fetch = async partition => {
      const at = positions.get(partition)
      const body = new Writer().int32(-1).int32(maxWaitMs).int32(1).int32(maxBytes).int8(0)
        .array([0], w => w.string(topic).array([0], p => p.int32(partition).int64(at).int32(maxBytes))).done()
      const records = await this.askLeader(topic, partition, FETCH, body, reader => {
        reader.int32(), reader.int32(), reader.string(), reader.int32(), reader.int32()
        check(reader.int16(), `Fetch ${topic}-${partition}`)
        reader.int64(), reader.int64(), reader.array(r => [r.int64(), r.int64()])
        return reader.bytes()
      }, Infinity, this.timeoutMs + maxWaitMs)
      const found = decodeBatches(records ?? Buffer.alloc(0), at)
      positions.set(partition, found.next)
      return {partition, records: found.records}
    }
    const running = new Map([...positions.keys()].map(partition => [partition, fetch(partition)]))
    while (!this.isClosed) {
      const {partition, records} = await Promise.race(running.values())
      running.set(partition, fetch(partition)) // the next one is under way while these are looked at
      running.get(partition).catch(() => {})
      for (const record of records) yield Object.assign(record, {topic, partition})
    }
  }

  async #begin(topic, partition, from) {
    if (typeof from === 'object' && partition in from) return BigInt(from[partition])
    return this.offset(topic, partition, from === 'latest' ? -1n : -2n)
  }

  /** -1n: the end; -2n: the beginning; else the first record at or after that time in ms. */
  async offset(topic, partition, timestamp) {
    const body = new Writer().int32(-1)
      .array([0], w => w.string(topic).array([0], p => p.int32(partition).int64(timestamp))).done()
    return this.askLeader(topic, partition, LIST_OFFSETS, body, reader => {
      reader.int32(), reader.string(), reader.int32(), reader.int32()
      check(reader.int16(), `ListOffsets ${topic}-${partition}`)
      reader.int64()
      return reader.int64()
    })
  }

  async close() {
    this.isClosed = true
    for (const connection of this.#connections.values()) connection.close()
  }
}

/** What is sent while a partition's batch is under way goes with its next batch. */
class Producer {
  #queues = new Map()
  #round = 0

  constructor(client, producerId, epoch, {lingerMs = 2, maxBatchRecords = 5000} = {}) {
    Object.assign(this, {client, producerId, epoch, lingerMs, maxBatchRecords})
  }

  async send(topic, {key = null, value = null, headers = {}, partition, timestamp = Date.now()}) {
    const all = await this.client.partitions(topic)
    key = key === null ? null : Buffer.from(key)
    partition ??= key === null ? all[this.#round++ % all.length] : all[(murmur2(key) & 0x7fffffff) % all.length]
    value = value === null ? null : Buffer.from(value)
    const name = `${topic}/${partition}`
    let queue = this.#queues.get(name)
    if (!queue) this.#queues.set(name, (queue = {topic, partition, waiting: [], sequence: 0, isBusy: false}))
    return new Promise((resolve, reject) => {
      queue.waiting.push({key, value, headers, timestamp, resolve, reject})
      if (!queue.isBusy) this.#pump(queue)
    })
  }

  async #pump(queue) {
    queue.isBusy = true
    await sleep(this.lingerMs)
    while (queue.waiting.length > 0) {
      const records = queue.waiting.splice(0, this.maxBatchRecords)
      const {topic, partition} = queue
      const batch = encodeBatch(records, this.producerId, this.epoch, queue.sequence)
      const body = new Writer().string(null).int16(-1).int32(30_000)
        .array([0], w => w.string(topic).array([0], p => p.int32(partition).bytes(batch))).done()
      try {
        const first = await this.client.askLeader(topic, partition, PRODUCE, body, reader => {
          reader.int32(), reader.string(), reader.int32(), reader.int32()
          const code = reader.int16()
          if (code !== DUPLICATE) check(code, `Produce ${topic}-${partition}`)
          return reader.int64()
        })
        queue.sequence = (queue.sequence + records.length) & 0x7fffffff
        records.forEach((record, index) => record.resolve({topic, partition, offset: first + BigInt(index)}))
      } catch (error) {
        // whether it was written is open, so nothing may follow under these sequences
        for (const record of [...records, ...queue.waiting.splice(0)]) record.reject(error)
      }
    }
    queue.isBusy = false
  }
}

function encodeBatch(records, producerId, epoch, sequence) {
  const base = records[0].timestamp
  const body = new Writer().int16(0).int32(records.length - 1).int64(base)
    .int64(Math.max(...records.map(r => r.timestamp))).int64(producerId).int16(epoch).int32(sequence)
    .int32(records.length)
  records.forEach((record, index) => {
    const each = new Writer().int8(0).varint(record.timestamp - base).varint(index)
      .varbytes(record.key).varbytes(record.value)
    const headers = Object.entries(record.headers)
    each.varint(headers.length)
    for (const [name, value] of headers) {
      each.varbytes(Buffer.from(name)).varbytes(value === null ? null : Buffer.from(value))
    }
    const encoded = each.done()
    body.varint(encoded.length).raw(encoded)
  })
  const tail = body.done()
  return new Writer().int64(0n).int32(tail.length + 9).int32(-1).int8(2).int32(crc32c(tail) | 0).raw(tail).done()
}

function decodeBatches(buffer, from) {
  const records = []
  let next = from
  for (let at = 0; at + 12 <= buffer.length; ) {
    const size = buffer.readInt32BE(at + 8) + 12
    if (at + size > buffer.length) break // cut off by max_bytes: comes whole next time
    const reader = new Reader(buffer.subarray(at, at + size))
    const base = reader.int64()
    reader.int32(), reader.int32()
    if (reader.int8() !== 2) throw new Error('only record batches of format 2 are known')
    const crc = reader.int32() >>> 0
    if (crc32c(buffer.subarray(at + 21, at + size)) !== crc) throw new Error('a batch is corrupt')
    const attributes = reader.int16()
    next = base + BigInt(reader.int32()) + 1n
    const first = reader.int64()
    reader.int64(), reader.int64(), reader.int16(), reader.int32()
    const count = reader.int32()
    if ((attributes & 0x20) === 0) {
      if ((attributes & 7) > 1) throw new Error('only gzip is known of the codecs')
      const each = attributes & 7 ? new Reader(gunzipSync(reader.rest())) : reader
      for (let i = 0; i < count; i++) {
        each.varint(), each.int8()
        const record = {timestamp: Number(first) + each.varint(), offset: base + BigInt(each.varint())}
        record.key = each.varbytes()
        record.value = each.varbytes()
        record.headers = {}
        for (let h = each.varint(); h > 0; h--) record.headers[each.varbytes().toString()] = each.varbytes()
        if (record.offset >= from) records.push(record)
      }
    }
    at += size
  }
  return {records, next}
}

module.exports = {connect, KafkaError, Disconnected}
