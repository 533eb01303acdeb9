// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * waitme: makes threads of a throw-away guest wait for each other in known ways, all at once, so
 * that one dump holds every kind.
 *
 *   insmod waitme.ko what=stuck    waits that never end, among them deadlocks
 *   insmod waitme.ko what=slow     the same locks, held and waited for, by threads that make progress
 *
 * Each thread's name says what it does: README.md has the table of who waits for whom.
 */
#include <linux/module.h>
#include <linux/kthread.h>
#include <linux/delay.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/semaphore.h>
#include <linux/completion.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/version.h>
#include <linux/fs.h>
#include <linux/namei.h>
#include <linux/mount.h>
#include <linux/rtmutex.h>
#include <linux/percpu-rwsem.h>

MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("Threads that wait in known ways");

static char *what = "stuck";
module_param(what, charp, 0);
static int spin = 1;
module_param(spin, int, 0);
/* A directory whose file system is frozen; writers are then stuck. Any kind of file system will do. */
static char *freeze;
module_param(freeze, charp, 0);

/* ---- three reader-writer semaphores in a circle, each held to write ---- */
static struct rw_semaphore waitme_rw[3];
struct waitme_step { int first, second, read; };
static struct waitme_step waitme_steps[3] = { { 0, 1, 1 }, { 1, 2, 0 }, { 2, 0, 1 } };

static int waitme_round(void *arg)
{
	struct waitme_step *step = arg;

	down_write(&waitme_rw[step->first]);
	msleep(500);
	if (step->read)
		down_read(&waitme_rw[step->second]);
	else
		down_write(&waitme_rw[step->second]);
	for (;;)
		msleep(1000);
	return 0;
}

/* ---- a completion that nobody completes ---- */
static DECLARE_COMPLETION(waitme_nobody);

static int waitme_no_giver(void *arg)
{
	wait_for_completion(&waitme_nobody);
	return 0;
}

/* ---- work that flushes itself, and its own queue ---- */
static struct workqueue_struct *waitme_wq_work, *waitme_wq_queue;
static void waitme_flush_work(struct work_struct *work)
{
	flush_work(work);
}
static DECLARE_WORK(waitme_self_work, waitme_flush_work);
static void waitme_flush_queue(struct work_struct *work)
{
	/* Not a constant, or the compiler warns that this never ends. */
	flush_workqueue(READ_ONCE(waitme_wq_queue));
}
static DECLARE_WORK(waitme_self_queue, waitme_flush_queue);

/* ---- a mutex whose owner has exited ---- */
static DEFINE_MUTEX(waitme_orphan);

static int waitme_gone(void *arg)
{
	mutex_lock(&waitme_orphan);
	return 0;
}

static int waitme_heir(void *arg)
{
	msleep(500);
	mutex_lock(&waitme_orphan);
	return 0;
}

/* ---- a reader of RCU that sleeps, and who waits for its grace period ---- */
static int waitme_rcu_reader(void *arg)
{
	/* Others have to get their grace periods first. */
	msleep(4000);
	rcu_read_lock();
	for (;;) {
		set_current_state(TASK_UNINTERRUPTIBLE);
		schedule_timeout(HZ * 1000);
	}
	rcu_read_unlock();
	return 0;
}

static int waitme_rcu_waiter(void *arg)
{
	msleep(5000);
	synchronize_rcu();
	return 0;
}

/* ---- a thread that holds a mutex and flushes work that wants it ---- */
static DEFINE_MUTEX(waitme_flush_mutex);

static void waitme_wants_mutex(struct work_struct *work)
{
	msleep(300);
	mutex_lock(&waitme_flush_mutex);
	mutex_unlock(&waitme_flush_mutex);
}
static DECLARE_WORK(waitme_wanting, waitme_wants_mutex);

static int waitme_flusher(void *arg)
{
	mutex_lock(&waitme_flush_mutex);
	queue_work(system_unbound_wq, &waitme_wanting);
	flush_work(&waitme_wanting);
	mutex_unlock(&waitme_flush_mutex);
	return 0;
}

/* ---- a thread that holds a mutex and stops another one that wants it ---- */
static DEFINE_MUTEX(waitme_stop_mutex);

static int waitme_stopped(void *arg)
{
	msleep(300);
	mutex_lock(&waitme_stop_mutex);
	mutex_unlock(&waitme_stop_mutex);
	while (!kthread_should_stop())
		msleep(100);
	return 0;
}

static int waitme_stopper(void *arg)
{
	struct task_struct *task;

	mutex_lock(&waitme_stop_mutex);
	task = kthread_run(waitme_stopped, NULL, "stopped");
	msleep(600);
	if (!IS_ERR(task))
		kthread_stop(task);
	mutex_unlock(&waitme_stop_mutex);
	return 0;
}

/* ---- two inodes, two rt_mutexes, two semaphores, each pair taken in opposite order ---- */
static struct inode *waitme_inodes[2];
static struct rt_mutex waitme_rts[2];
static struct semaphore waitme_sems[2];

static int waitme_cross_inodes(void *arg)
{
	int first = (long)arg;

	inode_lock(waitme_inodes[first]);
	msleep(500);
	inode_lock(waitme_inodes[!first]);
	return 0;
}

static int waitme_cross_rts(void *arg)
{
	int first = (long)arg;

	rt_mutex_lock(&waitme_rts[first]);
	msleep(500);
	rt_mutex_lock(&waitme_rts[!first]);
	return 0;
}

static int waitme_cross_sems(void *arg)
{
	int first = (long)arg;

	down(&waitme_sems[first]);
	msleep(500);
	down(&waitme_sems[!first]);
	return 0;
}

static void waitme_find_inodes(void)
{
	static const char * const names[2] = { "/init", "/bin/busybox" };
	struct path path;
	int i;

	for (i = 0; i < 2; i++) {
		if (kern_path(names[i], LOOKUP_FOLLOW, &path))
			return;
		waitme_inodes[i] = d_inode(path.dentry);
		/* The path is kept. */
	}
}

/* ---- a reader of a percpu_rw_semaphore that sleeps, a writer behind it, a reader behind that ---- */
DEFINE_STATIC_PERCPU_RWSEM(waitme_percpu);

static int waitme_percpu_reader(void *arg)
{
	msleep(600 * (long)arg);
	percpu_down_read(&waitme_percpu);
	for (;;)
		msleep(1000);
	return 0;
}

static int waitme_percpu_writer(void *arg)
{
	msleep(300);
	percpu_down_write(&waitme_percpu);
	return 0;
}

/* ---- a spinlock: one CPU holds it, all but the first spin for it ---- */
static DEFINE_SPINLOCK(waitme_spin);

static int waitme_spin_holder(void *arg)
{
	/* From then on no grace period of RCU ends. */
	msleep(2500);
	spin_lock(&waitme_spin);
	for (;;)
		cpu_relax();
	return 0;
}

static int waitme_spinner(void *arg)
{
	msleep(3000 + 200 * (long)arg);
	spin_lock(&waitme_spin);
	spin_unlock(&waitme_spin);
	return 0;
}

/* ---- a semaphore at zero, and a wait queue ---- */
static struct semaphore waitme_sem;

static int waitme_sem_taker(void *arg)
{
	down(&waitme_sem);
	for (;;)
		msleep(1000);
	return 0;
}

/* ---- slow: the same, but every holder lets go ---- */
static DEFINE_MUTEX(waitme_slow_mutex);
static DECLARE_RWSEM(waitme_slow_rw);

static int waitme_slow_mutexes(void *arg)
{
	for (;;) {
		mutex_lock(&waitme_slow_mutex);
		msleep(400);
		mutex_unlock(&waitme_slow_mutex);
		msleep(20);
	}
	return 0;
}

static int waitme_slow_readers(void *arg)
{
	for (;;) {
		if ((long)arg == 0) {
			down_write(&waitme_slow_rw);
			msleep(100);
			/* in the order that all keep */
			mutex_lock(&waitme_slow_mutex);
			mutex_unlock(&waitme_slow_mutex);
			up_write(&waitme_slow_rw);
		} else {
			down_read(&waitme_slow_rw);
			msleep(150);
			up_read(&waitme_slow_rw);
		}
		msleep(10);
	}
	return 0;
}

static void waitme_slow_work_fn(struct work_struct *work)
{
	msleep(700);
}
static DECLARE_WORK(waitme_slow_work, waitme_slow_work_fn);

static int waitme_slow_flusher(void *arg)
{
	for (;;) {
		queue_work(system_unbound_wq, &waitme_slow_work);
		msleep(20);
		flush_work(&waitme_slow_work);
	}
	return 0;
}

static int waitme_slow_rcu(void *arg)
{
	for (;;)
		synchronize_rcu();
	return 0;
}

static void waitme_freeze(void)
{
	struct path path;

	if (!freeze || kern_path(freeze, 0, &path))
		return;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
	freeze_super(path.mnt->mnt_sb, FREEZE_HOLDER_KERNEL, NULL);
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
	freeze_super(path.mnt->mnt_sb, FREEZE_HOLDER_KERNEL);
#else
	freeze_super(path.mnt->mnt_sb);
#endif
	/* The path is kept: the file system must not go away. */
}

static void waitme_run(int (*fn)(void *), void *arg, const char *name, int cpu)
{
	struct task_struct *task = kthread_create(fn, arg, "%s", name);

	if (IS_ERR(task))
		return;
	if (cpu >= 0)
		kthread_bind(task, cpu);
	wake_up_process(task);
}

static int __init waitme_init(void)
{
	long i;

	sema_init(&waitme_sem, 1);
	for (i = 0; i < 3; i++)
		init_rwsem(&waitme_rw[i]);
	if (!strcmp(what, "slow")) {
		for (i = 0; i < 3; i++)
			waitme_run(waitme_slow_mutexes, NULL, "slow_mutex", -1);
		for (i = 0; i < 4; i++)
			waitme_run(waitme_slow_readers, (void *)i, i ? "slow_reader" : "slow_writer", -1);
		waitme_run(waitme_slow_flusher, NULL, "slow_flusher", -1);
		waitme_run(waitme_slow_rcu, NULL, "slow_rcu", -1);
		return 0;
	}
	waitme_wq_work = alloc_workqueue("waitme_work", WQ_UNBOUND, 1);
	waitme_wq_queue = alloc_workqueue("waitme_queue", WQ_UNBOUND, 1);
	if (!waitme_wq_work || !waitme_wq_queue)
		return -ENOMEM;
	waitme_freeze();
	waitme_run(waitme_round, &waitme_steps[0], "rw3_first", -1);
	waitme_run(waitme_round, &waitme_steps[1], "rw3_second", -1);
	waitme_run(waitme_round, &waitme_steps[2], "rw3_third", -1);
	waitme_run(waitme_no_giver, NULL, "no_giver", -1);
	queue_work(waitme_wq_work, &waitme_self_work);
	queue_work(waitme_wq_queue, &waitme_self_queue);
	waitme_run(waitme_gone, NULL, "owner_gone", -1);
	waitme_run(waitme_heir, NULL, "heir", -1);
	waitme_run(waitme_sem_taker, NULL, "sem_taker", -1);
	waitme_run(waitme_sem_taker, NULL, "sem_taker", -1);
	waitme_run(waitme_rcu_reader, NULL, "rcu_reader", -1);
	waitme_run(waitme_rcu_waiter, NULL, "rcu_waiter", -1);
	waitme_run(waitme_flusher, NULL, "flusher", -1);
	waitme_run(waitme_stopper, NULL, "stopper", -1);
	waitme_find_inodes();
	for (i = 0; i < 2; i++) {
		sema_init(&waitme_sems[i], 1);
		rt_mutex_init(&waitme_rts[i]);
	}
	for (i = 0; i < 2; i++) {
		if (waitme_inodes[1])
			waitme_run(waitme_cross_inodes, (void *)i, i ? "inode-ba" : "inode-ab", -1);
		waitme_run(waitme_cross_rts, (void *)i, i ? "rt-ba" : "rt-ab", -1);
		waitme_run(waitme_cross_sems, (void *)i, i ? "sem-ba" : "sem-ab", -1);
		waitme_run(waitme_percpu_reader, (void *)(2 * i), i ? "pcpu_late" : "pcpu_reader", -1);
	}
	waitme_run(waitme_percpu_writer, NULL, "pcpu_writer", -1);
	if (spin && num_online_cpus() >= 4) {
		waitme_run(waitme_spin_holder, NULL, "spin_holder", 1);
		for (i = 2; i < num_online_cpus(); i++) {
			char name[16];

			snprintf(name, sizeof(name), "spinner/%ld", i);
			waitme_run(waitme_spinner, (void *)(i - 1), name, i);
		}
	}
	return 0;
}
module_init(waitme_init);
