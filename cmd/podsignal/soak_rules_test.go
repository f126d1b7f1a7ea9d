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
)

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
	sent    int

	// What podsignal has logged of it since it started.
	looks   int            // that found no change
	digest  string         // at the last of them
	applied map[int]string // by pid; 0 is the URL
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
		set: []string{"SIGNAL=USR1", "START_GRACE=500ms"},
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

// allow permits n more signals to each of its targets.
func (r *rule) allow(n int) {
	if n == 0 {
		return
	}
	r.calm = false
	for _, t := range r.targets {
		t.allowed += n
	}
}

// signalled is one of the rules that signal.
func (s *soak) signalled() *rule { return s.rules[s.IntN(2)] }

// targets are those of all rules.
func (s *soak) targets() (all []*target) {
	for _, r := range s.rules {
		all = append(all, r.targets...)
	}
	return all
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
	for _, name := range slices.Concat(s.rules[0].watched, s.rules[1].watched, s.rules[2].watched) {
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
