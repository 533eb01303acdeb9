//! kernel/trace/trace.h, kernel/trace/ring_buffer.c, kernel/trace/trace_sched_switch.c,
//! include/linux/trace_events.h, include/linux/syscalls.h

shapes! {
    /// An instance of tracing: a folder of tracefs.
    TraceArray = "trace_array" for trace {
        list: "list",
        name: "name",                                       // NULL: the one at the top
        buffer: "array_buffer.buffer" | "trace_buffer.buffer",  // renamed in 5.7
        tracer: maybe "current_trace",
        clock: maybe "clock_id",
        stopped: maybe "buffer_disabled",
    }
    /// What can fill it.
    Tracer = "tracer" for trace {
        name: "name",
    }
    /// The rings of all CPUs.
    TraceBuffer = "trace_buffer" | "ring_buffer" for trace {
        rings: "buffers",
        order: maybe "subbuf_order",                        // 6.8: pages may be larger ones
    }
    /// The ring of one CPU.
    CpuRing = "ring_buffer_per_cpu" for trace {
        page_count: "nr_pages",
        pages: "pages",
        head_page: "head_page",
        commit_page: "commit_page",
        tail_page: "tail_page",
        reader_page: "reader_page",
        entries: "entries",
        overrun: "overrun",
        commit_overrun: maybe "commit_overrun",
        dropped: maybe "dropped_events",
        read: "read",
    }
    /// A page of a ring.
    BufferPage = "buffer_page" for trace {
        list: "list",
        read: "read",
        page: "page",
    }
    /// Its content.
    BufferDataPage = "buffer_data_page" for trace {
        time: "time_stamp",
        commit: "commit",
        data: "data",
    }
    /// A kind of event.
    TraceEventCall = "trace_event_call" for trace {
        list: "list",
        class: "class",
        name: "name",
        id: "event.type",
        print_fmt: "print_fmt",
        data: "data",
        flags: "flags",
    }
    /// Kinds of events that look alike.
    TraceEventClass = "trace_event_class" for trace {
        system: "system",
        get_fields: maybe "get_fields",
        fields: "fields",
    }
    /// A field of an event.
    EventField = "ftrace_event_field" for trace {
        link: "link",
        name: "name",
        kind: "type",
        offset: "offset",
        size: "size",
        is_signed: "is_signed",
        count: maybe "len",                                 // of an array, where its type does not say
    }
    /// A tracepoint, by which most kinds are named.
    Tracepoint = "tracepoint" for trace {
        name: "name",
    }
    /// What is kept of a task beside its events.
    TracedTask = "task_struct" for trace {
        migration: maybe "migration_disabled",              // 5.14
    }
    /// What is traced of a system call.
    SyscallMetadata = "syscall_metadata" for trace {
        name: "name",
        parameters: "nb_args",
        types: "types",
        names: "args",
        enter_fields: "enter_fields",
    }
    /// The names of tasks that were traced.
    SavedCmdlines = "saved_cmdlines_buffer" for trace {
        by_pid: "map_pid_to_cmdline",
        pids: "map_cmdline_to_pid",
        count: "cmdline_num",
        names: array "saved_cmdlines" | pointer "saved_cmdlines",
    }
}

constants! {
    /// Bits of `trace_entry.flags` and of `trace_event_call.flags`.
    TraceFlags = "flags of trace entries" for trace {
        irqs_off: maybe "TRACE_FLAG_IRQS_OFF",
        no_irqs: maybe "TRACE_FLAG_IRQS_NOSUPPORT",
        resched: maybe "TRACE_FLAG_NEED_RESCHED",
        resched_lazy: maybe "TRACE_FLAG_NEED_RESCHED_LAZY",
        hardirq: maybe "TRACE_FLAG_HARDIRQ",
        softirq: maybe "TRACE_FLAG_SOFTIRQ",
        preempt_resched: maybe "TRACE_FLAG_PREEMPT_RESCHED",
        nmi: maybe "TRACE_FLAG_NMI",
        bh_off: maybe "TRACE_FLAG_BH_OFF",
        by_tracepoint: maybe "TRACE_EVENT_FL_TRACEPOINT",
    }
}

variables! {
    /// Where tracing begins.
    TraceVariables = "instances, kinds and names of traces" for trace {
        arrays: "ftrace_trace_arrays",
        events: "ftrace_events",
        common_fields: maybe "ftrace_common_fields",
        names: maybe "savedcmd",
    }
}
