package inject

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/podsignal/podsignal/cmd/internal/annotation"
	"github.com/podsignal/podsignal/cmd/internal/pagetest"
	"github.com/podsignal/podsignal/cmd/internal/validate"
)

// TestFiles runs each testdata/NAME.in.yaml or .json, with the flags in the comment that
// it begins with. What is to be printed is in NAME.golden.yaml or .json, and what is noted
// in NAME.notes; or in NAME.error what is to be fixed.
func TestFiles(t *testing.T) {
	for _, file := range inputs(t) {
		name, ext, _ := strings.Cut(filepath.Base(file), ".in")
		t.Run(name, func(t *testing.T) {
			in := read(t, file)
			wanted := strings.TrimSuffix(file, ".in"+ext)
			out, notes, err := run(in, flagsOf(in)...)

			if want := read(t, wanted+".error"); want != "" {
				if err == nil {
					t.Fatalf("no error, want: %s", want)
				}
				if diff := cmp.Diff(want, err.Error()+"\n"); diff != "" {
					t.Errorf("error, wanted (-) and got (+):\n%s", diff)
				}
				if out != "" {
					t.Errorf("printed, besides the error:\n%s", out)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := read(t, wanted+".golden"+ext)
			if diff := cmp.Diff(want, out); diff != "" {
				t.Errorf("printed, wanted (-) and got (+):\n%s", diff)
			}
			if diff := cmp.Diff(read(t, wanted+".notes"), notes); diff != "" {
				t.Errorf("told, wanted (-) and got (+):\n%s", diff)
			}

			if again, notes, err := run(out, flagsOf(in)...); again != out || notes != "" || err != nil {
				t.Errorf("a second time it changes (%v, told %q):\n%s", err, notes, cmp.Diff(out, again))
			}
			if diff := diffBesides(t, in, out); diff != "" {
				t.Errorf("besides podsignal, it was (-) and is (+):\n%s", diff)
			}
			for line := range strings.Lines(in) {
				if i := strings.Index(line, "#"); i >= 0 && !strings.Contains(out, line[i:]) {
					t.Errorf("the comment is lost: %s", line)
				}
			}

			// The same in the lines of another system, and without the last one's end.
			dos := func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
			if got, _, err := run(dos(in), flagsOf(in)...); got != dos(want) {
				t.Errorf("with CR LF: %v, wanted (-) and got (+):\n%s", err, cmp.Diff(dos(want), got))
			}
			in, want = strings.TrimSuffix(in, "\n"), strings.TrimSuffix(want, "\n")
			if got, _, err := run(in, flagsOf(in)...); got != want {
				t.Errorf("without a last line break: %v, wanted (-) and got (+):\n%s", err, cmp.Diff(want, got))
			}
			if got, _, err := run("\ufeff"+in, flagsOf(in)...); got != "\ufeff"+want {
				t.Errorf("with a byte order mark: %v, wanted (-) and got (+):\n%s", err, cmp.Diff("\ufeff"+want, got))
			}
		})
	}
}

func inputs(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.in.*")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d inputs (%v)", len(files), err)
	}
	return files
}

// read returns what is in a file, nothing if there is none.
func read(t testing.TB, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(content)
}

func flagsOf(in string) []string {
	line, _, _ := strings.Cut(in, "\n")
	flags, ok := strings.CutPrefix(line, "#")
	if !ok {
		return nil
	}
	args, err := validate.Parse(flags) // words in quotes
	if err != nil {
		return nil
	}
	return args
}

func run(in string, args ...string) (out, notes string, err error) {
	var stdout, stderr bytes.Buffer
	err = Run(args, "0.1.0", strings.NewReader(in), &stdout, &stderr)
	return stdout.String(), stderr.String(), err
}

// withoutPodsignal lists the nodes of a manifest, without their places and styles, and
// without what podsignal needs to be in it.
func withoutPodsignal(t testing.TB, manifest string) string {
	t.Helper()
	var b strings.Builder
	for decoder := yaml.NewDecoder(strings.NewReader(manifest)); ; {
		var doc yaml.Node
		if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
			return b.String()
		} else if err != nil {
			t.Fatal(err)
		}
		describe(&b, &doc, "\n")
	}
}

// diffBesides returns in what two manifests differ besides podsignal. It is quick where
// they do not.
func diffBesides(t testing.TB, before, after string) string {
	t.Helper()
	was, is := withoutPodsignal(t, before), withoutPodsignal(t, after)
	if was == is {
		return ""
	}
	return cmp.Diff(was, is)
}

func describe(b *strings.Builder, n *yaml.Node, margin string) {
	fmt.Fprintf(b, "%s%s %q %q", margin, n.ShortTag(), n.Value, n.Anchor)
	margin += " "
	if n.Kind != yaml.MappingNode {
		for _, child := range n.Content {
			describe(b, child, margin)
		}
		return
	}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch key.Value {
		case "shareProcessNamespace":
			continue
		case "initContainers", "containers", "volumes":
			value.Content = slices.DeleteFunc(value.Content, func(c *yaml.Node) bool {
				return slices.Contains([]string{name, installer, binaries, annotation.HoldVolume}, text(c, "name"))
			})
			if len(value.Content) == 0 && value.Value == "" || value.ShortTag() == "!!null" {
				continue
			}
		}
		describe(b, key, margin)
		describe(b, value, margin)
	}
}

func TestArguments(t *testing.T) {
	tests := []struct {
		name, in string
		args     []string
		want     string // of the error
		usage    bool
	}{
		{"an unknown flag", "", []string{"--daemon", "nginx"}, "flag provided but not defined: -daemon: see podsignal inject --help", true},
		{"a flag without its value", "", []string{"--process"}, "flag needs an argument: -process: see podsignal inject --help", true},
		{"a file", "", []string{"--process=nginx", "web.yaml"}, `unknown arguments "web.yaml": podsignal inject reads manifests from its standard input, see podsignal inject --help`, true},
		{"only white space", " \n\t\n", []string{"--process=nginx"}, "standard input is empty: pipe manifests into it, such as those of kubectl get deploy web -o yaml", false},
		{"UTF-16", "\xff\xfea\x00", nil, "standard input is UTF-16: use UTF-8", false},
		{"no process", "kind: Pod\napiVersion: v1", []string{"--process= "}, "--process is required, or the annotation podsignal/process on a workload: the command name, such as nginx", true},
		{"a path", "kind: Pod\napiVersion: v1", []string{"--process=/bin/a"}, `Pod/: --process="/bin/a" is a path: use the name alone, a`, true},
		{"half a command", "kind: Pod\napiVersion: v1", []string{"--process=a", "--validate=sh -c 'a"}, `Pod/: --validate="sh -c 'a" cannot be split into words: close its quotes, and run what needs a shell by one, such as sh -c 'nginx -t 2>&1'`, true},
		{"no signal", "kind: Pod\napiVersion: v1", []string{"--process=a", "--signal=HUPP"}, `Pod/: --signal="HUPP" is not a valid signal: use a name such as HUP, USR1, USR2, QUIT or TERM, or a number from 1 to 64`, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, notes, err := run(tt.in, tt.args...)
			if err == nil || err.Error() != tt.want || out != "" || notes != "" {
				t.Errorf("error %v, want %s (printed %q, told %q)", err, tt.want, out, notes)
			}
			if _, usage := errors.AsType[UsageError](err); usage != tt.usage {
				t.Errorf("usage error: %v, want %v", usage, tt.usage)
			}
		})
	}
}

// TestPage holds the table of flags and annotations in README.md against --help.
func TestPage(t *testing.T) {
	flags := func(text string) (all []string) {
		for line := range strings.Lines(text) {
			words := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" |`\n", r) })
			if len(words) > 0 && strings.HasPrefix(words[0], "--") && words[0] != "---" {
				i := slices.IndexFunc(words, func(word string) bool { return strings.HasPrefix(word, "podsignal/") })
				all = append(all, strings.Join(append(words[:1:1], words[max(i, 0)]), " "))
			}
		}
		slices.Sort(all)
		return all
	}
	page, _, _ := strings.Cut(read(t, "README.md"), "## What it changes")
	if diff := cmp.Diff(flags(usage), flags(page)); diff != "" {
		t.Errorf("README.md does not have the flags of --help (-help +README):\n%s", diff)
	}
	var known []string
	for i := range annotation.All {
		known = append(known, annotation.All[i].Key())
	}
	key := regexp.MustCompile(`\bpodsignal/[a-z]+(-[a-z]+)*`)
	pagetest.Compare(t, "--help", append(slices.Clone(known), "podsignal/approved"), key.FindAllString(usage, -1))
	for _, name := range annotation.Reserved {
		known = append(known, annotation.Prefix+name)
	}
	pagetest.Compare(t, "README.md", known, key.FindAllString(page, -1))
}

func TestUnreadable(t *testing.T) {
	broken := errors.New("broken pipe")
	if err := Run(nil, "", iotest.ErrReader(broken), nil, nil); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}

func TestFlagsWinOverAnnotations(t *testing.T) {
	in := read(t, "testdata/statefulset.in.yaml")
	out, _, err := run(in, "--process=postmaster", "--signal=TERM", "--volume=hba", "--volume=password")
	if err != nil {
		t.Fatal(err)
	}
	c := podsignalIn(t, out)
	if got := envOf(c); got["PROCESS"] != "postmaster" || got["SIGNAL"] != "TERM" {
		t.Errorf("variables are %v, want those of the flags", got)
	}
	if diff := cmp.Diff([]string{"/etc/postgresql-hba", "/run/secrets"}, mountsIn(c)); diff != "" {
		t.Errorf("mounts, wanted (-) and got (+):\n%s", diff)
	}
}

// However a manifest is indented, podsignal can be put into it.
func TestStyles(t *testing.T) {
	for _, file := range inputs(t) {
		name, ext, _ := strings.Cut(filepath.Base(file), ".in")
		in := read(t, file)
		if read(t, filepath.Join("testdata", name+".golden"+ext)) == "" {
			continue
		}
		for style, manifest := range rewritten(t, in) {
			t.Run(name+" "+style, func(t *testing.T) {
				out, _, err := run(manifest, flagsOf(in)...)
				if err != nil {
					t.Fatalf("%v\n%s", err, manifest)
				}
				if diff := diffBesides(t, manifest, out); diff != "" {
					t.Errorf("besides podsignal, it was (-) and is (+):\n%s", diff)
				}
				if strings.HasPrefix(style, "JSON") && !json.Valid([]byte(out)) {
					t.Errorf("no JSON any more:\n%s", out)
				}
			})
		}
	}
}

// rewritten returns a manifest in other styles, by their names.
func rewritten(t *testing.T, manifest string) map[string]string {
	t.Helper()
	var docs []any
	for decoder := yaml.NewDecoder(strings.NewReader(manifest)); ; {
		var doc any
		if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, doc)
	}
	styles := make(map[string]string)
	for _, indent := range []int{2, 4, 8} {
		for _, compact := range []bool{false, true} {
			var b strings.Builder
			encoder := yaml.NewEncoder(&b)
			encoder.SetIndent(indent)
			if compact {
				encoder.CompactSeqIndent()
			}
			for _, doc := range docs {
				if err := encoder.Encode(doc); err != nil {
					t.Fatal(err)
				}
			}
			styles[fmt.Sprintf("YAML %d %v", indent, compact)] = b.String()
		}
	}
	for name, style := range map[string]yaml.Style{"YAML ''": yaml.SingleQuotedStyle, `YAML ""`: yaml.DoubleQuotedStyle} {
		var b strings.Builder
		encoder := yaml.NewEncoder(&b)
		for _, doc := range docs {
			var node yaml.Node
			if err := node.Encode(doc); err != nil {
				t.Fatal(err)
			}
			quote(&node, style)
			if err := encoder.Encode(&node); err != nil {
				t.Fatal(err)
			}
		}
		styles[name] = b.String()
	}
	for _, indent := range []string{"", "  ", "\t"} {
		var b strings.Builder
		encoder := json.NewEncoder(&b)
		encoder.SetIndent("", indent)
		if err := encoder.Encode(docs[0]); err != nil {
			t.Fatal(err)
		}
		if len(docs) == 1 {
			styles[fmt.Sprintf("JSON %q", indent)] = b.String()
		}
	}
	return styles
}

// quote has all strings written in a style.
func quote(node *yaml.Node, style yaml.Style) {
	if node.Kind == yaml.ScalarNode && node.Tag == "!!str" {
		node.Style = style
	}
	for _, child := range node.Content {
		quote(child, style)
	}
}

// What needs quotes gets them, also for kubectl, which reads YAML 1.1.
func TestScalar(t *testing.T) {
	tests := []struct{ value, want string }{
		{"nginx", "nginx"},
		{"podsignal:0.1.0", "podsignal:0.1.0"},
		{"/etc/nginx/conf.d", "/etc/nginx/conf.d"},
		{"", `""`},
		{"a) (b", `"a) (b"`},
		{"a: b", `"a: b"`},
		{"a:", `"a:"`},
		{"-a", `"-a"`},
		{"a #b", `"a #b"`},
		{"true", `"true"`},
		{"Yes", `"Yes"`},
		{"n", `"n"`},
		{"null", `"null"`},
		{"~", `"~"`},
		{"10", `"10"`},
		{"1e3", `"1e3"`},
		{"0x1F", `"0x1F"`},
		{"12:30", `"12:30"`},
		{"2026-11-21", `"2026-11-21"`},
		{"<<", `"\u003c\u003c"`},
		{"größe", `"größe"`},
		{"a\"\\\n\x01", `"a\"\\\n\u0001"`},
	}
	for _, tt := range tests {
		got := style{}.scalar(str(tt.value))
		if got != tt.want {
			t.Errorf("%q is written as %s, want %s", tt.value, got, tt.want)
		}
		var back any
		if err := yaml.Unmarshal([]byte("[{a: "+got+"}]"), &back); err != nil {
			t.Errorf("%s: %v", got, err)
		} else if diff := cmp.Diff([]any{map[string]any{"a": tt.value}}, back); diff != "" {
			t.Errorf("%s reads back as (-) and not as (+):\n%s", got, diff)
		}
	}
}

// What is known of a program is told each time: it is about what is asked for.
func TestKnown(t *testing.T) {
	// The annotation of it would count where there is no flag.
	in := strings.ReplaceAll(read(t, "testdata/statefulset.in.yaml"), "podsignal/signal", "other/signal")
	tests := []struct{ name, process, signal, want string }{
		{"another signal", "nginx", "USR1", `--signal="USR1": nginx reloads on HUP, use that`},
		{"its signal", "nginx", "sighup", ""},
		{"a restart", "haproxy", "TERM", ""},
		{"no signal", "redis-server", "", "Redis does not reload on HUP: restart it, by SIGNAL=TERM (examples/restart-in-place)"},
		{"another one of what has none", "redis-server", "USR1", ""},
		{"an unknown program", "web", "USR1", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, notes, err := run(in, "--process="+tt.process, "--signal="+tt.signal, "--image=registry.example/podsignal:1")
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" && notes != "" || !strings.Contains(notes, tt.want) {
				t.Errorf("told %q, want %q", notes, tt.want)
			}
		})
	}
}

// FuzzInject holds for all that can be read that podsignal is put into it without
// changing anything else, and a second time changes nothing, also if it is to validate, to hold or
// to call a URL; and that it can be removed.
func FuzzInject(f *testing.F) {
	for _, file := range inputs(f) {
		f.Add([]byte(read(f, file)))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, opts := range []options{
			{flags: map[string]string{"process": "nginx"}},
			{flags: map[string]string{"process": "nginx", "validate": "nginx -t", "listen": "9533"}},
			{flags: map[string]string{"process": "nginx", "hold": "true"}},
			{env: []variable{{"RELOAD_URL", "http://localhost/", "--env RELOAD_URL"}}},
		} {
			opts.version = "0.1.0"
			out, _, err := inject(in, opts)
			if err != nil {
				continue
			}
			again, _, err := inject(out, opts)
			if err != nil || !bytes.Equal(again, out) {
				t.Fatalf("a second time, with %v: %v\n%s", opts, err, cmp.Diff(string(out), string(again)))
			}
			if !bytes.Contains(out, []byte("podsignal")) {
				t.Errorf("it is not in:\n%s", out)
			}
			if diff := diffBesides(t, string(in), string(out)); diff != "" {
				t.Errorf("besides podsignal, it was (-) and is (+):\n%s", diff)
			}
			without, _, err := inject(out, options{remove: true})
			if err != nil {
				t.Fatalf("removing it: %v\n%s", err, out)
			}
			if diff := diffBesides(t, string(in), string(without)); diff != "" {
				t.Errorf("without podsignal, it was (-) and is (+):\n%s", diff)
			}
		}
	})
}
