//! Working time: opening hours, weekends, and holidays from a file.

use super::did_you_mean;
use super::raw::Calendar;
use crate::error::Problem;
use chrono::{NaiveDate, NaiveTime, Weekday};
use std::path::Path;

/// The checked `[calendar]` section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkingTime {
    /// The country whose holidays count, as the file writes it.
    pub country: String,
    /// Days on which nobody works.
    pub weekend: Vec<Weekday>,
    /// Opening hours in the pipeline's zone; `None`: the whole day.
    pub hours: Option<(NaiveTime, NaiveTime)>,
    /// Every holiday of the file: country, day, name.
    pub holidays: Vec<(String, NaiveDate, String)>,
    /// The file's text, for the run's fingerprint.
    pub text: String,
}

/// Checks the section and reads its file. `None` if there is no such section, or something is wrong with it.
pub(super) fn check(raw: Option<&Calendar>, base_dir: &Path, problems: &mut Vec<Problem>) -> Option<WorkingTime> {
    let raw = raw?;
    let before = problems.len();
    let mut time = WorkingTime { country: raw.country.clone().unwrap_or_default(), ..WorkingTime::default() };
    for name in &raw.weekend {
        match name.parse() {
            Ok(day) => time.weekend.push(day),
            Err(_) => {
                let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
                let mut problem = Problem::new("calendar.weekend", format!("`{name}` is not a day of the week"));
                problem.hint = did_you_mean(name, days).or(Some(format!("days are {}", days.join(", "))));
                problems.push(problem);
            }
        }
    }
    if let Some(hours) = &raw.hours {
        match opening(hours) {
            Some(hours) => time.hours = Some(hours),
            None => problems.push(
                Problem::new("calendar.hours", format!("`{hours}` is not from one time to a later one"))
                    .hint("write it as 09:00-18:00; left out, the whole day counts"),
            ),
        }
    }
    if let Some(name) = &raw.holidays {
        let path = base_dir.join(name);
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                time.holidays = holidays(name, &text, problems);
                time.text = text;
            }
            Err(e) => {
                problems.push(Problem::new("calendar.holidays", format!("cannot read `{}`: {e}", path.display())));
            }
        }
        if !time.holidays.is_empty() && !time.holidays.iter().any(|(country, _, _)| *country == time.country) {
            let mut known: Vec<&str> = time.holidays.iter().map(|(country, _, _)| country.as_str()).collect();
            known.sort_unstable();
            known.dedup();
            problems.push(
                Problem::new("calendar.country", format!("`{name}` has no holidays of `{}`", time.country))
                    .hint(format!("it has those of {}", known.join(", "))),
            );
        }
    }
    (problems.len() == before).then_some(time)
}

/// Opening and closing of `09:00-18:00`.
fn opening(hours: &str) -> Option<(NaiveTime, NaiveTime)> {
    let (opens, closes) = hours.split_once('-')?;
    let time = |text: &str| NaiveTime::parse_from_str(text.trim(), "%H:%M").ok();
    let (opens, closes) = (time(opens)?, time(closes)?);
    (opens < closes).then_some((opens, closes))
}

/// Rows of a file with the columns `country`, `date` (2024-12-25) and, if it likes, `name`.
fn holidays(file: &str, text: &str, problems: &mut Vec<Problem>) -> Vec<(String, NaiveDate, String)> {
    let mut problem = |message: String| problems.push(Problem::new("calendar.holidays", format!("{file}: {message}")));
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(text.as_bytes());
    let header = match reader.headers() {
        Ok(header) => header.clone(),
        Err(e) => {
            problem(e.to_string());
            return Vec::new();
        }
    };
    let column = |name: &str| header.iter().position(|h| h.trim_start_matches('\u{feff}').eq_ignore_ascii_case(name));
    let (Some(country), Some(date)) = (column("country"), column("date")) else {
        problem(format!(
            "needs the columns `country` and `date`, found {}",
            header.iter().collect::<Vec<_>>().join(", ")
        ));
        return Vec::new();
    };
    let mut days = Vec::new();
    for (row, record) in (2..).zip(reader.records()) {
        let record = match record {
            Ok(record) => record,
            Err(e) => {
                problem(e.to_string());
                continue;
            }
        };
        let field = |at: usize| record.get(at).unwrap_or_default();
        match (field(country), field(date).parse::<NaiveDate>()) {
            ("", _) => problem(format!("row {row}: column `country` is empty")),
            (country, Ok(day)) => {
                days.push((country.to_owned(), day, column("name").map_or("", field).to_owned()));
            }
            (_, Err(_)) => {
                problem(format!("row {row}, column `date`: `{}` is not a date such as 2024-12-25", field(date)))
            }
        }
    }
    days
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(raw: Calendar, file: &str) -> (Option<WorkingTime>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("holidays.csv"), file).unwrap();
        let mut problems = Vec::new();
        let time = check(Some(&raw), folder.path(), &mut problems);
        (time, problems.iter().map(|p| format!("{} {}", p.key, p.message)).collect())
    }

    fn written() -> Calendar {
        Calendar {
            holidays: Some("holidays.csv".to_owned()),
            country: Some("DE".to_owned()),
            hours: Some("09:00-17:30".to_owned()),
            ..Calendar::default()
        }
    }

    #[test]
    fn a_file_of_holidays_is_read_and_every_mistake_in_it_is_told_with_its_row() {
        let (time, problems) = checked(written(), "country,date,name\nDE,2025-05-01,Tag der Arbeit\nFR,2025-07-14,\n");
        assert_eq!(problems, Vec::<String>::new());
        let time = time.unwrap();
        let may = NaiveDate::from_ymd_opt(2025, 5, 1).unwrap();
        assert_eq!(time.holidays[0], ("DE".to_owned(), may, "Tag der Arbeit".to_owned()));
        assert_eq!((time.holidays.len(), time.weekend), (2, vec![Weekday::Sat, Weekday::Sun]));
        assert_eq!(time.hours, NaiveTime::from_hms_opt(9, 0, 0).zip(NaiveTime::from_hms_opt(17, 30, 0)));

        let (time, problems) = checked(
            Calendar { weekend: vec!["fry".to_owned()], hours: Some("18:00-09:00".to_owned()), ..written() },
            "country,date\nFR,2025-05-01\n,2025-05-02\nFR,01.05.2025\n",
        );
        assert_eq!(time, None);
        assert_eq!(
            problems,
            [
                "calendar.weekend `fry` is not a day of the week",
                "calendar.hours `18:00-09:00` is not from one time to a later one",
                "calendar.holidays holidays.csv: row 3: column `country` is empty",
                "calendar.holidays holidays.csv: row 4, column `date`: `01.05.2025` is not a date such as 2024-12-25",
                "calendar.country `holidays.csv` has no holidays of `DE`",
            ]
        );
    }
}
