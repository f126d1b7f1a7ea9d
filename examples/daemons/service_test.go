package daemons_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/podsignal/podsignal/watcher/volumetest"
)

var services = []daemon{
	{
		name:    "Alertmanager",
		program: "/usr/bin/prometheus-alertmanager",
		pkg:     "prometheus-alertmanager",
		args: []string{
			"--config.file=/etc/alertmanager/alertmanager.yml", "--storage.path=/tmp/alertmanager",
			"--web.listen-address=127.0.0.1:9093", "--cluster.listen-address=",
		},
		as:       "nobody",
		dir:      "/etc/alertmanager",
		files:    volumetest.Files{"alertmanager.yml": "route:\n  receiver: first\nreceivers:\n- name: first\n"},
		change:   [2]string{"first", "second"},
		setting:  receiver,
		idle:     keptAlive(":9093"),
		validate: "amtool check-config /etc/alertmanager/alertmanager.yml",
		breaks:   [2]string{"route", "rout"},
		lost:     nothing,
	},
	{
		name:     "Blackbox exporter",
		program:  "/usr/bin/prometheus-blackbox-exporter",
		pkg:      "prometheus-blackbox-exporter",
		args:     []string{"--config.file=/etc/blackbox_exporter/config.yml", "--web.listen-address=127.0.0.1:9115"},
		as:       "nobody",
		dir:      "/etc/blackbox_exporter",
		files:    volumetest.Files{"config.yml": "modules:\n  first:\n    prober: tcp\n"},
		change:   [2]string{"first", "second"},
		setting:  taken(probes),
		idle:     keptAlive(":9115"),
		validate: "prometheus-blackbox-exporter --config.check --config.file=/etc/blackbox_exporter/config.yml",
		breaks:   [2]string{"prober", "probe"},
		lost:     nothing,
	},
	{
		name:    "Celery",
		program: "/usr/bin/celery",
		pkg:     "celery",
		args:    []string{"--app=app", "worker", "--concurrency=2"},
		environ: []string{"PATH=/usr/bin:/bin", "PYTHONPATH=/etc/celery"}, // Debian's Python
		as:      "www-data",
		dir:     "/etc/celery",
		files: volumetest.Files{"app.py": `import celery
app = celery.Celery(broker="memory://")

@celery.signals.worker_ready.connect
def ready(**_):
    with open("/tmp/setting", "w") as f:
        f.write("first")
`},
		change:   [2]string{"first", "second"},
		setting:  func() (string, error) { b, err := os.ReadFile("/tmp/setting"); return string(b), err },
		validate: "celery --app=app report",
		breaks:   [2]string{"import", "impart"},
		lost:     nothing,
	},
	{
		name:    "Memcached (password file)",
		program: "/usr/bin/memcached",
		pkg:     "memcached",
		args:    []string{"-l", "127.0.0.1", "-Y", "/etc/memcached/passwords"},
		as:      "memcache",
		dir:     "/etc/memcached",
		files:   volumetest.Files{"passwords": "reader:first\n"},
		change:  [2]string{"first", "second"},
		setting: taken(memcachedPassword),
		idle:    answered(":11211", memcachedLogin("first")),
		breaks:  [2]string{"reader:second", "second"},
		lost:    nothing,
	},
	{
		name:    "Mosquitto",
		program: "/usr/sbin/mosquitto",
		pkg:     "mosquitto",
		args:    []string{"-c", "/mosquitto/config/mosquitto.conf"},
		user:    "mosquitto",
		dir:     "/mosquitto/config",
		files: volumetest.Files{
			"mosquitto.conf": "listener 1883 127.0.0.1\npassword_file /mosquitto/config/passwords\n",
			"passwords":      "first:" + mosquittoSecret + "\nidle:" + mosquittoSecret + "\n",
		},
		change:  [2]string{"first", "second"},
		setting: taken(mqttUser),
		idle:    func() (net.Conn, error) { return mqtt("idle") },
		breaks:  [2]string{"password_file", "password_fil"},
		lost:    nothing,
	},
	{
		name:     "NATS server",
		program:  "/usr/sbin/nats-server",
		pkg:      "nats-server",
		args:     []string{"-c", "/etc/nats/nats.conf"},
		as:       "nats",
		dir:      "/etc/nats",
		files:    volumetest.Files{"nats.conf": "listen: 127.0.0.1:4222\nmax_payload: 1000\n"},
		change:   [2]string{"1000", "2000"},
		setting:  natsMaxPayload,
		idle:     natsClient,
		validate: "nats-server -t -c /etc/nats/nats.conf",
		breaks:   [2]string{"2000", "many"},
		lost:     nothing,
	},
	{
		name:    "Redis",
		program: "/usr/bin/redis-server",
		pkg:     "redis-server",
		args:    []string{"/usr/local/etc/redis/redis.conf"},
		as:      "redis",
		dir:     "/usr/local/etc/redis",
		files:   volumetest.Files{"redis.conf": "bind 127.0.0.1\ndir /tmp\nrequirepass first\n"},
		change:  [2]string{"first", "second"},
		setting: taken(redisPassword),
	},
	{
		name:    "rsyslog",
		program: "/usr/sbin/rsyslogd",
		pkg:     "rsyslog",
		args:    []string{"-n", "-iNONE", "-f", "/etc/rsyslog/rsyslog.conf"},
		dir:     "/etc/rsyslog",
		files: volumetest.Files{"rsyslog.conf": `module(load="imudp")
input(type="imudp" address="127.0.0.1" port="514")
template(name="line" type="string" string="first")
action(type="omfwd" target="127.0.0.1" port="5140" protocol="udp" template="line")
`},
		change:   [2]string{"first", "second"},
		setting:  forwarded,
		validate: "rsyslogd -N1 -f /etc/rsyslog/rsyslog.conf",
		breaks:   [2]string{"imudp", "imudq"},
	},
}

// taken says which of the two words the daemon takes for a name or a password.
func taken(takes func(word string) (bool, error)) func() (string, error) {
	return func() (string, error) {
		for _, word := range []string{"first", "second"} {
			if ok, err := takes(word); ok || err != nil {
				return word, err
			}
		}
		return "", errors.New("it takes neither")
	}
}

// dial connects to the daemon, which has a few seconds for all that follows.
func dial(address string) (net.Conn, error) {
	conn, err := net.Dial("tcp", "127.0.0.1"+address)
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Now().Add(10 * time.Second))
}

// line is the first one that the daemon says on a new connection, after what is
// asked of it.
func line(address, question string) (string, error) {
	conn, err := dial(address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, question); err != nil {
		return "", err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(answer), err
}

// answered opens a connection on which the daemon has said something, after what is
// asked of it.
func answered(address, question string) func() (net.Conn, error) {
	return func() (net.Conn, error) {
		conn, err := dial(address)
		if err != nil {
			return nil, err
		}
		if _, err := io.WriteString(conn, question); err != nil {
			return nil, err
		}
		_, err = conn.Read(make([]byte, 1))
		return conn, err
	}
}

// receiver is the name of Alertmanager's.
func receiver() (string, error) {
	content, err := body(":9093/api/v2/receivers")()
	if err != nil {
		return "", err
	}
	var receivers []struct{ Name string }
	if err := json.Unmarshal([]byte(content), &receivers); err != nil {
		return "", err
	}
	return receivers[0].Name, nil
}

// probes says whether the exporter has that module.
func probes(module string) (bool, error) {
	response, err := http.Get("http://127.0.0.1:9115/probe?target=127.0.0.1:9115&module=" + module)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK, nil
}

func memcachedPassword(word string) (bool, error) {
	answer, err := line(":11211", memcachedLogin(word))
	return answer == "STORED", err
}

// memcachedLogin is a command that sets a key: the first one has to, and logs in.
func memcachedLogin(password string) string {
	login := "reader " + password
	return fmt.Sprintf("set key 0 0 %d\r\n%s\r\n", len(login), login)
}

func redisPassword(word string) (bool, error) {
	answer, err := line(":6379", "AUTH "+word+"\r\n")
	return answer == "+OK", err
}

var errRefused = errors.New("not authorised")

// mosquittoSecret is the word secret, as mosquitto_passwd writes it.
const mosquittoSecret = "$7$101$cG9kc2lnbmFsMTIz$xFbK3BgtsNikbihZO7/1sk82jgvCw8rkxcvDtkZhWfpRBgKLb+Glsm6Y3zm1bfkTLX40EQY7i48PjbEoebmJ3w=="

func mqttUser(name string) (bool, error) {
	conn, err := mqtt(name)
	if errors.Is(err, errRefused) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, conn.Close()
}

// mqtt logs in as a user (MQTT 3.1.1, 3.1 and 3.2).
func mqtt(name string) (net.Conn, error) {
	conn, err := dial(":1883")
	if err != nil {
		return nil, err
	}
	text := func(s string) string { return "\x00" + string(rune(len(s))) + s }
	const loginAlone, keepAlive = "\xc2", "\x00\x00"
	packet := text("MQTT") + "\x04" + loginAlone + keepAlive + text("") + text(name) + text("secret")
	if _, err := io.WriteString(conn, "\x10"+string(rune(len(packet)))+packet); err != nil {
		return nil, err
	}
	var answer [4]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return nil, err
	}
	if answer[3] != 0 {
		_ = conn.Close()
		return nil, fmt.Errorf("%w: %d", errRefused, answer[3])
	}
	return conn, nil
}

// natsMaxPayload is in what the server says of itself to each client.
func natsMaxPayload() (string, error) {
	info, err := line(":4222", "")
	if err != nil {
		return "", err
	}
	var server struct {
		MaxPayload json.Number `json:"max_payload"`
	}
	err = json.Unmarshal([]byte(strings.TrimPrefix(info, "INFO ")), &server)
	return server.MaxPayload.String(), err
}

func natsClient() (net.Conn, error) {
	conn, err := dial(":4222")
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, "CONNECT {\"verbose\":false}\r\nPING\r\n"); err != nil {
		return nil, err
	}
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		if lines.Text() == "PONG" {
			return conn, nil
		}
	}
	return nil, errors.New("no PONG")
}

// forwarded is what becomes of a message.
func forwarded() (string, error) {
	to, err := net.ListenPacket("udp", "127.0.0.1:5140")
	if err != nil {
		return "", err
	}
	defer to.Close()
	if err := to.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return "", err
	}
	from, err := net.Dial("udp", "127.0.0.1:514")
	if err != nil {
		return "", err
	}
	defer from.Close()
	if _, err := io.WriteString(from, "<13>hello"); err != nil {
		return "", err
	}
	message := make([]byte, 100)
	n, _, err := to.ReadFrom(message)
	return string(message[:n]), err
}
