//go:build e2e

package e2e_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// testFileUnset leaves it to podsignal to find its volumes.
func testFileUnset(t *testing.T, c *cluster, name string) {
	m := read(t, "nginx", name)
	m.set(object{"FILE": nil})
	testReload(t, c, m, "nginx")
}

// A page is one that nginx makes of words in several files.
const page = `server {
    listen 80;
    default_type text/plain;
    location / { return 200 "%s"; }
}
`

// word is a file for nginx that gives a variable its value.
func word(variable, value string) string {
	return fmt.Sprintf("map $host $%s { default %s; }\n", variable, value)
}

// setPage replaces the files of the only ConfigMap.
func (m manifest) setPage(files map[string]any) {
	m.kind("ConfigMap")["data"] = files
}

// testProjected has two ConfigMaps and a Secret in one volume.
func testProjected(t *testing.T, c *cluster, name string) {
	m := read(t, "nginx", name)
	m.setPage(object{"site.conf": fmt.Sprintf(page, "$one $two $three")})
	m = append(m,
		m.configMap("-one", object{"one.conf": word("one", "hello-1"), "two.conf": word("two", "hello-2")}),
		m.secret("-two", object{"three.conf": word("three", "hello-3")}))
	source := func(kind, suffix string) object { return object{kind: object{"name": name + suffix}} }
	v := m.volume("conf")
	delete(v, "configMap")
	v["projected"] = object{"sources": []any{source("configMap", "-conf"), source("configMap", "-one"), source("secret", "-two")}}

	a := start(t, c, m)
	before := a.pods()[0]
	a.waitServed(before, "hello-1 hello-2 hello-3")
	a.edit("hello-1", "goodbye-1")
	a.waitServed(before, "goodbye-1 hello-2 hello-3")
	a.waitOutcomes(before, "replaced")
	a.edit("hello-3", "goodbye-3")
	a.waitServed(before, "goodbye-1 hello-2 goodbye-3")
	a.waitOutcomes(before, "replaced", "replaced")
	a.wantPods(before)
}

// testItems has keys at nested paths of their own.
func testItems(t *testing.T, c *cluster, name string) {
	m := read(t, "nginx", name)
	m.setPage(object{
		"site": fmt.Sprintf(page, "$one") + "include /etc/nginx/conf.d/words/english/*.inc;\n",
		"one":  word("one", "hello"),
		"none": "not in the volume: hello",
	})
	m.volume("conf")["configMap"].(object)["items"] = []any{
		object{"key": "site", "path": "site.conf"},
		object{"key": "one", "path": "words/english/one.inc"},
	}

	a := start(t, c, m)
	before := a.pods()[0]
	a.waitServed(before, "hello")
	a.edit("default hello", "default goodbye")
	a.waitServed(before, "goodbye")
	a.waitOutcomes(before, "replaced")

	// What is not in the volume is no change: the next signal is that of the next change.
	a.edit("volume: hello", "volume: goodbye")
	a.edit("default goodbye", "default welcome")
	a.waitServed(before, "welcome")
	a.waitOutcomes(before, "replaced", "replaced")
	a.wantPods(before)
}

// testTwoVolumes changes a ConfigMap and a Secret at once: what the kubelet updates in one
// pass is one change, for one signal.
func testTwoVolumes(t *testing.T, c *cluster, name string) {
	m := read(t, "nginx", name)
	m.setPage(object{"site.conf": fmt.Sprintf(page, "word-0 $two") + "include /etc/nginx/more/*.conf;\n"})
	m = append(m, m.secret("-more", object{"two.conf": word("two", "word-0")}))
	m.mount(object{"name": "more", "secret": object{"secretName": name + "-more"}}, "/etc/nginx/more", "nginx", "podsignal")
	m.set(object{"FILE": "/etc/nginx/conf.d,/etc/nginx/more"})

	a := start(t, c, m)
	before := a.pods()[0]
	a.waitServed(before, "word-0 word-0")
	// The kubelet may begin its pass between the two changes, which is rare.
	signals := 0
	for i := 1; i <= 4; i++ {
		is := fmt.Sprint("word-", i)
		a.edit(fmt.Sprint("word-", i-1), is)
		a.waitServed(before, is+" "+is)
		a.waitSettled(before)
		log, err := a.log(before, "podsignal")
		if err != nil {
			t.Fatal(err)
		}
		all, _ := told(log)
		got := all - signals
		signals = all
		apart := a.passes(before)
		switch {
		case got == 1:
			a.wantPods(before)
			return
		case apart == 1:
			t.Fatalf("%d signals for two volumes that were updated in one pass:\n%s", got, log)
		}
		t.Logf("the kubelet has updated the volumes in %d passes", apart)
	}
	t.Fatal("the kubelet has never updated the two volumes in one pass")
}

// waitSettled waits until podsignal has told of the outcome of each signal.
func (a *app) waitSettled(p pod) {
	a.Helper()
	a.wait("the outcome of each signal", func() (bool, string) {
		log, err := a.log(p, "podsignal")
		signals, outcomes := told(log)
		return err == nil && signals > 0 && len(outcomes) >= signals, fmt.Sprintf("%d signals, outcomes %v (%v)", signals, outcomes, err)
	})
}

// passes tells in how many passes the kubelet has written the two volumes: the names of
// their folders hold the second in which they were made.
func (a *app) passes(p pod) int {
	a.Helper()
	out := a.run(a.T, nil, "exec", p.Name, "--container=nginx", "--", "readlink", "/etc/nginx/conf.d/..data", "/etc/nginx/more/..data")
	seconds := make(map[string]bool)
	for _, match := range regexp.MustCompile(`\.\.(\d[\d_]+)\.`).FindAllStringSubmatch(out, -1) {
		seconds[match[1]] = true
	}
	return len(seconds)
}

// testHundredKeys changes all of a hundred keys at once.
func testHundredKeys(t *testing.T, c *cluster, name string) {
	const keys = 100
	m := read(t, "nginx", name)
	files, variables := make(object), make([]string, keys)
	for i := range keys {
		files[fmt.Sprintf("key-%d.conf", i)] = word(fmt.Sprint("key", i), fmt.Sprint("hello", i))
		variables[i] = fmt.Sprint("$key", i)
	}
	// The hash of the variables is too small for so many.
	files["site.conf"] = "variables_hash_max_size 4096;\n" + fmt.Sprintf(page, strings.Join(variables, " "))
	m.setPage(files)
	words := func(word string) string {
		all := make([]string, keys)
		for i := range all {
			all[i] = fmt.Sprint(word, i)
		}
		return strings.Join(all, " ")
	}

	a := start(t, c, m)
	before := a.pods()[0]
	a.waitServed(before, words("hello"))
	a.edit("default hello", "default goodbye")
	a.waitServed(before, words("goodbye"))
	// A busy machine may take longer than VERIFY to replace workers that have so much to read.
	a.waitOutcomes(before, "(replaced|read)")
	a.wantPods(before)
}

const subPathWarning = `subPath mounts never receive updates; mount the folder`

// testSubPathOfProgram mounts the volume as a folder only for podsignal.
func testSubPathOfProgram(t *testing.T, c *cluster, name string) {
	m := read(t, "nginx", name)
	setSubPath(m.container("nginx"))
	a := start(t, c, m)
	before := a.pods()[0]
	a.waitLog(before, "podsignal", "msg=\"process mounts a subPath of the volume: "+subPathWarning+`" process=nginx .* mount=/etc/nginx/conf.d/site.conf stale=false`)
	a.edit("hello", "goodbye")
	a.waitOutcomes(before, `\w+`)
	a.wantCheck(before, `FAIL +volume .*has a subPath mount at /etc/nginx/conf.d/site.conf, which is stale already: `+subPathWarning)
	a.waitServed(before, "hello from nginx")
	a.wantPods(before)
}

// testSubPathOfPodsignal mounts it as a folder only for the program.
func testSubPathOfPodsignal(t *testing.T, c *cluster, name string) {
	m := read(t, "nginx", name)
	setSubPath(m.container("podsignal"))
	a := start(t, c, m)
	before := a.pods()[0]
	a.waitLog(before, "podsignal", `msg="file is on a subPath mount: `+subPathWarning+`" file=/etc/nginx/conf.d mount=/etc/nginx/conf.d/site.conf stale=false`)
	a.edit("hello", "goodbye")
	a.waitFile(before, "nginx", "/etc/nginx/conf.d/site.conf", "goodbye")
	a.wantCheck(before, `FAIL +file +/etc/nginx/conf.d has in it a subPath mount at /etc/nginx/conf.d/site.conf, which is stale already: `+subPathWarning)
	log, err := a.log(before, "podsignal")
	if signals, _ := told(log); err != nil || signals != 0 {
		t.Errorf("podsignal, which cannot see the change, has signalled (%v):\n%s", err, log)
	}
	a.wantPods(before)
}

func setSubPath(container object) {
	mount := container["volumeMounts"].([]any)[0].(object)
	mount["mountPath"], mount["subPath"] = "/etc/nginx/conf.d/site.conf", "site.conf"
}

// wantCheck runs podsignal check in podsignal's container.
func (a *app) wantCheck(p pod, finding string) {
	a.Helper()
	out, err := a.try(nil, "exec", p.Name, "--container=podsignal", "--", "/podsignal", "check")
	if err != nil {
		out = err.Error() // what it printed, when it has found an error
	}
	if !regexp.MustCompile(finding).MatchString(out) {
		a.Errorf("podsignal check does not say %q:\n%s", finding, out)
	}
}
