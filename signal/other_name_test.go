package signal

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Matches that are all children of the same program under another name are workers.
func TestP2WorkersOfAnotherName(t *testing.T) {
	member := func(pid, parent int, comm, title string) *proc {
		return &proc{pid: pid, parent: parent, comm: comm, args: []string{title}}
	}
	const alone = "no matching process: web is the name of workers only: their parent (pid 7) is the same program under another name"
	for name, test := range map[string]struct {
		cmdline string
		procs   []*proc
		want    string // the pids of the targets, or the error
	}{
		"workers of one": {
			"",
			[]*proc{member(7, 3, "ruby", "cluster 1.2 (x)"), member(8, 7, "ruby", "web: 0"), member(9, 7, "ruby", "web: 1")},
			alone + ": set PROCESS=cluster",
		},
		"one worker": {
			"",
			[]*proc{member(7, 3, "ruby", "cluster"), member(8, 7, "ruby", "web: 0")},
			alone + ": set PROCESS=cluster",
		},
		"the name is that of others too": {
			"",
			[]*proc{member(7, 3, "ruby", "ruby"), member(8, 7, "ruby", "web: 0"), member(9, 3, "ruby", "ruby")},
			alone + ": set PROCESS=ruby",
		},
		"its workers have that name too": {
			"",
			[]*proc{{pid: 7, parent: 3, comm: "ruby", args: []string{"ruby", "/srv/boot.rb"}}, member(8, 7, "ruby", "web: 0"), {pid: 9, parent: 3, comm: "ruby", args: []string{"ruby", "other.rb"}}},
			alone + `: set PROCESS=ruby and CMDLINE=boot\.rb`,
		},
		"CMDLINE is set": {
			"^web",
			[]*proc{member(7, 3, "ruby", "cluster 1.2"), member(8, 7, "ruby", "web: 0")},
			alone + ": set PROCESS=cluster and unset CMDLINE",
		},
		"of two": {
			"",
			[]*proc{member(7, 3, "ruby", "cluster"), member(8, 7, "ruby", "web: 0"), member(10, 3, "ruby", "cluster"), member(9, 10, "ruby", "web: 1")},
			"8 9",
		},
		"of another program": {
			"",
			[]*proc{member(7, 3, "init", "init"), member(8, 7, "ruby", "web: 0"), member(9, 7, "ruby", "web: 1")},
			"8 9",
		},
		"only some are of the same": {
			"",
			[]*proc{member(7, 3, "ruby", "cluster"), member(8, 7, "ruby", "web: 0"), member(9, 7, "main", "web: 1")},
			"8 9",
		},
		"CMDLINE leaves out the parent": {
			"0$",
			[]*proc{member(7, 3, "ruby", "web: master"), member(8, 7, "ruby", "web: 0")},
			"8",
		},
		"the parent is the target": {
			"",
			[]*proc{member(7, 3, "ruby", "web 1.2 (x)"), member(8, 7, "ruby", "web: 0")},
			"7",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, append(test.procs, &proc{pid: 3, comm: "sh"})...)
			opts := Options{Name: "web", Signal: unix.SIGHUP}
			if test.cmdline != "" {
				opts.Cmdline = regexp.MustCompile(test.cmdline)
			}
			finder := f.finder(opts)
			for range 3 {
				targets, err := finder.Find(t.Context())
				var got []string
				for _, target := range targets {
					got = append(got, fmt.Sprint(target.PID))
				}
				if err != nil {
					got = []string{err.Error()}
				}
				if strings.Join(got, " ") != test.want {
					t.Fatalf("%s\nwant %s", got, test.want)
				}
			}
			if !strings.HasPrefix(test.want, alone) {
				return
			}
			ended(7)(f)
			const left = "no matching process: only workers are left of web, and workers are not signalled: their master has ended"
			for what, change := range map[string]func(){
				"after its end":     func() {},
				"its pid is reused": func() { f.procs[7] = &proc{pid: 7, comm: "ruby", args: []string{"other"}, started: tick} },
			} {
				change()
				if _, err := finder.Find(t.Context()); !errors.Is(err, ErrNoTarget) || err.Error() != left {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}
