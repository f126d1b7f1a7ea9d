package programs

// All are the programs, by name.
var All = []Program{
	{
		Name: "Alertmanager", Processes: []string{"prometheus-alertmanager", "alertmanager"},
		Signal: "HUP", Expect: Read, Broken: Keeps,
		Validate: "amtool check-config /etc/alertmanager/alertmanager.yml",
	},
	{
		Name: "Apache httpd", Processes: []string{"apache2", "httpd"},
		Signal: "USR1", Expect: Replaced, Broken: Exits,
		Validate: "apache2 -t",
	},
	{
		Name: "BIND", Processes: []string{"named"},
		Signal: "HUP", Expect: Read, Broken: Keeps,
		Validate: "named-checkconf -z",
	},
	{
		Name: "Blackbox exporter", Processes: []string{"prometheus-blackbox-exporter", "blackbox_exporter"},
		Signal: "HUP", Expect: Read, Broken: Keeps,
		Validate: "prometheus-blackbox-exporter --config.check",
	},
	{
		Name: "Caddy 2.6", Processes: []string{"caddy"},
		OnHUP: GoesOn, Instead: "use Caddy 2.11, which reloads on USR1, and set SIGNAL=USR1",
		Validate: "caddy validate --config /etc/caddy/Caddyfile",
	},
	{
		Name: "Celery", Processes: []string{"python3"}, Cmdline: "celery",
		Signal: "HUP", Expect: Replaced, Broken: Exits,
		Validate: "celery --app=app report",
		Settings: []string{"VERIFY=10s"}, // it loads Python anew
	},
	{
		Name: "chrony", Processes: []string{"chronyd"},
		OnHUP: Ends, Instead: restart,
		Validate: "chronyd -p",
	},
	{
		Name: "coturn (certificates)", Processes: []string{"turnserver"},
		Signal: "USR2", Expect: Read, Broken: Keeps,
	},
	{
		Name: "dnsmasq (hosts files)", Processes: []string{"dnsmasq"},
		Signal: "HUP", Expect: Read, Broken: Skips,
	},
	{
		Name: "Dovecot", Processes: []string{"dovecot"},
		Signal: "HUP", Expect: Read, Broken: Keeps,
		Validate: "doveconf -n",
	},
	{
		Name: "FreeRADIUS (virtual servers)", Processes: []string{"freeradius", "radiusd"},
		Signal: "HUP", Expect: Read, Broken: Keeps,
		Validate: "freeradius -C",
		Settings: []string{"MIN_INTERVAL=6s"}, // it ignores a signal less than 5 s after another
	},
	{
		Name: "Gunicorn", Processes: []string{"gunicorn"},
		Signal: "HUP", Expect: Replaced, Broken: Exits,
		Validate: "gunicorn --check-config",
	},
	{
		Name: "H2O", Processes: []string{"h2o"},
		OnHUP: Unhandled, Instead: "start it with -m master, and set PROCESS=perl and CMDLINE=start_server",
		Validate: "h2o -t",
	},
	{
		Name: "H2O with -m master", Processes: []string{"perl"}, Cmdline: "start_server",
		Signal: "HUP", Expect: Read, Broken: Keeps,
		Validate: "h2o -t",
	},
	{
		Name: "HAProxy", Processes: []string{"haproxy"},
		Signal: "USR2", Expect: Replaced, Broken: Keeps,
		Validate: "haproxy -c -f /usr/local/etc/haproxy/haproxy.cfg",
	},
	{
		Name: "Hitch", Processes: []string{"hitch"},
		Signal: "HUP", Expect: Replaced, Broken: Keeps,
		Validate: "hitch --test",
	},
	{
		Name: "keepalived", Processes: []string{"keepalived"},
		Signal: "HUP", Expect: Read, Broken: Skips,
		Validate: "keepalived -t",
	},
	{
		Name: "lighttpd", Processes: []string{"lighttpd"},
		Signal: "USR1", Expect: Read, Broken: Exits,
		Validate: "lighttpd -tt -f /etc/lighttpd/lighttpd.conf",
	},
	{
		Name: "Memcached (password file)", Processes: []string{"memcached"},
		Signal: "HUP", Expect: Read, Broken: Keeps,
	},
	{
		Name: "Mosquitto", Processes: []string{"mosquitto"},
		Signal: "HUP", Expect: Read, Broken: Keeps,
	},
	{
		Name: "NATS server", Processes: []string{"nats-server"},
		Signal: "HUP", Expect: Read, Broken: Keeps,
		Validate: "nats-server -t",
	},
	{
		Name: "nghttpx (certificates)", Processes: []string{"nghttpx"},
		Signal: "HUP", Expect: Read, Broken: Exits,
	},
	{
		Name: "nginx", Processes: []string{"nginx"},
		Signal: "HUP", Expect: Replaced, Broken: Keeps,
		Validate: "nginx -t -q",
	},
	{
		Name: "NSD (zone files)", Processes: []string{"nsd"},
		Signal: "HUP", Expect: Read, Broken: StopsServing,
		Validate: "nsd-checkzone",
	},
	{
		Name: "OpenSSH", Processes: []string{"sshd"},
		Signal: "HUP", Expect: Read, Broken: Exits,
		Validate: "/usr/sbin/sshd -t",
	},
	{
		Name: "PgBouncer", Processes: []string{"pgbouncer"},
		Signal: "HUP", Expect: Read, Broken: Resets,
	},
	{
		Name: "PHP-FPM", Processes: []string{"php-fpm", "php-fpm8.2"},
		Signal: "USR2", Expect: Replaced, Broken: Exits,
		Validate: "php-fpm -t",
	},
	{
		Name: "Postfix", Processes: []string{"master"},
		Signal: "HUP", Expect: Read, Broken: Exits,
		Validate: "postfix check",
	},
	{
		Name: "PostgreSQL", Processes: []string{"postgres"},
		Signal: "HUP", Expect: Read, Broken: Keeps,
		Validate: "postgres -C config_file",
	},
	{
		Name: "PowerDNS", Processes: []string{"pdns_server"},
		OnHUP: Unhandled, Instead: restart,
		Validate: "pdns_server --config=check",
	},
	{
		Name: "Prometheus", Processes: []string{"prometheus"},
		Signal: "HUP", Expect: Read, Broken: Keeps,
		Validate: "promtool check config /etc/prometheus/prometheus.yml",
	},
	{
		Name: "Puma", Processes: []string{"puma"},
		Signal: "USR2", Expect: Replaced, Broken: Exits,
		Settings: []string{"VERIFY=10s"}, // it loads Ruby anew
	},
	{
		Name: "Redis", Processes: []string{"redis-server"},
		OnHUP: Ignores, Instead: restart,
	},
	{
		Name: "rsyslog", Processes: []string{"rsyslogd"},
		OnHUP: GoesOn, Instead: restart,
		Validate: "rsyslogd -N1",
	},
	{
		Name: "slapd", Processes: []string{"slapd"},
		OnHUP: Ends, Instead: restart,
		Validate: "slaptest -u",
	},
	{
		Name: "Squid", Processes: []string{"squid"},
		Signal: "HUP", Expect: Read, Broken: Exits,
		Validate: "squid -k parse",
	},
	{
		Name: "stunnel (certificates)", Processes: []string{"stunnel4", "stunnel"},
		Signal: "HUP", Expect: Read, Broken: Keeps,
	},
	{
		Name: "Supervisor", Processes: []string{"supervisord"},
		Signal: "HUP", Expect: Replaced, Broken: Exits,
	},
	{
		Name: "Tinyproxy", Processes: []string{"tinyproxy"},
		Signal: "USR1", Expect: Read, Broken: Keeps,
	},
	{
		Name: "Unbound", Processes: []string{"unbound"},
		Signal: "HUP", Expect: Read, Broken: Exits,
		Validate: "unbound-checkconf",
	},
	{
		Name: "Unicorn", Processes: []string{"unicorn"},
		Signal: "HUP", Expect: Replaced, Broken: Keeps,
	},
	{
		Name: "uWSGI", Processes: []string{"uwsgi"},
		Signal: "HUP", Expect: Replaced, Broken: StopsServing,
	},
	{
		Name: "Varnish", Processes: []string{"varnishd"},
		OnHUP: Ignores, Instead: restart,
		Validate: "varnishd -C -f /etc/varnish/default.vcl",
	},
	{
		Name: "vsftpd", Processes: []string{"vsftpd"},
		Signal: "HUP", Expect: Read, Broken: Skips,
	},
}
