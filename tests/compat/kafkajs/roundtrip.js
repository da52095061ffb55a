// kafkajs against a cluster: admin calls and 1,000 gzip records with acks=all; their offsets tell that all are there.
// usage: node roundtrip.js BOOTSTRAP TOPIC ; prints "ok 1000". Consuming needs consumer groups, so it is not here yet.
const { CompressionTypes, Kafka, logLevel } = require("kafkajs");

async function main() {
  const [bootstrap, topic] = process.argv.slice(2);
  const kafka = new Kafka({ clientId: "compat", brokers: bootstrap.split(","), logLevel: logLevel.ERROR });
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: 3, replicationFactor: 3 }], waitForLeaders: true });
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  for (let start = 0; start < 1000; start += 100) {
    const messages = Array.from({ length: 100 }, (_, i) => ({ key: String(i % 10), value: String(start + i) }));
    await producer.send({ topic, messages, acks: -1, compression: CompressionTypes.GZIP });
  }
  const offsets = await admin.fetchTopicOffsets(topic);
  const total = offsets.reduce((sum, partition) => sum + Number(partition.high) - Number(partition.low), 0);
  await producer.disconnect();
  await admin.deleteTopics({ topics: [topic] });
  await admin.disconnect();
  console.log("ok", total);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
