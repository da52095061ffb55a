package odradek

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errShort = errors.New("odradek: a frame ends early")

type writer struct{ b []byte }

func (w *writer) int8(n int8)   { w.b = append(w.b, byte(n)) }
func (w *writer) int16(n int16) { w.b = binary.BigEndian.AppendUint16(w.b, uint16(n)) }
func (w *writer) int32(n int32) { w.b = binary.BigEndian.AppendUint32(w.b, uint32(n)) }
func (w *writer) int64(n int64) { w.b = binary.BigEndian.AppendUint64(w.b, uint64(n)) }

func (w *writer) string(s string) {
	w.int16(int16(len(s)))
	w.b = append(w.b, s...)
}

func (w *writer) null() { w.int16(-1) }

func (w *writer) bytes(b []byte) {
	w.int32(int32(len(b)))
	w.b = append(w.b, b...)
}

func (w *writer) varint(n int64) { w.b = binary.AppendVarint(w.b, n) }

func (w *writer) varbytes(b []byte) {
	if b == nil {
		w.varint(-1)
		return
	}
	w.varint(int64(len(b)))
	w.b = append(w.b, b...)
}

// reader remembers its first error; what is read after it is zero.
type reader struct {
	b   []byte
	err error
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.err, r.b = errShort, nil
		return make([]byte, 8)
	}
	found := r.b[:n]
	r.b = r.b[n:]
	return found
}

func (r *reader) int8() int8   { return int8(r.take(1)[0]) }
func (r *reader) int16() int16 { return int16(binary.BigEndian.Uint16(r.take(2))) }
func (r *reader) int32() int32 { return int32(binary.BigEndian.Uint32(r.take(4))) }
func (r *reader) int64() int64 { return int64(binary.BigEndian.Uint64(r.take(8))) }

func (r *reader) string() string {
	if n := r.int16(); n > 0 {
		return string(r.take(int(n)))
	}
	return ""
}

func (r *reader) bytes() []byte {
	if n := r.int32(); n > 0 {
		return r.take(int(n))
	}
	return nil
}

func (r *reader) array(each func()) {
	for n := r.int32(); n > 0 && r.err == nil; n-- {
		each()
	}
}

func (r *reader) varint() int64 {
	n, size := binary.Varint(r.b)
	if size <= 0 {
		r.err = errShort
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) varbytes() []byte {
	if n := r.varint(); n >= 0 {
		return r.take(int(n))
	}
	return nil
}

// murmur2 is the hash by which Java's producer chooses a key's partition.
func murmur2(key []byte) int32 {
	const m = 0x5bd1e995
	h := uint32(0x9747b28c) ^ uint32(len(key))
	for ; len(key) >= 4; key = key[4:] {
		k := binary.LittleEndian.Uint32(key) * m
		k = (k ^ k>>24) * m
		h = h*m ^ k
	}
	switch len(key) {
	case 3:
		h ^= uint32(key[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(key[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(key[0])) * m
	}
	h = (h ^ h>>13) * m
	return int32(h ^ h>>15)
}
