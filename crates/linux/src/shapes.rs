//! All knowledge of kernel structures, declared: members with their alternatives side by side,
//! resolved once against the kernel at hand. Nothing here asks for a version.
//!
//! A member that does not resolve harms only those who read it: reading it is an error that names
//! it. `necropsy doctor` prints every shape, with the commands that need it. The notation is told
//! in [`crate::shape`]; a new file needs one line here.

pub use crate::shape::{Field, Form};

all_shapes! {
    slab {
        page: Page, slab: Slab, kmem_cache: KmemCache, kmem_cache_cpu: KmemCacheCpu,
        kmem_cache_node: KmemCacheNode, kmem_cache_per_node: KmemCachePerNode,
        percpu_sheaves: PercpuSheaves, slab_sheaf: SlabSheaf, node_barn: NodeBarn,
        slab_track: SlabTrack, kfence_metadata: KfenceMetadata, kfence_track: KfenceTrack,
        kset: Kset, kernfs_tree: KernfsTree, stack_record: StackRecord, stack_handle: StackHandle;
        slab_flags: SlabFlags, kfence_states: KfenceStates, kfence_variables: KfenceVariables,
         slab_marks: SlabMarks, slab_variables: SlabVariables
    }
    vmalloc {
        vmap_area: VmapArea, vm_struct: VmStruct, vmap_node: VmapNode;
        vmap_variables: VmapVariables
    }
    zone {
        node_memory: NodeMemory, zone: Zone, free_area: FreeArea, per_cpu_page_set: PerCpuPageSet,
        per_cpu_pages: PerCpuPages, per_cpu_zone_stat: PerCpuZoneStat,
        per_cpu_node_stat: PerCpuNodeStat, huge_pages: HugePages, mem_section: MemSection,
        memory_block: MemoryBlock;
        page_counters: PageCounters, memory_variables: MemoryVariables
    }
    task {
        task: Task, pid: Pid, pid_namespace: PidNamespace, signal: Signal,
        inactive_frame: InactiveFrame
    }
    container { xarray: XArray, xa_node: XaNode, maple_tree: MapleTree, maple_node: MapleNode }
    mm { mm: Mm, percpu_counter: PercpuCounter; page_kinds: PageKinds }
    cpu { rq: Rq, pcpu_hot: PcpuHot, cpumask: CpuMask }
    stacks {
        thread_union: ThreadUnion, exception_stacks: ExceptionStacks,
        cpu_entry_area: CpuEntryArea, fred_frame: FredFrame
    }
    sched {
        task_entities: TaskEntities, cfs_rq: CfsRq, sched_entity: SchedEntity, rt_rq: RtRq,
        rt_prio_array: RtPrioArray, sched_rt_entity: SchedRtEntity, dl_rq: DlRq,
        sched_dl_entity: SchedDlEntity, task_group: TaskGroup, cgroup: Cgroup,
        kernfs_node: KernfsNode
    }
    irq {
        irq_desc: IrqDesc, irq_action: IrqAction, irq_chip: IrqChip, irq_stat: IrqStat,
        softirq_action: SoftirqAction, gate: Gate;
        irq_tables: IrqTables, softirqs: Softirqs
    }
    timer {
        timer_base: TimerBase, timer_list: TimerList, hrtimer_cpu_base: HrtimerCpuBase,
        hrtimer_clock_base: HrtimerClockBase, hrtimer: Hrtimer, timekeeper_pace: TimekeeperPace;
        tick_variables: TickVariables
    }
    locks {
        mutex: Mutex, mutex_waiter: MutexWaiter, ww_mutex: WwMutex, rw_semaphore: RwSemaphore,
        rwsem_waiter: RwsemWaiter, semaphore: Semaphore, semaphore_waiter: SemaphoreWaiter,
        rt_mutex: RtMutex, rt_mutex_waiter: RtMutexWaiter, swait_queue: SwaitQueue,
        completion: Completion, wait_queue_entry: WaitQueueEntry, wait_queue_head: WaitQueueHead,
        wait_bit_entry: WaitBitEntry, wait_folio_entry: WaitFolioEntry, percpu_rwsem: PercpuRwsem,
        blocked: Blocked, kthread: Kthread, worker: Worker, wq_barrier: WqBarrier,
        lock_places: LockPlaces, superblock_state: SuperblockState, queue_node: QueueNode;
        superblock_list: SuperblockList, queue_nodes: QueueNodes
    }
    machine { e820_table: E820Table, e820_entry: E820Entry }
    module {
        module: Module, module_sect_attrs: ModuleSectAttrs, module_sect_attr: ModuleSectAttr,
        bin_attribute: BinAttribute, module_memory: ModuleMemory, module_layout: ModuleLayout,
        mod_kallsyms: ModKallsyms, elf_symbol: ElfSymbol, btf_module: BtfModule, btf: Btf
    }
    printk {
        prb: PrintkRingbuffer, prb_desc_ring: PrbDescRing, prb_data_ring: PrbDataRing,
        prb_desc: PrbDesc, prb_data_blk_lpos: PrbDataBlkLpos, printk_info: PrintkInfo,
        dev_printk_info: DevPrintkInfo, printk_log: PrintkLog,
        printk_safe_seq_buf: PrintkSafeSeqBuf, sk_buff_head: SkBuffHead, sk_buff: SkBuff;
        log_variables: LogVariables
    }
    time {
        tk_data: TkData, timekeeper: Timekeeper, tk_read_base: TkReadBase, seqcount: Seqcount;
        timekeeper_variables: TimekeeperVariables
    }
    fs {
        file: File, files_struct: FilesStruct, fd_table: FdTable, fs_struct: FsStruct,
        dentry: Dentry, inode: Inode, address_space: AddressSpace, super_block: SuperBlock,
        file_system_type: FileSystemType, mount: Mount, mount_namespace: MountNamespace,
        nsproxy: NsProxy
    }
    audit {
        task_links: TaskLinks, cred: Cred, upid: Upid, dentry_links: DentryLinks,
        inode_links: InodeLinks, mapping_host: MappingHost, file_links: FileLinks,
        super_block_links: SuperBlockLinks, bug_entry: BugEntry, static_call_site: StaticCallSite, jump_entry: JumpEntry,
        alternative: Alternative,
        exception_entry: ExceptionEntry, ftrace_page: FtracePage, traced_function: TracedFunction,
        kprobe: Kprobe, optimized_kprobe: OptimizedKprobe, shm_file_data: ShmFileData;
        ftrace_variables: FtraceVariables, kprobe_variables: KprobeVariables
    }
    vma { vma: Vma, mm_mappings: MmMappings }
    ipc {
        ipc_namespace: IpcNamespace, ipc_ids: IpcIds, ipc_perm: IpcPerm, shm: Shm,
        sem_array: SemArray, sem: Sem, sem_queue: SemQueue, msg_queue: MsgQueue, msg: Msg,
        shmem_inode: ShmemInode
    }
    signal {
        task_signals: TaskSignals, process_signals: ProcessSignals, sighand: SigHand,
        sigaction: SigAction, sigpending: SigPending, sigqueue: SigQueue
    }
    net {
        net: Net, net_device: NetDevice, in_device: InDevice, in_address: InAddress,
        inet6_device: Inet6Device, inet6_address: Inet6Address, socket: Socket, sock: Sock,
        proto: Proto, unix_sock: UnixSock, unix_address: UnixAddress, netlink_sock: NetlinkSock,
        packet_sock: PacketSock, vsock: Vsock, neigh_table: NeighTable, neigh_hash: NeighHash,
        neighbour: Neighbour, net_hardware: NetHardware
    }
    device {
        char_device: CharDevice, cdev: Cdev, kobj_map: KobjMap, probe: Probe,
        block_major: BlockMajor, gendisk: GenDisk, bdev_inode: BdevInode,
        block_device: BlockDevice, disk_part: DiskPart, disk_stats: DiskStats,
        resource: Resource, pci_device: PciDevice, pci_bus: PciBus,
        swap_info: SwapInfo;
        device_tables: DeviceTables
    }
    trace {
        trace_array: TraceArray, tracer: Tracer, trace_buffer: TraceBuffer, cpu_ring: CpuRing,
        buffer_page: BufferPage, buffer_data_page: BufferDataPage,
        trace_event_call: TraceEventCall, trace_event_class: TraceEventClass,
        event_field: EventField, traced_task: TracedTask, tracepoint: Tracepoint, syscall_metadata: SyscallMetadata,
        saved_cmdlines: SavedCmdlines;
        trace_flags: TraceFlags, trace_variables: TraceVariables
    }
    usage {
        vm_pages: VmPages, mapping_of: MappingOf, inode_names: InodeNames,
        dentry_alias: DentryAlias;
        usage_variables: UsageVariables
    }
    bpf {
        bpf_prog: BpfProg, bpf_prog_aux: BpfProgAux, bpf_map: BpfMap, bpf_user: BpfUser,
        sbitmap_queue: SbitmapQueue, sbitmap: Sbitmap, sbitmap_word: SbitmapWord,
        sbitmap_waiters: SbitmapWaiters;
        bpf_tables: BpfTables
    }
    workqueue {
        workqueue: Workqueue, pool_workqueue: PoolWorkqueue, worker_pool: WorkerPool,
        worker_does: WorkerDoes, work: Work, delayed_work: DelayedWork, wq_flusher: WqFlusher,
        wq_flushing: WqFlushing;
        work_bits: WorkBits, workqueue_variables: WorkqueueVariables
    }
    rcu {
        rcu_state: RcuState, rcu_node: RcuNode, rcu_data: RcuData, rcu_task: RcuTask;
        rcu_variables: RcuVariables
    }
    cgroup {
        cgroup_root: CgroupRoot, cgroup_of: CgroupOf, cgroup_state: CgroupState,
        mem_cgroup: MemCgroup, page_counter: PageCounter, pids_cgroup: PidsCgroup,
        psi_group: PsiGroup, css_set: CssSet, group_of_set: GroupOfSet, task_cgroups: TaskCgroups;
        cgroup_ids: CgroupIds, cgroup_variables: CgroupVariables
    }
    block {
        request_queue: RequestQueue, hardware_queue: HardwareQueue, tags: Tags, request: Request,
        bio: Bio, bio_vec: BioVec
    }
    pagecache {
        page_cache: PageCache, inode_size: InodeSize, dentry_tree: DentryTree, mm_start: MmStart,
        thread_bases: ThreadBases
    }
    system {
        uts_namespace: UtsNamespace, pglist_data: PglistData, taint_flag: TaintFlag,
        nodemask: NodeMask;
        system_constants: SystemConstants
    }
}

#[cfg(test)]
mod tests;
