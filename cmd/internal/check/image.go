package check

import (
	"fmt"
	"os"

	"github.com/podsignal/podsignal/signal"
)

// image warns if a target runs another file than there is at the same path here: with VALIDATE
// the two containers are to have one image, and their tags may have parted. Where the uids
// differ, nothing can be said.
func (r *Report) image(p ProcessReport) {
	if p.Role != string(signal.RoleTarget) {
		return
	}
	link := fmt.Sprintf("/proc/%d/exe", p.PID)
	path, err := os.Readlink(link)
	if err != nil {
		return
	}
	there, err := os.Stat(link)
	if err != nil {
		return
	}
	here, err := os.Stat(path)
	if err != nil || here.Size() != there.Size() || !here.ModTime().Equal(there.ModTime()) {
		r.add(LevelWarn, "image", "%s (pid %d) runs %s, which is another file here, or none: use one image for both containers, so that VALIDATE is of the same version", p.Name, p.PID, path).PID = p.PID
	}
}
