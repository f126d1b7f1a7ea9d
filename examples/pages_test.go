package examples_test

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// top is the folder of the repository.
const top = ".."

// TestReadmeLength keeps README.md a page that is read in two minutes.
func TestReadmeLength(t *testing.T) {
	const most = 250
	if lines := strings.Count(content(t, "README.md"), "\n"); lines > most {
		t.Errorf("README.md has %d lines, want %d at most: extend the pages that it links to", lines, most)
	}
}

// TestLinks follows the links of all Markdown files to files, folders and headings of
// the repository. Links to other sites are not followed.
func TestLinks(t *testing.T) {
	files := repository(t)
	pages := make(map[string]page)
	for _, file := range files {
		if strings.HasSuffix(file, ".md") {
			pages[file] = parsePage(content(t, file))
		}
	}
	if len(pages) < 10 {
		t.Fatalf("only %d pages were found: %v", len(pages), slices.Sorted(maps.Keys(pages)))
	}
	for _, file := range slices.Sorted(maps.Keys(pages)) {
		for _, link := range pages[file].links {
			if problem := follow(files, pages, file, link.to); problem != "" {
				t.Errorf("%s:%d: (%s): %s", file, link.line, link.to, problem)
			}
		}
	}
}

// follow returns what is wrong with a link of a page, or nothing.
func follow(files []string, pages map[string]page, from, to string) string {
	target, err := url.Parse(to)
	if err != nil {
		return err.Error()
	}
	if target.Scheme != "" || target.Host != "" {
		return ""
	}
	file := from
	switch {
	case strings.HasPrefix(target.Path, "/"): // of the repository, to GitHub
		file = path.Clean(target.Path[1:])
	case target.Path != "":
		file = path.Join(path.Dir(from), target.Path)
	case target.Fragment == "":
		return "the link is empty"
	}
	isFile := slices.Contains(files, file)
	isFolder := file == "." || slices.ContainsFunc(files, func(f string) bool { return strings.HasPrefix(f, file+"/") })
	switch {
	case !isFile && !isFolder:
		return fmt.Sprintf("the repository has no %s", file)
	case isFile && strings.HasSuffix(target.Path, "/"):
		return fmt.Sprintf("%s is not a folder", file)
	case target.Fragment == "":
		return ""
	case isFolder: // GitHub shows this page of it
		file = path.Join(file, "README.md")
	}
	if page, found := pages[file]; !found {
		return fmt.Sprintf("%s is not a page, so it has no headings", file)
	} else if !page.anchors[target.Fragment] {
		return fmt.Sprintf("%s has no heading #%s", file, target.Fragment)
	}
	return ""
}

// A page is a Markdown file.
type page struct {
	links   []link
	anchors map[string]bool
}

type link struct {
	line int
	to   string
}

var (
	inlineLink = regexp.MustCompile(`\]\(\s*(?:<([^<>\n]*)>|((?:[^()\s]|\([^()\s]*\))*))(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)`)
	definition = regexp.MustCompile(`(?m)^ {0,3}\[[^\]\n]+\]:\s*<?([^\s>]+)>?`)
	attribute  = regexp.MustCompile(`<[a-zA-Z][^<>]*\s(?:href|src)="([^"]*)"`)
	identity   = regexp.MustCompile(`<[a-zA-Z][^<>]*\s(?:id|name)="([^"]*)"`)
	heading    = regexp.MustCompile(`(?m)^ {0,3}#{1,6}[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$`)
	linkText   = regexp.MustCompile(`!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])`)
	tag        = regexp.MustCompile(`</?[a-zA-Z][^<>]*>`)
)

func parsePage(markdown string) page {
	p := page{anchors: make(map[string]bool)}
	prose := withoutCodeBlocks(markdown)
	for _, found := range heading.FindAllStringSubmatch(prose, -1) {
		p.addHeading(found[1])
	}
	prose = withoutCodeSpans(prose)
	for _, found := range identity.FindAllStringSubmatch(prose, -1) {
		p.anchors[found[1]] = true
	}
	for _, pattern := range []*regexp.Regexp{inlineLink, definition, attribute} {
		for _, at := range pattern.FindAllStringSubmatchIndex(prose, -1) {
			to := ""
			for group := 2; group < len(at); group += 2 {
				if at[group] >= 0 {
					to += prose[at[group]:at[group+1]]
				}
			}
			p.links = append(p.links, link{1 + strings.Count(prose[:at[0]], "\n"), to})
		}
	}
	slices.SortStableFunc(p.links, func(a, b link) int { return a.line - b.line })
	return p
}

// addHeading adds the anchor of a heading. GitHub numbers one that is there already.
func (p *page) addHeading(text string) {
	name := slug(text)
	anchor := name
	for i := 1; p.anchors[anchor]; i++ {
		anchor = fmt.Sprint(name, "-", i)
	}
	p.anchors[anchor] = true
}

// slug makes the anchor of a heading as GitHub does: in lower case, without punctuation,
// and with a hyphen for each space.
func slug(heading string) string {
	heading = tag.ReplaceAllString(linkText.ReplaceAllString(heading, "$1"), "")
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-', r == '_', unicode.IsLetter(r), unicode.IsMark(r), unicode.IsNumber(r):
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}

var (
	fence = regexp.MustCompile("^[ \t>]*(```+|~~~+)(.*)$")
	item  = regexp.MustCompile(`^ *(?:[-*+]|\d+[.)]) +`)
)

// withoutCodeBlocks empties the lines of code blocks, so that others keep their numbers.
func withoutCodeBlocks(markdown string) string {
	lines := strings.Split(markdown, "\n")
	open := ""             // the fence that is open
	margin := 0            // where the text of a list's item begins
	text, code := "", true // the last line that is not code; whether code may begin here
	for i, line := range lines {
		line = strings.TrimSuffix(line, "\r")
		mark := fence.FindStringSubmatch(line)
		indent := len(line) - len(strings.TrimLeft(line, " "))
		blank := strings.TrimSpace(line) == ""
		switch {
		case open != "":
			if mark != nil && strings.HasPrefix(mark[1], open) && strings.TrimSpace(mark[2]) == "" {
				open = ""
			}
			line, code = "", true
		case mark != nil && !strings.Contains(mark[2], "`"):
			open, line = mark[1], ""
		case blank:
			code = true
		case code && (indent >= margin+4 || strings.HasPrefix(line, "\t")):
			line = ""
		default:
			text, code = line, false
			if marker := item.FindString(text); marker != "" {
				margin = len(marker)
			} else if indent == 0 {
				margin = 0
			}
		}
		lines[i] = line
	}
	return strings.Join(lines, "\n")
}

// withoutCodeSpans writes spaces over code within lines, which may go on on the next line.
func withoutCodeSpans(prose string) string {
	out := []byte(prose)
	for at := 0; at < len(prose); {
		if prose[at] != '`' {
			at++
			continue
		}
		ticks := ticksAt(prose[at:])
		end := at + ticks
		for end < len(prose) && !strings.HasPrefix(prose[end:], "\n\n") {
			n := ticksAt(prose[end:])
			if n == ticks {
				for i := at; i < end+n; i++ {
					if out[i] != '\n' {
						out[i] = ' '
					}
				}
				at = end + n - ticks // past the span, with what is added below
				break
			}
			end += max(n, 1)
		}
		at += ticks
	}
	return string(out)
}

// ticksAt counts the backticks that s begins with.
func ticksAt(s string) int {
	return len(s) - len(strings.TrimLeft(s, "`"))
}

func TestParsePage(t *testing.T) {
	const markdown = "# A `b` c, d: e_f\n" +
		"[x](y.md#z) and `[no](link)` and [`code`](c.go), [two](a) [in](b)\n" +
		"a [link over\nlines](l.md) and `code\nover` [lines](m.md) `x`\n" +
		"\n```yaml\n[nor](this)\n# nor this\n```\n" +
		"~~~~\n~~~\n[nor](this)\n~~~~\n" +
		"## With [a link](to) ##\n## Twice\n## Twice\n### Café & “co”\n" +
		"\n    [code](block)\n\n    ## code\n\n" +
		"text\n    [no code](n.md)\n\n" +
		"- item\n\n  [in an item](i.md)\n\n      [code](in-an-item)\n\n" +
		"1. item\n\n    [in another](j.md)\n\n" +
		"[titled](t.md \"title\") [spaced](<a b.md>) [brackets](w_(x))\n" +
		"![image](i.png) <a id=\"mine\" href=\"h.md\">h</a>\n" +
		"[reference]: r.md\n"
	p := parsePage(markdown)
	wantLinks := []link{
		{2, "y.md#z"},
		{2, "c.go"},
		{2, "a"},
		{2, "b"},
		{4, "l.md"},
		{5, "m.md"},
		{15, "to"},
		{25, "n.md"},
		{29, "i.md"},
		{35, "j.md"},
		{37, "t.md"},
		{37, "a b.md"},
		{37, "w_(x)"},
		{38, "i.png"},
		{38, "h.md"},
		{39, "r.md"},
	}
	if diff := cmp.Diff(wantLinks, p.links, cmp.AllowUnexported(link{})); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	wantAnchors := []string{"a-b-c-d-e_f", "café--co", "mine", "twice", "twice-1", "with-a-link"}
	if diff := cmp.Diff(wantAnchors, slices.Sorted(maps.Keys(p.anchors))); diff != "" {
		t.Errorf("anchors (-want +got):\n%s", diff)
	}
}

func TestFollow(t *testing.T) {
	files := []string{"README.md", "LICENSE", "docs/README.md", "docs/a.go"}
	pages := map[string]page{
		"README.md":      parsePage("# Top\n"),
		"docs/README.md": parsePage("# Docs\n"),
	}
	tests := []struct{ from, to, want string }{
		{"README.md", "docs", ""},
		{"README.md", "docs/", ""},
		{"README.md", "docs/a.go", ""},
		{"README.md", "docs#docs", ""},
		{"README.md", "#top", ""},
		{"docs/README.md", "../LICENSE", ""},
		{"docs/README.md", "..", ""},
		{"docs/README.md", "/docs/README.md#docs", ""},
		{"docs/README.md", "https://example.com/no#no", ""},
		{"README.md", "", "the link is empty"},
		{"README.md", "#docs", "README.md has no heading #docs"},
		{"README.md", "#Top", "README.md has no heading #Top"},
		{"README.md", "docs#top", "docs/README.md has no heading #top"},
		{"README.md", "doc", "the repository has no doc"},
		{"README.md", "Docs", "the repository has no Docs"},
		{"README.md", "LICENSE/", "LICENSE is not a folder"},
		{"README.md", "docs/a.go#L1", "docs/a.go is not a page, so it has no headings"},
		{"docs/README.md", "LICENSE", "the repository has no docs/LICENSE"},
		{"docs/README.md", "../../LICENSE", "the repository has no ../LICENSE"},
	}
	for _, tt := range tests {
		if got := follow(files, pages, tt.from, tt.to); got != tt.want {
			t.Errorf("(%s) in %s: %q, want %q", tt.to, tt.from, got, tt.want)
		}
	}
}

// TestVersion wants the image that pages and examples name to be the one that make image
// makes.
func TestVersion(t *testing.T) {
	found := regexp.MustCompile(`(?m)^VERSION \?= (\d+\.\d+\.\d+)$`).FindStringSubmatch(content(t, "Makefile"))
	if found == nil {
		t.Fatal("the Makefile has no VERSION ?= X.Y.Z")
	}
	version := found[1]
	for _, dockerfile := range []string{"Dockerfile", "cmd/kubectl-podsignal/Dockerfile"} {
		if want := "ARG VERSION=" + version + "\n"; !strings.Contains(content(t, dockerfile), want) {
			t.Errorf("%s has no %q", dockerfile, want)
		}
	}
	seen := 0
	for _, file := range repository(t) {
		if !namesImage(file) {
			continue
		}
		text := content(t, file)
		// CI makes a tag of its own, and pages that say so name it.
		tags := []string{version, version + "-amd64", version + "-arm64", "VERSION", "VERSION-amd64", "VERSION-arm64"}
		if strings.Contains(text, "make image VERSION=ci ") {
			tags = append(tags, "ci")
		}
		for _, image := range images(text) {
			seen++
			if !slices.Contains(tags, image.tag) {
				t.Errorf("%s:%d: podsignal:%s, want podsignal:%s, as in the Makefile", file, image.line, image.tag, version)
			}
		}
	}
	if seen < 15 {
		t.Errorf("only %d images were found", seen)
	}
}

// namesImage is whether a file is a page, a manifest or a Dockerfile. Those in testdata
// have any tag.
func namesImage(file string) bool {
	if strings.Contains(file, "testdata/") {
		return false
	}
	return path.Base(file) == "Dockerfile" || slices.Contains([]string{".md", ".yaml", ".yml"}, path.Ext(file))
}

// An imageRef is a mention of podsignal's image.
type imageRef struct {
	line int
	tag  string
}

var imageTag = regexp.MustCompile(`(?:^|[^\w-]|:-)(?:kubectl-)?podsignal:(\w[\w.-]*)`)

// images finds them. A number alone is not a tag but the port of a host.
func images(text string) (refs []imageRef) {
	line := 0
	for l := range strings.Lines(text) {
		line++
		for _, found := range imageTag.FindAllStringSubmatch(l, -1) {
			tag := strings.TrimRight(found[1], ".-")
			if strings.Trim(tag, "0123456789") != "" {
				refs = append(refs, imageRef{line, tag})
			}
		}
	}
	return refs
}

func TestImages(t *testing.T) {
	got := images("a podsignal:1.2.3.\n`podsignal:dev` x/podsignal:0.1.0-arm64, ${P:-podsignal:x}\n" +
		"[podsignal:9533] podsignal: no other-podsignal:1.0 \"podsignal:latest\"\n")
	want := []imageRef{{1, "1.2.3"}, {2, "dev"}, {2, "0.1.0-arm64"}, {2, "x"}, {3, "latest"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(imageRef{})); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
}

// repository lists the files that git tracks or would track.
func repository(t *testing.T) (files []string) {
	t.Helper()
	list := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
	list.Dir = top
	out, err := list.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	for _, file := range strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if _, err := os.Lstat(filepath.Join(top, file)); err == nil { // not removed
			files = append(files, file)
		}
	}
	return files
}

// content reads a file of the repository.
func content(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
