// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * mishap: what goes wrong in drivers, as people write it who do not think of a debugger: timers and work
 * items that outlive their owner, locks that are not given back, interrupt handlers that sleep, NULL
 * taken for a member, bits that flip. `echo KIND > /proc/faulty` makes the kernel of a throw-away guest
 * fail; README.md tells what a right report says.
 */
#include <linux/module.h>
#include <linux/kernel.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/mutex.h>
#include <linux/semaphore.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/kthread.h>
#include <linux/delay.h>
#include <linux/sched.h>
#include <linux/mm.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/rcupdate.h>
#include <linux/kref.h>
#include <linux/string.h>
#include <linux/interrupt.h>
#include <linux/workqueue.h>
#include <linux/timer.h>
#include <linux/hrtimer.h>
#include <linux/wait.h>
#include <linux/err.h>
#include <linux/completion.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/skbuff.h>
#include <linux/ip.h>
#include <linux/version.h>

struct session;
struct session_ops {
	int (*open)(struct session *);
	int (*close)(struct session *);
};
struct session {
	int id;
	int state;
	struct list_head node;
	const struct session_ops *ops;
	struct session *peer;
	struct kref refs;
	struct timer_list timer;
	struct delayed_work work;
	wait_queue_head_t wait;
	char name[32];
	u64 bytes;
};
static LIST_HEAD(sessions);
static volatile u64 sink;
static volatile int zero;
static struct session *the_one;
static int sess_open(struct session *s)
{
	sink += s->id;
	return 0;
}

static int sess_close(struct session *s)
{
	sink -= s->id;
	return 0;
}
static const struct session_ops sess_ops = { sess_open, sess_close };

static struct session *new_session(int id)
{
	struct session *s = kzalloc(sizeof(*s), GFP_KERNEL);
	s->id = id;
	s->ops = &sess_ops;
	kref_init(&s->refs);
	init_waitqueue_head(&s->wait);
	snprintf(s->name, sizeof(s->name), "session-%d", id);
	list_add_tail(&s->node, &sessions);
	return s;
}

static void session_timeout(struct timer_list *t)
{
	struct session *s = container_of(t, struct session, timer);
	sink += s->bytes;
	s->peer->bytes++;
}

static noinline int timer_uaf(void)
{
	struct session *s = new_session(7);
	list_del(&s->node);
	s->peer = the_one;
	timer_setup(&s->timer, session_timeout, 0);
	mod_timer(&s->timer, jiffies + HZ);
	kfree(s);
	return 0;
}

static void session_flush(struct work_struct *w)
{
	struct session *s = container_of(to_delayed_work(w), struct session, work);
	s->peer->bytes++;
}

static noinline int work_freed(void)
{
	struct session *s = new_session(8);
	list_del(&s->node);
	s->peer = the_one;
	INIT_DELAYED_WORK(&s->work, session_flush);
	schedule_delayed_work(&s->work, HZ);
	kfree(s);
	return 0;
}

static int poller_thread(void *arg)
{
	struct session *s = arg;
	msleep(100);
	while (!kthread_should_stop()) {
		sink += s->peer->bytes;
		msleep(10);
	}
	return 0;
}

static noinline int kthread_null(void)
{
	struct session *s = new_session(9);
	kthread_run(poller_thread, s, "sess-poller");
	return 0;
}

static unsigned int pkt_hook(void *priv, struct sk_buff *skb, const struct nf_hook_state *st)
{
	struct session *s = READ_ONCE(the_one->peer);
	struct iphdr *ip = ip_hdr(skb);
	if (ip->protocol == 1)
		s->bytes += skb->len;
	return NF_ACCEPT;
}
static struct nf_hook_ops hook = {.hook = pkt_hook,.pf = NFPROTO_IPV4,.hooknum = NF_INET_LOCAL_IN };

static noinline int nf_null(void)
{
	return nf_register_net_hook(&init_net, &hook);
}

static noinline struct session *session_of(struct timer_list *t)
{
	return container_of(t, struct session, timer);
}

static noinline u64 state_of(struct session *s)
{
	return READ_ONCE(s->state);
}

static noinline int containerof_null(void)
{
	struct timer_list *t = NULL;
	OPTIMIZER_HIDE_VAR(t);
	return state_of(session_of(t));
}

static noinline u64 sum_peers(struct session *s)
{
	u64 n = 0;
	while (s) {
		n += s->bytes;
		s = READ_ONCE(s->peer);
	}
	return n;
}

static noinline int flip_high(void)
{
	struct session *a = new_session(1), *b = new_session(2), *c = new_session(3);
	a->peer = b;
	b->peer = c;
	*(unsigned long *)&b->peer ^= 1ul << 61;
	return sum_peers(a);
}

static noinline void run_ops(struct session *s)
{
	s->ops->open(s);
	sink++;
}

static noinline int flip_ops(void)
{
	struct session *a = new_session(1);
	*(unsigned long *)&a->ops ^= 1ul << 38;
	run_ops(a);
	return 0;
}

static noinline void run_cb(int (**cb)(struct session *))
{
	(*cb)(the_one);
	sink++;
}

static noinline int flip_fn(void)
{
	int (**cb)(struct session *) = kmalloc(64, GFP_KERNEL);
	*cb = sess_open;
	*(unsigned long *)cb ^= 1ul << 33;
	run_cb(cb);
	return 0;
}

static noinline int vtable_text(void)
{
	struct session *a = new_session(1); {
		char *q = (void *)&a->ops;
		OPTIMIZER_HIDE_VAR(q);
		memcpy(q, "GET /ind", 8);
	} run_ops(a);
	return 0;
}

static noinline int vtable_low32(void)
{
	struct session *a = new_session(1);
	*(u32 *) & a->ops = 0x00c0ffee;
	*((u32 *) & a->ops + 1) = 0;
	run_ops(a);
	return 0;
}

static noinline void dirty(u64 v)
{
	volatile u64 room[64];
	int i;
	for (i = 0; i < 64; i++)
		room[i] = v;
	sink += room[3];
}

static noinline void stack_use(int set)
{
	struct session *s[40];
	OPTIMIZER_HIDE_VAR(set);
	asm volatile ("":"=m" (s));
	if (set)
		s[20] = the_one;
	sink += READ_ONCE(s[20]->bytes);
}

static noinline int uninit_stack(void)
{
	dirty(0x0badc0de0badc0deULL);
	stack_use(0);
	return 0;
}

static noinline int hog_vmalloc(void)
{
	for (;;) {
		u8 *p = vmalloc(1 << 20);
		if (p)
			p[0] = 1;
		cond_resched();
	}
	return 0;
}

static noinline int hog_pages(void)
{
	for (;;) {
		struct page *p = alloc_pages(GFP_KERNEL, 2);
		sink += (u64) p;
		cond_resched();
	} return 0;
}

static noinline int hog_kmalloc(void)
{
	for (;;) {
		char *p = kmalloc(4000, GFP_KERNEL);
		if (p)
			p[0] = 'x';
		cond_resched();
	}
	return 0;
}

static void tick_panics(struct timer_list *t)
{
	panic("mishap: battery empty (%d mV)", 2999);
}

static DEFINE_TIMER(tick, tick_panics);
static noinline int panic_timer(void)
{
	mod_timer(&tick, jiffies + 20);
	return 0;
}

static void tick_sleeps(struct timer_list *t)
{
	msleep(5);
}

static DEFINE_TIMER(tick2, tick_sleeps);
static noinline int sleep_timer(void)
{
	mod_timer(&tick2, jiffies + 20);
	return 0;
}

static noinline u64 visit_right(u64 n);
static noinline u64 visit_left(u64 n)
{
	volatile u8 b[120];
	b[3] = n;
	return visit_right(n + 1) + b[3];
}

static noinline u64 visit_right(u64 n)
{
	volatile u8 b[300];
	b[3] = n;
	return visit_left(n + 1) + b[3];
}

static noinline int mutual(void)
{
	return visit_left(zero);
}

static noinline int big_frame(int n)
{
	volatile u8 *p = __builtin_alloca(n);
	int i;
	for (i = n - 1; i >= 0; i -= 64)
		p[i] = 1;
	return p[n / 2];
}

static noinline int vla(void)
{
	int n = 40000 + zero;
	return big_frame(n);
}

static noinline int ratio_of(int a, int b)
{
	return a / b;
}

static noinline int div_overflow(void)
{
	int a = INT_MIN, b = -1;
	OPTIMIZER_HIDE_VAR(a);
	OPTIMIZER_HIDE_VAR(b);
	return ratio_of(a, b);
}

static noinline u64 rate_of(u64 bytes, u64 ms)
{
	return bytes / ms;
}

static noinline int div_rate(void)
{
	return rate_of(123456, zero);
}

static noinline u64 mod_of(u32 a, u32 b)
{
	return a % b;
}

static noinline int mod_zero(void)
{
	return mod_of(77, zero);
}

static noinline int int3(void)
{
	asm volatile ("int3");
	return 0;
}

static noinline int odd_insn(void)
{
	asm volatile (".byte 0x0f, 0xff, 0xc0");
	return 0;
}

static noinline int plain_ud2(void)
{
	asm volatile ("ud2");
	return 0;
}

static noinline void copy_aligned(void *p)
{
	asm volatile ("movaps %%xmm0, (%0)"::"r" (p):"memory");
}

static noinline int misaligned_sse(void)
{
	static char buf[64] __aligned(16);
	u32 mx;
	asm volatile ("clts");
	mx = zero;
	copy_aligned(buf + 4 + mx);
	return 0;
}

static noinline int noncanon(void)
{
	u64 a = 0x8000dead00001000ULL;
	OPTIMIZER_HIDE_VAR(a);
	return *(volatile int *)a;
}

static noinline u32 peek_phys(u64 pa)
{
	return *(volatile u32 *)__va(pa);
}

static noinline int phys_hole(void)
{
	return peek_phys(0x1234567000ULL);
}

static noinline int bad_segment(void)
{
	asm volatile ("mov %0, %%ds"::"r" ((u16) 0xf3));
	return 0;
}

static DEFINE_MUTEX(m1);
static DEFINE_MUTEX(m2);
static DECLARE_RWSEM(r1);
static struct semaphore sem1 = __SEMAPHORE_INITIALIZER(sem1, 1);
static noinline void count_locked(void)
{
	mutex_lock(&m1);
	sink++;
	mutex_unlock(&m1);
}

static int relock_main(void *a)
{
	mutex_lock(&m1);
	count_locked();
	mutex_unlock(&m1);
	return 0;
}

static noinline int relock(void)
{
	kthread_run(relock_main, NULL, "relocker");
	return 0;
}

static int reader_then_mutex(void *a)
{
	down_read(&r1);
	msleep(200);
	mutex_lock(&m2);
	mutex_unlock(&m2);
	up_read(&r1);
	return 0;
}

static int mutex_then_writer(void *a)
{
	mutex_lock(&m2);
	msleep(200);
	down_write(&r1);
	up_write(&r1);
	mutex_unlock(&m2);
	return 0;
}

static noinline int abba_mixed(void)
{
	kthread_run(reader_then_mutex, NULL, "rd-mx");
	kthread_run(mutex_then_writer, NULL, "mx-wr");
	return 0;
}

static int sem_taker(void *a)
{
	down(&sem1);
	up(&sem1);
	return 0;
}

static noinline int sem_forever(void)
{
	down(&sem1);
	kthread_run(sem_taker, NULL, "sem-taker");
	return 0;
}

static DECLARE_COMPLETION(never);
static int waits_done(void *a)
{
	wait_for_completion(&never);
	return 0;
}

static noinline int completion_never(void)
{
	kthread_run(waits_done, NULL, "wait-done");
	return 0;
}

static int exits_locked(void *a)
{
	mutex_lock(&m1);
	msleep(100);
	return 0;
}

static int wants_m1(void *a)
{
	msleep(600);
	mutex_lock(&m1);
	return 0;
}

static noinline int owner_gone(void)
{
	kthread_run(exits_locked, NULL, "exits");
	kthread_run(wants_m1, NULL, "wants-m1");
	return 0;
}

static DEFINE_SPINLOCK(acct);
static noinline int acct_check(int v)
{
	spin_lock(&acct);
	if (v > 3)
		return -EINVAL;
	spin_unlock(&acct);
	return 0;
}

static noinline void acct_add(int v)
{
	spin_lock(&acct);
	sink += v;
	spin_unlock(&acct);
}

static noinline int lock_leak(void)
{
	int v = 5 + zero;
	acct_check(v);
	acct_add(v);
	return 0;
}

static void work_spins(struct work_struct *w)
{
	while (!READ_ONCE(zero))
		cpu_relax();
}

static DECLARE_WORK(spin_work, work_spins);
static noinline int soft_work(void)
{
	schedule_work_on(0, &spin_work);
	return 0;
}

static noinline int ring_wait(void)
{
	struct session *a = new_session(1), *b = new_session(2);
	u64 n = 0;
	a->peer = b;
	b->peer = a;
	for (a = the_one->peer = a; a; a = READ_ONCE(a->peer))
		n++;
	return n;
}

static noinline int rcu_sleeper(void)
{
	rcu_read_lock();
	msleep(10);
	rcu_read_unlock();
	return 0;
}

static noinline int spin_mutex(void)
{
	spin_lock(&acct);
	mutex_lock(&m1);
	msleep(1);
	mutex_unlock(&m1);
	spin_unlock(&acct);
	return 0;
}

static void session_release(struct kref *k)
{
	sink++;
}

static noinline void session_put(struct session *s)
{
	kref_put(&s->refs, session_release);
}

static noinline int kref_twice(void)
{
	struct session *s = new_session(3);
	session_put(s);
	session_put(s);
	return 0;
}

static noinline int free_vmalloced(void)
{
	void *p = vmalloc(100);
	kfree(p);
	return 0;
}

static noinline int free_inner(void)
{
	char *p = kmalloc(128, GFP_KERNEL);
	kfree(p + 24);
	return 0;
}

static noinline int free_stack(void)
{
	char room[64];
	void *p = room;
	OPTIMIZER_HIDE_VAR(p);
	kfree(p);
	return 0;
}

static noinline int vfree_kmalloced(void)
{
	void *p = kmalloc(64, GFP_KERNEL);
	vfree(p);
	return 0;
}

static noinline int name_len(const char *name)
{
	size_t (*volatile len)(const char *) = strlen;
	return len(name);
}

static noinline int strlen_null(void)
{
	return name_len(the_one->peer ? "x" : NULL);
}

static noinline int scan_all(const u8 * p, size_t n)
{
	return memchr_inv(p, 0, n) != NULL;
}

static noinline int negative_len(void)
{
	u8 *p = vzalloc(PAGE_SIZE);
	int n = -1 + zero;
	return scan_all(p, n);
}

static noinline int smash_ret(void)
{
	volatile u64 room[2];
	volatile u64 *p = room;
	int i;
	asm volatile ("":"+r" (p));
	p = __builtin_frame_address(0);
	for (i = 1; i < 3; i++)
		p[i] = 0x4141414141414141ULL;
	return room[0];
}

static noinline int read_config(void)
{
	struct file *f = filp_open("/etc/mishap.conf", O_RDONLY, 0);
	return READ_ONCE(f->f_op) != NULL;
}
static int (*handlers[4])(struct session *) = { sess_open, sess_close, sess_open, sess_close };
static u64 after_handlers[8] = { 0x1122334455667788, 5, 6, 7, 0x1122334455667788, 9, 10, 11 };

static noinline int dispatch(unsigned n)
{
	return handlers[n] (the_one);
}

static noinline int bad_index(void)
{
	sink += after_handlers[1];
	return dispatch(4 + 40 * (1 + zero));
}

static noinline int read_freed(void)
{
	struct session *s = new_session(4);
	s->peer = the_one;
	list_del(&s->node);
	kfree(s);
	return READ_ONCE(s->peer)->bytes;
}

static noinline int list_freed(void)
{
	struct session *s = new_session(4), *i;
	u64 n = 0;
	kfree(s);
	list_for_each_entry(i, &sessions, node) n += i->bytes;
	return n;
}

static noinline int uninit_heap(void)
{
	struct session *s = kmalloc(sizeof(*s), GFP_KERNEL);
	s->id = 1;
	return READ_ONCE(s->peer)->bytes;
}

static noinline void add_on_stack(void)
{
	struct session s = {.id = 77,.ops = &sess_ops };
	list_add_tail(&s.node, &sessions);
	sink += s.id;
}

static noinline u64 sum_sessions(void)
{
	struct session *i;
	u64 n = 0;
	list_for_each_entry(i, &sessions, node) n += i->ops->open(i);
	return n;
}

static noinline int dangling_stack(void)
{
	add_on_stack();
	dirty(0x2f2f2f2f2f2f2f2fULL);
	return sum_sessions();
}

static noinline int stray_zero(void)
{
	struct session *a = new_session(5);
	new_session(6);
	a->node.next = NULL;
	return sum_sessions();
}

static noinline int memset_list(void)
{
	struct session *a = new_session(5);
	new_session(6);
	memset(a, 0, sizeof(*a));
	return sum_sessions();
}

static noinline int bug_plain(void)
{
	BUG_ON(the_one->id == 42);
	return 0;
}

static noinline int warn_fmt(void)
{
	WARN(the_one->id == 42, "mishap: session %d still busy\n", the_one->id);
	return 0;
}

static noinline int jump_mid(void)
{
	int (*f)(void) =(void *)( (char *)new_session(3)->name);
	return f();
}

static noinline int files_wild(void)
{
	current->files = (void *)0x00007f1200340056;
	return 0;
}

static void ipi_null(void *arg)
{
	struct session *s = arg;
	sink += s->bytes;
}

static noinline int ipi(void)
{
	smp_call_function_single(1, ipi_null, NULL, 1);
	return 0;
}

static enum hrtimer_restart hr_main(struct hrtimer *t)
{
	sink += the_one->peer->id;
	return HRTIMER_NORESTART;
}

static struct hrtimer hr;
static noinline int hr_null(void)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6,15,0)
	hrtimer_setup(&hr, hr_main, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
#else
	hrtimer_init(&hr, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	hr.function = hr_main;
#endif
	hrtimer_start(&hr, ms_to_ktime(20), HRTIMER_MODE_REL);
	return 0;
}

static noinline int flip_insn(void)
{
	u8 *code = (u8 *) (unsigned long)sum_peers;
	u8 *map;
	int i;
	struct page *pg;
	sum_peers(NULL);
	for (i = 0; i < 60; i++)
		if (code[i] == 0x48 && code[i + 1] == 0x03) {
			pg = vmalloc_to_page(code + i);
			map = vmap(&pg, 1, VM_MAP, PAGE_KERNEL);
			map[offset_in_page(code + i)] ^= 0x08;
			vunmap(map);
			break;
		}		/* 48 03 -> 40 03: add loses its upper half; harmless in itself */
	for (i = 0; i < 60; i++)
		if (code[i] == 0x48 && code[i + 1] == 0x8b) {
			pg = vmalloc_to_page(code + i + 1);
			map = vmap(&pg, 1, VM_MAP, PAGE_KERNEL);
			map[offset_in_page(code + i + 1)] ^= 0x04;
			vunmap(map);
			break;
		}		/* 8b -> 8f: pop */
	return sum_peers(new_session(3));
}

static int stats_show(struct seq_file *m, void *v)
{
	seq_printf(m, "%llu\n", READ_ONCE(the_one->peer)->bytes);
	return 0;
}

#define K(n) { #n, n }
static const struct {
	const char *name;
	int (*run)(void);
} kinds[] =
    { K(timer_uaf), K(work_freed), K(kthread_null), K(nf_null), K(containerof_null),
    K(flip_high), K(flip_ops), K(flip_fn), K(vtable_text), K(vtable_low32), K(uninit_stack), K(hog_vmalloc),
    K(hog_pages), K(hog_kmalloc), K(panic_timer), K(sleep_timer), K(mutual), K(vla), K(div_overflow),
    K(div_rate), K(mod_zero), K(int3), K(odd_insn), K(plain_ud2), K(misaligned_sse), K(noncanon),
    K(phys_hole), K(bad_segment), K(relock), K(abba_mixed), K(sem_forever), K(completion_never),
    K(owner_gone), K(lock_leak), K(soft_work), K(ring_wait), K(rcu_sleeper), K(spin_mutex), K(kref_twice),
    K(free_vmalloced), K(free_inner), K(free_stack), K(vfree_kmalloced), K(strlen_null),
    K(negative_len), K(smash_ret), K(read_config), K(bad_index), K(read_freed), K(list_freed),
    K(uninit_heap), K(dangling_stack), K(stray_zero), K(memset_list), K(bug_plain),
    K(warn_fmt), K(jump_mid), K(files_wild), K(ipi), K(hr_null), K(flip_insn) };

static ssize_t mishap_write(struct file *f, const char __user * ub, size_t n, loff_t * off)
{
	char buf[40];
	int i, r;
	if (n >= sizeof(buf) || copy_from_user(buf, ub, n))
		return -EFAULT;
	buf[n] = 0;
	strim(buf);
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(buf, kinds[i].name)) {
			r = kinds[i].run();
			return n;
		}
	return -EINVAL;
}
static const struct proc_ops mishap_ops = {.proc_write = mishap_write };

static int __init mishap_init(void)
{
	int i;
	for (i = 0; i < 12; i++)
		new_session(20 + i);
	the_one = new_session(42);
	proc_create_single("mishap_stats", 0444, NULL, stats_show);
	return proc_create("faulty", 0200, NULL, &mishap_ops) ? 0 : -ENOMEM;
}

static void __exit mishap_exit(void)
{
}

module_init(mishap_init);
module_exit(mishap_exit);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("What goes wrong in drivers");
