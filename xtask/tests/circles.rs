//! No more than four modules import each other in a circle: a reader can hold that much at once.
//!
//! The imports are read from the text, as far as that takes one: `use` trees, paths that begin with
//! `crate` or `super`, and re-exports, which lead to the file that has the item.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Modules of a circle.
const MOST: usize = 4;

type Segments = Vec<String>;

struct Module {
    file: String,
    text: String,
    /// What names in it stand for, because it imports or re-exports them.
    names: BTreeMap<String, Segments>,
    globs: Vec<Segments>,
    paths: Vec<Segments>,
}

struct Crate(BTreeMap<Segments, Module>);

#[test]
fn circles_are_small() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut crates: Vec<PathBuf> =
        fs::read_dir(root.join("crates")).unwrap().map(|entry| entry.unwrap().path()).collect();
    crates.sort();
    let mut large = Vec::new();
    for folder in crates {
        for circle in Crate::read(&folder.join("src")).circles() {
            println!("{}: {circle:?}", folder.file_name().unwrap().to_string_lossy());
            if circle.len() > MOST {
                large.push(circle);
            }
        }
    }
    assert!(large.is_empty(), "modules that import each other: {large:#?}");
}

impl Crate {
    fn read(src: &Path) -> Self {
        let mut modules = BTreeMap::new();
        let root = if src.join("lib.rs").exists() { "lib.rs" } else { "main.rs" };
        add(src, &src.join(root), src, Vec::new(), &mut modules);
        assert!(!modules.is_empty(), "{}", src.display());
        Crate(modules)
    }

    /// The groups of modules of one folder that can be reached from each other. What is below a
    /// module counts as part of it: its own file and its parts may know each other.
    fn circles(&self) -> Vec<Vec<String>> {
        let mut edges = BTreeSet::new();
        for (from, module) in &self.0 {
            let imports = module.names.values().chain(&module.globs).chain(&module.paths);
            for to in imports.filter_map(|path| self.resolve(from, path, 0)) {
                // Between the two that part where the paths do.
                let same = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
                if same < from.len() && same < to.len() {
                    edges.insert((from[..=same].to_vec(), to[..=same].to_vec()));
                }
            }
        }
        let modules: Vec<_> = self.0.keys().collect();
        let count = modules.len();
        let mut reaches: Vec<Vec<bool>> = modules
            .iter()
            .map(|from| {
                let edge = |to: &&Segments| edges.contains(&(from.to_vec(), to.to_vec()));
                modules.iter().map(edge).collect()
            })
            .collect();
        for via in 0..count {
            for from in 0..count {
                if reaches[from][via] {
                    let further = reaches[via].clone();
                    reaches[from].iter_mut().zip(further).for_each(|(to, more)| *to |= more);
                }
            }
        }
        let mut circles = BTreeSet::new();
        for from in (0..count).filter(|&from| reaches[from][from]) {
            let both = |&to: &usize| reaches[from][to] && reaches[to][from];
            circles.insert((0..count).filter(both).collect::<Vec<_>>());
        }
        let name = |number: usize| self.0[modules[number]].file.clone();
        circles.into_iter().map(|circle| circle.into_iter().map(name).collect()).collect()
    }

    /// The module that has what a path in `at` leads to; `None` if it leads out of the crate.
    fn resolve(&self, at: &Segments, path: &[String], depth: usize) -> Option<Segments> {
        let (first, mut rest) = path.split_first()?;
        let mut here = match first.as_str() {
            "crate" => Vec::new(),
            "self" => at.clone(),
            "super" => at[..at.len().checked_sub(1)?].to_vec(),
            child => {
                let mut child_path = at.clone();
                child_path.push(child.to_owned());
                self.0.contains_key(&child_path).then_some(child_path)?
            }
        };
        while let Some((segment, further)) = rest.split_first() {
            let mut deeper = here.clone();
            deeper.push(segment.clone());
            if segment == "super" {
                here.pop()?;
            } else if self.0.contains_key(&deeper) {
                here = deeper;
            } else {
                return self.item(&here, segment, further, depth);
            }
            rest = further;
        }
        Some(here)
    }

    /// The module of an item that is found in another; `None` if that has it from outside.
    fn item(&self, at: &Segments, name: &str, rest: &[String], depth: usize) -> Option<Segments> {
        let module = self.0.get(at).filter(|_| depth < 8)?;
        if let Some(path) = module.names.get(name) {
            let whole: Segments = path.iter().chain(rest).cloned().collect();
            return self.resolve(at, &whole, depth + 1);
        }
        let defines = |to: &Segments| {
            ["struct", "enum", "fn", "trait", "type", "const", "static", "macro_rules!"]
                .iter()
                .any(|kind| self.0[to].text.contains(&format!("{kind} {name}")))
        };
        let globs = module.globs.iter().filter_map(|path| self.resolve(at, path, depth + 1));
        Some(globs.into_iter().find(defines).unwrap_or_else(|| at.clone()))
    }
}

/// Adds the module in a file, and the modules in its folder.
fn add(
    src: &Path,
    file: &Path,
    folder: &Path,
    at: Segments,
    modules: &mut BTreeMap<Segments, Module>,
) {
    let text = fs::read_to_string(file).unwrap();
    let mut text: String =
        text.lines().map(|line| line.split("//").next().unwrap_or("").to_owned() + "\n").collect();
    // Tests may know everybody.
    if let Some(tests) = text.find("#[cfg(test)]\nmod tests {") {
        text.truncate(tests);
    }
    let mut only_tests = false;
    for line in text.lines().map(str::trim) {
        let name = line
            .trim_start_matches("pub(crate) ")
            .trim_start_matches("pub ")
            .strip_prefix("mod ")
            .and_then(|rest| rest.strip_suffix(';'));
        if let Some(name) = name.filter(|_| !only_tests) {
            let child = [folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")];
            let mut path = at.clone();
            path.push(name.to_owned());
            if let Some(child) = child.iter().find(|file| file.exists()) {
                add(src, child, &folder.join(name), path, modules);
            }
        }
        only_tests = line == "#[cfg(test)]";
    }
    let mut module = Module {
        file: file.strip_prefix(src).unwrap().display().to_string(),
        names: BTreeMap::new(),
        globs: Vec::new(),
        paths: Vec::new(),
        text: String::new(),
    };
    let mut rest = String::new();
    let mut tree = None;
    for line in text.lines() {
        let trimmed = line.trim_start();
        let visible = trimmed.strip_prefix("pub").map(|rest| rest.trim_start_matches(|c| c != ' '));
        let begins = visible.unwrap_or(trimmed).trim_start().strip_prefix("use ");
        match (&mut tree, begins) {
            (None, Some(begin)) => tree = Some(begin.to_owned()),
            (None, None) => rest.push_str(line),
            (Some(tree), _) => tree.push_str(line),
        }
        rest.push('\n');
        if let Some(whole) = tree.take_if(|tree| tree.contains(';')) {
            let whole: String = whole.replace(" as ", "@").split_whitespace().collect();
            expand(whole.split(';').next().unwrap_or(""), &Vec::new(), &mut module);
        }
    }
    for start in ["crate::", "super::"] {
        for (begin, _) in rest.match_indices(start) {
            let end = rest[begin..]
                .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | ':')))
                .map_or(rest.len(), |length| begin + length);
            let path = rest[begin..end].split("::").filter(|part| !part.is_empty());
            module.paths.push(path.map(str::to_owned).collect());
        }
    }
    module.text = rest;
    modules.insert(at, module);
}

/// Adds the paths of a `use` tree without blanks.
fn expand(tree: &str, before: &Segments, module: &mut Module) {
    let (path, group) = match tree.find('{') {
        Some(brace) => (&tree[..brace], Some(&tree[brace + 1..tree.len().saturating_sub(1)])),
        None => (tree, None),
    };
    let mut segments = before.clone();
    segments.extend(path.split("::").filter(|part| !part.is_empty()).map(str::to_owned));
    let Some(group) = group else {
        match segments.pop() {
            Some(last) if last == "*" => module.globs.push(segments),
            Some(last) => {
                let (item, name) = last.split_once('@').unwrap_or((&last, &last));
                // `self` in a group is what stands before it.
                if item != "self" || segments.is_empty() {
                    segments.push(item.to_owned());
                }
                let name =
                    if name == "self" { segments.last().unwrap().clone() } else { name.into() };
                module.names.insert(name, segments);
            }
            None => {}
        }
        return;
    };
    let mut depth = 0;
    let mut begin = 0;
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&group[begin..at], &segments, module);
                begin = at + 1;
            }
            _ => {}
        }
    }
    expand(&group[begin..], &segments, module);
}
