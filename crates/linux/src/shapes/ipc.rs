//! include/linux/ipc.h, ipc_namespace.h, ipc/shm.c, ipc/sem.c, ipc/msg.c

shapes! {
    /// System V IPC as some processes see it.
    IpcNamespace = "ipc_namespace" for ipcs {
        ids: "ids",
    }
    /// The objects of one kind.
    IpcIds = "ipc_ids" for ipcs {
        idr: "ipcs_idr.idr_rt",
    }
    /// What objects of all kinds have.
    IpcPerm = "kern_ipc_perm" for ipcs {
        id: "id",
        key: "key",
        uid: "uid",
        mode: "mode",
    }
    /// A segment of shared memory.
    Shm = "shmid_kernel" for ipcs {
        perm: "shm_perm",
        file: "shm_file",
        attached: "shm_nattch",
        bytes: "shm_segsz",
    }
    /// A set of semaphores.
    SemArray = "sem_array" for ipcs {
        perm: "sem_perm",
        count: "sem_nsems",
        alter: "pending_alter",
        constant: "pending_const",
        semaphores: "sems" | "sem_base",
    }
    /// A semaphore.
    Sem = "sem" for ipcs {
        alter: "pending_alter",
        constant: "pending_const",
    }
    /// A task that waits for semaphores.
    SemQueue = "sem_queue" for ipcs {
        list: "list",
        sleeper: "sleeper",
    }
    /// A queue of messages.
    MsgQueue = "msg_queue" for ipcs {
        perm: "q_perm",
        used: "q_cbytes",
        count: "q_qnum",
        messages: "q_messages",
    }
    /// A message.
    Msg = "msg_msg" for ipcs {
        list: "m_list",
        kind: "m_type",
        bytes: "m_ts",
    }
    /// A file in memory.
    ShmemInode = "shmem_inode_info" for ipcs {
        swapped: "swapped",
        inode: "vfs_inode",
    }
}
