// SPDX-License-Identifier: MIT
//! `tools-referee`: a small program traced by the FlamegraphLayer of trace-tools, with its builder's filter, and by the
//! upstream tape recorder, in one run. Into the working directory: the tape and stacks.folded.

use tracing::{info_span, Level};
use tracing_subscriber::layer::SubscriberExt;
use tracing_tape_recorder::TapeRecorder;

macro_rules! observed {
    ($name:literal, $file:literal, $line:literal) => {
        tracing::span!(target: "trace_tools::observe", Level::INFO, $name, loc.file = $file, loc.line = $line)
    };
}

fn program() {
    let a = observed!("a", "src/a.rs", 10u64);
    let in_a = a.enter();
    {
        let b = observed!("b", "src/b.rs", 20u64);
        let _b = b.enter();
        // neither tracked nor let through
        let handler = info_span!("handler");
        let _handler = handler.enter();
        observed!("c", "src/c.rs", 30u64).in_scope(|| ());
        // half a place, and a line beyond 32 bits
        tracing::span!(target: "trace_tools::observe", Level::INFO, "half", loc.file = "x").in_scope(|| ());
        observed!("long", "src/long.rs", 4294967303u64).in_scope(|| ());
    }
    {
        // let through, not tracked; then a task without a place
        let park = tracing::span!(target: "tokio::runtime", Level::INFO, "runtime.park");
        let _park = park.enter();
        tracing::span!(target: "tokio::task", Level::INFO, "task").in_scope(|| ());
        tracing::span!(target: "elsewhere", Level::INFO, "runtime.spawn", loc.file = "s", loc.line = 1u64).in_scope(|| ());
    }
    drop(in_a);
}

fn main() {
    let recorder = TapeRecorder::default();
    let (subscriber, _) = trace_tools::subscriber::SubscriberBuilder::default()
        .with_flamegraph_layer("stacks")
        .finish()
        .expect("subscriber");

    // dropped at the end: that writes its lines out
    tracing::subscriber::with_default(subscriber.with(recorder), program);
}
