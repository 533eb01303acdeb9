// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * faulty: one small fault of each kind, so that `necropsy report` can be measured against causes that
 * are known. `echo KIND > /proc/faulty` makes the kernel of a throw-away guest fail; README.md tells
 * which kinds there are, what each needs on the command line, and what a right report says.
 *
 * Each kind has a function of its own that is to blame, `faulty_KIND`, and where another function
 * is the victim, that is named after what it does (`reader_sum`, `queue_drain`).
 */
#include <linux/module.h>
#include <linux/kernel.h>
#include <linux/proc_fs.h>
#include <linux/uaccess.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/kthread.h>
#include <linux/delay.h>
#include <linux/sched.h>
#include <linux/mm.h>
#include <linux/list.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/string.h>
#include <linux/interrupt.h>
#include <linux/workqueue.h>
#include <linux/timer.h>
#include <linux/wait.h>
#include <linux/err.h>
#include <linux/version.h>

struct order {
	struct list_head link;
	u64 number;
	u32 len;
	u32 cap;
	void (*done)(struct order *order);
	struct order *parent;
	char text[40];
};

static LIST_HEAD(orders);
static struct kmem_cache *order_cache, *other_cache;
static volatile u64 sink;

static noinline void order_done(struct order *order)
{
	sink += order->number;
}

static struct order *order_new(u64 number)
{
	struct order *order = kmem_cache_zalloc(order_cache, GFP_KERNEL);

	if (!order)
		return NULL;
	order->number = number;
	order->len = 24;
	order->cap = sizeof(order->text);
	order->done = order_done;
	snprintf(order->text, sizeof(order->text), "order %llu", number);
	return order;
}

static void orders_fill(void)
{
	struct order *before = NULL;
	int i;

	for (i = 0; i < 24; i++) {
		struct order *order = order_new(500 + i);

		order->parent = before;
		before = order;
		list_add_tail(&order->link, &orders);
	}
}

static struct order *order_nth(int n)
{
	struct order *order;

	list_for_each_entry(order, &orders, link)
		if (!n--)
			return order;
	return NULL;
}

static noinline u64 reader_sum(void)
{
	struct order *order;
	u64 sum = 0;

	list_for_each_entry(order, &orders, link)
		sum += order->number;
	return sum;
}

/* One bit of a pointer in the middle of a list. */
static noinline int faulty_flippointer(void)
{
	struct order *order = order_nth(10);

	*(unsigned long *)&order->link.next ^= 1UL << 42;
	return reader_sum();
}

/* One bit of a pointer to a parent, low in it: it leads into the middle of another object. */
static noinline u64 reader_depth(struct order *order)
{
	u64 depth = 0;

	while (order) {
		depth++;
		order = READ_ONCE(order->parent);
	}
	return depth;
}

static noinline int faulty_flipparent(void)
{
	struct order *order = order_nth(12);

	*(unsigned long *)&order->parent ^= 1UL << 44;
	return reader_depth(order_nth(23));
}

/* One bit of a length: the reader runs over the end of its buffer. */
static noinline void reader_clear(u8 *buffer, struct order *order)
{
	u32 i;

	for (i = 0; i < READ_ONCE(order->len); i++)
		WRITE_ONCE(buffer[i], 0x11);
}

static noinline int faulty_fliplength(void)
{
	struct order *order = order_nth(3);
	u8 *buffer = vmalloc(PAGE_SIZE);

	order->len ^= 1 << 20;
	reader_clear(buffer, order);
	return 0;
}

/* One bit of an instruction: mov (%rdi) becomes mov (%rbx). */
static noinline u64 reader_code(struct order *order)
{
	u64 value;

	asm volatile("xor %%ebx, %%ebx\n\tnop\n\tnop\n\tmov (%%rdi), %%rax\n\tnop\n\tnop"
		     : "=a"(value) : "D"(order) : "rbx", "memory");
	return value;
}

static noinline int faulty_flipcode(void)
{
	u8 *code = (u8 *)(unsigned long)reader_code;
	int i;

	sink += reader_code(order_nth(0));
	for (i = 0; i < 200; i++) {
		if (code[i] == 0x90 && code[i + 1] == 0x90 && code[i + 2] == 0x48 && code[i + 3] == 0x8b) {
			struct page *pages[2];
			u8 *map;

			pages[0] = vmalloc_to_page(code + i);
			pages[1] = vmalloc_to_page(code + i + PAGE_SIZE);
			map = vmap(pages, 1, VM_MAP, PAGE_KERNEL);
			map[offset_in_page(code + i + 4)] ^= 0x04;
			vunmap(map);
			break;
		}
	}
	return reader_code(order_nth(0));
}

/* An object of a cache freed twice in a row. */
static noinline int faulty_doublefree(void)
{
	struct order *order = order_new(1);

	kmem_cache_free(order_cache, order);
	kmem_cache_free(order_cache, order);
	return 0;
}

/* The same with kfree and with others freed between, where slub_debug=F sees it. */
static noinline int faulty_freeagain(void)
{
	void *a = kmalloc(192, GFP_KERNEL), *b = kmalloc(192, GFP_KERNEL);

	kfree(a);
	kfree(b);
	kfree(a);
	panic("faulty: end of %s", __func__);
}

/* A stray write into a node of a list; list_del notices. */
static noinline void queue_drain(struct order *order)
{
	list_del(&order->link);
	kmem_cache_free(order_cache, order);
}

static noinline int faulty_liststray(void)
{
	struct order *order = order_nth(7);

	WRITE_ONCE(*(u64 *)&order->link.prev, 0x6867666564636261ULL); /* abcdefgh */
	queue_drain(order);
	return 0;
}

/* The same element added twice. */
static noinline int faulty_listtwice(void)
{
	struct order *order = order_new(77);

	list_add(&order->link, &orders);
	list_add(&order->link, &orders);
	return 0;
}

/* Deleted twice. */
static noinline int faulty_listgone(void)
{
	struct order *order = order_nth(5);

	list_del(&order->link);
	list_del(&order->link);
	return 0;
}

/* kmalloc'ed memory whose pointer nobody set (init_on_alloc=0, slub_debug=P). */
static noinline u64 reader_parent(struct order *order)
{
	return READ_ONCE(order->parent)->number;
}

static noinline int faulty_uninit(void)
{
	struct order *order = kmem_cache_alloc(order_cache, GFP_KERNEL);

	order->number = 9;
	order->len = 3;
	return reader_parent(order);
}

/* Read after free, with poison (slub_debug=P). */
static noinline int faulty_readfreed(void)
{
	struct order *order = order_new(33);

	order->parent = order_nth(0);
	kmem_cache_free(order_cache, order);
	return reader_parent(order);
}

/* Written after free, with poison: the next allocation's check tells. */
static noinline int faulty_writefreed(void)
{
	struct order *order = order_new(34);
	int i;

	kmem_cache_free(order_cache, order);
	order->len = 0x4242;
	for (i = 0; i < 64; i++)
		order_new(i);
	panic("faulty: end of %s", __func__);
}

/* An object given back to another cache. */
static noinline int faulty_wrongcache(void)
{
	struct order *order = order_new(3);

	kmem_cache_free(other_cache, order);
	return 0;
}

/* kfree of memory of a module. */
static char faulty_static[64];
static noinline int faulty_freestatic(void)
{
	kfree(faulty_static + 16);
	return 0;
}

/* Eight bytes past the end: the neighbour's first member, a pointer to its operations. */
struct device_state {
	void (*ops)(struct device_state *state);
	u64 values[15];
};

static noinline void state_ops(struct device_state *state)
{
	sink += state->values[0];
}

static struct device_state *states[64];
static noinline void device_poll(void)
{
	int i;

	for (i = 0; i < 64; i++)
		states[i]->ops(states[i]);
}

static noinline void faulty_neighbour_fill(struct device_state *state, int n)
{
	int i;

	for (i = 0; i < n; i++)
		WRITE_ONCE(state->values[i], 0x4b4b4b4b4b4b4b4bULL);
}

static noinline int faulty_neighbour(void)
{
	int i;

	for (i = 0; i < 64; i++) {
		states[i] = kmem_cache_zalloc(other_cache, GFP_KERNEL);
		states[i]->ops = state_ops;
	}
	faulty_neighbour_fill(states[20], 16); /* of 15 */
	device_poll();
	return 0;
}

/* A byte too many (slub_debug=FZ): found when the object is freed. */
static noinline int faulty_redzone(void)
{
	char *text = kmalloc(200, GFP_KERNEL);

	strcpy(text, "a name that is not too long");
	WRITE_ONCE(text[200], 0);
	WRITE_ONCE(text[201], 'Z');
	kfree(text);
	panic("faulty: end of %s", __func__);
}

/* Memory that is never given back, until there is none. */
static noinline int faulty_leak(void)
{
	for (;;) {
		struct order *order = kmem_cache_alloc(order_cache, GFP_KERNEL);

		if (order)
			order->number = 0x1eaf;
		cond_resched();
	}
	return 0;
}

/*
 * No fault: 100,000 objects of a cache in every state that one can be in. What is left is counted, and
 * crowd[] holds it.
 */
#define CROWD 100000
static void *crowd[CROWD];
static struct kmem_cache *crowd_cache;

static void crowd_free(unsigned int at)
{
	kmem_cache_free(crowd_cache, crowd[at]);
	crowd[at] = NULL;
}

/* Freed on another CPU than they were allocated on. */
static void crowd_elsewhere(struct work_struct *work)
{
	unsigned int at;

	for (at = 7; at < 40000; at += 11)
		if (crowd[at])
			crowd_free(at);
}
static DECLARE_WORK(crowd_work, crowd_elsewhere);

static noinline int faulty_crowd(void)
{
	unsigned int at, left = 0, last = num_online_cpus() - 1;

	crowd_cache = kmem_cache_create_usercopy("faulty_crowd", 72, 0, 0, 0, 8, NULL);
	if (!crowd_cache)
		return -ENOMEM;
	for (at = 0; at < CROWD; at++)
		crowd[at] = kmem_cache_alloc(crowd_cache, GFP_KERNEL);
	/* Whole slabs, and many in a row; every third; a few that come back. */
	kmem_cache_free_bulk(crowd_cache, 4096, crowd + 50000);
	memset(crowd + 50000, 0, 4096 * sizeof(*crowd));
	for (at = 60000; at < 90000; at += 3)
		crowd_free(at);
	schedule_work_on(last, &crowd_work);
	flush_work(&crowd_work);
	for (at = 50000; at < 50100; at++)
		crowd[at] = kmem_cache_alloc(crowd_cache, GFP_KERNEL);
	kmem_cache_alloc_bulk(crowd_cache, GFP_KERNEL, 50, crowd + 50100);
	for (at = 0; at < CROWD; at++)
		left += crowd[at] != NULL;
	pr_emerg("LAB crowd: %u of %u left\n", left, CROWD);
	panic("faulty: end of %s", __func__);
}

/* The condition is set, and nobody wakes the waiter. */
static DECLARE_WAIT_QUEUE_HEAD(order_wait);
static int order_ready;
static int waiter_main(void *arg)
{
	wait_event(order_wait, READ_ONCE(order_ready));
	return 0;
}

static noinline int faulty_lostwake(void)
{
	kthread_run(waiter_main, NULL, "order-waiter");
	msleep(200);
	WRITE_ONCE(order_ready, 1); /* and no wake_up */
	return 0;
}

/* A mutex held by a task that sleeps for long. */
static DEFINE_MUTEX(order_mutex);
static int holder_main(void *arg)
{
	mutex_lock(&order_mutex);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1000 * HZ);
	mutex_unlock(&order_mutex);
	return 0;
}

static int blocked_main(void *arg)
{
	mutex_lock(&order_mutex);
	mutex_unlock(&order_mutex);
	return 0;
}

static noinline int faulty_holder(void)
{
	kthread_run(holder_main, NULL, "order-holder");
	msleep(100);
	kthread_run(blocked_main, NULL, "order-blocked");
	return 0;
}

/* A reader waits for a writer that never lets go. */
static DECLARE_RWSEM(order_sem);
static int writer_main(void *arg)
{
	down_write(&order_sem);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1000 * HZ);
	up_write(&order_sem);
	return 0;
}

static int readers_main(void *arg)
{
	down_read(&order_sem);
	up_read(&order_sem);
	return 0;
}

static noinline int faulty_rwsem(void)
{
	kthread_run(writer_main, NULL, "order-writer");
	msleep(100);
	kthread_run(readers_main, NULL, "order-reader");
	return 0;
}

/* A spinlock taken twice by the same CPU. */
static DEFINE_SPINLOCK(order_lock);
static noinline int faulty_spintwice(void)
{
	spin_lock(&order_lock);
	spin_lock(&order_lock);
	return 0;
}

/* Two spinlocks, two CPUs, two orders. */
static DEFINE_SPINLOCK(first_lock);
static DEFINE_SPINLOCK(second_lock);
static noinline int spin_ab(void *arg)
{
	spin_lock(&first_lock);
	mdelay(300);
	spin_lock(&second_lock);
	return 0;
}

static noinline int spin_ba(void *arg)
{
	spin_lock(&second_lock);
	mdelay(300);
	spin_lock(&first_lock);
	return 0;
}

static noinline int faulty_spinabba(void)
{
	struct task_struct *ab = kthread_create(spin_ab, NULL, "spin-ab"), *ba = kthread_create(spin_ba, NULL, "spin-ba");

	kthread_bind(ab, 0);
	kthread_bind(ba, 1);
	wake_up_process(ab);
	wake_up_process(ba);
	return 0;
}

/* Recursion without end. */
static noinline u64 faulty_recurse(u64 depth)
{
	volatile u8 room[200];

	room[0] = depth;
	room[199] = faulty_recurse(depth + 1);
	return room[0] + room[199];
}

/* Calls through a pointer that leads into data, nowhere, to NULL, to user memory. */
static noinline void order_call(struct order *order)
{
	order->done(order);
	sink++;
}

static noinline int faulty_calldata(void)
{
	struct order *order = order_new(4);

	order->done = (void *)order->text;
	order_call(order);
	return 0;
}

static noinline int faulty_callwild(void)
{
	struct order *order = order_new(4);

	order->done = (void *)0xffffc9ffdeadb000UL;
	order_call(order);
	return 0;
}

static noinline int faulty_callnull(void)
{
	struct order *order = order_new(4);

	order->done = NULL;
	order_call(order);
	return 0;
}

/* A count that goes below zero. */
static refcount_t order_refs = REFCOUNT_INIT(1);
static noinline void order_put(void)
{
	if (refcount_dec_and_test(&order_refs))
		sink++;
}

static noinline int faulty_refcount(void)
{
	order_put();
	order_put();
	return 0;
}

static noinline int faulty_refzero(void)
{
	order_put();
	refcount_inc(&order_refs);
	return 0;
}

/* A user's pointer taken without copy_from_user. */
static const char __user *user_buffer;
static noinline int faulty_userpointer(void)
{
	const volatile char *from = (const char __force *)user_buffer;

	return from[0];
}

/* A user's pointer called. */
static noinline int faulty_calluser(void)
{
	struct order *order = order_new(4);

	order->done = (void __force *)user_buffer;
	order_call(order);
	return 0;
}

/* More bytes than the array on the stack has. */
static noinline int faulty_canary(int n)
{
	char name[32];
	volatile char *p = name;
	int i;

	for (i = 0; i < n; i++)
		p[i] = 'S';
	sink += p[0];
	return 0;
}

/* More than the destination holds: the compiler knows its size, and not the length. */
static noinline int faulty_fortify(const char *text, size_t n)
{
	char local[16];

	OPTIMIZER_HIDE_VAR(n);
	memcpy(local, text, n);
	sink += local[3];
	return 0;
}

/* More of an object to the user than it has. */
static noinline int faulty_usercopy(size_t n)
{
	void *from = order_new(6)->text;

	/* Or the compiler's own check of sizes comes first, and what is constant is not checked at all. */
	OPTIMIZER_HIDE_VAR(from);
	OPTIMIZER_HIDE_VAR(n);
	return copy_to_user((void __user *)user_buffer, from, n) ? -EFAULT : 0;
}

/* An index that is out of the array's bounds. */
static int table[8];
static noinline int faulty_index(int i)
{
	int local[8];

	memset(local, 1, sizeof(local));
	OPTIMIZER_HIDE_VAR(i);
	local[i] = 3;
	return local[2] + table[i];
}

/* A CPU that never reports a quiet state. */
static noinline int faulty_rcustall(void)
{
	rcu_read_lock();
	preempt_disable();
	for (;;)
		cpu_relax();
	return 0;
}

/* Interrupts off without end; the other CPU waits for this one to answer. */
static void nothing(void *arg) {}
static int caller_main(void *arg)
{
	msleep(300);
	smp_call_function(nothing, NULL, 1);
	return 0;
}

static noinline int faulty_irqsoff(void)
{
	kthread_run(caller_main, NULL, "order-caller");
	local_irq_disable();
	for (;;)
		cpu_relax();
	return 0;
}

/* Sleeping with a lock held. */
static noinline int faulty_atomic(void)
{
	spin_lock_bh(&order_lock);
	msleep(20);
	spin_unlock_bh(&order_lock);
	return 0;
}

/* Read behind the end of an object under KFENCE, and one freed. */
static noinline int faulty_kfence(int freed)
{
	int i;

	for (i = 0; i < 20000; i++) {
		struct order *order = kmem_cache_alloc(other_cache, GFP_KERNEL);

		if (freed)
			kmem_cache_free(other_cache, order);
		sink += *((volatile u8 *)order + (freed ? 8 : 128));
		if (!freed)
			kmem_cache_free(other_cache, order);
		if (i % 50 == 0)
			msleep(2);
	}
	return 0;
}

/* A write to what is const. */
static const u64 constant[4] = { 1, 2, 3, 4 };
static noinline int faulty_readonly(void)
{
	*(volatile u64 *)&constant[2] = 5;
	return 0;
}

/* Work, timer and interrupt: who runs it is not who asked for it. */
static void work_main(struct work_struct *work)
{
	struct order *order = order_nth(99);

	sink += READ_ONCE(order->number);
}

static DECLARE_WORK(order_work, work_main);
static noinline int faulty_work(void)
{
	schedule_work(&order_work);
	return 0;
}

static void timer_main(struct timer_list *timer)
{
	struct order *order = order_nth(99);

	sink += READ_ONCE(order->len);
}

static DEFINE_TIMER(order_timer, timer_main);
static noinline int faulty_timer(void)
{
	mod_timer(&order_timer, jiffies + HZ / 4);
	return 0;
}

/* An error number taken for a pointer. */
static noinline struct order *order_find(u64 number)
{
	struct order *order;

	list_for_each_entry(order, &orders, link)
		if (order->number == number)
			return order;
	return ERR_PTR(-ENOENT);
}

static noinline int faulty_errpointer(void)
{
	return order_find(12345)->len;
}

/* One byte of a pointer. */
static noinline int faulty_byte(void)
{
	struct order *order = order_nth(9);

	((u8 *)&order->parent)[6] = '?';
	return reader_depth(order_nth(23));
}

/* Memory of a module that was freed by RCU while a reader still had it (slub_debug=P). */
struct pooled { struct rcu_head rcu; struct order *order; u64 pad[4]; };
static noinline u64 pooled_read(struct pooled *pooled)
{
	return READ_ONCE(pooled->order)->number;
}

static noinline int faulty_rcufree(void)
{
	struct pooled *pooled = kzalloc(sizeof(*pooled), GFP_KERNEL);

	pooled->order = order_nth(1);
	kfree_rcu(pooled, rcu);
	msleep(1500);
	rcu_barrier();
	msleep(1500);
	return pooled_read(pooled);
}

/* A free object written over with text, its free pointer included; later allocations die. */
static noinline int faulty_freelist(void)
{
	struct order *some[32];
	int i;

	for (i = 0; i < 32; i++)
		some[i] = order_new(i);
	for (i = 0; i < 32; i++)
		kmem_cache_free(order_cache, some[i]);
	for (i = 0; i < 32; i++)
		memset(some[i], 'w', sizeof(struct order));
	for (i = 0; i < 64; i++)
		order_new(i);
	return 0;
}

/* Behind the end of vmalloc'ed memory. */
static noinline int faulty_vmalloc(void)
{
	u8 *buffer = vmalloc(3 * PAGE_SIZE);
	volatile u8 *p = buffer;
	int i;

	for (i = 0; i <= 3 * PAGE_SIZE; i++)
		p[i] = i;
	return 0;
}

/* Conditions. */
static noinline int faulty_bug(struct order *order)
{
	BUG_ON(order->len > order->cap);
	return 0;
}

static noinline int faulty_warn(struct order *order)
{
	WARN_ON_ONCE(order->len > order->cap);
	return 0;
}

static noinline int faulty_panic(struct order *order)
{
	if (order->number != 500)
		panic("faulty: order %llu is not the first", order->number);
	return 0;
}

static int faulty_run(const char *what, size_t n)
{
	struct order *order;
#define KIND(name, call) if (!strcmp(what, #name)) return call
	KIND(flippointer, faulty_flippointer());
	KIND(flipparent, faulty_flipparent());
	KIND(fliplength, faulty_fliplength());
	KIND(flipcode, faulty_flipcode());
	KIND(doublefree, faulty_doublefree());
	KIND(freeagain, faulty_freeagain());
	KIND(liststray, faulty_liststray());
	KIND(listtwice, faulty_listtwice());
	KIND(listgone, faulty_listgone());
	KIND(uninit, faulty_uninit());
	KIND(readfreed, faulty_readfreed());
	KIND(writefreed, faulty_writefreed());
	KIND(wrongcache, faulty_wrongcache());
	KIND(freestatic, faulty_freestatic());
	KIND(neighbour, faulty_neighbour());
	KIND(redzone, faulty_redzone());
	KIND(leak, faulty_leak());
	KIND(crowd, faulty_crowd());
	KIND(lostwake, faulty_lostwake());
	KIND(holder, faulty_holder());
	KIND(rwsem, faulty_rwsem());
	KIND(spintwice, faulty_spintwice());
	KIND(spinabba, faulty_spinabba());
	KIND(recurse, faulty_recurse(n));
	KIND(calldata, faulty_calldata());
	KIND(callwild, faulty_callwild());
	KIND(callnull, faulty_callnull());
	KIND(refcount, faulty_refcount());
	KIND(refzero, faulty_refzero());
	KIND(userpointer, faulty_userpointer());
	KIND(calluser, faulty_calluser());
	KIND(canary, faulty_canary(32 + 16 * (n / n)));
	KIND(fortify, faulty_fortify(what, 24 * (n / n)));
	KIND(usercopy, faulty_usercopy(400 * (n / n)));
	KIND(index, faulty_index(9 * (n / n)));
	KIND(rcustall, faulty_rcustall());
	KIND(irqsoff, faulty_irqsoff());
	KIND(atomic, faulty_atomic());
	KIND(kfence, faulty_kfence(0));
	KIND(kfencefree, faulty_kfence(1));
	KIND(readonly, faulty_readonly());
	KIND(work, faulty_work());
	KIND(timer, faulty_timer());
	KIND(errpointer, faulty_errpointer());
	KIND(byte, faulty_byte());
	KIND(rcufree, faulty_rcufree());
	KIND(freelist, faulty_freelist());
	KIND(vmalloc, faulty_vmalloc());
	order = order_nth(2);
	order->len = 0x99;
	KIND(bug, faulty_bug(order));
	KIND(warn, faulty_warn(order));
	KIND(panic, faulty_panic(order));
	return -EINVAL;
}

static ssize_t faulty_write(struct file *file, const char __user *from, size_t n, loff_t *at)
{
	char text[32] = "";
	int result;

	if (n >= sizeof(text) || copy_from_user(text, from, n))
		return -EFAULT;
	user_buffer = from;
	result = faulty_run(strim(text), n);
	return result < 0 ? result : n;
}

static const struct proc_ops faulty_proc = { .proc_write = faulty_write };

static int __init faulty_init(void)
{
#ifdef SLAB_NO_MERGE
	unsigned long flags = SLAB_NO_MERGE;
#else
	unsigned long flags = 0;
#endif
	order_cache = kmem_cache_create_usercopy("faulty_order", sizeof(struct order), 0, flags, 0, 16, NULL);
	other_cache = kmem_cache_create("faulty_other", sizeof(struct device_state), 0, flags, NULL);
	if (!order_cache || !other_cache)
		return -ENOMEM;
	orders_fill();
	return proc_create("faulty", 0200, NULL, &faulty_proc) ? 0 : -ENOMEM;
}
module_init(faulty_init);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("One small fault of each kind");
