// Package annotation is the closed list of the annotations by which a pod asks for podsignal:
// what each means and may be. podsignal inject and the admission policies both take it from here.
package annotation

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/podsignal/podsignal/signal"
)

// Prefix begins the key of each.
const Prefix = "podsignal/"

// An Annotation is one of the list.
type Annotation struct {
	Name     string // without Prefix
	Variable string // of podsignal's that it sets; empty: it says how the sidecar is added

	// Pattern is what a value must match, in full and without spaces around it, in RE2's syntax,
	// which the rules of a policy (CEL) have too. It takes no value that makes podsignal end, or
	// a pod invalid, but for a Cmdline that is no regular expression.
	Pattern string
	Use     string // what an error tells to use
	Policy  bool   // the admission policies honour it; inject honours all
}

// All are the annotations.
var All = []Annotation{
	{Name: "process", Variable: "PROCESS", Pattern: `[^/\x00-\x1f]+`, Use: "the command name alone, such as nginx", Policy: true},
	{Name: "cmdline", Variable: "CMDLINE", Pattern: `[^\x00-\x1f]+`, Use: `a regular expression (RE2), such as -jar .*app\.jar`, Policy: true},
	{Name: "signal", Variable: "SIGNAL", Pattern: signals(), Use: "a signal that a program can catch, such as HUP, USR1, USR2, QUIT or TERM", Policy: true},
	{Name: "file", Variable: "FILE", Pattern: paths, Use: "paths that begin with /, comma-separated, such as /etc/nginx/conf.d", Policy: true},
	{Name: "exclude", Variable: "EXCLUDE", Pattern: `[^\x00-\x1f\\{}[\]]+`, Use: "patterns of paths without braces and brackets, comma-separated, such as **/*.md", Policy: true},
	{Name: "min-interval", Variable: "MIN_INTERVAL", Pattern: duration, Use: "a duration, such as 500ms, 6s or 5m", Policy: true},
	{Name: "splay", Variable: "SPLAY", Pattern: duration, Use: "a duration, such as 30s or 5m", Policy: true},
	{Name: "expect", Variable: "EXPECT", Pattern: `(?i:replaced|read|none)`, Use: "replaced, read or none", Policy: true},
	{Name: "reload-url", Variable: "RELOAD_URL", Pattern: `https?://(127\.0\.0\.1|\[::1\]|localhost)(:` + port + `)?([/?]` + urlRest + `)?`, Use: "a URL of this pod, such as http://127.0.0.1:9090/-/reload", Policy: true},
	{Name: "listen", Variable: "LISTEN", Pattern: `:?` + port, Use: "a port, such as 9533", Policy: true},
	{Name: "hold", Variable: "HOLD", Pattern: `true|false`, Use: "true or false", Policy: true},

	{Name: "container", Pattern: label, Use: "the name of the program's container", Policy: true},
	{Name: "volume", Pattern: label + `( *, *` + label + `)*`, Use: "names of volumes, comma-separated", Policy: true},
	{Name: "uid", Pattern: `keep|` + uid, Use: "a number, such as 101, or keep", Policy: true},
	{Name: "image", Pattern: `[a-zA-Z0-9][-a-zA-Z0-9._/:@]*`, Use: "an image, such as podsignal:0.1.0"},
	{Name: "validate", Variable: "VALIDATE", Pattern: `[^\x00]+`, Use: `a command, such as "nginx -t -q"`},
}

// Reserved are names that have a meaning, or will have one, but set nothing.
var Reserved = []string{"synced-at", "approved"}

// What podsignal/hold gives a pod: a volume of the downward API that has podsignal/approved, the
// approved digests, as a file, mounted into podsignal's container alone.
const (
	HoldVolume = "podsignal-hold"
	HoldFolder = "/podinfo"
	HoldItem   = "approved"
	HoldFile   = HoldFolder + "/" + HoldItem // HOLD
	HoldField  = "metadata.annotations['podsignal/approved']"

	// NotWithHold matches paths that are in that folder or above it, or may be, and so can be neither
	// in FILE nor where a volume is mounted. It is for functions that search a pattern anywhere.
	NotWithHold = `^(/+\.)*/*$|^(/+\.)*/+podinfo(/|$)|/\.\.(/|$)`
)

const (
	label = `[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?` // RFC 1123
	paths = ` *` + path + `( *, *` + path + `)*`
	path  = `/[^\x00-\x1f,*?[{]*`

	// Whoever writes more digits means more than the year that podsignal allows.
	duration = `0|([0-9]{1,6}(\.[0-9]{1,9})?(ns|us|µs|ms|s)|[0-9]{1,4}m|[0-9]{1,3}h){1,3}`

	port    = `([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])`
	urlRest = `([-A-Za-z0-9._~:/?@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*`

	// Kubernetes takes those that fit 31 bits.
	uid = `0|[1-9][0-9]{0,8}|1[0-9]{9}|20[0-9]{8}|21[0-3][0-9]{7}|214[0-6][0-9]{6}|2147[0-3][0-9]{5}|21474[0-7][0-9]{4}|214748[0-2][0-9]{3}|2147483[0-5][0-9]{2}|21474836[0-3][0-9]|214748364[0-7]`
)

// signals match each that podsignal takes: by name, or by number.
func signals() string {
	const highest = 64
	var names, numbers []string
	for i := 1; i <= highest; i++ {
		number := strconv.Itoa(i)
		sig, err := signal.Parse(number)
		if err != nil {
			continue
		}
		numbers = append(numbers, number)
		if name := signal.Name(sig); name != number {
			names = append(names, name)
		}
	}
	return `(?i:SIG)?(?i:` + strings.Join(names, "|") + `)|` + strings.Join(numbers, "|")
}

// Key is the annotation's, in full.
func (a *Annotation) Key() string { return Prefix + a.Name }

// Check tells whether a value, without spaces around it, is one that the annotation may have.
// The error continues a sentence that begins with the annotation and the value.
func (a *Annotation) Check(value string) error {
	if !regexp.MustCompile(a.Anchored()).MatchString(value) {
		return errors.New("is not valid: use " + a.Use)
	}
	if a.Variable == "CMDLINE" {
		if _, err := regexp.Compile(value); err != nil {
			return errors.New("is not valid: use " + a.Use)
		}
	}
	return nil
}

// Anchored is the pattern for functions that search it anywhere.
func (a *Annotation) Anchored() string { return `^(` + a.Pattern + `)$` }

// Find returns the annotation of this name, or nil.
func Find(name string) *Annotation {
	i := slices.IndexFunc(All, func(a Annotation) bool { return a.Name == name })
	if i < 0 {
		return nil
	}
	return &All[i]
}
