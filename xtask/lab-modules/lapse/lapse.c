// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * lapse: what is forgotten: in which context a lock is taken, how long memory lives, who ends a string,
 * what was given back before. `echo KIND > /proc/faulty` makes the kernel of a throw-away guest fail;
 * README.md of the folder above tells what a right report says.
 */
#include <linux/module.h>
#include <linux/kernel.h>
#include <linux/proc_fs.h>
#include <linux/uaccess.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/seqlock.h>
#include <linux/kthread.h>
#include <linux/delay.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/mm.h>
#include <linux/io.h>
#include <linux/kobject.h>
#include <linux/percpu.h>
#include <linux/refcount.h>
#include <linux/skbuff.h>
#include <linux/string.h>
#include <linux/timer.h>
#include <linux/hrtimer.h>
#include <linux/workqueue.h>
#include <linux/version.h>

static volatile u64 sink;
static volatile int zero;
static const char __user *user_buffer;

struct meter {
	u64 ticks;
	u32 rate;
	u32 unit;
	struct meter *next;
	char name[32];
};

/* A vmalloc area given back twice, used when it is gone; a mapping of a device likewise. */
static noinline int vfree_twice(void)
{
	void *table = vmalloc(3 * PAGE_SIZE);

	vfree(table);
	vfree(table);
	return 0;
}

static noinline u64 table_sum(const u64 *table)
{
	return READ_ONCE(table[16]) + READ_ONCE(table[17]);
}

static noinline int vfree_used(void)
{
	u64 *table = vzalloc(3 * PAGE_SIZE);

	vfree(table);
	vm_unmap_aliases();
	return table_sum(table);
}

static noinline u32 device_status(void __iomem *registers)
{
	return readl(registers + 0x30);
}

static noinline int iounmapped(void)
{
	void __iomem *registers = ioremap(0xfed00000, PAGE_SIZE);

	sink += device_status(registers);
	iounmap(registers);
	vm_unmap_aliases();
	return device_status(registers);
}

/* What a timer comes to, in the softirq and in the interrupt itself. */
static struct meter idle_meter = { .ticks = 500 };
static noinline u32 meter_rate(struct meter *meter)
{
	return (u32)meter->ticks / READ_ONCE(meter->unit);
}

static void meter_timer(struct timer_list *timer)
{
	sink += meter_rate(&idle_meter);
}

static DEFINE_TIMER(divides, meter_timer);
static noinline int div_timer(void)
{
	mod_timer(&divides, jiffies + 20);
	return 0;
}

static void check_timer(struct timer_list *timer)
{
	BUG_ON(idle_meter.ticks > idle_meter.rate);
}

static DEFINE_TIMER(checks, check_timer);
static noinline int bug_timer(void)
{
	mod_timer(&checks, jiffies + 20);
	return 0;
}

static DEFINE_MUTEX(meters_mutex);
static enum hrtimer_restart meter_interrupt(struct hrtimer *timer)
{
	mutex_lock(&meters_mutex);
	sink++;
	mutex_unlock(&meters_mutex);
	return HRTIMER_NORESTART;
}

static int mutex_keeper(void *arg)
{
	mutex_lock(&meters_mutex);
	msleep(3000);
	mutex_unlock(&meters_mutex);
	return 0;
}

static struct hrtimer hr;
static noinline int sleep_irq(void)
{
	kthread_run(mutex_keeper, NULL, "meter-keeper");
	msleep(100);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6,15,0)
	hrtimer_setup(&hr, meter_interrupt, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
#else
	hrtimer_init(&hr, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
	hr.function = meter_interrupt;
#endif
	hrtimer_start(&hr, ms_to_ktime(20), HRTIMER_MODE_REL_HARD);
	return 0;
}

/* Packets that nobody frees. */
static noinline int hog_skb(void)
{
	for (;;) {
		struct sk_buff *skb = alloc_skb(1500, GFP_KERNEL);

		if (skb)
			skb_put(skb, 1000);
		cond_resched();
	}
	return 0;
}

/* Counts: of references, of a kernel thread, of a kobject. */
static noinline int refsaturated(void)
{
	refcount_t refs;

	refcount_set(&refs, INT_MAX);
	refcount_inc(&refs);
	return 0;
}

static int sleeper(void *arg)
{
	while (!kthread_should_stop())
		schedule_timeout_interruptible(HZ / 10);
	return 0;
}

static noinline int stop_twice(void)
{
	struct task_struct *task = kthread_run(sleeper, NULL, "meter-poll");

	msleep(50);
	kthread_stop(task);
	msleep(500);
	kthread_stop(task);
	return 0;
}

static noinline int kobj_twice(void)
{
	struct kobject *kobj = kobject_create_and_add("lapse", kernel_kobj);

	kobject_get(kobj); /* or its memory would be gone */
	kobject_put(kobj);
	kobject_put(kobj);
	kobject_put(kobj);
	return 0;
}

static noinline int proc_twice(void)
{
	proc_mkdir("lapse", NULL);
	proc_mkdir("lapse", NULL);
	return 0;
}

/* Its own code written to; a call that misses the beginning of a function. */
static noinline u64 count_all(u64 (*count)(struct meter *), struct meter *meter)
{
	return count(meter) + 1;
}

static noinline u64 count_one(struct meter *meter)
{
	return READ_ONCE(meter->next)->ticks + READ_ONCE(meter->next)->rate;
}

static noinline int text_write(void)
{
	u8 *code = (u8 *)(unsigned long)count_one;

	OPTIMIZER_HIDE_VAR(code);
	WRITE_ONCE(*code, 0xc3);
	return 0;
}

static noinline int call_inside(void)
{
	u64 (*count)(struct meter *) = (void *)((char *)count_one + 5);

	OPTIMIZER_HIDE_VAR(count);
	return count_all(count, &idle_meter);
}

/* Strings and sizes. */
static noinline size_t name_length(const char *name)
{
	size_t n = 0;

	while (READ_ONCE(name[n]))
		n++;
	return n;
}

static noinline int strlen_end(void)
{
	char *name = vmalloc(PAGE_SIZE);

	memset(name, 'n', PAGE_SIZE);
	return name_length(name);
}

static noinline int fortify_str(void)
{
	struct meter *meter = kmalloc(sizeof(*meter), GFP_KERNEL);

	memset(meter, 'm', sizeof(*meter));
	sink += strlen(meter->name);
	return 0;
}

static noinline int line_read(size_t n)
{
	char line[16], *to = line;

	OPTIMIZER_HIDE_VAR(to);
	OPTIMIZER_HIDE_VAR(n);
	if (copy_from_user(to, user_buffer, n))
		return -EFAULT;
	sink += line[3];
	return 0;
}

static noinline int usercopy_stack(void)
{
	return line_read(4000 + zero);
}

static noinline int huge_alloc(void)
{
	size_t n = -1 + zero;

	sink += (unsigned long)kmalloc(n >> 20, GFP_KERNEL);
	return 0;
}

/* A record cleared with the size of an array: the next ones are gone. */
static struct meter *meters[24];
static noinline u64 meters_total(struct meter *first)
{
	struct meter *meter = first;
	u64 sum = 0;

	do {
		sum += meter->ticks;
		meter = READ_ONCE(meter->next);
	} while (meter != first);
	return sum;
}

static noinline void meter_clear(struct meter *meter, size_t n)
{
	memset(meter->name, 0, n);
}

static noinline int memset_over(void)
{
	int i;

	for (i = 0; i < 24; i++)
		meters[i] = kzalloc(sizeof(struct meter), GFP_KERNEL);
	for (i = 0; i < 24; i++) {
		meters[i]->ticks = i + 1;
		meters[i]->next = meters[(i + 1) % 24];
	}
	meter_clear(meters[5], 800 + zero);
	return meters_total(meters[0]);
}

/* A per-CPU offset taken for a pointer. */
static u64 __percpu *counters;
static noinline void counter_add(u64 *counter)
{
	WRITE_ONCE(*counter, READ_ONCE(*counter) + 1);
}

static noinline int percpu_raw(void)
{
	counters = alloc_percpu(u64);
	counter_add((u64 *)(__force unsigned long)counters);
	return 0;
}

/* Locks. */
static noinline int preempt_leak(void)
{
	preempt_disable();
	return 0;
}

static DEFINE_RWLOCK(meters_rw);
static noinline int rwlock_up(void)
{
	read_lock(&meters_rw);
	write_lock(&meters_rw);
	return 0;
}

static DEFINE_SEQLOCK(meters_seq);
static noinline int seq_loop(void)
{
	unsigned int seq;

	write_seqlock(&meters_seq);
	do {
		seq = read_seqbegin(&meters_seq);
		sink += idle_meter.ticks;
	} while (read_seqretry(&meters_seq, seq));
	return 0;
}

static DEFINE_SPINLOCK(meters_lock);
static void locking_timer(struct timer_list *timer)
{
	spin_lock(&meters_lock);
	sink++;
	spin_unlock(&meters_lock);
}

static DEFINE_TIMER(locks, locking_timer);
static noinline int irq_lock(void)
{
	unsigned long end = jiffies + 2 * HZ;

	/* spin_lock_bh() it should be: the timer comes to this CPU. */
	spin_lock(&meters_lock);
	mod_timer(&locks, jiffies + HZ / 10);
	while (time_before(jiffies, end))
		cpu_relax();
	spin_unlock(&meters_lock);
	return 0;
}

static struct mutex ring[3];
static int ring_main(void *arg)
{
	long n = (long)arg;

	mutex_lock(&ring[n]);
	msleep(300);
	mutex_lock(&ring[(n + 1) % 3]);
	return 0;
}

static noinline int ring_of_three(void)
{
	long n;

	for (n = 0; n < 3; n++)
		mutex_init(&ring[n]);
	for (n = 0; n < 3; n++)
		kthread_run(ring_main, (void *)n, "ring-%ld", n);
	return 0;
}

static struct workqueue_struct *meters_wq;
static void flushing_work(struct work_struct *work)
{
	msleep(100);
	flush_workqueue(meters_wq);
}

static DECLARE_WORK(flushes, flushing_work);
static noinline int flush_self(void)
{
	meters_wq = alloc_workqueue("meters", WQ_UNBOUND, 1);
	queue_work(meters_wq, &flushes);
	return 0;
}

#define K(n) { #n, n }
static const struct {
	const char *name;
	int (*run)(void);
} kinds[] = {
	K(vfree_twice), K(vfree_used), K(iounmapped), K(div_timer), K(bug_timer), K(sleep_irq),
	K(hog_skb), K(refsaturated), K(stop_twice), K(kobj_twice), K(proc_twice), K(text_write), K(call_inside), K(strlen_end),
	K(fortify_str), K(usercopy_stack), K(huge_alloc), K(memset_over), K(percpu_raw),
	K(preempt_leak), K(rwlock_up), K(seq_loop), K(irq_lock), K(ring_of_three), K(flush_self),
};

static ssize_t lapse_write(struct file *file, const char __user *from, size_t n, loff_t *at)
{
	char text[32] = "";
	int i;

	if (n >= sizeof(text) || copy_from_user(text, from, n))
		return -EFAULT;
	user_buffer = from;
	strim(text);
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(text, kinds[i].name)) {
			kinds[i].run();
			return n;
		}
	return -EINVAL;
}

static const struct proc_ops lapse_ops = { .proc_write = lapse_write };

static int __init lapse_init(void)
{
	return proc_create("faulty", 0200, NULL, &lapse_ops) ? 0 : -ENOMEM;
}

module_init(lapse_init);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("What is forgotten");
