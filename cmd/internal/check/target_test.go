package check

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/podsignal/podsignal/signal"
)

// A target that has nothing but a subPath mount, or a stale one of a single file, will not
// read what is new; a single file may be edited in place.
func TestCheckMountsOfTarget(t *testing.T) {
	for _, test := range []struct {
		mount   signal.SubPath
		folders []string
		want    Level
	}{
		{signal.SubPath{Kind: signal.KindSubPath}, nil, LevelFail},
		{signal.SubPath{Kind: signal.KindSubPath}, []string{"/conf"}, LevelWarn},
		{signal.SubPath{Kind: signal.KindSingle}, nil, LevelWarn},
		{signal.SubPath{Kind: signal.KindSingle, Stale: true}, nil, LevelFail},
		{signal.SubPath{Kind: signal.KindFolder, Stale: true}, nil, LevelFail},
	} {
		var r Report
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
	var r Report
	r.target(signal.Process{PID: 7, Name: "nginx", Mounts: []signal.Mounted{{Own: "/"}}})
	last := r.Findings[len(r.Findings)-1]
	if last.Level != LevelWarn || last.About != "volume" || !strings.Contains(last.Text, "FILE is in podsignal's own file system") {
		t.Errorf("it says: %+v", last)
	}
}

// On a machine without containers, the target has the same "/".
func TestCheckSameFileSystem(t *testing.T) {
	for _, test := range []struct {
		mounted signal.Mounted
		want    string
	}{
		{signal.Mounted{Own: "/", Folders: []string{"/", "/var/lib/docker"}}, "nginx (pid 7) has the same root file system as podsignal, and FILE is in that"},
		{signal.Mounted{Own: "/", Folders: []string{"/host"}}, "nginx (pid 7) mounts what is at / here, at /host"},
		{signal.Mounted{Own: "/v", Folders: []string{"/"}}, "nginx (pid 7) mounts what is at /v here, at /"},
	} {
		var r Report
		r.target(signal.Process{PID: 7, Name: "nginx", Mounts: []signal.Mounted{test.mounted}})
		if last := r.Findings[len(r.Findings)-1]; last.Level != LevelOK || last.About != "volume" || last.Text != test.want {
			t.Errorf("of %+v it says: %+v", test.mounted, last)
		}
	}
}

// What is the same for all rules is printed once, by the worst of what was found; the verdict
// of each rule counts it.
func TestCheckRulesInCommon(t *testing.T) {
	one, two := &Report{Rule: "web", UID: 7, Folders: []string{"/a", "/b"}}, &Report{Rule: "mail", UID: 7, Folders: []string{"/b", "/c"}, Signal: "HUP"}
	for _, r := range []*Report{one, two} {
		r.add(LevelOK, "inotify", "%s", r.available(2)).common = true
		r.add(LevelOK, "namespace", "shared").common = true
		r.add(LevelOK, "file", "of its own")
	}
	check := func(want string) {
		t.Helper()
		var b strings.Builder
		if err := (&reports{Rules: []*Report{one, two}}).print(&b); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, b.String()); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
	one.Verdict, two.Verdict, one.URL = LevelOK, LevelOK, "http://web/"
	const rest = `
rule web

ok    file        of its own

ok: podsignal would work: a change calls http://web/

rule mail

ok    file        of its own

`
	const taken = "; uid 7 uses 0 of 0 instances and 0 of 0 watches, as far as visible\n"
	check("ok    inotify     an instance and 3 watches are available" + taken + "ok    namespace   shared\n" + rest + "ok: podsignal would work: a change sends HUP to \n")

	two.Findings[0] = Finding{Level: LevelWarn, About: "inotify", Text: "none", common: true}
	two.Findings[1] = Finding{Level: LevelFail, About: "namespace", Text: "not shared", common: true}
	check("warn  inotify     none\nFAIL  namespace   not shared\n" + rest + "FAIL: podsignal would not work: 1 error to fix, with 1 warning\n")
}
