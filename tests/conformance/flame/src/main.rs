// SPDX-License-Identifier: MIT
//! `flame-referee run`: a small program traced by tracing-flame, with each of its 16 option sets, and by the upstream tape
//! recorder, all in one run. Into the working directory: the tape, and SET.folded, SET being the options' bits.
//!
//! `flame-referee render FILE`: does inferno make a flame graph of it, and without a warning? Exit status 1 if not.

use std::sync::atomic::{AtomicUsize, Ordering};
use tracing::{info_span, span, Level};
use tracing_flame::FlameLayer;
use tracing_subscriber::{layer::SubscriberExt, Layer, Registry};
use tracing_tape_recorder::TapeRecorder;

mod db {
    pub fn query(n: u64) {
        let span = tracing::debug_span!("query", n);
        let _entered = span.enter();
        if n > 0 {
            query(n - 1); // recursion
        }
    }
}

fn program() {
    let outer = info_span!("outer");
    let entered = outer.enter();
    for n in 0..3 {
        db::query(n);
        info_span!(parent: None, "tick").in_scope(|| ());
    }
    // another target, a name that looks like a number, one with blanks
    span!(target: "elsewhere", Level::WARN, "with blanks inside").in_scope(|| ());
    let explicit = info_span!(parent: &outer, "explicit");
    drop(entered);
    // entered twice, outside of its parent
    explicit.in_scope(|| db::query(0));
    explicit.in_scope(|| ());
    drop(explicit);
    // left out of order
    let a = info_span!("a");
    let in_a = a.enter();
    let b = info_span!("b");
    let in_b = b.enter();
    drop(in_a);
    drop(in_b);
    drop(b);
    drop(a);
}

fn run() {
    let recorder = TapeRecorder::default();
    let mut guards = Vec::new();
    let mut subscriber: Box<dyn Layer<Registry> + Send + Sync> = Box::new(recorder.clone());

    for set in 0..16 {
        let (layer, guard) = FlameLayer::with_file(format!("{set}.folded")).expect("file");
        guards.push(guard);
        subscriber = Box::new(
            subscriber.and_then(
                layer
                    .with_empty_samples(set & 1 != 0)
                    .with_threads_collapsed(set & 2 != 0)
                    .with_module_path(set & 4 != 0)
                    .with_file_and_line(set & 8 != 0),
            ),
        );
    }
    tracing::subscriber::with_default(Registry::default().with(subscriber), program);
    for guard in guards {
        guard.flush().expect("flush");
    }
}

static WARNINGS: AtomicUsize = AtomicUsize::new(0);

struct Counter;

impl log::Log for Counter {
    fn enabled(&self, metadata: &log::Metadata) -> bool {
        metadata.level() <= log::Level::Warn
    }
    fn log(&self, record: &log::Record) {
        if self.enabled(record.metadata()) {
            WARNINGS.fetch_add(1, Ordering::Relaxed);
            eprintln!("inferno: {}", record.args());
        }
    }
    fn flush(&self) {}
}

fn render(path: &str) -> bool {
    let mut options = inferno::flamegraph::Options::default();
    let mut svg = Vec::new();

    log::set_logger(&Counter).expect("logger");
    log::set_max_level(log::LevelFilter::Warn);
    let result = inferno::flamegraph::from_files(&mut options, &[path.into()], &mut svg);
    if let Err(error) = &result {
        eprintln!("inferno: {error}");
    }
    let frames = String::from_utf8_lossy(&svg).matches("<title>").count();
    println!("{frames} frames");
    result.is_ok() && WARNINGS.load(Ordering::Relaxed) == 0
}

fn main() {
    let args: Vec<String> = std::env::args().collect();

    match args.iter().map(String::as_str).collect::<Vec<_>>()[1..] {
        ["run"] => run(),
        ["render", path] => std::process::exit(if render(path) { 0 } else { 1 }),
        _ => std::process::exit(2),
    }
}
