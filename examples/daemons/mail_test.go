package daemons_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

var mailServers = []daemon{
	{
		name:    "Dovecot",
		program: "/usr/sbin/dovecot",
		pkg:     "dovecot-imapd",
		args:    []string{"-F"},
		dir:     "/etc/dovecot",
		files: volumetest.Files{"dovecot.conf": `protocols = imap
mail_location = maildir:~
listen = 127.0.0.1
ssl = no
log_path = /dev/stderr
login_greeting = one
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=/tmp/%u
}
`},
		change:   [2]string{"one", "two"},
		setting:  greeting(":143"),
		idle:     loggedIn,
		validate: "doveconf -n",
		breaks:   [2]string{"passdb {", "passdb"},
		lost:     idleLater,
	},
	{
		name:    "Postfix",
		program: "/usr/sbin/postfix",
		pkg:     "postfix",
		env:     []string{"VERIFY=5s"}, // it takes 3 s to end
		args:    []string{"-c", "/config", "start-fg"},
		environ: []string{"MAIL_CONFIG=/config"}, // for its other commands
		dir:     "/config",
		files: volumetest.Files{
			"main.cf": `compatibility_level = 3.6
inet_interfaces = loopback-only
inet_protocols = ipv4
maillog_file = /dev/stdout
smtpd_banner = one
`,
			"master.cf": `smtp      inet n - n -     - smtpd
pickup    unix n - n 60    1 pickup
cleanup   unix n - n -     0 cleanup
qmgr      unix n - n 300   1 qmgr
proxymap  unix - - n -     - proxymap
rewrite   unix - - n -     - trivial-rewrite
bounce    unix - - n -     0 bounce
anvil     unix - - n -     1 anvil
postlog   unix-dgram n - n - 1 postlogd
`,
		},
		change:   [2]string{"one", "two"},
		setting:  greeting(":25"),
		idle:     greeted(":25"),
		validate: "postfix check",
		breaks:   [2]string{"inet n", "inat n"},
		lost:     nothing,
	},
}

// greeting returns the last word with which a server greets.
func greeting(address string) func() (string, error) {
	return func() (string, error) {
		conn, line, err := greet(address)
		if err != nil {
			return "", err
		}
		words := strings.Fields(line)
		return words[len(words)-1], conn.Close()
	}
}

// greeted opens a connection, waits for the greeting, and leaves it open.
func greeted(address string) func() (net.Conn, error) {
	return func() (net.Conn, error) {
		conn, _, err := greet(address)
		return conn, err
	}
}

func greet(address string) (net.Conn, string, error) {
	conn, err := net.Dial("tcp", "127.0.0.1"+address)
	if err != nil {
		return nil, "", err
	}
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, "", err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		_ = conn.Close()
	}
	return conn, line, err
}

// loggedIn opens an IMAP connection, logs in, and leaves it open.
func loggedIn() (net.Conn, error) {
	conn, _, err := greet(":143")
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprint(conn, "a LOGIN joe secret\r\n"); err != nil {
		return nil, err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && !strings.HasPrefix(answer, "a OK") {
		err = fmt.Errorf("the answer to LOGIN is %q", answer)
	}
	return conn, err
}
