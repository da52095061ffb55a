// franz-go against a cluster: produces 1,000 records (idempotent, acks=all, zstd) and consumes them without a group.
// usage: go run . BOOTSTRAP TOPIC ; prints "ok 1000" when each came back once, in order.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const records = 1000

func fail(doing string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", doing, err)
		os.Exit(1)
	}
}

func main() {
	seeds, topic := kgo.SeedBrokers(strings.Split(os.Args[1], ",")...), os.Args[2]
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()

	producer, err := kgo.NewClient(seeds, kgo.AllowAutoTopicCreation(),
		kgo.ProducerBatchCompression(kgo.ZstdCompression()), kgo.DefaultProduceTopic(topic))
	fail("producer", err)
	for i := range records {
		key := []byte(strconv.Itoa(i % 10))
		producer.Produce(ctx, &kgo.Record{Key: key, Value: []byte(strconv.Itoa(i))}, func(_ *kgo.Record, err error) {
			fail("produce", err)
		})
	}
	fail("flush", producer.Flush(ctx))
	producer.Close()

	consumer, err := kgo.NewClient(seeds, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	fail("consumer", err)
	last, seen := map[string]int{}, 0
	for seen < records {
		fetches := consumer.PollFetches(ctx)
		for _, e := range fetches.Errors() {
			fail("fetch", e.Err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			number, _ := strconv.Atoi(string(r.Value))
			if before, ok := last[string(r.Key)]; ok && number <= before {
				fail("order", fmt.Errorf("key %s: %d after %d", r.Key, number, before))
			}
			last[string(r.Key)] = number
			seen++
		})
	}
	consumer.Close()
	fmt.Println("ok", seen)
}
