//! `necropsy cache`: the unpacked copies of packed dumps.

use std::{io::Write, time::SystemTime};

use necropsy_dump::UnpackCache;

use crate::{Status, render::Size};

/// Shows and empties the cache.
#[derive(Debug, Clone, clap::Args)]
pub struct CacheArgs {
    /// Remove all copies
    #[arg(long)]
    pub clean: bool,
}

/// Runs it.
pub(crate) fn run(args: &CacheArgs) -> Status {
    let told = UnpackCache::of_user().and_then(|cache| match args.clean {
        true => clean(&cache),
        false => show(&cache),
    });
    match told {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            complain!("necropsy: {error}");
            Status::Failed
        }
        _ => Status::Done,
    }
}

fn clean(cache: &UnpackCache) -> std::io::Result<()> {
    let (count, bytes) = cache.clean()?;
    let dir = cache.dir().display();
    writeln!(std::io::stdout(), "{dir}: {count} unpacked dumps removed ({})", Size(bytes))
}

fn show(cache: &UnpackCache) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let files = cache.files();
    let now = SystemTime::now();
    for file in &files {
        let days = now.duration_since(file.used).unwrap_or_default().as_secs() / (24 * 3600);
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        writeln!(out, "{:>10}  used {days:>2} days ago  {name}", Size(file.size).to_string())?;
    }
    let bytes: u64 = files.iter().map(|file| file.size).sum();
    writeln!(
        out,
        "{}: {} unpacked dumps, {} of at most {}; each goes {} days after its last use, all with \
         necropsy cache --clean",
        cache.dir().display(),
        files.len(),
        Size(bytes),
        Size(UnpackCache::LIMIT),
        UnpackCache::AGE.as_secs() / (24 * 3600),
    )
}
