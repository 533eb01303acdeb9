//! Source lines from the files of `--symbols`.
//!
//! Files are opened when a frame asks for them: of a folder of modules, only those in a trace are.

use std::{
    cell::{OnceCell, RefCell},
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use necropsy_debuginfo::{
    Symbols as Table,
    dwarf::{DebugFile, Dwarf},
};
use necropsy_linux::build_id::to_hex;
use necropsy_loader::{
    files::{self, module_of, name_of, told},
    index, open_file,
};
use necropsy_oops::{Location, Place, Symbolizer};

/// The files that may be asked.
#[derive(Debug, Default)]
pub(super) struct SymbolFiles {
    files: Vec<SymbolFile>,
    /// By module, `None` being the kernel itself.
    by_module: HashMap<Option<String>, Vec<usize>>,
}

#[derive(Debug)]
struct SymbolFile {
    path: PathBuf,
    opened: OnceCell<Result<Opened, String>>,
}

#[derive(Debug)]
enum Opened {
    /// With debug information.
    Debug(Box<Dwarf>),
    /// With symbols alone.
    Elf(Box<DebugFile>),
    SystemMap(Table),
}

impl Opened {
    fn table(&self) -> &Table {
        match self {
            Opened::Debug(dwarf) => dwarf.file().symbols(),
            Opened::Elf(file) => file.symbols(),
            Opened::SystemMap(table) => table,
        }
    }

    fn elf(&self) -> Option<&DebugFile> {
        match self {
            Opened::Debug(dwarf) => Some(dwarf.file()),
            Opened::Elf(file) => Some(file),
            Opened::SystemMap(_) => None,
        }
    }

    /// What the debug information says of an address, the innermost function first.
    fn lines_at(&self, address: u64) -> Vec<Location> {
        let Opened::Debug(dwarf) = self else { return Vec::new() };
        let frames = dwarf.frames_at(address);
        frames
            .iter()
            .map(|frame| Location {
                function: frame.function.clone().unwrap_or_default(),
                file: frame.file.clone(),
                line: frame.line,
            })
            .collect()
    }
}

impl SymbolFiles {
    /// The files of these paths; folders are searched.
    ///
    /// # Errors
    /// A path does not exist, or is no file of symbols.
    pub(super) fn find(paths: &[PathBuf]) -> Result<Self, String> {
        let mut files = SymbolFiles::default();
        for path in paths {
            let meta = fs::metadata(path).map_err(|error| told(path, &error))?;
            if meta.is_dir() {
                files.search(path).map_err(|error| told(path, &error))?;
            } else {
                // A file that was named is the kernel if its name is not a module's.
                files.add(path.clone(), module_of(path));
                if let Some(Err(error)) = files.files.last().map(SymbolFile::get) {
                    return Err(error.to_owned());
                }
            }
        }
        Ok(files)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    fn add(&mut self, path: PathBuf, module: Option<String>) {
        self.by_module.entry(module).or_default().push(self.files.len());
        self.files.push(SymbolFile { path, opened: OnceCell::new() });
    }

    fn search(&mut self, folder: &Path) -> std::io::Result<()> {
        for path in files::search(folder, &mut may_have_symbols)? {
            let module = module_of(&path);
            self.add(path, module);
        }
        Ok(())
    }
}

fn may_have_symbols(path: &Path) -> bool {
    let name = name_of(path);
    let kernel = ["vmlinux", "System.map"].iter().any(|part| name.starts_with(part));
    kernel || module_of(path).is_some()
}

impl SymbolFile {
    fn get(&self) -> Result<&Opened, &str> {
        let opened = self.opened.get_or_init(|| {
            let map = files::open(&self.path).map_err(|error| told(&self.path, &error))?;
            if let Ok(text) = std::str::from_utf8(&map)
                && let Some(table) = Table::from_system_map(text).filter(|table| !table.is_empty())
            {
                return Ok(Opened::SystemMap(table));
            }
            let opened = open_file(map).and_then(|file| match file.has_lines() {
                true => index(file).map(|dwarf| Opened::Debug(Box::new(dwarf))),
                false => Ok(Opened::Elf(Box::new(file))),
            });
            opened.map_err(|error| format!("{}: {error}", self.path.display()))
        });
        opened.as_ref().map_err(String::as_str)
    }
}

/// Answers for frames.
pub(super) struct Symbols<'a> {
    files: &'a SymbolFiles,
    problems: RefCell<Vec<String>>,
}

impl<'a> Symbols<'a> {
    pub(super) fn of(files: &'a SymbolFiles) -> Self {
        Symbols { files, problems: RefCell::default() }
    }

    /// What was wrong with files.
    pub(super) fn problems(&self) -> Vec<String> {
        self.problems.borrow().clone()
    }

    fn file(&self, index: usize) -> Option<&'a Opened> {
        match self.files.files.get(index)?.get() {
            Ok(file) => Some(file),
            Err(problem) => {
                self.problem(problem);
                None
            }
        }
    }

    fn problem(&self, problem: &str) {
        let mut problems = self.problems.borrow_mut();
        if !problems.iter().any(|known| known == problem) {
            problems.push(problem.to_owned());
        }
    }

    /// The files of the kernel itself.
    fn kernels(&self) -> impl Iterator<Item = (usize, &'a Opened)> {
        let files = self.files.by_module.get(&None);
        files.into_iter().flatten().filter_map(|index| Some((*index, self.file(*index)?)))
    }
}

impl Symbolizer for Symbols<'_> {
    fn locate(&self, place: Place<'_>) -> Vec<Location> {
        let module = place.module.map(|name| name.replace('-', "_"));
        let Some(files) = self.files.by_module.get(&module) else { return Vec::new() };
        for &index in files {
            let Some(opened) = self.file(index) else { continue };
            let Some(file) = opened.elf() else { continue };
            if let (Some(wanted), Some(found)) = (place.build_id, file.build_id())
                && !wanted.eq_ignore_ascii_case(&to_hex(found))
            {
                continue;
            }
            let located = file.locate(place.function, place.offset, place.size);
            let found = located.map_or_else(Vec::new, |address| opened.lines_at(address));
            if !found.is_empty() {
                return found;
            }
        }
        Vec::new()
    }

    fn address(&self, place: Place<'_>) -> Option<u64> {
        if place.module.is_some() {
            return None;
        }
        self.kernels().find_map(|(_, kernel)| match kernel {
            Opened::Debug(_) | Opened::Elf(_) => {
                kernel.elf()?.locate(place.function, place.offset, place.size)
            }
            Opened::SystemMap(table) => match table.all_by_name(place.function).as_slice() {
                [symbol] => symbol.address.checked_add(place.offset),
                _ => None,
            },
        })
    }

    fn name(&self, address: u64) -> Option<String> {
        self.kernels().find_map(|(_, kernel)| {
            let symbol = kernel.table().lookup(address)?;
            let offset = address - symbol.address;
            match offset {
                0 => Some(symbol.name.to_owned()),
                _ if offset < symbol.size => Some(format!("{}+{offset:#x}", symbol.name)),
                _ => None,
            }
        })
    }
}
