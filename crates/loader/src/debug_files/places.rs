//! Where distributions and builds put debug information.

use std::path::{Path, PathBuf};

use necropsy_linux::build_id::to_hex;

/// Where debug packages are installed.
pub(super) fn debug_root(root: &Path) -> PathBuf {
    root.join("usr/lib/debug")
}

/// The file of a build-id: `.build-id/ab/cdef.debug` in a folder of debug information.
pub(super) fn by_build_id(debug_root: &Path, build_id: &[u8]) -> Option<PathBuf> {
    let (first, rest) = build_id.split_first().filter(|(_, rest)| !rest.is_empty())?;
    let folder = debug_root.join(".build-id").join(to_hex(&[*first]));
    Some(folder.join(format!("{}.debug", to_hex(rest))))
}

/// A release that can be part of a path: it comes from the dump.
pub(super) fn plain(release: &str) -> Option<&str> {
    let plain = !matches!(release, "" | "." | "..") && !release.contains(['/', '\0']);
    plain.then_some(release)
}

/// The usual names of a release's kernel with debug information, the most likely first.
pub(super) fn kernels(root: &Path, release: &str) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for folder in ["usr/lib/debug/boot", "usr/lib/debug", "boot"] {
        all.push(root.join(folder).join(format!("vmlinux-{release}")));
    }
    all.extend(module_folders(root, release).into_iter().map(|folder| folder.join("vmlinux")));
    for folder in ["lib/modules", "usr/lib/modules"] {
        all.push(root.join(folder).join(release).join("build/vmlinux"));
    }
    // SUSE's debug files, and kernels that are stored packed.
    let with_suffixes = all.iter().flat_map(|path| {
        [".debug", ".xz", ".zst", ".gz"].map(|suffix| {
            let mut name = path.clone().into_os_string();
            name.push(suffix);
            PathBuf::from(name)
        })
    });
    let with_suffixes: Vec<_> = with_suffixes.collect();
    all.extend(with_suffixes);
    all
}

/// The folders of a release's modules, those of debug packages first.
pub(super) fn module_folders(root: &Path, release: &str) -> Vec<PathBuf> {
    let folders = [
        "usr/lib/debug/lib/modules",
        "usr/lib/debug/usr/lib/modules",
        "lib/modules",
        "usr/lib/modules",
    ];
    folders.map(|folder| root.join(folder).join(release)).into()
}

/// The places of a `.gnu_debuglink`, in the order that gdb has them.
pub(super) fn linked(root: &Path, file: &Path, name: &str) -> Vec<PathBuf> {
    let real = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let folder = real.parent().unwrap_or(Path::new("/"));
    let below = folder.strip_prefix("/").unwrap_or(folder);
    vec![
        folder.join(name),
        folder.join(".debug").join(name),
        debug_root(root).join(below).join(name),
    ]
}

/// Whether a path says that it is of a release: a folder of that name, or `vmlinux-RELEASE`.
pub(super) fn names_release(path: &Path, release: &str) -> bool {
    let folders = path.parent().into_iter().flat_map(Path::components);
    let kernel = crate::files::name_of(path);
    let rest = kernel.strip_prefix("vmlinux-").and_then(|rest| rest.strip_prefix(release));
    rest.is_some_and(|rest| matches!(rest, "" | ".debug" | ".xz" | ".zst" | ".gz"))
        || folders.into_iter().any(|folder| folder.as_os_str() == release)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_no_way_out() {
        for (release, plain_one) in
            [("6.1.0-18-amd64", true), ("..", false), ("../../etc", false), ("", false)]
        {
            assert_eq!(plain(release).is_some(), plain_one, "{release}");
        }
    }

    #[test]
    fn names_of_a_build_id() {
        let path = by_build_id(Path::new("/d"), &[0xab, 0x01, 0xff]);
        assert_eq!(path, Some("/d/.build-id/ab/01ff.debug".into()));
        assert_eq!(by_build_id(Path::new("/d"), &[1]), None);
        assert_eq!(by_build_id(Path::new("/d"), &[]), None);
    }

    #[test]
    fn releases_in_names() {
        for (path, says) in [
            ("/usr/lib/debug/boot/vmlinux-6.1.0", true),
            ("/dumps/vmlinux-6.1.0.xz", true),
            ("/lib/modules/6.1.0/build/vmlinux", true),
            ("/dumps/vmlinux-6.1.0-rt", false),
            ("/dumps/vmlinux", false),
            ("/dumps/6.1.0", false),
        ] {
            assert_eq!(names_release(Path::new(path), "6.1.0"), says, "{path}");
        }
    }
}
