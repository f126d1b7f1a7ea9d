// The first process of a pod, as Kubernetes' pause is: pause PROCESSES FOLDER...
// It gives the pod its own /proc and a file system at each folder, starts as many
// processes that do nothing, and takes in those that have lost their parents.
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

static void check(int failed, const char *what)
{
	if (failed) {
		perror(what);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "mount /");
	check(mount("proc", "/proc", "proc", 0, NULL), "mount /proc");
	for (int i = 2; i < argc; i++)
		check(mount("tmpfs", argv[i], "tmpfs", 0, "mode=0755"), argv[i]);
	for (int n = atoi(argv[1]); n > 0; n--) {
		pid_t pid = fork();
		check(pid < 0, "fork");
		while (pid == 0)
			pause();
	}
	check(write(1, "ready\n", 6) != 6, "write");
	for (;;)
		if (wait(NULL) < 0)
			pause();
}
