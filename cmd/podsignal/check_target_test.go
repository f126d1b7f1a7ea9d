package main

import (
	"strings"
	"testing"

	"github.com/podsignal/podsignal/signal"
)

// A target that has nothing but a subPath mount, or a stale one of a single file, will not
// read what is new; a single file may be edited in place.
func TestCheckMountsOfTarget(t *testing.T) {
	for _, test := range []struct {
		mount   signal.SubPath
		folders []string
		want    level
	}{
		{signal.SubPath{Kind: signal.KindSubPath}, nil, levelFail},
		{signal.SubPath{Kind: signal.KindSubPath}, []string{"/conf"}, levelWarn},
		{signal.SubPath{Kind: signal.KindSingle}, nil, levelWarn},
		{signal.SubPath{Kind: signal.KindSingle, Stale: true}, nil, levelFail},
		{signal.SubPath{Kind: signal.KindFolder, Stale: true}, nil, levelFail},
	} {
		var r report
		r.target(signal.Process{PID: 7, Mounts: []signal.Mounted{{Own: "/conf", Folders: test.folders, SubPaths: []signal.SubPath{test.mount}}}})
		for _, f := range r.Findings {
			if strings.Contains(f.Text, " has a ") && f.Level != test.want {
				t.Errorf("%+v: %+v, want %s", test, f, test.want)
			}
		}
	}
}

// The folder of FILE is there without a mount of its own, as the one that holds a
// subPath mount is: "/" is not where anybody would look.
func TestCheckFileInOwnFileSystem(t *testing.T) {
	var r report
	r.target(signal.Process{PID: 7, Name: "nginx", Mounts: []signal.Mounted{{Own: "/"}}})
	last := r.Findings[len(r.Findings)-1]
	if last.Level != levelWarn || last.About != "volume" || !strings.Contains(last.Text, "FILE is in podsignal's own file system") {
		t.Errorf("it says: %+v", last)
	}
}
