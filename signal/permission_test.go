package signal

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// The error names both uids and the fix.
func TestS1(t *testing.T) {
	const equal = "podsignal and nginx (pid 7) both run as uid 101, yet HUP is not permitted: allow it in the AppArmor or SELinux profile: operation not permitted"
	for name, test := range map[string]struct {
		ours, uid, savedUID int
		mayKill             bool
		want                string
	}{
		"target is root": {
			65532, 0, 0, false,
			`podsignal runs as uid 65532, nginx (pid 7) as uid 0: set securityContext.runAsUser: 0 and runAsNonRoot: false on this container (Compose: user: "0"): operation not permitted`,
		},
		"target is another": {
			65532, 101, 101, false,
			`podsignal runs as uid 65532, nginx (pid 7) as uid 101: set securityContext.runAsUser: 101 on this container (Compose: user: "101"): operation not permitted`,
		},
		"root without a capability": {
			0, 101, 101, false,
			`podsignal runs as uid 0, nginx (pid 7) as uid 101: set securityContext.runAsUser: 101, or add the capability KILL, on this container (Compose: user: "101"): operation not permitted`,
		},
		"root with the capability": {
			0, 101, 101, true,
			`podsignal runs as uid 0, with the capability KILL, yet HUP to nginx (pid 7), of uid 101, is not permitted: allow it in the AppArmor or SELinux profile: operation not permitted`,
		},
		"equal":                                {101, 101, 101, false, equal},
		"equal to the real one, which counts":  {101, 101, 33, false, equal},
		"equal to the saved one, which counts": {101, 33, 101, false, equal},
	} {
		for way, noPidfd := range ways {
			t.Run(name+", "+way, func(t *testing.T) {
				p := nginx(7)
				p.uid, p.savedUID = test.uid, test.savedUID
				f := newFake(t, p)
				f.sys.uid, f.mayKill = test.ours, test.mayKill
				f.noPidfd, f.denied = noPidfd, unix.EPERM
				err := only(t, f.finder(Options{})).Send(unix.SIGHUP)
				if !errors.Is(err, unix.EPERM) || err.Error() != test.want {
					t.Errorf("%v\nwant %s", err, test.want)
				}
			})
		}
	}
}
