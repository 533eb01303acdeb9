//! include/linux/module.h, kernel/module/internal.h, kernel/bpf/btf.c

shapes! {
    /// A loaded module.
    Module = "module" {
        list: "list",
        state: "state",
        name: "name",
        mem?o: "mem",                                       // 6.4: seven ranges
        core_layout?o: "core_layout",                       // before
        init_layout?o: "init_layout",
        kallsyms: "kallsyms",
        percpu?o: "percpu",
        percpu_size?o: "percpu_size",
        taints: "taints",
        sect_attrs?o: "sect_attrs",
        notes_attrs?o: "notes_attrs",
        build_id?o: "build_id",
        num_orcs?o: "arch.num_orcs",
        orc_ip?o: "arch.orc_unwind_ip",
        orc?o: "arch.orc_unwind",
        version?o: "version",
        srcversion?o: "srcversion",
        refcnt?o: "refcnt",
        source_list?o: "source_list",
    }
    /// Where a module's sections are: kernel/module/sysfs.c, before 5.12 kernel/module.c.
    ModuleSectAttrs = "module_sect_attrs" {
        nsections?o: "nsections",                           // until 6.13
        attrs: "attrs",
        bin_attrs?o: "grp.bin_attrs",                       // ends with NULL
    }
    /// A section of a module until 6.13.
    ModuleSectAttr = "module_sect_attr" {
        name?o: "battr.attr.name" | "name",                 // 5.8
        address?o: "address",
    }
    /// A section of a module since 6.14 (include/linux/sysfs.h).
    BinAttribute = "bin_attribute" {
        name: "attr.name",
        private: "private",
    }
    /// One range of a module since 6.4.
    ModuleMemory = "module_memory" {
        base?o: "base",
        size_?o: "size",
    }
    /// The ranges of a module until 6.3.
    ModuleLayout = "module_layout" {
        base?o: "base",
        size_?o: "size",
        text_size?o: "text_size",
    }
    /// A module's symbol table.
    ModKallsyms = "mod_kallsyms" {
        symtab: "symtab",
        num_symtab: "num_symtab",
        strtab: "strtab",
        typetab?o: "typetab",
    }
    /// include/uapi/linux/elf.h
    ElfSymbol = "elf64_sym" {
        name: "st_name",
        info: "st_info",
        shndx: "st_shndx",
        value: "st_value",
        size_: "st_size",
    }
    /// An entry of the list of modules that brought BTF.
    BtfModule = "btf_module" {
        list?o: "list",
        module?o: "module",
        btf?o: "btf",
    }
    /// A loaded BTF.
    Btf = "btf" {
        data?o: "data",
        data_size?o: "data_size",
    }
}
