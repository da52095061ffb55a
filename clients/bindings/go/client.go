// Package odradek speaks to Odradek over ZeroMQ; docs/zeromq_protocol.md says what goes over the wire.
//
//	client, err := odradek.Connect(ctx, "tcp://127.0.0.1:9192")
//	producer, err := client.Producer(ctx)
//	err = producer.Send(ctx, &odradek.Record{Topic: "orders", Key: key, Value: value})
//	consumer, err := client.Consumer(ctx, "orders", odradek.Earliest)
//	records, err := consumer.Poll(ctx)
//
// The producer is idempotent and keeps the order of each partition; the consumer reads a topic's partitions from an
// offset on. Left out: groups, transactions, compression other than gzip.
package odradek

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// KafkaError is a broker's refusal, by Kafka's number.
type KafkaError int16

func (e KafkaError) Error() string { return fmt.Sprintf("odradek: error %d", int16(e)) }

var retriable = []KafkaError{2, 3, 5, 6, 7, 8, 9, 13, 14, 15, 16, 19, 20, 56, 74, 75, 76, 78, 100}

func check(code int16) error {
	if code == 0 {
		return nil
	}
	return KafkaError(code)
}

func mayRetry(err error) bool {
	var refusal KafkaError
	return errors.Is(err, ErrDisconnected) || errors.As(err, &refusal) && slices.Contains(retriable, refusal)
}

// Client is safe for use by many goroutines.
type Client struct {
	id          string
	endpoints   []string
	mutex       sync.Mutex
	connections map[string]*connection
	brokers     map[int32]string
	leaders     map[string]map[int32]int32
}

// Connect asks any of the endpoints (tcp://host:port, ipc://path) for the others.
func Connect(ctx context.Context, endpoints ...string) (*Client, error) {
	c := &Client{id: "odradek-go", endpoints: endpoints, connections: map[string]*connection{},
		brokers: map[int32]string{}, leaders: map[string]map[int32]int32{}}
	return c, c.refresh(ctx)
}

// Close fails what is under way.
func (c *Client) Close() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, connection := range c.connections {
		connection.close()
	}
}

func (c *Client) at(endpoint string) (*connection, error) {
	c.mutex.Lock()
	found := c.connections[endpoint]
	c.mutex.Unlock()
	if found != nil {
		found.mutex.Lock()
		isClosed := found.isClosed
		found.mutex.Unlock()
		if !isClosed {
			return found, nil
		}
	}
	fresh, err := dial(endpoint, c.id)
	if err == nil {
		c.mutex.Lock()
		c.connections[endpoint] = fresh
		c.mutex.Unlock()
	}
	return fresh, err
}

func (c *Client) anyone(ctx context.Context, key int16, body []byte) (r *reader, err error) {
	c.mutex.Lock()
	endpoints := slices.Clone(c.endpoints)
	for _, endpoint := range c.brokers {
		endpoints = append(endpoints, endpoint)
	}
	c.mutex.Unlock()
	for _, endpoint := range endpoints {
		var connection *connection
		if connection, err = c.at(endpoint); err == nil {
			if r, err = connection.request(ctx, key, body); err == nil {
				return r, nil
			}
		}
	}
	return nil, err
}

func (c *Client) refresh(ctx context.Context, topics ...string) error {
	w := &writer{}
	w.int32(int32(len(topics)))
	for _, topic := range topics {
		w.string(topic)
	}
	w.int8(1)
	r, err := c.anyone(ctx, metadata, w.b)
	if err != nil {
		return err
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	r.int32()
	c.brokers = map[int32]string{}
	r.array(func() {
		id, host, port := r.int32(), r.string(), r.int32()
		r.string()
		if c.brokers[id] = host; port != 0 {
			c.brokers[id] = fmt.Sprintf("tcp://%s:%d", host, port)
		}
	})
	r.string()
	r.int32()
	r.array(func() {
		code, topic := r.int16(), r.string()
		r.int8()
		partitions := map[int32]int32{}
		r.array(func() {
			r.int16()
			index, leader := r.int32(), r.int32()
			partitions[index] = leader
			r.array(func() { r.int32() })
			r.array(func() { r.int32() })
		})
		if code == 0 {
			c.leaders[topic] = partitions
		}
	})
	return r.err
}

func (c *Client) partitions(ctx context.Context, topic string) ([]int32, error) {
	for attempt := 0; ; attempt++ {
		c.mutex.Lock()
		var found []int32
		for partition := range c.leaders[topic] {
			found = append(found, partition)
		}
		c.mutex.Unlock()
		if slices.Sort(found); len(found) > 0 {
			return found, nil
		}
		if attempt == 50 {
			return nil, fmt.Errorf("odradek: %s does not exist", topic)
		}
		if err := c.refresh(ctx, topic); err != nil && !mayRetry(err) {
			return nil, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// askLeader asks again and again with fresh metadata, while that may help and ctx lasts.
func (c *Client) askLeader(
	ctx context.Context, topic string, partition int32, key int16, body []byte, read func(*reader) error,
) error {
	for {
		err := c.askOnce(ctx, topic, partition, key, body, read)
		if err == nil || !mayRetry(err) || ctx.Err() != nil {
			return err
		}
		time.Sleep(50 * time.Millisecond)
		_ = c.refresh(ctx, topic)
	}
}

func (c *Client) askOnce(
	ctx context.Context, topic string, partition int32, key int16, body []byte, read func(*reader) error,
) error {
	c.mutex.Lock()
	endpoint, isThere := c.brokers[c.leaders[topic][partition]]
	c.mutex.Unlock()
	if !isThere {
		return KafkaError(5)
	}
	connection, err := c.at(endpoint)
	if err != nil {
		return err
	}
	r, err := connection.request(ctx, key, body)
	if err != nil {
		return err
	}
	if err := read(r); err != nil {
		return err
	}
	return r.err
}

// onePartition is the shape of most requests: one topic, one partition of it.
func onePartition(w *writer, topic string, partition int32) {
	w.int32(1)
	w.string(topic)
	w.int32(1)
	w.int32(partition)
}
