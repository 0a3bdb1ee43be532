//! The operator's document has everything that there is to operate.

use super::{run, stdout};

const OPERATIONS: &str = include_str!("../../docs/OPERATIONS.md");

#[test]
fn every_flag_and_its_variable_are_documented() {
    let help = stdout(&run(&["serve", "--help"]));
    let flags: Vec<&str> = help
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("--"))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(flags.len() > 20, "{flags:?}");
    // `--synchronous` stands in the durability section too.
    for flag in flags {
        assert!(OPERATIONS.contains(&format!("`--{flag}`")), "--{flag}");
    }
    let variables = help
        .split("[env: ")
        .skip(1)
        .filter_map(|rest| rest.split(['=', ']']).next());
    for variable in variables {
        assert!(OPERATIONS.contains(variable), "{variable}");
    }
}

#[test]
fn every_metric_is_documented() {
    for name in scumble::telemetry::names::all() {
        assert!(OPERATIONS.contains(&format!("`{name}`")), "{name}");
    }
}
