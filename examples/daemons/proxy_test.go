package daemons_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

// proxies stand before other servers.
var proxies = []daemon{
	{
		name:    "Hitch",
		program: "/usr/sbin/hitch",
		pkg:     "hitch",
		args:    []string{"--config=/etc/hitch/hitch.conf"},
		as:      "_hitch",
		prepare: backend,
		dir:     "/etc/hitch",
		files: volumetest.Files{
			"hitch.conf": `frontend = "[127.0.0.1]:8443"
backend = "[127.0.0.1]:8000"
pem-file = "/etc/hitch/tls.pem"
`,
			"tls.pem": key + certificates[0],
		},
		change:   certificates,
		setting:  certificateShown,
		idle:     func() (net.Conn, error) { return tls.Dial("tcp", "127.0.0.1:8443", insecure) },
		validate: "hitch --test --config=/etc/hitch/hitch.conf",
		breaks:   [2]string{"BEGIN CERTIFICATE", "BEGIN CERTIFIKATE"},
		lost:     newcomers,
	},
	{
		name:    "nghttpx (certificates)",
		program: "/usr/sbin/nghttpx",
		pkg:     "nghttp2-proxy",
		args:    []string{"--conf=/etc/nghttpx/nghttpx.conf"},
		as:      "nobody",
		prepare: func() error { return inTurn(backend, folders("/etc/nghttpx"), nghttpxConf) },
		dir:     "/etc/nghttpx/tls",
		files:   volumetest.Files{"tls.key": key, "tls.crt": certificates[0]},
		change:  certificates,
		setting: certificateShown,
		idle:    overTLS,
		breaks:  [2]string{"END", "EDN"},
		lost:    newcomers,
	},
	{
		name:    "Squid",
		program: "/usr/sbin/squid",
		pkg:     "squid",
		args:    []string{"-f", "/etc/squid/squid.conf", "-NYC"},
		as:      "proxy",
		dir:     "/etc/squid",
		files: volumetest.Files{"squid.conf": `http_port 3128
pid_filename /tmp/squid.pid
cache_log /tmp/cache.log
access_log stdio:/tmp/access.log
pinger_enable off
http_access allow all
visible_hostname one
`},
		prepare:  backend,
		change:   [2]string{"one", "two"},
		setting:  via(":3128"),
		idle:     tunnel,
		validate: "squid -k parse -f /etc/squid/squid.conf",
		breaks:   [2]string{"http_port", "http_prot"},
		lost:     newcomers,
	},
	{
		name:    "Tinyproxy",
		program: "/usr/bin/tinyproxy",
		pkg:     "tinyproxy-bin",
		args:    []string{"-d", "-c", "/etc/tinyproxy/tinyproxy.conf"},
		as:      "proxy",
		dir:     "/etc/tinyproxy",
		files: volumetest.Files{"tinyproxy.conf": `Port 8888
Timeout 600
ViaProxyName "one"
`},
		prepare: backend,
		change:  [2]string{"one", "two"},
		setting: via(":8888"),
		breaks:  [2]string{"Timeout", "Tomeout"},
		lost:    aConnection, // of the thread that the signal interrupts, if that is not the first
	},
	{
		name:    "Varnish",
		program: "/usr/sbin/varnishd",
		pkg:     "varnish",
		args:    []string{"-F", "-f", "/etc/varnish/default.vcl", "-a", "127.0.0.1:6081", "-n", "/tmp/varnish"},
		as:      "varnish",
		dir:     "/etc/varnish",
		files: volumetest.Files{"default.vcl": `vcl 4.1;
backend default none;
sub vcl_recv { return (synth(200)); }
sub vcl_synth {
	set resp.body = "first";
	return (deliver);
}
`},
		change:   [2]string{"first", "second"},
		setting:  body(":6081"),
		validate: "varnishd -C -f /etc/varnish/default.vcl",
		breaks:   [2]string{"deliver", "diliver"},
	},
}

// backend serves what the proxies are asked for.
func backend() error {
	listener, err := net.Listen("tcp", "127.0.0.1:8000")
	if err != nil {
		return err
	}
	go func() { _ = http.Serve(listener, http.NotFoundHandler()) }()
	return nil
}

func nghttpxConf() error {
	return os.WriteFile("/etc/nghttpx/nghttpx.conf", []byte(`frontend=127.0.0.1,8443
backend=127.0.0.1,8000
private-key-file=/etc/nghttpx/tls/tls.key
certificate-file=/etc/nghttpx/tls/tls.crt
`), 0o644)
}

// via asks the backend through a proxy, and returns the name that the proxy gives itself.
func via(address string) func() (string, error) {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		Proxy:             http.ProxyURL(&url.URL{Scheme: "http", Host: "127.0.0.1" + address}),
	}}
	return func() (string, error) {
		response, err := client.Get("http://127.0.0.1:8000")
		if err != nil {
			return "", err
		}
		fields := strings.Fields(response.Header.Get("Via"))
		if len(fields) < 2 {
			return "", fmt.Errorf("%s: Via is %q", response.Status, fields)
		}
		return fields[1], response.Body.Close()
	}
}

// tunnel opens a connection through Squid to the backend, and leaves it open.
func tunnel() (net.Conn, error) {
	conn, err := net.Dial("tcp", "127.0.0.1:3128")
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprint(conn, "CONNECT 127.0.0.1:8000 HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n"); err != nil {
		return nil, err
	}
	status, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && !strings.Contains(status, " 200 ") {
		err = fmt.Errorf("the answer to CONNECT is %q", status)
	}
	return conn, err
}
