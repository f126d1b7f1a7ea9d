package daemons_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

var accesses = []daemon{
	{
		name:    "FreeRADIUS (virtual servers)",
		program: "/usr/sbin/freeradius",
		pkg:     "freeradius",
		args:    []string{"-f", "-l", "stdout", "-d", "/etc/raddb"},
		user:    "freerad",
		prepare: olderFile("/etc/raddb/radiusd.conf"),
		dir:     "/etc/raddb",
		files: volumetest.Files{"radiusd.conf": `max_requests = 100000
security {
	user = freerad
}
modules {
}
client localhost {
	ipaddr = 127.0.0.1
	secret = secret
}
server default {
	listen {
		type = auth
		ipaddr = 127.0.0.1
		port = 1812
	}
	authorize {
		update control {
			Auth-Type := Accept
		}
		update reply {
			Reply-Message := "first"
		}
	}
}
`},
		change:   [2]string{"first", "second"},
		setting:  radiusReply,
		validate: "freeradius -C -l stdout -d /etc/raddb",
		breaks:   [2]string{"update", "upgrade"},
		lost:     nothing,
	},
	{
		name:     "OpenSSH",
		program:  "/usr/sbin/sshd",
		pkg:      "openssh-server",
		args:     []string{"-D", "-e"},
		prepare:  folders("/run/sshd"),
		dir:      "/etc/ssh/sshd_config.d",
		files:    volumetest.Files{"app.conf": "ListenAddress 127.0.0.1\nVersionAddendum first\n"},
		change:   [2]string{"first", "second"},
		setting:  lastWord(":22"),
		idle:     answered(":22", ""),
		validate: "/usr/sbin/sshd -t",
		breaks:   [2]string{"Addendum", "Addendumb"},
		lost:     newcomers,
	},
	{
		name:     "slapd",
		program:  "/usr/sbin/slapd",
		pkg:      "slapd",
		args:     []string{"-d", "0", "-h", "ldap://127.0.0.1", "-u", "openldap", "-f", "/etc/ldap/slapd.conf"},
		user:     "openldap",
		dir:      "/etc/ldap",
		files:    volumetest.Files{"slapd.conf": "database ldif\ndirectory /tmp\nsuffix cn=first\n"},
		change:   [2]string{"first", "second"},
		setting:  ldapSuffix,
		validate: "slaptest -u -f /etc/ldap/slapd.conf",
		breaks:   [2]string{"suffix", "suffux"},
	},
	{
		name:    "stunnel (certificates)",
		program: "/usr/bin/stunnel4",
		pkg:     "stunnel4",
		args:    []string{"/etc/stunnel/stunnel.conf"},
		as:      "stunnel4",
		prepare: stunnelPrepared,
		dir:     "/etc/stunnel/tls",
		files:   volumetest.Files{"tls.key": key, "tls.crt": certificates[0]},
		change:  certificates,
		setting: certificateShown,
		idle:    overTLS,
		breaks:  [2]string{"END", "EDN"},
		lost:    newcomers,
	},
	{
		name:    "vsftpd",
		program: "/usr/sbin/vsftpd",
		pkg:     "vsftpd",
		args:    []string{"/etc/vsftpd/vsftpd.conf"},
		prepare: folders("/run/vsftpd/empty"),
		dir:     "/etc/vsftpd",
		files:   volumetest.Files{"vsftpd.conf": "listen=YES\nbackground=NO\nlisten_address=127.0.0.1\nftpd_banner=first\n"},
		change:  [2]string{"first", "second"},
		setting: lastWord(":21"),
		idle:    answered(":21", ""),
		breaks:  [2]string{"ftpd_banner=second", "ftp_banner=third\nftpd_banner=third"},
		lost:    nothing,
	},
}

// lastWord is that of the line with which the daemon greets.
func lastWord(address string) func() (string, error) {
	return func() (string, error) {
		greeting, err := line(address, "")
		return greeting[strings.LastIndexByte(greeting, ' ')+1:], err
	}
}

// olderFile makes a file one that was written a minute ago, for a daemon that sees
// whole seconds.
func olderFile(path string) func() error {
	return func() error {
		then := time.Now().Add(-time.Minute)
		return os.Chtimes(path, then, then)
	}
}

// radiusReply is what a user is told at login (RFC 2865).
func radiusReply() (string, error) {
	conn, err := net.Dial("udp", "127.0.0.1:1812")
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return "", err
	}
	const request, userName, reply = 1, 1, 18
	packet := make([]byte, 20, 28)
	_, _ = rand.Read(packet[4:]) // the authenticator, which tells requests apart
	packet = append(packet, userName, 8)
	packet = append(packet, "reader"...)
	packet[0], packet[3] = request, byte(len(packet))
	if _, err := conn.Write(packet); err != nil {
		return "", err
	}
	answer := make([]byte, 4096)
	n, err := conn.Read(answer)
	if err != nil {
		return "", err
	}
	for attributes := answer[min(20, n):n]; len(attributes) > 2; attributes = attributes[attributes[1]:] {
		if attributes[0] == reply {
			return string(attributes[2:attributes[1]]), nil
		}
	}
	return "", fmt.Errorf("no reply in %q", answer[:n])
}

// ldapSuffix asks for the names of what the server holds (RFC 4511, 4.5).
func ldapSuffix() (string, error) {
	conn, err := dial(":389")
	if err != nil {
		return "", err
	}
	defer conn.Close()
	// As BER: the base is the root, alone, and what is wanted its namingContexts.
	const (
		what   = "\x04\x00\x0a\x01\x00\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00"
		filter = "\x87\x0bobjectClass"
		wanted = "\x30\x10\x04\x0enamingContexts"
		search = "\x02\x01\x01\x63\x30" + what + filter + wanted
	)
	if _, err := io.WriteString(conn, "\x30\x35"+search); err != nil {
		return "", err
	}
	answer := make([]byte, 4096)
	n, err := conn.Read(answer)
	if err != nil {
		return "", err
	}
	// Letters alone: what follows the name may be a 0 (BER's SEQUENCE) of the next message.
	name := regexp.MustCompile(`cn=([a-z]+)`).FindSubmatch(answer[:n])
	if name == nil {
		return "", fmt.Errorf("no name in %q", answer[:n])
	}
	return string(name[1]), nil
}

// stunnelPrepared serves what stunnel connects to, and writes its configuration: not
// into the volume, for stunnel finds out where its links lead only when it starts.
func stunnelPrepared() error {
	server, err := net.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		return err
	}
	go func() { _ = http.Serve(server, nil) }()
	return os.WriteFile("/etc/stunnel/stunnel.conf", []byte(`foreground = yes
pid =
[web]
accept = 127.0.0.1:8443
connect = 127.0.0.1:8080
key = /etc/stunnel/tls/tls.key
cert = /etc/stunnel/tls/tls.crt
`), 0o644)
}
