package watcher

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// PathDigest is the digest of what one path of Options.Paths shows, as CONTRACT.md defines it
// under "Digest of a path": anyone who has the same files can compute it.
type PathDigest struct {
	Digest [sha256.Size]byte // zero: nothing is there, or EXCLUDE leaves it out

	// Secret says that the path may show a Secret, which may be guessed from the digest if it
	// is short: something of it lies in memory, where the kubelet keeps Secrets (and projected
	// volumes), or it is where containers usually have secrets.
	Secret bool

	// Local says that only this pod can know what the path shows: it is no volume that the
	// kubelet keeps up to date, or the service account's token, or labels and annotations of the
	// downward API. A volume of a CSI driver that is written as the kubelet writes a Secret
	// cannot be told from one.
	Local bool
}

// shown is what one path of FILE shows.
type shown struct {
	path        string
	kind        Kind // empty: nothing is there
	at          place
	first, last int // of the scan's entries, the last not included
	secret      bool
	names       []string // of the volume's folder; nil: they have not been read
	digest      [sha256.Size]byte
}

// there tells whether anything is there that counts.
func (p *shown) there() bool { return p.kind != "" && p.kind != KindExcluded }

// noFiles stands for a path that shows no file: whether there is a folder makes no difference
// to a reader.
const noFiles = "-\n"

// secretKey is of this process alone.
var secretKey = sync.OnceValue(func() []byte {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails
	return key
})

// digest is the same for the same paths with the same contents: that of the only path, or one
// over those of all. If one of them may show a Secret, it says nothing to whoever does not know
// this process's key, so that it can be logged.
func (s *scan) digest() (all [sha256.Size]byte) {
	var lines []byte
	secret := false
	for i := range s.shown {
		p := &s.shown[i]
		secret = secret || p.secret
		p.digest = s.digestOf(p)
		if p.first == p.last {
			lines = append(lines, noFiles...)
		} else {
			lines = append(hex.AppendEncode(lines, p.digest[:]), '\n')
		}
	}
	if len(s.shown) == 1 && len(s.entries) > 0 {
		all = s.shown[0].digest
	} else {
		all = sha256.Sum256(lines)
	}
	if secret {
		mac := hmac.New(sha256.New, secretKey())
		mac.Write(all[:])
		mac.Sum(all[:0])
	}
	return all
}

// digestOf is that of one path: of a file its content's, of a folder one over a line for each
// file, as sha256sum --zero prints them.
func (s *scan) digestOf(p *shown) [sha256.Size]byte {
	entries := s.entries[p.first:p.last]
	if p.at.mode() == unix.S_IFREG && len(entries) == 1 {
		return entries[0].sum
	}
	slices.SortFunc(entries, byPath)
	h := sha256.New()
	var line []byte
	for i := range entries {
		line = hex.AppendEncode(line[:0], entries[i].sum[:])
		line = append(line, "  "...)
		line = append(line, relative(p.path, entries[i].path)...)
		line = append(line, 0)
		h.Write(line)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// inMemory tells whether a file system is kept in memory alone. All files of a volume are on
// one, so that the last answer is remembered.
func (s *scan) inMemory(at *place) bool {
	if s.device.asked && s.device.dev == at.stat.Dev {
		return s.device.memory
	}
	var st unix.Statfs_t
	memory := unix.Statfs(at.real, &st) != nil || st.Type == unix.TMPFS_MAGIC || st.Type == unix.RAMFS_MAGIC
	s.device = device{true, at.stat.Dev, memory}
	return memory
}

// device is what is known of the file system that was asked about last.
type device struct {
	asked  bool
	dev    uint64
	memory bool
}

// maySecret tells whether something may be a Secret, or part of one: it is in memory, or where
// Docker and Kubernetes mount secrets.
func (s *scan) maySecret(at *place) bool {
	return s.inMemory(at) || within(strings.TrimPrefix(at.real, "/var"), "/run/secrets")
}

// mark notes whether what the present path shows may be a Secret.
func (s *scan) mark(at *place) {
	if now := &s.shown[len(s.shown)-1]; !now.secret {
		now.secret = s.inMemory(at)
	}
}

// pathDigests are those of all paths.
func (s *scan) pathDigests() []PathDigest {
	all := make([]PathDigest, len(s.shown))
	for i := range s.shown {
		p := &s.shown[i]
		if p.there() {
			all[i] = PathDigest{Digest: p.digest, Secret: p.secret, Local: s.local(p)}
		}
	}
	return all
}

// local tells whether only this pod can know what a path shows.
func (s *scan) local(p *shown) bool {
	volume := p.at.real
	if p.kind == KindInVolume {
		volume = filepath.Dir(p.at.volume)
	}
	switch {
	case p.kind != KindVolume && p.kind != KindInVolume:
		return true
	case !p.secret:
		return false // a ConfigMap
	case isToken(volume):
		return true
	}
	if p.names == nil || p.kind == KindInVolume { // else they are watched, and the same as before
		p.names, _ = readNames(volume, fewEntries) // none, should they be unreadable
	}
	return tokenNames(p.names) || downwardNames(p.names)
}
