// SPDX-License-Identifier: MIT
//! `tape-maker`: write a tape with the upstream recorder into the working directory. What it records is fixed, so that a
//! reader's counts can be compared: 103 spans (100 on two more threads), 54 events.

use tracing::{debug, error, error_span, info, info_span, trace, warn};
use tracing_subscriber::{layer::SubscriberExt, Registry};
use tracing_tape_recorder::TapeRecorder;

fn work(recorder: TapeRecorder, first: u64) {
    tracing::subscriber::with_default(Registry::default().with(recorder), || {
        for n in first..first + 50 {
            let span = info_span!("job", n, even = n % 2 == 0);
            let _entered = span.enter();
            if n % 2 == 0 {
                debug!(n, "even");
            }
        }
    });
}

fn main() {
    let recorder = TapeRecorder::default();

    tracing::subscriber::with_default(Registry::default().with(recorder.clone()), || {
        let outer = error_span!("outer", text = "a \"quoted\" text", float = 1.5, negative = -3i64);
        let _outer = outer.enter();
        // set later, and never
        let late = info_span!("late", value = tracing::field::Empty, never = tracing::field::Empty);
        late.record("value", 42u64);
        late.in_scope(|| trace!("inside"));
        info_span!(parent: None, "alone").in_scope(|| warn!(big = u128::MAX, "alone"));
        let threads: Vec<_> = [0, 50]
            .into_iter()
            .map(|first| {
                let recorder = recorder.clone();
                std::thread::spawn(move || work(recorder, first))
            })
            .collect();
        for thread in threads {
            thread.join().expect("worker");
        }
        error!(bytes = &[0xdeu8, 0xad][..], flag = true, "end");
        info!("unused");
    });
}
