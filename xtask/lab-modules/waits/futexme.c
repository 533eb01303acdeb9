// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * futexme: processes whose threads wait for each other through futexes. Static, no arguments.
 *   fx-plain   two threads, two mutexes taken in opposite order
 *   fx-pi      the same with priority inheritance: the kernel tells the second, and glibc then
 *              leaves it asleep for ever
 *   fx-robust  a robust mutex whose owner sleeps, and a thread that waits
 *   fx-cond    a condition variable that nobody signals: no deadlock
 *   fx-busy    threads that hand one mutex round: no deadlock
 *   fx-20      a process of 20 threads, each in a sleep
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static pthread_mutex_t a, b, shared = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

static void name(const char *text) { prctl(PR_SET_NAME, text); }

static void *ab(void *arg)
{
	name((const char *)arg);
	pthread_mutex_lock(&a);
	usleep(300000);
	pthread_mutex_lock(&b);
	return NULL;
}

static void *ba(void *arg)
{
	name((const char *)arg);
	pthread_mutex_lock(&b);
	usleep(300000);
	usleep(300000);
	pthread_mutex_lock(&a);
	return NULL;
}

static void cross(int pi, const char *first, const char *second)
{
	pthread_mutexattr_t attr;
	pthread_t one, two;

	pthread_mutexattr_init(&attr);
	if (pi)
		pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&a, &attr);
	pthread_mutex_init(&b, &attr);
	pthread_create(&one, NULL, ab, (void *)first);
	pthread_create(&two, NULL, ba, (void *)second);
	pthread_join(one, NULL);
}

static void *holder(void *arg)
{
	name((const char *)arg);
	pthread_mutex_lock(&a);
	for (;;)
		sleep(1000);
}

static void *waits(void *arg)
{
	name((const char *)arg);
	usleep(300000);
	pthread_mutex_lock(&a);
	return NULL;
}

static void robust(void)
{
	pthread_mutexattr_t attr;
	pthread_t one, two;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&a, &attr);
	pthread_create(&one, NULL, holder, "rob-holder");
	pthread_create(&two, NULL, waits, "rob-waiter");
	pthread_join(one, NULL);
}

static void *waits_for_signal(void *arg)
{
	name("cond-waiter");
	pthread_mutex_lock(&shared);
	pthread_cond_wait(&cond, &shared);
	return arg;
}

static void *busy(void *arg)
{
	name("busy-mutex");
	for (;;) {
		pthread_mutex_lock(&shared);
		usleep(20000);
		pthread_mutex_unlock(&shared);
	}
	return arg;
}

static void *sleeps(void *arg)
{
	char text[16];

	snprintf(text, sizeof(text), "t20-%ld", (long)arg);
	name(text);
	for (;;)
		sleep(1000);
}

static void start(const char *text, int which)
{
	pthread_t thread;
	long i;

	if (fork())
		return;
	name(text);
	switch (which) {
	case 0: cross(0, "plain-ab", "plain-ba"); break;
	case 1: cross(1, "pi-ab", "pi-ba"); break;
	case 2: robust(); break;
	case 3: pthread_create(&thread, NULL, waits_for_signal, NULL); break;
	case 4: for (i = 0; i < 4; i++) pthread_create(&thread, NULL, busy, NULL); break;
	case 5: for (i = 1; i < 20; i++) pthread_create(&thread, NULL, sleeps, (void *)i); break;
	}
	for (;;)
		sleep(1000);
}

int main(int argc, char **argv)
{
	start("fx-plain", 0);
	start("fx-pi", 1);
	start("fx-robust", 2);
	start("fx-cond", 3);
	start("fx-busy", 4);
	start("fx-20", 5);
	return 0;
}
