package sidecar

import (
	"encoding/json"
	"fmt"
	"time"
)

// Status is what podsignal says of one rule in podsignal status --json, as far as it is used here.
// The README.md of podsignal describes it, under "JSON of /status".
type Status struct {
	Version  string     `json:"version"`
	Rule     string     `json:"rule"`
	Exclude  []string   `json:"exclude"`
	Process  string     `json:"process"`
	URL      string     `json:"url"`
	DryRun   bool       `json:"dry_run"`
	OnDisk   *Digest    `json:"on_disk"`
	Paths    []Path     `json:"paths"`
	Rejected *Rejection `json:"rejected"`
	Pending  string     `json:"pending"`
	Hold     string     `json:"hold"`
	Held     time.Time  `json:"held_since"`
	Stale    string     `json:"stale"`
	Targets  []Target   `json:"targets"`
}

// Path is what a path of FILE shows.
type Path struct {
	Path   string `json:"path"`
	Digest string `json:"digest"` // in full; empty: nothing is there
	Secret bool   `json:"secret"`
	Local  bool   `json:"local"` // nobody outside of this pod can know what it shows
}

// Target is one process, or URL.
type Target struct {
	PID      int        `json:"pid"`
	Running  *Digest    `json:"running"`
	Rejected *Rejection `json:"rejected"`
	Outcome  string     `json:"outcome"`
	Pending  string     `json:"pending"`
	Held     bool       `json:"held"`
}

// Digest is that of a rule, of which podsignal shows the first 12 digits. It cannot be compared with
// that of another pod if one of the paths shows a Secret.
type Digest struct {
	Digest string    `json:"digest"`
	Since  time.Time `json:"since"`
}

// Rejection is a digest that was rejected, and how: refused, invalid or died.
type Rejection struct {
	Digest
	Outcome string `json:"outcome"`
}

// parse reads what podsignal status --json prints: one document, or several with RULES.
func parse(out []byte) ([]Status, error) {
	var doc struct {
		Rules []Status `json:"rules"`
		Status
	}
	if err := json.Unmarshal(out, &doc); err != nil {
		return nil, fmt.Errorf("podsignal status --json prints no JSON: %w", err)
	}
	all := doc.Rules
	if all == nil {
		all = []Status{doc.Status}
	}
	for i := range all {
		if field := all[i].missing(); field != "" {
			return nil, fmt.Errorf("its status has no %s, which this plugin needs: use podsignal's image of the plugin's version", field)
		}
	}
	return all, nil
}

// missing is a field that a podsignal which fits this plugin would have set; empty: there is none.
// Without paths nothing would be compared, and so everything be live.
func (s *Status) missing() string {
	switch {
	case s.Targets == nil:
		return "targets"
	case s.OnDisk != nil && len(s.Paths) == 0:
		return "paths"
	}
	return ""
}

// Rejection is the one of what is on disk; nil if it is not rejected.
func (s *Status) Rejection() *Rejection {
	all := []*Rejection{s.Rejected}
	for i := range s.Targets {
		all = append(all, s.Targets[i].Rejected)
	}
	for _, r := range all {
		if r != nil && s.OnDisk != nil && r.Digest.Digest == s.OnDisk.Digest {
			return r
		}
	}
	return nil
}

// Undelivered is why a target was not notified of what is on disk; empty: all were.
func (s *Status) Undelivered() string {
	if s.DryRun {
		return "DRY_RUN sends nothing"
	}
	for _, t := range s.Targets {
		if t.Pending != "" {
			return t.Pending
		}
	}
	return ""
}

// Runs tells whether there is evidence that all targets run what is on disk.
func (s *Status) Runs() bool {
	for _, t := range s.Targets {
		if t.Running == nil || s.OnDisk == nil || t.Running.Digest != s.OnDisk.Digest {
			return false
		}
	}
	return len(s.Targets) > 0
}
