//go:build soak

package main_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// startGrace is START_GRACE of the rule whose signal the targets cannot ignore until they
// have a handler for it.
const startGrace = 2 * time.Second

// A rule is one of podsignal's, and those that it tells. What another rule watches
// beside it must not change what it does.
type rule struct {
	name    string
	watched []string // the paths of FILE, in the folder of the soak
	touched string   // a file of those that is always there, for podsignal to look
	process string   // empty: it calls a URL
	signal  string
	set     []string // its other variables, without prefix
	targets []*target
	calm    bool // nothing of it has been changed since the last quiet point
	stirred bool // something of it has, though it may show the same
	sent    int

	looks int // that podsignal has logged since it started, and that found no change
}

func (s *soak) addRules() {
	s.rules = []*rule{{
		name: "web", watched: []string{"v1", "v2", "secret", "optional", "plain", "link/sub/conf"}, touched: "plain/one",
		process: fmt.Sprintf("soak%d", os.Getpid()), signal: "HUP",
	}, {
		name: "mail", watched: []string{"v1", "v3", "plain"}, touched: "plain/one",
		process: fmt.Sprintf("mail%d", os.Getpid()), signal: "USR1",
		// A Go program always shows this signal as caught, so that only its age tells
		// that it has a handler by now.
		set: []string{"SIGNAL=USR1", "START_GRACE=" + startGrace.String(), "VALIDATE=" + s.path("validator")},
	}, {
		name: "job", watched: []string{"v2", "plain"}, touched: "plain/one",
		process: fmt.Sprintf("job%d", os.Getpid()), signal: "HUP",
		set: []string{"RESYNC=0", "EXPECT=read", "HOLD=" + s.path(approvals)}, // nothing is noticed late, and one volume at once
	}, {
		name: "api", watched: []string{"v1", "secret", "v3", "mirror"}, touched: "real1/sub/conf",
	}}
}

// environment is that of podsignal for the rule.
func (r *rule) environment(s *soak) (env []string) {
	var files []string
	for _, name := range r.watched {
		files = append(files, s.path(name))
	}
	variables := append([]string{"FILE=" + strings.Join(files, ",")}, r.set...)
	if r.process != "" {
		variables = append(variables, "PROCESS="+r.process)
	}
	for _, variable := range variables {
		env = append(env, strings.ToUpper(r.name)+"_"+variable)
	}
	return env
}

func (r *rule) view(s *soak) string { return view(s.dir, r.watched) }

// watches tells whether any of these, which are in the folder of the soak, is watched.
func (r *rule) watches(names []string) bool {
	return slices.ContainsFunc(r.watched, func(path string) bool {
		first, _, _ := strings.Cut(path, "/")
		switch first {
		case "link":
			return slices.Contains(names, "link") || slices.Contains(names, "real0") || slices.Contains(names, "real1")
		case "mirror":
			return slices.Contains(names, "real1")
		}
		return slices.Contains(names, first)
	})
}

// allow permits n more signals to each of its targets.
func (r *rule) allow(n int) {
	r.calm = false
	for _, t := range r.targets {
		t.allowed += n
	}
}

// allowReading permits n more to those that may not have read then what was there before,
// and one to those that start just after it.
func (r *rule) allowReading(n int, then time.Time) {
	calm := r.calm
	r.stirred = true
	for _, t := range r.targets {
		if !calm || !t.known || then.Sub(t.arrived) < readWindow {
			t.allowed += n
			r.calm = false
		}
	}
}

// signalling are the rules that signal.
func (s *soak) signalling() []*rule { return s.rules[:len(s.rules)-1] }

// signalled is one of them; hangUp is one of those that do so by HUP, which a Go program
// can ignore until it has a handler.
func (s *soak) signalled() *rule { return s.signalling()[s.IntN(len(s.signalling()))] }

func (s *soak) hangUp() *rule { return []*rule{s.rules[0], s.rules[2]}[s.IntN(2)] }

// targets are those of all rules.
func (s *soak) targets() (all []*target) {
	for _, r := range s.rules {
		all = append(all, r.targets...)
	}
	return all
}

// withTargets is how many of the rules that signal have targets.
func (s *soak) withTargets() (n int) {
	for _, r := range s.signalling() {
		if len(r.targets) > 0 {
			n++
		}
	}
	return n
}

// pidfds are those that podsignal holds, and for each rule one that tells of them.
func (s *soak) pidfds() int { return len(s.processes()) + s.withTargets() }

// touched are the files at which each rule looks.
func (s *soak) touched() (names []string) {
	for _, r := range s.rules {
		if !slices.Contains(names, r.touched) {
			names = append(names, r.touched)
		}
	}
	return names
}

// processes are the targets that are signalled.
func (s *soak) processes() []*target {
	return slices.DeleteFunc(s.targets(), func(t *target) bool { return t.rule.process == "" })
}

func (s *soak) views() (views []string) {
	for _, r := range s.rules {
		views = append(views, r.view(s))
	}
	return views
}

// calm tells whether it is so for all rules.
func (s *soak) calm() bool {
	return !slices.ContainsFunc(s.rules, func(r *rule) bool { return !r.calm })
}

// view is all that a reader of the watched paths sees, in a line.
func view(dir string, watched []string) string {
	var shown []string
	var walk func(path string)
	walk = func(path string) {
		info, err := os.Stat(filepath.Join(dir, path))
		switch {
		case err != nil:
		case info.Mode().IsRegular():
			b, err := os.ReadFile(filepath.Join(dir, path))
			if err == nil {
				shown = append(shown, path+"="+strings.TrimSpace(string(b)))
			}
		case info.IsDir():
			entries, _ := os.ReadDir(filepath.Join(dir, path))
			for _, e := range entries {
				if !strings.HasPrefix(e.Name(), "..") {
					walk(filepath.Join(path, e.Name()))
				}
			}
		}
	}
	for _, path := range watched {
		walk(path)
	}
	return strings.Join(shown, " ")
}

// folders counts those that podsignal must watch to follow the watched paths: one
// for a volume, all of a plain folder, and those that hold a link or a file. Rules
// share them, by whatever paths they know them.
func (s *soak) folders() int {
	type id struct{ dev, ino uint64 }
	found := make(map[id]bool)
	add := func(folder string) {
		if info, err := os.Stat(folder); err == nil {
			st := info.Sys().(*syscall.Stat_t)
			found[id{st.Dev, st.Ino}] = true
		}
	}
	var watched []string
	for _, r := range s.rules {
		watched = append(watched, r.watched...)
	}
	for _, name := range watched {
		path := s.path(name)
		first, _, _ := strings.Cut(name, "/")
		if link, _ := os.Readlink(s.path(first)); link != "" {
			add(s.dir)
		}
		end, err := filepath.EvalSymlinks(path)
		if err != nil {
			add(s.dir) // it is not there
			continue
		}
		if _, err := os.Lstat(filepath.Join(path, "..data")); err == nil {
			add(path)
			continue
		}
		check(s.t, filepath.WalkDir(end, func(path string, e fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case e.IsDir():
				add(path)
			case path == end:
				add(filepath.Dir(path))
			}
			return nil
		}))
	}
	return len(found)
}
