package daemons_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

// zone is what BIND, NSD and PowerDNS serve.
const zone = `$TTL 60
@ IN SOA ns.example. root.example. 1 60 60 60 60
@ IN NS localhost.
@ IN TXT "first"
`

var nameServers = []daemon{
	{
		name:    "BIND",
		program: "/usr/sbin/named",
		pkg:     "bind9",
		args:    []string{"-f", "-u", "bind"},
		user:    "bind",
		dir:     "/etc/bind",
		files: volumetest.Files{
			"named.conf": `options { directory "/var/cache/bind"; listen-on { 127.0.0.1; }; };
zone "example" { type primary; file "/etc/bind/example.zone"; };
`,
			"example.zone": zone,
		},
		change:   [2]string{"first", "second"},
		setting:  text,
		idle:     dnsOverTCP,
		validate: "named-checkconf -z",
		breaks:   [2]string{"primary", "primordial"},
		lost:     nothing,
	},
	{
		name:    "dnsmasq (hosts files)",
		program: "/usr/sbin/dnsmasq",
		pkg:     "dnsmasq-base",
		args:    []string{"-k", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--addn-hosts=/etc/dnsmasq.hosts"},
		user:    "nobody",
		dir:     "/etc/dnsmasq.hosts",
		files:   volumetest.Files{"hosts": "192.0.2.1 example\n"},
		change:  [2]string{"192.0.2.1", "192.0.2.2"},
		setting: address,
		idle:    dnsOverTCP,
		breaks:  [2]string{"192.0.2.2", "192.0.2.256 example\n192.0.2.3"},
		lost:    nothing,
	},
	{
		name:    "NSD (zone files)",
		program: "/usr/sbin/nsd",
		pkg:     "nsd",
		args:    []string{"-d", "-P", ""},
		user:    "nsd",
		dir:     "/etc/nsd",
		files: volumetest.Files{
			"nsd.conf": `server:
	ip-address: 127.0.0.1
	database: "" # later versions have none
remote-control:
	control-enable: no
zone:
	name: example
	zonefile: /etc/nsd/example.zone
`,
			"example.zone": zone,
		},
		change:   [2]string{"first", "second"},
		setting:  text,
		idle:     dnsOverTCP,
		validate: "nsd-checkzone example /etc/nsd/example.zone",
		breaks:   [2]string{"SOA", "SOAP"},
		lost:     queries,
	},
	{
		name:    "PowerDNS",
		program: "/usr/sbin/pdns_server",
		pkg:     "pdns-server",
		args:    []string{"--guardian=no", "--daemon=no"},
		user:    "pdns",
		dir:     "/etc/powerdns",
		files: volumetest.Files{
			"pdns.conf": `local-address=127.0.0.1
launch=bind
bind-config=/etc/powerdns/named.conf
setuid=pdns
setgid=pdns
`,
			"named.conf":   `zone "example" { type master; file "/etc/powerdns/example.zone"; };`,
			"example.zone": zone,
		},
		change:   [2]string{"first", "second"},
		setting:  text,
		validate: "pdns_server --config=check",
		breaks:   [2]string{"launch=", "lunch="},
	},
	{
		name:    "Unbound",
		program: "/usr/sbin/unbound",
		pkg:     "unbound",
		args:    []string{"-d"},
		user:    "unbound",
		dir:     "/etc/unbound",
		files: volumetest.Files{"unbound.conf": `server:
	use-syslog: no
	local-zone: example. static
	local-data: 'example. TXT "first"'
`},
		change:   [2]string{"first", "second"},
		setting:  text,
		idle:     dnsOverTCP,
		validate: "unbound-checkconf",
		breaks:   [2]string{"static", "statuesque"},
		lost:     idleConnections,
	},
}

// text asks the name server for the TXT record of example.
func text() (string, error) {
	const typeTXT = 16
	data, err := record(typeTXT)
	if err != nil {
		return "", err
	}
	return string(data[1:]), nil
}

// address asks the name server for the address of example.
func address() (string, error) {
	const typeA = 1
	data, err := record(typeA)
	return net.IP(data).String(), err
}

// record asks the name server for a record of example, and returns its data.
func record(typ byte) ([]byte, error) {
	conn, err := net.Dial("udp", "127.0.0.1:53")
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return nil, err
	}
	query := dnsQuery(typ)
	if _, err := conn.Write(query); err != nil {
		return nil, err
	}
	reply := make([]byte, 1500)
	n, err := conn.Read(reply)
	if err != nil {
		return nil, err
	}
	// RFC 1035, 4.1.3: a link to the name, type, class and time to live come first.
	data := len(query) + 2 + 2 + 2 + 4
	if n < data+2 || binary.BigEndian.Uint16(reply[6:]) == 0 {
		return nil, fmt.Errorf("no record in %q", reply[:n])
	}
	end := data + 2 + int(binary.BigEndian.Uint16(reply[data:]))
	if n < end {
		return nil, fmt.Errorf("a record too short in %q", reply[:n])
	}
	return reply[data+2 : end], nil
}

// dnsQuery is for a record of example (RFC 1035, 4.1).
func dnsQuery(typ byte) []byte {
	const header = "\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00"
	return append([]byte(header+"\x07example\x00"), 0, typ, 0, 1)
}

// dnsOverTCP asks one question over TCP, and leaves the connection open.
func dnsOverTCP() (net.Conn, error) {
	conn, err := net.Dial("tcp", "127.0.0.1:53")
	if err != nil {
		return nil, err
	}
	query := dnsQuery(1)
	if _, err := conn.Write(append([]byte{0, byte(len(query))}, query...)); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	_, err = io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint16(size[:])))
	return conn, err
}
