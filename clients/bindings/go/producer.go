package odradek

import (
	"context"
	"sync"
	"time"
)

const duplicateSequence = 46

// Producer is idempotent: each record is written once, in the order of sending for each partition.
type Producer struct {
	client *Client
	id     int64
	epoch  int16
	mutex  sync.Mutex
	queues map[string]map[int32]*queue
	round  int
}

type queue struct {
	mutex    sync.Mutex
	sequence int32
}

// Producer asks for a producer id.
func (c *Client) Producer(ctx context.Context) (*Producer, error) {
	w := &writer{}
	w.null()
	w.int32(60_000)
	r, err := c.anyone(ctx, initProducerID, w.b)
	if err != nil {
		return nil, err
	}
	r.int32()
	if err := check(r.int16()); err != nil {
		return nil, err
	}
	p := &Producer{client: c, queues: map[string]map[int32]*queue{}}
	p.id, p.epoch = r.int64(), r.int16()
	return p, r.err
}

// Send returns when all replicas in sync have the records, whose Partition and Offset are filled in then. Those of one
// partition go as one batch: give it many. After an error it is open which were written; make a new Producer.
func (p *Producer) Send(ctx context.Context, records ...*Record) error {
	type place struct {
		topic     string
		partition int32
	}
	batches := map[place][]*Record{}
	for _, record := range records {
		partitions, err := p.client.partitions(ctx, record.Topic)
		if err != nil {
			return err
		}
		if record.Timestamp.IsZero() {
			record.Timestamp = time.Now()
		}
		index := int(murmur2(record.Key) & 0x7fffffff)
		if record.Key == nil {
			p.mutex.Lock()
			p.round++
			index = p.round
			p.mutex.Unlock()
		}
		record.Partition = partitions[index%len(partitions)]
		at := place{record.Topic, record.Partition}
		batches[at] = append(batches[at], record)
	}
	failures := make(chan error, len(batches))
	for at, batch := range batches {
		go func() { failures <- p.sendBatch(ctx, at.topic, at.partition, batch) }()
	}
	var first error
	for range batches {
		if err := <-failures; err != nil && first == nil {
			first = err
		}
	}
	return first
}

func (p *Producer) sendBatch(ctx context.Context, topic string, partition int32, records []*Record) error {
	q := p.queueOf(topic, partition)
	q.mutex.Lock() // one batch of a partition is under way at a time: that keeps the order
	defer q.mutex.Unlock()
	w := &writer{}
	w.null()
	w.int16(-1)
	w.int32(30_000)
	onePartition(w, topic, partition)
	w.bytes(encodeBatch(records, p.id, p.epoch, q.sequence))
	return p.client.askLeader(ctx, topic, partition, produce, w.b, func(r *reader) error {
		r.int32()
		r.string()
		r.take(8)
		if code := r.int16(); code != duplicateSequence {
			if err := check(code); err != nil {
				return err
			}
		}
		first := r.int64()
		for index, record := range records {
			record.Offset = first + int64(index)
		}
		q.sequence = (q.sequence + int32(len(records))) & 0x7fffffff
		return nil
	})
}

func (p *Producer) queueOf(topic string, partition int32) *queue {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.queues[topic] == nil {
		p.queues[topic] = map[int32]*queue{}
	}
	if p.queues[topic][partition] == nil {
		p.queues[topic][partition] = &queue{}
	}
	return p.queues[topic][partition]
}
