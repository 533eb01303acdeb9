//! Asking debuginfod servers: `GET URL/buildid/BUILDID/debuginfo`.

use std::{
    collections::HashSet,
    env, fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use tempfile::NamedTempFile;
use ureq::{
    Agent,
    http::{Response, StatusCode, Uri},
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
};

use super::Options;
use crate::event::{Event, Listener};

/// Most bytes of one file.
const MAX_SIZE: u64 = 4 << 30;
/// Seconds for a connection.
const CONNECT: u64 = 15;
/// Seconds for an answer, and between parts of it: servers unpack large packages first.
/// `DEBUGINFOD_TIMEOUT` says otherwise.
const ANSWER: u64 = 90;
/// Seconds for all of a file; `DEBUGINFOD_MAXTIME` says otherwise.
const WHOLE: u64 = 3600;
/// Bytes of a file of certificates.
const MAX_CERTIFICATES: u64 = 16 << 20;

/// The servers that may be asked.
#[derive(Debug)]
pub(super) struct Servers {
    urls: Vec<String>,
    cache: Option<PathBuf>,
    listener: Listener,
    agent: OnceLock<Agent>,
    /// Those that did not answer: a folder of modules is not to wait for them hundreds of times.
    dead: Mutex<HashSet<String>>,
}

/// What the servers had.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    pub(super) path: Option<PathBuf>,
    pub(super) problems: Vec<String>,
}

/// Why a server had nothing.
enum Failure {
    /// It will not have anything else either.
    Dead(String),
    /// This file.
    Here(String),
}

impl Servers {
    pub(super) fn new(options: &Options) -> Self {
        Servers {
            urls: options.debuginfod_urls.clone(),
            cache: options.debuginfod_cache.clone(),
            listener: options.listener.clone(),
            agent: OnceLock::new(),
            dead: Mutex::default(),
        }
    }

    /// The file of a build-id, from the cache or else from the first server that has it. `fits`
    /// says what is wrong with a file.
    pub(super) fn fetch(
        &self,
        build_id: &str,
        fits: &dyn Fn(&Path) -> Result<(), String>,
    ) -> Fetched {
        let mut fetched = Fetched::default();
        if self.urls.is_empty() {
            return fetched;
        }
        let Some(cache) = &self.cache else {
            let line = "debuginfod: nowhere to keep files: set DEBUGINFOD_CACHE_PATH";
            fetched.problems.push(line.to_owned());
            return fetched;
        };
        let path = path_of(cache, build_id);
        // elfutils leaves an empty file for what no server had: ask again.
        let is_there = fs::metadata(&path).is_ok_and(|meta| meta.len() > 0);
        if is_there && fits(&path).is_ok() {
            fetched.path = Some(path);
            return fetched;
        }
        for url in &self.urls {
            if self.dead.lock().unwrap_or_else(PoisonError::into_inner).contains(url) {
                continue;
            }
            match self.download(url, build_id, &path, fits) {
                Ok(()) => {
                    fetched.path = Some(path);
                    return fetched;
                }
                Err(Failure::Here(why)) => fetched.problems.push(format!("{url}: {why}")),
                Err(Failure::Dead(why)) => {
                    self.dead.lock().unwrap_or_else(PoisonError::into_inner).insert(url.to_owned());
                    fetched.problems.push(format!("{url}: {why}"));
                }
            }
        }
        fetched
    }

    fn download(
        &self,
        url: &str,
        build_id: &str,
        path: &Path,
        fits: &dyn Fn(&Path) -> Result<(), String>,
    ) -> Result<(), Failure> {
        if !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(Failure::Dead("not an http or https address".to_owned()));
        }
        let agent = self.agent.get_or_init(agent);
        let address = format!("{}/buildid/{build_id}/debuginfo", url.trim_end_matches('/'));
        // What leads nowhere, or is too slow, leads there for every file.
        let mut request = agent.get(&address);
        if is_local(url) {
            request = request.config().proxy(None).build();
        }
        let answer =
            request.call().map_err(|error| Failure::Dead(format!("{error}: asked no more")))?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => {
                return Err(Failure::Here(format!("does not have {build_id}")));
            }
            status => return Err(Failure::Here(format!("{build_id}: answered {status}"))),
        }
        let size = size_of(&answer);
        let mut file = begin(path).map_err(|error| {
            let folder = path.parent().unwrap_or(path);
            Failure::Here(format!("{}: {error}", folder.display()))
        })?;
        let step = |done| self.listener.tell(Event::Downloading { done, total: size });
        let copied = copy(answer.into_body().into_reader(), file.as_file_mut(), size, &step);
        self.listener.tell(Event::DownloadOver);
        copied.map_err(|error| Failure::Here(format!("{build_id}: {error}")))?;
        fits(file.path()).map_err(|why| Failure::Here(format!("{build_id}: {why}")))?;
        file.persist(path)
            .map_err(|error| Failure::Here(format!("{}: {}", path.display(), error.error)))?;
        Ok(())
    }
}

/// Whether the server is on this machine, where no proxy reaches it.
fn is_local(url: &str) -> bool {
    let host = url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
    host.is_some_and(|host| matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]"))
}

/// The debug information of a build-id.
fn path_of(cache: &Path, build_id: &str) -> PathBuf {
    cache.join(build_id).join("debuginfo")
}

/// A file to download to, in the folder where it is to end up: there it is renamed to its name
/// when it is complete.
fn begin(path: &Path) -> io::Result<NamedTempFile> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    tempfile::Builder::new().prefix("debuginfo.").tempfile_in(folder)
}

/// How large the file is going to be, as far as the server says.
fn size_of<B>(answer: &Response<B>) -> Option<u64> {
    ["content-length", "x-debuginfod-size"]
        .iter()
        .find_map(|name| answer.headers().get(*name)?.to_str().ok()?.parse().ok())
}

/// Copies the file, unless it is too large.
fn copy(
    mut from: impl Read,
    to: &mut impl Write,
    size: Option<u64>,
    step: &dyn Fn(u64),
) -> io::Result<()> {
    let too_large = || io::Error::other("larger than 4 GiB");
    if size.is_some_and(|size| size > MAX_SIZE) {
        return Err(too_large());
    }
    let mut buffer = vec![0; 256 << 10];
    let mut done = 0;
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return to.flush(),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        done += count as u64;
        if done > MAX_SIZE {
            return Err(too_large());
        }
        to.write_all(buffer.get(..count).unwrap_or_default())?;
        step(done);
    }
}

fn agent() -> Agent {
    let seconds = |name: &str, usual: u64| {
        let set = env::var(name).ok().and_then(|value| value.trim().parse().ok());
        Some(Duration::from_secs(set.filter(|&seconds| seconds > 0).unwrap_or(usual)))
    };
    let answer = seconds("DEBUGINFOD_TIMEOUT", ANSWER);
    let tls = TlsConfig::builder().root_certs(root_certificates()).build();
    Agent::config_builder()
        .http_status_as_error(false)
        .user_agent(concat!("necropsy/", env!("CARGO_PKG_VERSION")))
        .timeout_resolve(Some(Duration::from_secs(CONNECT)))
        .timeout_connect(Some(Duration::from_secs(CONNECT)))
        .timeout_recv_response(answer)
        .timeout_per_read(answer)
        .timeout_recv_body(seconds("DEBUGINFOD_MAXTIME", WHOLE))
        .tls_config(tls)
        .build()
        .new_agent()
}

/// The certificates that the system trusts, a company's own among them; those that are built in
/// if the system has none.
fn root_certificates() -> RootCerts {
    let set = env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let usual = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
    ];
    for path in set.into_iter().chain(usual.map(PathBuf::from)) {
        let mut bytes = Vec::new();
        let read = fs::File::open(path)
            .and_then(|file| file.take(MAX_CERTIFICATES).read_to_end(&mut bytes));
        let found: Vec<Certificate<'static>> = parse_pem(&bytes)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        if read.is_ok() && !found.is_empty() {
            return RootCerts::from(found);
        }
    }
    RootCerts::WebPki
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_is_refused_before_it_comes() {
        let bar = |_| {};
        assert!(copy(&b"abc"[..], &mut Vec::new(), Some(MAX_SIZE + 1), &bar).is_err());
        let mut to = Vec::new();
        copy(&b"abc"[..], &mut to, None, &bar).unwrap();
        assert_eq!(to, b"abc");
    }

    #[test]
    fn this_machine_is_asked_without_a_proxy() {
        for (url, local) in [
            ("http://127.0.0.1:8002/x", true),
            ("http://[::1]:8002", true),
            ("https://localhost", true),
            ("https://127.0.0.1.example.org/", false),
            ("nonsense", false),
        ] {
            assert_eq!(is_local(url), local, "{url}");
        }
    }

    #[test]
    fn certificates_are_read_whatever_the_system_has() {
        let _ = agent();
    }
}
