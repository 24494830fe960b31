//! The whole default catalogue over more and more orders: time a row, memory, and what is kept afterwards.
//!
//! Every number of orders is measured in a process of its own. Features are folded into a checksum as they come and dropped;
//! what a pipeline does with them is not measured here.

use crate::shop::{DAYS, Shop};
use crate::{peak_memory_mib, processor_seconds};
use ordersight::config::built_in_features;
use ordersight::features::engine::{Engine, Level, Units};
use ordersight::types::time::DAY;
use rayon::prelude::*;
use std::process::Command;
use std::time::Instant;

pub(crate) fn grow(orders: &[&str]) {
    let orders = if orders.is_empty() { &["1000000", "10000000", "50000000"] } else { orders };
    let mut first = None;
    for orders in orders {
        let done = Command::new(std::env::current_exe().unwrap()).args(["orders", orders]).output().unwrap();
        let printed = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success(), "{orders} orders: {}", String::from_utf8_lossy(&done.stderr));
        let (figures, words) = printed.split_once('\n').unwrap();
        let figures: Vec<f64> = figures.split(' ').map(|figure| figure.parse().unwrap()).collect();
        let first = first.get_or_insert_with(|| figures.clone());
        print!("{words}");
        let times = |at: usize| figures[at] / first[at];
        println!(
            "  an order takes {:.2} times what it takes at first, {:.2} times the processor time",
            times(0),
            times(1)
        );
    }
}

/// One number of orders: time and processor time of an order in nanoseconds on a line of their own, then figures in words.
pub(crate) fn measure(orders: u32) {
    let specs = built_in_features();
    let entities: Vec<_> = specs.iter().flat_map(|spec| [Some(spec.entity), spec.with, spec.other]).flatten().collect();
    let mut engine = Engine::new(&specs, Units { returns: Level::Order }).unwrap();
    let (mut facts, numbering) = Shop { orders }.facts(&entities, engine.keys());
    let lines = facts.order_of_line.len();
    let given = peak_memory_mib();

    let (mut checksum, mut features, mut values_of_all) = (0_u64, 0, 0);
    let (begun, processor) = (Instant::now(), processor_seconds());
    engine
        .step_and_expire(&mut facts, DAYS * DAY, &mut |feature, _, values| {
            // Bits of NaN too: a null is an answer. Added up, so that neither order nor threads show.
            let sum =
                values.par_chunks(1 << 16).map(|values| values.iter().map(|v| v.to_bits()).fold(0, u64::wrapping_add));
            checksum ^= sum.reduce(|| 0, u64::wrapping_add).wrapping_mul(feature as u64 * 2 + 1);
            features += 1;
            values_of_all += values.len();
            Ok(())
        })
        .unwrap();
    let (seconds, processor) = (begun.elapsed().as_secs_f64(), processor_seconds() - processor);
    assert_eq!(features, specs.len());
    let peak = peak_memory_mib();
    drop(facts);

    let (rows, values) = (f64::from(orders), values_of_all as f64);
    let nanos = |seconds: f64, of: f64| seconds * 1e9 / of;
    println!("{} {}", nanos(seconds, rows), nanos(processor, rows));
    println!("{orders} orders, {lines} lines, {features} features, checksum {checksum:016x}");
    let numbering = numbering.as_secs_f64();
    println!("  keys numbered   {numbering:>8.2} s {:>8.0} ns an order", nanos(numbering, rows));
    println!(
        "  step, expiry    {seconds:>8.2} s {:>8.0} ns an order {:>6.1} ns a value {:>9.0} orders/s",
        nanos(seconds, rows),
        nanos(seconds, values),
        rows / seconds
    );
    println!(
        "  processor time  {processor:>8.2} s {:>8.0} ns an order {:>6.1} ns a value",
        nanos(processor, rows),
        nanos(processor, values)
    );
    println!("  peak memory     {peak:>8.0} MiB, {given:.0} MiB of it before the step");
    let (keys, retained) = engine.size();
    let keys: usize = keys.values().sum();
    let bytes: u64 = engine.save().iter().map(|section| section.size_in_bytes()).sum();
    println!(
        "  kept            {keys:>8} keys, {retained} events; saved {bytes} bytes, {:.1} a key",
        bytes as f64 / keys as f64
    );
}
