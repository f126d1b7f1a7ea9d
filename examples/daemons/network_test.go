package daemons_test

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

var networks = []daemon{
	{
		name:     "chrony",
		program:  "/usr/sbin/chronyd",
		pkg:      "chrony",
		args:     []string{"-d", "-x"},
		user:     "_chrony",
		dir:      "/etc/chrony",
		files:    volumetest.Files{"chrony.conf": "local stratum 5\nallow 127.0.0.1\ncmdport 0\n"},
		change:   [2]string{"5", "6"},
		setting:  stratum,
		validate: "chronyd -p",
		breaks:   [2]string{"stratum", "strutum"},
	},
	{
		name:    "coturn (certificates)",
		program: "/usr/bin/turnserver",
		pkg:     "coturn",
		args: []string{
			"-n", "--log-file=stdout", "--no-cli", "--no-auth", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1",
			"--tls-listening-port=8443", "--cert=/etc/coturn/tls/tls.crt", "--pkey=/etc/coturn/tls/tls.key", "--pidfile=/tmp/turnserver.pid", "--userdb=/tmp/turndb",
		},
		as:      "turnserver",
		dir:     "/etc/coturn/tls",
		files:   volumetest.Files{"tls.key": key, "tls.crt": certificates[0]},
		change:  certificates,
		setting: certificateShown,
		breaks:  [2]string{"END", "EDN"},
		lost:    nothing,
	},
	{
		name:    "keepalived",
		program: "/usr/sbin/keepalived",
		pkg:     "keepalived",
		args:    []string{"-n", "-l"},
		prepare: interfaceUp,
		dir:     "/etc/keepalived",
		files: volumetest.Files{"keepalived.conf": `vrrp_instance web {
	interface eth0
	virtual_router_id 1
	state MASTER
	virtual_ipaddress {
		192.0.2.1
		192.0.2.10
	}
}
`},
		change:   [2]string{"192.0.2.10", "192.0.2.20"},
		setting:  addressTaken,
		validate: "keepalived -t -f /etc/keepalived/keepalived.conf",
		breaks:   [2]string{"192.0.2.20", "192.0.2.256\n\t\t192.0.2.30"},
		lost:     nothing,
	},
}

// stratum is what the daemon says of itself (RFC 5905, 7.3).
func stratum() (string, error) {
	conn, err := net.Dial("udp", "127.0.0.1:123")
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return "", err
	}
	packet := make([]byte, 48)
	packet[0] = 4<<3 | 3 // version and client
	if _, err := conn.Write(packet); err != nil {
		return "", err
	}
	_, err = conn.Read(packet)
	return strconv.Itoa(int(packet[1])), err
}

// interfaceUp gives the pod an eth0 with an address, as it has in a cluster.
func interfaceUp() error {
	for _, command := range []string{
		"ip link add eth0 up type veth peer name node",
		"ip link set node up",
		"ip address add 192.0.2.100/24 dev eth0",
	} {
		words := strings.Fields(command)
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", command, err, out)
		}
	}
	return nil
}

// addressTaken is the one that eth0 has beside its own and 192.0.2.1.
func addressTaken() (string, error) {
	eth0, err := net.InterfaceByName("eth0")
	if err != nil {
		return "", err
	}
	addresses, err := eth0.Addrs()
	if err != nil {
		return "", err
	}
	taken, kept := "", false
	for _, address := range addresses {
		switch ip := address.(*net.IPNet).IP.String(); {
		case ip == "192.0.2.1":
			kept = true
		case strings.HasPrefix(ip, "192.0.2.") && ip != "192.0.2.100":
			taken = ip
		}
	}
	if !kept {
		return "", errors.New("192.0.2.1 is gone")
	}
	return taken, nil
}
