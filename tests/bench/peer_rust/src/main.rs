// SPDX-License-Identifier: MIT
//! The peer: one `tracing` span with a u64 (open, enter, exit, close) recorded by tracing-tape-recorder, in a loop.
//! Prints "rust_span NS" a round, as tests/bench/bench_rounds.h does. An argument: spans a round.
use std::time::Instant;
use tracing_subscriber::layer::SubscriberExt;

const ROUNDS: i32 = 9;
const STEPS: u64 = 200_000;

fn main() {
    let steps = std::env::args().nth(1).and_then(|arg| arg.parse().ok()).unwrap_or(STEPS);
    let subscriber = tracing_subscriber::registry().with(tracing_tape_recorder::TapeRecorder::default());
    let _guard = tracing::subscriber::set_default(subscriber);
    for round in -1..ROUNDS {
        let start = Instant::now();
        for i in 0..steps {
            let _span = tracing::info_span!("work", value = i).entered();
        }
        if round >= 0 {
            println!("rust_span {:.3}", start.elapsed().as_nanos() as f64 / steps as f64);
        }
    }
}
