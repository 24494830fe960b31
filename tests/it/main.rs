//! One module a promise. Quick ones first.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "in tests a failed expectation is the message")]

mod harness;
mod landing;
mod shop;
mod tiny;

mod kernel;
mod layers;
mod monitor;

mod config;
mod exit_codes;
mod explain;
mod privacy;
mod quarantine;
mod review;
mod rules;

mod determinism;
mod exceptions;
mod exports;
mod features;
mod readers;
mod reference;

mod awaited;
mod checkpoints;
mod cold_start;
mod corrected;
mod corrections;
mod crash;
mod evaluation;
mod interrupted;
mod learning;
mod lines;
mod quality;
mod rates;
mod registry;
mod satisfaction;
mod stream;
mod training;
