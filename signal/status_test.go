package signal

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// nginxStatus is what the kernel shows of an nginx master in a pod.
const nginxStatus = `Name:	nginx
Umask:	0022
State:	S (sleeping)
Tgid:	7
Ngid:	0
Pid:	7
PPid:	0
TracerPid:	0
Uid:	0	0	0	0
Gid:	0	0	0	0
FDSize:	64
Groups:	 
NStgid:	7
NSpid:	7
NSpgid:	7
NSsid:	7
Kthread:	0
VmPeak:	   11480 kB
Threads:	1
SigQ:	0/96363
SigPnd:	0000000000000000
ShdPnd:	0000000000000000
SigBlk:	0000000000000000
SigIgn:	0000000040001000
SigCgt:	0000000198016a07
CapInh:	0000000000000000
Speculation_Store_Bypass:	vulnerable
nonvoluntary_ctxt_switches:	0
`

func TestParseStatus(t *testing.T) {
	nginx := status{
		comm: "nginx", state: 'S', innermost: 7,
		ignored: 0x40001000, catch: 0x198016a07,
	}
	with := func(change func(*status)) status {
		s := nginx
		change(&s)
		return s
	}
	for name, test := range map[string]struct {
		old, line string // the line that replaces another
		want      status
	}{
		"as it is": {"", "", nginx},
		"name with a space": {
			"Name:\tnginx", "Name:\tnsd: server 1",
			with(func(s *status) { s.comm = "nsd: server 1" }),
		},
		"name with a key in it": {
			"Name:\tnginx", "Name:\tUid:\t1\t2\t3",
			with(func(s *status) { s.comm = "Uid:\t1\t2\t3" }),
		},
		"name with a newline and a backslash": {
			"Name:\tnginx", `Name:	a\nb\\c\\n`,
			with(func(s *status) { s.comm = "a\nb\\c\\n" }),
		},
		"name with spaces around": {
			"Name:\tnginx", "Name:\t a \r",
			with(func(s *status) { s.comm = " a \r" }),
		},
		"no name": {
			"Name:\tnginx", "Name:\t",
			with(func(s *status) { s.comm = "" }),
		},
		"zombie": {
			"State:\tS (sleeping)", "State:\tZ (zombie)",
			with(func(s *status) { s.state = 'Z' }),
		},
		"real and saved uid": {
			"Uid:\t0\t0\t0\t0", "Uid:\t65532\t1\t101\t2",
			with(func(s *status) { s.uid, s.savedUID = 65532, 101 }),
		},
		"uid as of OpenShift": {
			"Uid:\t0\t0\t0\t0", "Uid:\t1000660000\t0\t0\t0",
			with(func(s *status) { s.uid = 1000660000 }),
		},
		"PID 1 of a namespace within ours": {
			"NSpid:\t7", "NSpid:\t20117\t7\t1",
			with(func(s *status) { s.innermost = 1 }),
		},
		"kernel without PID namespaces": {
			"NSpid:\t7\n", "",
			with(func(s *status) { s.innermost = 0 }),
		},
		"everything blocked": {
			"SigBlk:\t0000000000000000", "SigBlk:\tfffffffe7ffbfeff",
			with(func(s *status) { s.blocked = 0xfffffffe7ffbfeff }),
		},
		"highest signal caught": {
			"SigCgt:\t0000000198016a07", "SigCgt:\t8000000000000000",
			with(func(s *status) { s.catch = 1 << 63 }),
		},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(nginxStatus, test.old, test.line, 1)
			if text == nginxStatus && name != "as it is" {
				t.Fatal("nothing replaced")
			}
			got, err := parseStatus([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(status{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// A missing mask must not count as an empty one: signals would be held back forever, or let
// through.
func TestParseStatusMalformed(t *testing.T) {
	for name, change := range map[string][2]string{
		"no name":              {"Name:\tnginx\n", ""},
		"no state":             {"State:\tS (sleeping)\n", ""},
		"another mask twice":   {"SigCgt:\t0000000198016a07", "SigBlk:\t0000000198016a07"},
		"no uid":               {"Uid:\t0\t0\t0\t0\n", ""},
		"no blocked signals":   {"SigBlk:\t0000000000000000\n", ""},
		"no ignored signals":   {"SigIgn:\t0000000040001000\n", ""},
		"no caught signals":    {"SigCgt:\t0000000198016a07\n", ""},
		"empty state":          {"State:\tS (sleeping)", "State:\t"},
		"empty mask":           {"SigCgt:\t0000000198016a07", "SigCgt:\t"},
		"too few uids":         {"Uid:\t0\t0\t0\t0", "Uid:\t0\t0"},
		"uid no number":        {"Uid:\t0\t0\t0\t0", "Uid:\troot\t0\t0\t0"},
		"saved uid no number":  {"Uid:\t0\t0\t0\t0", "Uid:\t0\t0\troot\t0"},
		"mask no number":       {"SigCgt:\t0000000198016a07", "SigCgt:\tx"},
		"mask too long":        {"SigBlk:\t0000000000000000", "SigBlk:\t10000000000000000"},
		"innermost no number":  {"NSpid:\t7", "NSpid:\tx"},
		"cut":                  {"SigCgt:\t0000000198016a07", "SigCg"},
		"empty":                {nginxStatus, ""},
		"space instead of tab": {"SigIgn:\t", "SigIgn: "},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(nginxStatus, change[0], change[1], 1)
			if text == nginxStatus {
				t.Fatal("nothing replaced")
			}
			if got, err := parseStatus([]byte(text)); err == nil {
				t.Errorf("parsed to %+v", got)
			}
		})
	}
}
