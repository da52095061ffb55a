package odradek

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"
)

// Header is one of a record's headers, in their order.
type Header struct {
	Name  string
	Value []byte
}

// Record as it is sent (Topic, Key, Value, Headers) and as it comes back (all of it). A nil Value is a tombstone.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	Timestamp time.Time
	Key       []byte
	Value     []byte
	Headers   []Header
}

func encodeBatch(records []*Record, producerID int64, epoch int16, sequence int32) []byte {
	first := records[0].Timestamp.UnixMilli()
	last := first
	for _, record := range records {
		last = max(last, record.Timestamp.UnixMilli())
	}
	tail := &writer{}
	tail.int16(0)
	tail.int32(int32(len(records) - 1))
	tail.int64(first)
	tail.int64(last)
	tail.int64(producerID)
	tail.int16(epoch)
	tail.int32(sequence)
	tail.int32(int32(len(records)))
	for index, record := range records {
		each := &writer{}
		each.int8(0)
		each.varint(record.Timestamp.UnixMilli() - first)
		each.varint(int64(index))
		each.varbytes(record.Key)
		each.varbytes(record.Value)
		each.varint(int64(len(record.Headers)))
		for _, header := range record.Headers {
			each.varbytes([]byte(header.Name))
			each.varbytes(header.Value)
		}
		tail.varbytes(each.b)
	}
	batch := &writer{}
	batch.int64(0)
	batch.int32(int32(len(tail.b) + 9))
	batch.int32(-1)
	batch.int8(2)
	batch.int32(int32(crc32.Checksum(tail.b, castagnoli)))
	return append(batch.b, tail.b...)
}

// decodeBatches returns the records at or above from, and the offset after everything that is whole.
func decodeBatches(topic string, partition int32, data []byte, from int64) (found []*Record, next int64, err error) {
	next = from
	for len(data) >= 12 {
		head := &reader{b: data}
		base, size := head.int64(), int(head.int32())+12
		if size > len(data) {
			break // cut off by MaxBytes: it comes whole next time
		}
		r := &reader{b: data[12:size]}
		r.int32()
		if magic := r.int8(); magic != 2 {
			return nil, from, fmt.Errorf("odradek: a record batch of format %d", magic)
		}
		if crc := uint32(r.int32()); crc != crc32.Checksum(r.b, castagnoli) {
			return nil, from, errors.New("odradek: a batch is corrupt")
		}
		data = data[size:]
		attributes := r.int16()
		next = base + int64(r.int32()) + 1
		first := r.int64()
		r.take(8 + 8 + 2 + 4)
		count := r.int32()
		if attributes&0x20 != 0 {
			continue // a transaction's marker
		}
		switch attributes & 7 {
		case 0:
		case 1:
			unpacked, err := gzip.NewReader(bytes.NewReader(r.b))
			if err != nil {
				return nil, from, err
			}
			if r.b, err = io.ReadAll(unpacked); err != nil {
				return nil, from, err
			}
		default:
			return nil, from, errors.New("odradek: only gzip is known of the codecs")
		}
		for ; count > 0 && r.err == nil; count-- {
			r.varint()
			r.int8()
			record := &Record{Topic: topic, Partition: partition, Timestamp: time.UnixMilli(first + r.varint())}
			record.Offset = base + r.varint()
			record.Key, record.Value = r.varbytes(), r.varbytes()
			for n := r.varint(); n > 0 && r.err == nil; n-- {
				record.Headers = append(record.Headers, Header{string(r.varbytes()), r.varbytes()})
			}
			if record.Offset >= from {
				found = append(found, record)
			}
		}
		if r.err != nil {
			return nil, from, r.err
		}
	}
	return found, next, nil
}
