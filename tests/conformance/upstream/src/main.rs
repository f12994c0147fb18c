// SPDX-License-Identifier: MIT
//! `tape-referee [--tree] FILE...`: load tapes with the upstream parser, print a line of counts for each and, with
//! --tree, the spans as it sees them. Exit status 1 if one could not be read or made the parser panic.

use std::panic::catch_unwind;
use std::path::Path;
use tracing_tape_parser::Tape;

fn print_span(tape: &Tape, index: usize, depth: usize) {
    let graph = tape.spans();
    let node = graph.node_indices().nth(index).expect("node");
    // an explicit stack: trees are as deep as the traced program's
    let mut todo = vec![(node, depth)];
    while let Some((node, depth)) = todo.pop() {
        let span = &graph[node];
        let site = &tape.callsites()[span.callsite_index];
        let values: Vec<String> = site
            .fields()
            .iter()
            .zip(span.values.iter())
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        println!(
            "{:indent$}{} {}..{} entries={} {}",
            "",
            site.name(),
            span.opened,
            span.closed,
            span.entrances.len(),
            values.join(" "),
            indent = depth * 2
        );
        let mut children: Vec<_> = graph.neighbors(node).collect();
        children.sort_by_key(|child| std::cmp::Reverse((graph[*child].opened, child.index())));
        todo.extend(children.into_iter().map(|child| (child, depth + 1)));
    }
}

fn load(path: &Path, tree: bool) -> Result<(), String> {
    let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
    let tape = catch_unwind(|| Tape::parse(&bytes)).map_err(|_| "the parser panicked".to_string())?;

    println!(
        "{}: callsites={} events={} spans={} roots={} threads={}",
        path.display(),
        tape.callsites().len(),
        tape.events().len(),
        tape.spans().node_count(),
        tape.root_spans().len(),
        tape.threads().len()
    );
    if tree {
        let mut roots: Vec<usize> = tape.root_spans().iter().map(|node| node.index()).collect();
        roots.sort_by_key(|root| {
            let node = tape.spans().node_indices().nth(*root).expect("node");
            tape.spans()[node].opened
        });
        for root in roots {
            print_span(&tape, root, 1);
        }
        for event in tape.events() {
            let site = &tape.callsites()[event.callsite_index];
            let values: Vec<String> = event.values.iter().map(|value| value.to_string()).collect();
            println!("  event {} at {}: {}", site.name(), event.timestamp, values.join(" | "));
        }
    }
    Ok(())
}

fn main() {
    let mut tree = false;
    let mut failed = 0;
    let mut loaded = 0;

    // names of tapes need not be text: they carry the name of the traced program
    for arg in std::env::args_os().skip(1) {
        let path = Path::new(&arg);

        if arg == "--tree" {
            tree = true;
        } else if let Err(why) = load(path, tree) {
            eprintln!("{}: {why}", path.display());
            failed += 1;
        } else {
            loaded += 1;
        }
    }
    println!("{loaded} loaded, {failed} refused");
    std::process::exit((failed > 0) as i32);
}
