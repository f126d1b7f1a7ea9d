package daemons_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// examples are the daemons that have a folder beside this one. What their manifests
// say is not repeated here.
var examples = []daemon{
	example("gunicorn", daemon{
		name:    "Gunicorn",
		program: "/usr/bin/gunicorn",
		pkg:     "gunicorn",
		prepare: func() error {
			return inTurn(folders("/app"), copyFile("../gunicorn/app.py", "/app/app.py"))
		},
		change:   [2]string{"hello from Gunicorn", "goodbye"},
		setting:  body(":8000"),
		validate: "gunicorn --check-config --config=/etc/app/gunicorn.conf.py --chdir=/app app:app",
		breaks:   [2]string{"workers = 2", "workers ="},
		lost:     nothing,
	}),
	example("haproxy", daemon{
		name:     "HAProxy",
		program:  "/usr/sbin/haproxy",
		pkg:      "haproxy",
		env:      []string{"VERIFY=5s"}, // a worker that is busy takes its time to end
		change:   [2]string{"hello from HAProxy", "goodbye"},
		setting:  body(":8080"),
		idle:     keptAlive(":8080"),
		validate: "haproxy -c -f /usr/local/etc/haproxy/haproxy.cfg",
		breaks:   [2]string{"frontend", "frontent"},
		lost:     idleConnections,
	}),
	example("nginx", daemon{
		name:     "nginx",
		program:  "/usr/sbin/nginx",
		pkg:      "nginx",
		args:     []string{"-g", "daemon off;"},
		prepare:  nginxConf("/var/cache/nginx", "/run/nginx.pid"),
		change:   [2]string{"hello from nginx", "goodbye"},
		setting:  body(":80"),
		idle:     keptAlive(":80"),
		validate: "nginx -t -q",
		breaks:   [2]string{"location", "lokation"},
		lost:     idleConnections,
	}),
	example("nginx-unprivileged", daemon{
		name:     "nginx-unprivileged",
		of:       "nginx",
		program:  "/usr/sbin/nginx",
		pkg:      "nginx",
		args:     []string{"-g", "daemon off;"},
		prepare:  nginxConf("/tmp", "/tmp/nginx.pid"),
		change:   [2]string{"hello from nginx", "goodbye"},
		setting:  body(":8080"),
		idle:     keptAlive(":8080"),
		validate: "nginx -t -q",
		breaks:   [2]string{"location", "lokation"},
		lost:     idleConnections,
	}),
	example("pgbouncer", daemon{
		name:    "PgBouncer",
		program: "/usr/sbin/pgbouncer",
		pkg:     "pgbouncer",
		change:  [2]string{"10", "30"},
		setting: value("pgbouncer", "SHOW CONFIG", "default_pool_size"),
		idle:    session("pgbouncer"),
		breaks:  [2]string{"500", "many"},
		lost:    nothing,
	}),
	example("postgresql", daemon{
		name:     "PostgreSQL",
		program:  "/usr/lib/postgresql/15/bin/postgres",
		pkg:      "postgresql-15",
		prepare:  newDatabase,
		change:   [2]string{"4MB", "8MB"},
		setting:  value("postgres", "SHOW ALL", "work_mem"),
		idle:     session("postgres"),
		validate: "/usr/lib/postgresql/15/bin/postgres -C config_file -D /etc/postgresql",
		breaks:   [2]string{"work_mem = 8MB", "work_mem = much"},
		lost:     nothing,
	}),
	example("prometheus", daemon{
		name:     "Prometheus",
		program:  "/usr/bin/prometheus",
		pkg:      "prometheus",
		change:   [2]string{"warning", "critical"},
		setting:  alertSeverity,
		idle:     keptAlive(":9090"),
		validate: "promtool check config /etc/prometheus/prometheus.yml",
		breaks:   [2]string{"scrape_configs", "scrape_konfigs"},
		lost:     nothing,
	}),
}

// nginxConf replaces Debian's nginx.conf by one that is for the folders of the image.
func nginxConf(temporary, pidFile string) func() error {
	var paths strings.Builder
	for _, what := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&paths, "%s_temp_path %s/%[1]s;\n", what, temporary)
	}
	return func() error {
		return os.WriteFile("/etc/nginx/nginx.conf", fmt.Appendf(nil, `pid %s;
error_log stderr;
events {}
http {
access_log off;
%sinclude /etc/nginx/conf.d/*.conf;
}
`, pidFile, paths.String()), 0o644)
	}
}

// newDatabase does what the entrypoint of PostgreSQL's image does at the first start.
func newDatabase() error {
	const password = "/tmp/password"
	initdb := exec.Command("/usr/lib/postgresql/15/bin/initdb", "--username=postgres", "--pwfile="+password,
		"--pgdata=/var/lib/postgresql/data/pgdata")
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: credential("999")}
	return inTurn(
		prepend("/etc/passwd", "postgres:x:999:999::/var/lib/postgresql:/bin/bash\n"),
		func() error { return os.WriteFile(password, []byte("change-me"), 0o644) },
		func() error {
			if out, err := initdb.CombinedOutput(); err != nil {
				return fmt.Errorf("initdb: %w\n%s", err, out)
			}
			return nil
		},
	)
}

func prepend(path, line string) func() error {
	return func() error {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, append([]byte(line), content...), 0o644)
	}
}

func copyFile(from, to string) func() error {
	return func() error {
		content, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		return os.WriteFile(to, content, 0o644)
	}
}

// alertSeverity asks Prometheus for the label of the one alert that it has.
func alertSeverity() (string, error) {
	response, err := http.Get("http://127.0.0.1:9090/api/v1/rules")
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var answer struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Labels struct{ Severity string } }
			}
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return "", err
	}
	if len(answer.Data.Groups) == 0 {
		return "", fmt.Errorf("no rules")
	}
	return answer.Data.Groups[0].Rules[0].Labels.Severity, nil
}
