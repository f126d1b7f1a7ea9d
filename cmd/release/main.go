// Command release builds all that a release has into an empty folder, from the repository in
// the present folder, and publishes nothing:
//
//	release -version 1.2.3 -commit HASH -time SECONDS dist
//
// For each program and platform that is an archive with the binary, its bill of materials and
// the licences of what it is made of, and the bill of materials once more, for scanners. For
// Linux there is one image with all architectures. SHA256SUMS has the sums of all of them.
//
// It is a module of its own: what makes images need not be among podsignal's requirements.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	version := flag.String("version", "dev", "version of the release")
	commit := flag.String("commit", "unknown", "commit that it is built from")
	seconds := flag.Int64("time", 0, "time of the commit, and so of all files, in seconds since 1970")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: release [-version VERSION] [-commit COMMIT] [-time SECONDS] FOLDER")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), release{*version, *commit, time.Unix(*seconds, 0).UTC()}); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(out string, r release) (err error) {
	compiler, err := newCompiler(".", r)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, compiler.close()) }()
	return r.build(out, compiler.compile)
}
