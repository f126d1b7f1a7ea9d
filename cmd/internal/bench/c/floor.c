// The floor: floor swap|removal VOLUME PID. It does nothing but wait for that step of
// the kubelet and signal the process, so that nothing can be faster.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	int swap = !strcmp(argv[1], "swap");
	pid_t pid = atoi(argv[3]);
	int fd = inotify_init();
	if (inotify_add_watch(fd, argv[2], swap ? IN_MOVED_TO : IN_DELETE) < 0) {
		perror(argv[2]);
		return 1;
	}
	fputs("ready\n", stderr);
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	for (;;) {
		ssize_t n = read(fd, buf, sizeof buf);
		if (n <= 0)
			return 1;
		for (char *at = buf; at < buf + n;) {
			struct inotify_event *e = (struct inotify_event *)at;
			at += sizeof *e + e->len;
			if (e->len && (swap ? !strcmp(e->name, "..data") : !strncmp(e->name, "..", 2)))
				kill(pid, SIGHUP);
		}
	}
}
