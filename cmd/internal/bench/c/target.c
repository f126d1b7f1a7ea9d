// The target: it writes the time (CLOCK_MONOTONIC, in ns, 8 bytes) when it is ready,
// and at each HUP. It takes them by a signalfd; the handler is there to be seen in
// SigCgt.
#include <signal.h>
#include <stdint.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

static void handler(int sig)
{
	(void)sig;
}

static void stamp(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	int64_t ns = t.tv_sec * 1000000000LL + t.tv_nsec;
	if (write(1, &ns, sizeof ns) != sizeof ns)
		_exit(1);
}

int main(void)
{
	sigset_t hup;
	sigemptyset(&hup);
	sigaddset(&hup, SIGHUP);
	signal(SIGHUP, handler);
	sigprocmask(SIG_BLOCK, &hup, NULL);
	int fd = signalfd(-1, &hup, 0);
	struct signalfd_siginfo info;
	do
		stamp();
	while (read(fd, &info, sizeof info) == sizeof info);
	return 1;
}
