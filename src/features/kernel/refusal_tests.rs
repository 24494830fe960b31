//! What is refused, and how it is said.

use super::naive::Event;
use super::tests::{Keyed, declarations, plain, step};
use super::*;

#[test]
fn a_state_of_other_features_or_over_other_keys_is_refused() {
    let mut state = Keyed::new(declarations());
    step(&mut state, &[plain(1, 5), plain(2, 6)], &[]);
    assert!(Keyed::load(declarations(), &state.save()).is_ok());
    let other = Declarations::new(declarations().all()[1..].to_vec()).unwrap();
    assert!(Keyed::load(other, &state.save()).err().unwrap().to_string().contains("other settings"));
    // Events of a key that there is not.
    state.entities.keep(&[true]);
    assert!(Keyed::load(declarations(), &state.save()).err().unwrap().to_string().contains("damaged"));
}

#[test]
fn every_problem_of_declarations_is_told_at_once() {
    let good = Declaration::new("customer_order", Aggregate::Count, Window::Span(86_400_000_000));
    let rate = Aggregate::Rate { prior: 2.0, weight: -1.0 };
    let all = vec![
        good.clone(),
        good.clone().delayed(-1),
        Declaration::new("device_fraud", rate, Window::Lifetime),
        Declaration::new("ip_order", Aggregate::Count, Window::Span(0)),
    ];
    let said: Vec<String> = Declarations::new(all).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "`customer_order_count_24h`: a delay must not be negative, got -1 µs",
            "`device_fraud_rate_lifetime`: a prior must be between 0 and 1, got 2",
            "`device_fraud_rate_lifetime`: a weight must be a number of at least 0, got -1",
            "`ip_order_count_0h`: a window must span at least 1 µs, got 0",
            "`customer_order_count_24h`: a feature is declared once, this one is declared again",
        ]
    );
}

#[test]
fn sums_beyond_64_bits_and_columns_that_do_not_fit_are_errors_and_no_wraps() {
    let mut state = Keyed::new(declarations());
    let events: Vec<Event> = (0..3).map(|n| Event { value: Some(i64::MAX / 2), ..plain(1, n) }).collect();
    state.entities.intern(&[1]).unwrap();
    let ask = |state: &mut Keyed, at| state.state.step(&Events::default(), &Queries { entity: &[0], at: &[at] });
    step(&mut state, &events, &[]);
    assert!(ask(&mut state, 2).is_ok());
    assert!(ask(&mut state, 9).unwrap_err().to_string().contains("more than 64 bits"));
    assert!(ask(&mut state, i64::MAX).is_err() && ask(&mut state, i64::MIN).is_ok());
    let short = Events { entity: &[0], ..Events::default() };
    assert!(state.state.step(&short, &Queries::default()).is_err());
    let bare = Events { entity: &[0], happened_at: &[1], ..Events::default() };
    assert!(state.state.step(&bare, &Queries::default()).unwrap_err().to_string().contains("without values"));
}
