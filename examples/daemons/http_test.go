package daemons_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

// httpServers serve files and applications by HTTP and FastCGI.
var httpServers = []daemon{
	{
		name:    "Apache httpd",
		program: "/usr/sbin/apache2",
		pkg:     "apache2",
		env:     []string{"VERIFY=5s"}, // it gives clients 2 s to close their side
		args:    []string{"-DFOREGROUND", "-f", "/usr/local/apache2/conf/httpd.conf"},
		as:      "www-data",
		dir:     "/usr/local/apache2/conf",
		files: volumetest.Files{"httpd.conf": `ServerName localhost
Listen 8080
KeepAliveTimeout 60
PidFile /tmp/httpd.pid
ErrorLog /tmp/error.log
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so
Header always set Setting one
`},
		change:   [2]string{"one", "two"},
		setting:  header(":8080", "Setting"),
		idle:     keptAlive(":8080"),
		validate: "apache2 -t -f /usr/local/apache2/conf/httpd.conf",
		breaks:   [2]string{"Header", "Haeder"},
		lost:     idleConnections,
	},
	{
		name:    "Caddy 2.6",
		program: "/usr/bin/caddy",
		pkg:     "caddy",
		args:    []string{"run", "--config", "/etc/caddy/Caddyfile"},
		as:      "caddy",
		dir:     "/etc/caddy",
		files: volumetest.Files{"Caddyfile": `:8080 {
	respond one
}
`},
		change:   [2]string{"one", "two"},
		setting:  body(":8080"),
		validate: "caddy validate --config /etc/caddy/Caddyfile",
		breaks:   [2]string{"respond", "responde"},
	},
	{
		name:     "H2O",
		program:  "/usr/bin/h2o",
		pkg:      "h2o",
		args:     []string{"-c", "/etc/h2o/h2o.conf"},
		as:       "www-data",
		dir:      "/etc/h2o",
		files:    h2oConf,
		change:   [2]string{"one", "two"},
		setting:  header(":8080", "Server"),
		validate: "h2o -t -c /etc/h2o/h2o.conf",
		breaks:   [2]string{"listen", "lisden"},
	},
	{
		name:     "H2O with -m master",
		program:  "/usr/bin/h2o",
		pkg:      "h2o",
		args:     []string{"-m", "master", "-c", "/etc/h2o/h2o.conf"},
		as:       "www-data",
		dir:      "/etc/h2o",
		files:    h2oConf,
		change:   [2]string{"one", "two"},
		setting:  header(":8080", "Server"),
		idle:     keptAlive(":8080"),
		validate: "h2o -t -c /etc/h2o/h2o.conf",
		breaks:   [2]string{"listen", "lisden"},
		lost:     nothing,
	},
	{
		name:    "lighttpd",
		program: "/usr/sbin/lighttpd",
		pkg:     "lighttpd",
		args:    []string{"-D", "-f", "/etc/lighttpd/lighttpd.conf"},
		as:      "www-data",
		dir:     "/etc/lighttpd",
		files: volumetest.Files{"lighttpd.conf": `server.port = 3000
server.document-root = "/srv"
server.max-keep-alive-idle = 60
server.tag = "one"
`},
		change:   [2]string{"one", "two"},
		setting:  header(":3000", "Server"),
		idle:     keptAlive(":3000"),
		validate: "lighttpd -tt -f /etc/lighttpd/lighttpd.conf",
		breaks:   [2]string{"server.tag =", "server.tag"},
		lost:     idleConnections,
	},
	{
		name:    "PHP-FPM",
		program: "/usr/sbin/php-fpm8.2",
		pkg:     "php8.2-fpm",
		args:    []string{"-F", "-y", "/etc/php-fpm/php-fpm.conf"},
		as:      "www-data",
		dir:     "/etc/php-fpm",
		files: volumetest.Files{"php-fpm.conf": `[global]
error_log = /tmp/php-fpm.log
[www]
listen = 127.0.0.1:9000
pm = static
pm.max_children = 2
ping.path = /ping
ping.response = one
`},
		change:   [2]string{"one", "two"},
		setting:  ping,
		idle:     halfPinged,
		validate: "php-fpm8.2 -t -y /etc/php-fpm/php-fpm.conf",
		breaks:   [2]string{"static", "statick"},
		lost:     everything,
	},
	{
		name:    "Puma",
		program: "/usr/bin/puma",
		pkg:     "puma",
		args:    []string{"-C", "/etc/puma/puma.rb"},
		as:      "www-data",
		dir:     "/etc/puma",
		files: volumetest.Files{
			"puma.rb":   "workers 2\nbind 'tcp://127.0.0.1:9292'\nrackup '/etc/puma/config.ru'\n",
			"config.ru": "run ->(env) { [200, {'Content-Type' => 'text/plain'}, ['one']] }\n",
		},
		change:  [2]string{"one", "two"},
		setting: body(":9292"),
		breaks:  [2]string{"workers", "wurkers"},
		lost:    newcomers,
	},
	{
		name:    "Unicorn",
		program: "/usr/bin/unicorn",
		pkg:     "unicorn",
		args:    []string{"-c", "/etc/unicorn/unicorn.rb", "/etc/unicorn/config.ru"},
		as:      "www-data",
		dir:     "/etc/unicorn",
		files: volumetest.Files{
			"unicorn.rb": "worker_processes 2\nlisten '127.0.0.1:8080'\n",
			"config.ru":  "run ->(env) { [200, {'Content-Type' => 'text/plain'}, ['one']] }\n",
		},
		change:  [2]string{"one", "two"},
		setting: body(":8080"),
		breaks:  [2]string{"worker_processes", "worker_prozesses"},
		lost:    nothing,
	},
	{
		name:    "uWSGI",
		program: "/usr/bin/uwsgi",
		pkg:     "uwsgi-plugin-python3",
		args:    []string{"--ini", "/etc/uwsgi/uwsgi.ini"},
		as:      "www-data",
		dir:     "/etc/uwsgi",
		files: volumetest.Files{"uwsgi.ini": `[uwsgi]
plugin = python3
http-socket = :9090
master = true
processes = 2
wsgi-file = /etc/uwsgi/app.py
env = GREETING=one
`, "app.py": `import os

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [os.environ["GREETING"].encode()]
`},
		change:  [2]string{"one", "two"},
		setting: body(":9090"),
		breaks:  [2]string{"def", "dev"},
		lost:    newcomers,
	},
}

var h2oConf = volumetest.Files{"h2o.conf": `listen: 8080
server-name: one
hosts:
  default:
    paths:
      /:
        file.dir: /srv
`}

// header asks for / on a connection of its own, and returns a header of the answer.
func header(address, key string) func() (string, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	return func() (string, error) {
		response, err := client.Get("http://127.0.0.1" + address)
		if err != nil {
			return "", err
		}
		return response.Header.Get(key), response.Body.Close()
	}
}

// pingRequest asks for PHP-FPM's ping page by FastCGI; the connection is to stay open.
// See https://fastcgi-archives.github.io/FastCGI_Specification.html.
var pingRequest = slices.Concat(
	fcgiRecord(1, "\x00\x01\x01\x00\x00\x00\x00\x00"), // begin: a responder, keep the connection
	fcgiRecord(4, "\x0e\x03REQUEST_METHODGET"+"\x0b\x05SCRIPT_NAME/ping"+"\x0f\x05SCRIPT_FILENAME/ping"),
	fcgiRecord(4, ""), // the end of the parameters
	fcgiRecord(5, ""), // the end of the body
)

func fcgiRecord(kind byte, content string) []byte {
	return append([]byte{1, kind, 0, 1, 0, byte(len(content)), 0, 0}, content...)
}

// ping returns what the ping page says.
func ping() (string, error) {
	conn, answer, err := pinged()
	if err != nil {
		return "", err
	}
	return answer, conn.Close()
}

// halfPinged opens a connection, asks for the ping page on it, and then once more, but
// only half.
func halfPinged() (net.Conn, error) {
	conn, _, err := pinged()
	if err != nil {
		return nil, err
	}
	_, err = conn.Write(pingRequest[:len(pingRequest)/2])
	return conn, err
}

func pinged() (conn net.Conn, answer string, err error) {
	conn, err = net.Dial("tcp", "127.0.0.1:9000")
	if err != nil {
		return nil, "", err
	}
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, "", err
	}
	if _, err := conn.Write(pingRequest); err != nil {
		return nil, "", err
	}
	for {
		head := make([]byte, 8)
		if _, err := io.ReadFull(conn, head); err != nil {
			return nil, "", err
		}
		length := int(binary.BigEndian.Uint16(head[4:]))
		content := make([]byte, length+int(head[6])) // with its padding
		if _, err := io.ReadFull(conn, content); err != nil {
			return nil, "", err
		}
		switch head[1] {
		case 6: // output
			answer += string(content[:length])
		case 3: // the end
			_, body, _ := strings.Cut(answer, "\r\n\r\n")
			return conn, body, nil
		}
	}
}
