package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

// A target is a program that serves a greeting from a volume and reloads on HUP.
// Its arguments contain the demo's folder.
type target struct {
	name, about string // of the process; for people
	command     []string
	env         []string
	url         string
	files       func(greeting string) volumetest.Files
}

func newTarget(dir, volume, greeter, nginx string) (target, error) {
	address, err := freeAddress()
	if err != nil {
		return target{}, err
	}
	if nginx == "" {
		return newGreeter(dir, volume, greeter, address), nil
	}
	return newNginx(dir, volume, nginx, address)
}

func newGreeter(dir, volume, path, address string) target {
	return target{
		name:    "greeter",
		about:   "the greeter (no nginx here)",
		command: []string{path, dir}, // ignores its arguments
		env:     []string{"CONFIG=" + filepath.Join(volume, "greeting"), "LISTEN=" + address},
		url:     "http://" + address,
		files: func(greeting string) volumetest.Files {
			return volumetest.Files{"greeting": greeting}
		},
	}
}

// Every path is given, and lies in the prefix: the defaults of a package are
// root's. Which user the workers run as does not matter, they open no file.
const nginxConf = `daemon off;
pid nginx.pid;
error_log stderr notice;
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {
        listen %s;
        include %s/*.conf;
    }
}
`

func newNginx(dir, volume, path, address string) (target, error) {
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, address, volume), 0o600); err != nil {
		return target{}, err
	}
	return target{
		name:    "nginx",
		about:   "nginx",
		command: []string{path, "-p", dir, "-c", conf},
		url:     "http://" + address,
		files: func(greeting string) volumetest.Files {
			return volumetest.Files{"greeting.conf": fmt.Sprintf("location / { return 200 %q; }\n", greeting)}
		},
	}, nil
}

// freeAddress is on loopback, and was free a moment ago.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
