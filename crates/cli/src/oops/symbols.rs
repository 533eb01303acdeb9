//! Source lines from the files of `--symbols`.
//!
//! Files are opened when a frame asks for them: of a folder of modules, only those in a trace are.

use std::{
    cell::{OnceCell, RefCell},
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use necropsy_debuginfo::{DebugFile, Lines, Symbols as Table};
use necropsy_dump::Map;
use necropsy_oops::{Location, Place, Symbolizer};

use crate::debug_files::{
    facts::hex,
    files::{self, module_of, name_of, told},
};

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
    Elf(DebugFile<Map>),
    SystemMap(Table),
}

impl Opened {
    fn table(&self) -> &Table {
        match self {
            Opened::Elf(file) => file.symbols(),
            Opened::SystemMap(table) => table,
        }
    }

    fn elf(&self) -> Option<&DebugFile<Map>> {
        match self {
            Opened::Elf(file) => Some(file),
            Opened::SystemMap(_) => None,
        }
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
            let file = DebugFile::open(map);
            file.map(Opened::Elf).map_err(|error| format!("{}: {error}", self.path.display()))
        });
        opened.as_ref().map_err(String::as_str)
    }
}

/// Answers for frames.
pub(super) struct Symbols<'a> {
    files: &'a SymbolFiles,
    /// The DWARF of a file, once it was asked.
    lines: RefCell<HashMap<usize, Option<Lines<'a>>>>,
    /// What the source files of the kernel have in front: where it was built.
    root: OnceCell<String>,
    problems: RefCell<Vec<String>>,
}

impl<'a> Symbols<'a> {
    pub(super) fn of(files: &'a SymbolFiles) -> Self {
        Symbols {
            files,
            lines: RefCell::default(),
            root: OnceCell::new(),
            problems: RefCell::default(),
        }
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

    /// What the DWARF of a file says of an address.
    fn lines_at(&self, index: usize, address: u64) -> Vec<Location> {
        let mut lines = self.lines.borrow_mut();
        let lines = lines.entry(index).or_insert_with(|| {
            let file = self.file(index)?.elf().filter(|file| file.has_lines())?;
            let read = file.lines().map_err(|error| {
                let path = self.files.files.get(index).map(|file| file.path.display());
                path.into_iter().for_each(|path| self.problem(&format!("{path}: {error}")));
            });
            read.ok()
        });
        let found = lines.as_ref().map(|lines| lines.at(address)).unwrap_or_default();
        found
            .into_iter()
            .map(|place| Location {
                function: place.function.unwrap_or_default(),
                file: place.file.map(|file| tidy(&file)),
                line: place.line,
            })
            .collect()
    }

    /// The kernel is built in a directory that says nothing to anybody: what stands before
    /// `init/main.c` is taken off.
    fn root(&self) -> &str {
        self.root.get_or_init(|| {
            let found = self.kernels().find_map(|(index, kernel)| {
                let start = kernel.elf()?.locate("start_kernel", 0, None)?;
                let places = self.lines_at(index, start);
                let file = places.last()?.file.clone()?;
                Some(file.strip_suffix("init/main.c")?.to_owned())
            });
            found.unwrap_or_default()
        })
    }
}

impl Symbolizer for Symbols<'_> {
    fn locate(&self, place: Place<'_>) -> Vec<Location> {
        let module = place.module.map(|name| name.replace('-', "_"));
        let Some(files) = self.files.by_module.get(&module) else { return Vec::new() };
        for &index in files {
            let Some(file) = self.file(index).and_then(Opened::elf) else { continue };
            if let (Some(wanted), Some(found)) = (place.build_id, file.build_id())
                && !wanted.eq_ignore_ascii_case(&hex(found))
            {
                continue;
            }
            let Some(address) = file.locate(place.function, place.offset, place.size) else {
                continue;
            };
            let mut found = self.lines_at(index, address);
            for location in &mut found {
                if let Some(file) = &mut location.file
                    && let Some(short) = file.strip_prefix(self.root())
                {
                    *file = short.to_owned();
                }
            }
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
            Opened::Elf(file) => file.locate(place.function, place.offset, place.size),
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

/// A path without the detours over `..` that builds outside of the source tree have.
fn tidy(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match (part, parts.last()) {
            (".", Some(_)) => {}
            ("..", Some(last)) if !matches!(*last, "" | "." | "..") => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detours_are_taken_out_of_paths() {
        for (path, tidied) in [
            ("/build/linux/debian/build/../../fs/read_write.c", "/build/linux/fs/read_write.c"),
            ("../../../kernel/fork.c", "../../../kernel/fork.c"),
            ("./arch/x86/./mm/fault.c", "./arch/x86/mm/fault.c"),
            ("/..", "/.."),
            ("", ""),
        ] {
            assert_eq!(tidy(path), tidied);
        }
    }
}
