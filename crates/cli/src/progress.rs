//! What is told on the error stream while files are opened: messages, and bars on a terminal.

use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};
use necropsy_loader::Event;

const UNPACKING: &str = "unpacking {wide_bar} {bytes}/{total_bytes} {eta}";
const DOWNLOADING: &str = "downloading {wide_bar} {bytes}/{total_bytes} {eta}";
const DOWNLOADING_SOME: &str = "downloading {bytes} {bytes_per_sec}";

/// Tells events as they come.
pub(crate) fn listener() -> impl Fn(Event<'_>) + Send + Sync + 'static {
    let bar = Mutex::new(None::<ProgressBar>);
    move |event| {
        let mut bar = bar.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Unpacking { done, total } => step(&mut bar, UNPACKING, done, Some(total)),
            Event::Downloading { done, total: Some(total) } => {
                step(&mut bar, DOWNLOADING, done, Some(total));
            }
            Event::Downloading { done, total: None } => {
                step(&mut bar, DOWNLOADING_SOME, done, None);
            }
            Event::DownloadOver => over(&mut bar),
            message if message.is_message() => complain!("necropsy: {message}"),
            _ => {}
        }
    }
}

fn step(slot: &mut Option<ProgressBar>, template: &str, done: u64, total: Option<u64>) {
    let bar = slot.get_or_insert_with(|| {
        let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
        match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    });
    bar.set_position(done);
    if total.is_some_and(|total| done >= total) {
        over(slot);
    }
}

fn over(slot: &mut Option<ProgressBar>) {
    if let Some(bar) = slot.take() {
        bar.finish_and_clear();
    }
}
