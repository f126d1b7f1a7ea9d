package deliver

import (
	"context"

	"github.com/podsignal/podsignal/cmd/internal/config"
	"github.com/podsignal/podsignal/cmd/internal/verify"
	"github.com/podsignal/podsignal/signal"
)

// processes are what finds targets, and tells of them.
type processes struct {
	find        finding
	findNew     finding                   // cheaper, and misses late titles
	findStarted finding                   // cheaper still, and misses all new names
	exits       <-chan struct{}           // a target has ended, or what was awaited can be read
	await       func(fd int) error        // has exits tell, once, that it can be read
	watched     func(*signal.Target) bool // exits tells of this one
	ended       func(*signal.Target) bool
	children    func(*signal.Target) (map[int]bool, error)
}

// finding is a search for targets.
type finding = func(context.Context) ([]*signal.Target, error)

// processesOf are those of a rule.
func processesOf(rule config.Rule, finder *signal.Finder) processes {
	p := processes{
		find:        finder.Find,
		findNew:     finder.FindNew,
		findStarted: finder.FindStarted,
		exits:       finder.Ended(),
		await:       finder.Await,
		watched:     (*signal.Target).Watched,
		ended:       (*signal.Target).Ended,
		children:    (*signal.Target).Children,
	}
	if rule.Reload != nil {
		p.targetsOfURL(rule)
	}
	return p
}

// targetsOfURL has one process counted: the oldest, so that a change counts as read only
// when all of them have started after it. Without PROCESS, nothing is known of who answers.
func (p *processes) targetsOfURL(rule config.Rule) {
	whoever := []*signal.Target{{Name: rule.Reload.Shown()}}
	one := func(find finding) finding {
		return func(ctx context.Context) ([]*signal.Target, error) {
			if rule.Process == "" {
				return whoever, nil
			}
			targets, err := find(ctx)
			return targets[:min(1, len(targets))], err
		}
	}
	p.find, p.findNew, p.findStarted = one(p.find), one(p.findNew), one(p.findStarted)
}

// verifyOptions have the effects of signals watched; a call's effect is its answer.
func verifyOptions(rule config.Rule, procs processes, f files) verify.Options {
	options := verify.Options{
		Within:   rule.Verify,
		Signal:   rule.Signal,
		Expect:   rule.Expect,
		Children: procs.children,
		Ended:    procs.ended,
		Watched:  procs.watched,
		Await:    procs.await,
		Opens:    f.opens,
		Settling: f.settling,
	}
	if rule.Reload != nil {
		options.Within = 0
	}
	return options
}
