// usage: go run ./roundtrip ENDPOINT TOPIC ; prints "ok 1000" when each record came back once, in its key's order.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"odradek"
)

const records = 1000

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	client := must(odradek.Connect(ctx, os.Args[1]))
	producer := must(client.Producer(ctx))
	topic := os.Args[2]
	for n := 0; n < records; n += 100 {
		var batch []*odradek.Record
		for i := n; i < n+100; i++ {
			batch = append(batch, &odradek.Record{Topic: topic, Key: []byte("key-" + strconv.Itoa(i%10)),
				Value: []byte(strconv.Itoa(i)), Headers: []odradek.Header{{Name: "from", Value: []byte("go")}}})
		}
		must(0, producer.Send(ctx, batch...))
	}
	consumer := must(client.Consumer(ctx, topic, odradek.Earliest))
	last, seen := map[string]int{}, 0
	for seen < records {
		for _, record := range must(consumer.Poll(ctx)) {
			number := must(strconv.Atoi(string(record.Value)))
			if before, ok := last[string(record.Key)]; ok && number <= before {
				must(0, fmt.Errorf("key %s: %d after %d", record.Key, number, before))
			}
			if string(record.Headers[0].Value) != "go" {
				must(0, fmt.Errorf("the header is lost"))
			}
			last[string(record.Key)] = number
			seen++
		}
	}
	consumer.Close()
	client.Close()
	fmt.Println("ok", seen)
}
