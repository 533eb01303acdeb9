//! include/linux/module.h, kernel/module/internal.h, kernel/bpf/btf.c

shapes! {
    /// A loaded module.
    Module = "module" for mod sym dis bt {
        list: "list",
        state: "state",
        name: "name",
        ranges: array "mem" | embedded "core_layout",       // 6.4: seven ranges; before: two
        init_layout: maybe "init_layout",
        kallsyms: "kallsyms",
        percpu: maybe "percpu",
        percpu_size: maybe "percpu_size",
        taints: "taints",
        sect_attrs: maybe "sect_attrs",
        notes_attrs: maybe "notes_attrs",
        build_id: maybe "build_id",
        num_orcs: maybe "arch.num_orcs",
        orc_ip: maybe "arch.orc_unwind_ip",
        orc: maybe "arch.orc_unwind",
        version: maybe "version",
        srcversion: maybe "srcversion",
        refcnt: maybe "refcnt",
        source_list: maybe "source_list",
    }
    /// Where a module's sections are: kernel/module/sysfs.c, before 5.12 kernel/module.c.
    ModuleSectAttrs = "module_sect_attrs" for mod {
        nsections: maybe "nsections",                       // until 6.13
        attrs: "attrs",
        bin_attrs: maybe "grp.bin_attrs",                   // ends with NULL
    }
    /// A section of a module until 6.13.
    ModuleSectAttr = "module_sect_attr" for mod {
        name: maybe "battr.attr.name" | "name",             // 5.8
        address: maybe "address",
    }
    /// A section of a module since 6.14 (include/linux/sysfs.h).
    BinAttribute = "bin_attribute" for mod {
        name: "attr.name",
        private: "private",
    }
    /// One range of a module since 6.4.
    ModuleMemory = "module_memory" for mod sym dis bt {
        base: maybe "base",
        size: maybe "size",
    }
    /// The ranges of a module until 6.3.
    ModuleLayout = "module_layout" for mod sym dis bt {
        base: maybe "base",
        size: maybe "size",
        text_size: maybe "text_size",
    }
    /// A module's symbol table.
    ModKallsyms = "mod_kallsyms" for sym dis bt {
        symtab: "symtab",
        num_symtab: "num_symtab",
        strtab: "strtab",
        typetab: maybe "typetab",
    }
    /// include/uapi/linux/elf.h
    ElfSymbol = "elf64_sym" for sym dis bt {
        name: "st_name",
        info: "st_info",
        shndx: "st_shndx",
        value: "st_value",
        size: "st_size",
    }
    /// An entry of the list of modules that brought BTF.
    BtfModule = "btf_module" for struct p whatis {
        list: maybe "list",
        module: maybe "module",
        btf: maybe "btf",
    }
    /// A loaded BTF.
    Btf = "btf" for struct p whatis {
        data: maybe "data",
        data_size: maybe "data_size",
    }
}
