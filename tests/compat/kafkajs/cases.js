// kafkajs against a cluster, case by case: the client that never sends a flexible version of anything.
// usage: node cases.js BOOTSTRAP CASE... ; prints "ok CASE" or "FAILED CASE" with the reason; exits 1 when any failed.
const assert = require("node:assert/strict");
const { AssignerProtocol, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = require("kafkajs");

const [bootstrap, ...wanted] = process.argv.slice(2);
const kafka = new Kafka({ clientId: "compat", brokers: bootstrap.split(","), logLevel: logLevel.NOTHING, retry: { retries: 8 } });
const unique = (name) => `kafkajs-${name}-${process.pid}-${Math.floor(Math.random() * 1e6)}`;
const within = (ms, promise, what) =>
  Promise.race([promise, new Promise((_, reject) => setTimeout(() => reject(new Error(`${what}: not within ${ms} ms`)), ms))]);

// Clients opened through here are closed again whatever happens.
const opened = [];
async function open(client) {
  opened.push(client);
  await client.connect();
  return client;
}
const admin = () => open(kafka.admin());

async function topicOf(name, partitions = 3) {
  const topic = unique(name);
  await (await admin()).createTopics({ topics: [{ topic, numPartitions: partitions, replicationFactor: 3 }], waitForLeaders: true });
  return topic;
}
const numbered = (count, from = 0) => Array.from({ length: count }, (_, i) => ({ key: `k${i % 10}`, value: String(from + i) }));

async function fill(topic, count, more = {}) {
  const producer = await open(kafka.producer());
  await producer.send({ topic, messages: numbered(count), ...more });
}

// Consume until `count` records came; returns them. `more` goes to run().
async function read(groupId, topic, count, { options = {}, more = {}, fromBeginning = true } = {}) {
  const consumer = await open(kafka.consumer({ groupId, maxWaitTimeInMs: 200, ...options }));
  await consumer.subscribe({ topics: [topic], fromBeginning });
  const records = [];
  await within(30_000, new Promise((resolve, reject) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
    consumer.run({
      ...more,
      eachMessage: async ({ partition, message }) => {
        records.push({ partition, offset: Number(message.offset), key: String(message.key), value: String(message.value), headers: message.headers });
        if (records.length === count) resolve();
      },
    }).catch(reject);
  }), `${records.length} of ${count} records`);
  await consumer.disconnect();
  return records;
}
const values = (records) => records.map((r) => Number(r.value)).sort((a, b) => a - b);
const upTo = (count) => Array.from({ length: count }, (_, i) => i);

const cases = {
  async admin_topics() {
    const client = await admin();
    const topic = await topicOf("topics");
    assert((await client.listTopics()).includes(topic));
    await client.createPartitions({ topicPartitions: [{ topic, count: 5 }] });
    await eventually(async () => (await client.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length === 5);
    const [{ partitions }] = (await client.fetchTopicMetadata({ topics: [topic] })).topics;
    assert(partitions.every((p) => p.isr.length === 3 && p.replicas.length === 3));
    assert.equal(await client.createTopics({ topics: [{ topic }] }), false);
    await client.deleteTopics({ topics: [topic] });
    await eventually(async () => !(await client.listTopics()).includes(topic));
  },

  async admin_configs() {
    const client = await admin();
    const topic = await topicOf("configs");
    const resource = { type: ConfigResourceTypes.TOPIC, name: topic };
    await client.alterConfigs({ resources: [{ ...resource, configEntries: [{ name: "retention.ms", value: "123456" }] }] });
    await eventually(async () => {
      const { resources } = await client.describeConfigs({ resources: [resource] });
      return resources[0].configEntries.find((entry) => entry.configName === "retention.ms").configValue === "123456";
    });
  },

  async admin_cluster() {
    const { brokers, clusterId, controller } = await (await admin()).describeCluster();
    assert.deepEqual(brokers.map((b) => b.nodeId).sort(), [1, 2, 3]);
    assert.equal(clusterId.length, 22);
    assert([1, 2, 3].includes(controller));
  },

  async admin_offsets_and_deleted_records() {
    const client = await admin();
    const topic = await topicOf("offsets", 1);
    await fill(topic, 100);
    assert.deepEqual(await client.fetchTopicOffsets(topic), [{ partition: 0, offset: "100", high: "100", low: "0" }]);
    await client.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: "40" }] });
    assert.equal((await client.fetchTopicOffsets(topic))[0].low, "40");
    assert.equal((await client.fetchTopicOffsetsByTimestamp(topic, Date.now() + 1e6))[0].offset, "100");
    assert.equal((await client.fetchTopicOffsetsByTimestamp(topic, 0))[0].offset, "40");
  },

  async admin_reassignments() {
    const client = await admin();
    const topic = unique("moves");
    await client.createTopics({ topics: [{ topic, replicaAssignment: [{ partition: 0, replicas: [1, 2] }] }], waitForLeaders: true });
    await client.alterPartitionReassignments({ topics: [{ topic, partitionAssignment: [{ partition: 0, replicas: [3, 2] }] }] });
    await eventually(async () => {
      const [{ partitions }] = (await client.fetchTopicMetadata({ topics: [topic] })).topics;
      return partitions[0].replicas.join() === "3,2" && partitions[0].isr.length === 2;
    });
    assert.deepEqual((await client.listPartitionReassignments({})).topics, []);
  },

  async every_acks() {
    const topic = await topicOf("acks", 1);
    for (const acks of [0, 1, -1]) await fill(topic, 10, { acks });
    const client = await admin();
    await eventually(async () => (await client.fetchTopicOffsets(topic))[0].high === "30");
  },

  async idempotent_gzip() {
    const topic = await topicOf("idempotent");
    const producer = await open(kafka.producer({ idempotent: true, maxInFlightRequests: 1 }));
    for (let start = 0; start < 1000; start += 100) {
      await producer.send({ topic, messages: numbered(100, start), acks: -1, compression: CompressionTypes.GZIP });
    }
    assert.deepEqual(values(await read(unique("g"), topic, 1000)), upTo(1000));
  },

  async headers_and_tombstones() {
    const topic = await topicOf("headers", 1);
    const producer = await open(kafka.producer());
    await producer.send({ topic, messages: [{ key: "k", value: null, headers: { a: "1", b: ["2", "3"] } }, { value: "v" }] });
    const [tombstone] = await read(unique("g"), topic, 2);
    assert.equal(tombstone.value, "null");
    assert.equal(String(tombstone.headers.a), "1");
    assert.deepEqual(tombstone.headers.b.map(String), ["2", "3"]);
  },

  async auto_created_topic() {
    const topic = unique("auto");
    await fill(topic, 10);
    assert.deepEqual(values(await read(unique("g"), topic, 10)), upTo(10));
  },

  async group_resumes_where_it_committed() {
    const topic = await topicOf("resume");
    const group = unique("g");
    await fill(topic, 100);
    assert.deepEqual(values(await read(group, topic, 100)), upTo(100));
    await fill(topic, 50);
    assert.deepEqual(values(await read(group, topic, 50)), upTo(50));
  },

  async group_of_two_shares_the_partitions() {
    const topic = await topicOf("share", 4);
    const group = unique("g");
    const owned = new Map();
    const consumers = [];
    for (const name of ["a", "b"]) {
      const consumer = await open(kafka.consumer({ groupId: group, maxWaitTimeInMs: 200, rebalanceTimeout: 5_000, heartbeatInterval: 300 }));
      consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => owned.set(name, payload.memberAssignment[topic] ?? []));
      await consumer.subscribe({ topics: [topic], fromBeginning: true });
      await consumer.run({ eachMessage: async () => {} });
      consumers.push(consumer);
    }
    await eventually(async () => [...owned.values()].map((p) => p.length).join() === "2,2");
    assert.deepEqual([...owned.values()].flat().sort(), [0, 1, 2, 3]);
    await consumers[1].disconnect();
    await eventually(async () => owned.get("a").length === 4);
  },

  async group_is_described_listed_and_deleted() {
    const client = await admin();
    const topic = await topicOf("describe", 1);
    const groupId = unique("g");
    await fill(topic, 10);
    const consumer = await open(kafka.consumer({ groupId, maxWaitTimeInMs: 200, heartbeatInterval: 300 }));
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await consumer.run({ eachMessage: async () => {} });
    await eventually(async () => (await client.describeGroups([groupId])).groups[0].state === "Stable");
    const [described] = (await client.describeGroups([groupId])).groups;
    const [member] = described.members;
    const { topics } = AssignerProtocol.MemberMetadata.decode(member.memberMetadata);
    assert.deepEqual(topics, [topic]);
    assert.deepEqual(AssignerProtocol.MemberAssignment.decode(member.memberAssignment).assignment, { [topic]: [0] });
    assert((await client.listGroups()).groups.some((g) => g.groupId === groupId));
    await consumer.disconnect();
    await eventually(async () => (await client.describeGroups([groupId])).groups[0].state === "Empty");
    await client.deleteGroups([groupId]);
    assert(!(await client.listGroups()).groups.some((g) => g.groupId === groupId));
  },

  async group_offsets_are_set_and_reset() {
    const client = await admin();
    const topic = await topicOf("reset", 1);
    const groupId = unique("g");
    await fill(topic, 20);
    await read(groupId, topic, 20);
    await client.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: "5" }] });
    assert.equal((await client.fetchOffsets({ groupId, topics: [topic] }))[0].partitions[0].offset, "5");
    await client.resetOffsets({ groupId, topic, earliest: true });
    assert.deepEqual(values(await read(groupId, topic, 20)), upTo(20));
  },

  async seek_pause_and_resume() {
    const topic = await topicOf("seek", 1);
    await fill(topic, 50);
    const consumer = await open(kafka.consumer({ groupId: unique("g"), maxWaitTimeInMs: 200 }));
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    const seen = [];
    await consumer.run({ eachMessage: async ({ message }) => void seen.push(Number(message.offset)) });
    consumer.seek({ topic, partition: 0, offset: "40" });
    await eventually(async () => seen.at(-1) === 49);
    consumer.pause([{ topic }]);
    await new Promise((resolve) => setTimeout(resolve, 500));
    await fill(topic, 5);
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal(seen.at(-1), 49);
    consumer.resume([{ topic }]);
    await eventually(async () => seen.at(-1) === 54);
    assert.deepEqual(seen.slice(-15), Array.from({ length: 15 }, (_, i) => 40 + i));
  },

  async batches_commit_by_hand() {
    const topic = await topicOf("batches", 2);
    const groupId = unique("g");
    await fill(topic, 200);
    const consumer = await open(kafka.consumer({ groupId, maxWaitTimeInMs: 200 }));
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    let count = 0;
    await consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch, heartbeat }) => {
        count += batch.messages.length;
        await consumer.commitOffsets([{ topic, partition: batch.partition, offset: String(Number(batch.lastOffset()) + 1) }]);
        await heartbeat();
      },
    });
    await eventually(async () => count === 200);
    const client = await admin();
    await eventually(async () => {
      const [{ partitions }] = await client.fetchOffsets({ groupId, topics: [topic] });
      return partitions.reduce((sum, p) => sum + Number(p.offset), 0) === 200;
    });
  },

  async transactions_commit_and_abort() {
    const topic = await topicOf("transactions", 1);
    const producer = await open(kafka.producer({ transactionalId: unique("tx"), idempotent: true, maxInFlightRequests: 1 }));
    for (const [from, ends] of [[0, "commit"], [100, "abort"], [10, "commit"]]) {
      const transaction = await producer.transaction();
      await transaction.send({ topic, messages: numbered(10, from) });
      await transaction[ends]();
    }
    assert.deepEqual(values(await read(unique("g"), topic, 20, { options: { readUncommitted: false } })), upTo(20));
    assert.equal((await read(unique("g"), topic, 30, { options: { readUncommitted: true } })).length, 30);
  },

  async transaction_carries_offsets() {
    const source = await topicOf("source", 1);
    const groupId = unique("g");
    await fill(source, 10);
    const producer = await open(kafka.producer({ transactionalId: unique("tx"), idempotent: true, maxInFlightRequests: 1 }));
    const client = await admin();
    const committed = async () => (await client.fetchOffsets({ groupId, topics: [source] }))[0].partitions[0].offset;
    for (const [offset, ends, then] of [["4", "commit", "4"], ["9", "abort", "4"]]) {
      const transaction = await producer.transaction();
      await transaction.send({ topic: source, messages: [{ value: "x" }] });
      await transaction.sendOffsets({ consumerGroupId: groupId, topics: [{ topic: source, partitions: [{ partition: 0, offset }] }] });
      await transaction[ends]();
      await eventually(async () => (await committed()) === then);
    }
  },

  async a_second_producer_fences_the_first() {
    const topic = await topicOf("fence", 1);
    const transactionalId = unique("tx");
    const options = { transactionalId, idempotent: true, maxInFlightRequests: 1, retry: { retries: 1 } };
    const first = await open(kafka.producer(options));
    const transaction = await first.transaction();
    await transaction.send({ topic, messages: [{ value: "old" }] });
    const second = await open(kafka.producer({ ...options, retry: { retries: 8 } }));
    const another = await second.transaction();
    await another.send({ topic, messages: [{ value: "new" }] });
    await another.commit();
    await assert.rejects(transaction.commit());
    const records = await read(unique("g"), topic, 1, { options: { readUncommitted: false } });
    assert.deepEqual(records.map((r) => r.value), ["new"]);
  },
};

async function eventually(claim, ms = 20_000) {
  const deadline = Date.now() + ms;
  while (!(await claim())) {
    if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${claim}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function main() {
  const names = wanted[0] === "--all" ? Object.keys(cases) : wanted;
  let failures = 0;
  for (const name of names) {
    const started = Date.now();
    try {
      await within(60_000, cases[name](), name);
      console.log(`ok      ${name}  ${Date.now() - started} ms`);
    } catch (error) {
      failures += 1;
      console.log(`FAILED  ${name}\n        ${String(error?.stack ?? error).split("\n").slice(0, 6).join("\n        ")}`);
    }
    await Promise.allSettled(opened.splice(0).map((client) => within(5_000, client.disconnect(), "disconnect")));
  }
  console.log(`${names.length - failures} of ${names.length} passed`);
  process.exit(failures ? 1 : 0);
}

main();
