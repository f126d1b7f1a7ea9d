package config

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"time"
)

// Splay is how replicas spread their signals.
type Splay struct {
	Within   time.Duration // 0: all signal at once
	Hostname string        // that decides this replica's share
	Share    time.Duration // of Within, which this replica waits
}

// shareOf is how much of the time splay the replica of this name waits: at least 0,
// less than splay, and always the same. SHA-256 spreads names evenly that differ in
// their last byte alone, as those of a StatefulSet's pods do.
func shareOf(name string, splay time.Duration) time.Duration {
	sum := sha256.Sum256([]byte(name))
	share, _ := bits.Mul64(binary.BigEndian.Uint64(sum[:]), uint64(splay)) // of a fraction of 2^64
	return time.Duration(share)
}
