package build

import (
	"os"
	"regexp"
	"testing"
)

// What is measured and tried out (make build) is what is in the image.
func TestTags(t *testing.T) {
	tags := func(file, pattern string) string {
		text, err := os.ReadFile("../../../" + file)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(pattern).FindSubmatch(text)
		if found == nil {
			t.Fatalf("%s has nothing like %s", file, pattern)
		}
		return string(found[1])
	}
	made := tags("Makefile", `(?m)^TAGS +=(?: (.+))?$`)
	if inImage := tags("Dockerfile", `go build .*-tags (\S+)`); inImage != made {
		t.Errorf("the Dockerfile builds with the tags %q, and make build with %q", inImage, made)
	}
}
