//! What a start takes up, and that it takes nothing else for it.

use crate::exit_codes::SmallDisk;
use crate::harness::finish;
use crate::landing::{Landing, WAITS, done, told};
use crate::shop::differing_rows;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The files of the state of a stream whose names begin so.
fn state_files(out: &Path, begin: &str) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(out.join("_state/stream")).unwrap().map(|entry| entry.unwrap().path());
    folder.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(begin)).collect()
}

#[test]
fn a_start_takes_up_the_checkpoint_and_without_one_that_it_can_use_takes_everything_anew() {
    let landing = Landing::new(400, 4, 16);
    let kept = landing.shop.path("kept");
    std::fs::create_dir(&kept).unwrap();
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&landing.folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let late = files.split_off(files.len() * 2 / 3);
    let home = |path: &PathBuf| kept.join(path.file_name().unwrap());
    late.iter().for_each(|path| std::fs::rename(path, home(path)).unwrap());
    let sets = ["stream.epoch_files=8", WAITS[0], WAITS[1]];
    let begun = landing.shop.path("begun");
    let said = |out: &Path, sets: &[&str]| {
        let mut command = landing.command("stream", out, sets);
        done(command.env("ORDERSIGHT_LOG", "ordersight=info")).stderr
    };
    let first = said(&begun, &sets);
    assert!(!first.contains("checkpoint"), "{first}");
    late.iter().for_each(|path| std::fs::rename(home(path), path).unwrap());
    let calm = landing.batch();
    let took_up = |said: &str| said.contains("taken up from the checkpoint");
    let copy = |name: &str| {
        let out = landing.shop.path(name);
        assert!(
            Command::new("cp").args(["-r".as_ref(), begun.as_os_str(), out.as_os_str()]).status().unwrap().success()
        );
        out
    };
    assert_eq!(state_files(&begun, "checkpoint-").len(), 1);
    assert!(state_files(&begun, "rows-").len() >= 4);
    assert!(!begun.join("_state/stream-checkpoint").exists(), "what checkpoints are written in goes with the process");

    let out = copy("taken-up");
    let text = said(&out, &sets);
    assert!(took_up(&text), "{text}");
    assert_eq!(differing_rows(&calm, &told(&out)), Vec::<String>::new());
    // Files of checkpoints before are gone, and what is there is what the journal names.
    assert_eq!(state_files(&out, "checkpoint-").len(), 1);

    // A flipped bit, rows that are not there, another program's bytes: nothing of it is believed.
    type Spoil<'s> = (&'s str, &'s str, &'s dyn Fn(&Path));
    let flip = |path: &Path, place: &dyn Fn(&[u8]) -> usize| {
        let mut bytes = std::fs::read(path).unwrap();
        let at = place(&bytes);
        bytes[at] ^= 4;
        std::fs::write(path, bytes).unwrap();
    };
    let spoil: [Spoil<'_>; 5] = [
        ("flipped", "checkpoint-", &|path| flip(path, &|bytes| bytes.len() / 2)),
        // Of a column that is asked for of old orders too; then of what says where columns are.
        ("flipped-rows", "rows-orders-", &|path| {
            flip(path, &|bytes| bytes.windows(8).position(|name| name == b"order_id").unwrap());
        }),
        ("flipped-end", "rows-orders-", &|path| flip(path, &|bytes| bytes.len() - 20)),
        ("cut", "rows-orders-", &|path| {
            let bytes = std::fs::read(path).unwrap();
            std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("gone", "rows-order_items-", &|path| std::fs::remove_file(path).unwrap()),
    ];
    for (name, begin, spoil) in spoil {
        let out = copy(name);
        spoil(&state_files(&out, begin)[0]);
        let text = said(&out, &sets);
        assert!(text.contains("the checkpoint cannot be used"), "{name}: {text}");
        // Rows are looked at after the rest was taken up.
        assert_eq!(took_up(&text), name == "flipped-rows", "{name}: {text}");
        assert_eq!(differing_rows(&calm, &told(&out)), Vec::<String>::new(), "{name}");
        let again = said(&out, &sets);
        assert!(took_up(&again), "{name}: there is a new one\n{text}\n{again}");
    }

    // Labels that ripen later: what was told is not what would be told now.
    let out = copy("others");
    let text = said(&out, &[&sets[..], &["risk.fraud.label.matures_after=20d"]].concat());
    assert!(text.contains("made by other settings") && !took_up(&text), "{text}");
}

#[test]
fn a_checkpoint_that_finds_no_room_costs_the_next_start_its_time_and_nothing_else() {
    let landing = Landing::new(400, 5, 16);
    let Some(disk) = SmallDisk::new(&landing.shop.path("disk"), 32 << 10) else { return };
    let calm = landing.batch();
    let (out, roomy) = (disk.0.join("out"), landing.shop.path("roomy"));
    done(&mut landing.command("stream", &roomy, WAITS));
    let whole: u64 = ["checkpoint-", "rows-", "columns-"]
        .into_iter()
        .flat_map(|begin| state_files(&roomy, begin))
        .map(|path| path.metadata().unwrap().len() >> 10)
        .sum();
    let all = Command::new("du").args(["-sk".as_ref(), roomy.as_os_str()]).output().unwrap().stdout;
    let all: u64 = String::from_utf8(all).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    let (mut went_without, mut refused) = (0, 0);
    // From what everything takes down to where nothing can be published.
    for left in (0..=all).rev().step_by((whole / 3).max(1) as usize) {
        let _ = std::fs::remove_dir_all(&out);
        disk.leave(left);
        let tried = finish(landing.command("stream", &out, WAITS).env("ORDERSIGHT_LOG", "ordersight=warn"));
        if ![0, 1].contains(&tried.code) {
            assert_eq!(tried.code, 5, "{left} KiB left: {}", tried.stderr);
            refused += 1;
        } else if tried.stderr.contains("no checkpoint was made") {
            went_without += 1;
            assert_eq!(state_files(&out, "checkpoint-").len(), 0, "{left} KiB left");
            assert_eq!(differing_rows(&calm, &told(&out)), Vec::<String>::new(), "{left} KiB left");
        }
        if refused > 2 {
            break;
        }
    }
    assert!(went_without > 0 && refused > 0, "{went_without} and {refused} of {all} KiB, {whole} of them checkpoints");
    // Where there is room again it goes on, and what a start takes up is there again.
    disk.leave(32 << 10);
    done(&mut landing.command("stream", &out, WAITS));
    assert_eq!(differing_rows(&calm, &told(&out)), Vec::<String>::new());
    assert_eq!(state_files(&out, "checkpoint-").len(), 1);
}
