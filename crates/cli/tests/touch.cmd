# What a small dump must answer: `necropsy convert --touched-by` runs these lines and keeps the
# pages that they read. The lines of tests/commands and the registry's examples run as well, see
# `cargo xtask fixtures`.
info
doctor
sys
sys -t
sys -i
sys -c
sys config
log
log -T
log -t
log -d
log -m
log -c
log -a
log -s
ps
ps -m
ps -l
ps -t
ps -c 1
ps -p 1
ps -g
ps -a
ps -r
ps -S
ps -s
ps -A
ps -u
ps -k
ps -G workload
bt
bt -a
bt -F
bt -FF
bt -f
bt -l
bt -v
bt -v 1
frame 1
locals
explain
bt -r
bt -t
bt -T
bt -e
bt -s
bt -c 0
bt -c 1
bt -p
bt -g 1
bt 1
bt -r 1
foreach bt
foreach bt -f
foreach ps -t
foreach task -R pid
set
task
task 1
set 1
runq
runq -t
runq -T
runq -m
runq -g
sym -l
sym -m crashme
sym -M
mod
mod -t
mod -s crashme
dis schedule
dis -r schedule+20
dis -f schedule+20
dis crashme_run
dis do_exit 50
dis __schedule 100
dis do_nanosleep 50
dis do_sys_poll 50
dis panic 20
dis sysrq_handle_crash
p init_task
p jiffies
p runqueues:a
p modules
p linux_banner
p init_uts_ns
p crashme_widgets
p init_mm
p saved_command_line
p init_top_pgt
p tainted_mask
whatis crashme_widget
whatis task_struct
struct task_struct
struct task_struct init_task
struct crashme_widget
struct module modules -l module.list
struct rq runqueues:a
list -H modules -o module.list -s module.name,state
list -H crashme_widgets
list -H crashme_widgets -s crashme_widget -l crashme_widget.link
list -H crashme_widgets -o crashme_widget.link -s crashme_widget.serial,label
list task_struct.tasks -h init_task -s task_struct.pid,comm
list task_struct.real_parent init_task
tree -t maple sparse_irqs
tree -t x irq_desc_tree
irq
irq -u
irq -d
irq -b
irq -a
irq -s
timer
timer -r
mach
mach -m
mach -c
vtop linux_banner
vtop init_task
vtop crashme_run
vtop jiffies
rd linux_banner 64
rd init_task 64
rd modules 2
rd -8 saved_command_line 8
rd -a linux_banner
pte 8000000001e08063
report
foreach files -c
foreach vm
mount
ipcs
ipcs -M
ipcs -w
foreach sig
net
net -a
foreach net -s
swap
dev
fuser /
waitq kauditd_wait
locks
hang
stacks
cpus
kmem -s
kmem -v
kmem -o
kmem init_task
check slab
trace
trace -l
workqueue
workqueue -p
rcu
cgroups
block
block -d
pagecache /bin/busybox
kmem -i
kmem -V
kmem -z
kmem -n
kmem -h
kmem -g
