// usage: node round_trip.js ENDPOINT TOPIC [SERVER_KEY] ; prints "ok 1000" when each record came back once, in its key's order.
'use strict'
const {connect} = require('./odradek')
const RECORDS = 1000

async function main([endpoint, topic, serverKey]) {
  const client = await connect(endpoint, serverKey ? {curve: {serverKey}} : {})
  const producer = await client.producer()
  const sent = []
  for (let n = 0; n < RECORDS; n++) {
    sent.push(producer.send(topic, {key: `key-${n % 10}`, value: `${n}`, headers: {from: 'node'}}))
  }
  await Promise.all(sent)
  const last = new Map()
  let seen = 0
  for await (const record of client.consumer(topic)) {
    const [key, number] = [record.key.toString(), Number(record.value.toString())]
    if (number <= (last.get(key) ?? -1)) throw new Error(`key ${key}: ${number} after ${last.get(key)}`)
    if (record.headers.from.toString() !== 'node') throw new Error('the header is lost')
    last.set(key, number)
    if (++seen === RECORDS) break
  }
  await client.close()
  console.log('ok', seen)
}

main(process.argv.slice(2)).then(() => process.exit(0), error => {
  console.error(error)
  process.exit(1)
})
